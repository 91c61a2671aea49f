//! A command under the lock, from its start until the last of its processes has ended. `keep` decides when to renew
//! the lease, to interrupt and to kill; this module does it for every process of the command that still runs.

use super::held_lock::{Ended, Ending, HeldLock, Stage, Watchers};
use super::keep::{Keeper, Next};
use crate::guard::Guard;
use crate::lock::{Changed, Held, Record};
use crate::process::Process;
use crate::shim::CallServer;
use kit::child::Running;
use kit::clock::uptime;
use kit::error::Result;
use kit::group::Group;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

/// How long the processes that a command started may outlive it.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// The processes that run under the lock.
enum Supervised<'r> {
    /// The command.
    Command(&'r mut Running),
    /// The processes that it left running in its group, which are being ended.
    Leftovers(
        Group,
        Pin<Box<dyn Future<Output = Result<bool>> + Send + 'r>>,
    ),
    /// A call without a lock of its own that outlives the command.
    Terraform(Process),
}

impl Supervised<'_> {
    /// Waits until the processes have ended. Only a command has a status of its own.
    async fn wait(&mut self, guard: &Guard) -> Result<ExitStatus> {
        match self {
            Self::Command(running) => running.wait_telling(|| guard.interrupted()).await,
            Self::Leftovers(_, ending) => ending.await.map(|_| ExitStatus::default()),
            Self::Terraform(process) => {
                while process.runs() {
                    tokio::time::sleep(LOOK).await;
                }
                Ok(ExitStatus::default())
            }
        }
    }

    fn kill(&self) -> Result<()> {
        match self {
            Self::Command(running) => running.kill(),
            Self::Leftovers(group, _) => group.kill()?,
            Self::Terraform(process) => process.kill(),
        }
        Ok(())
    }
}

/// The state of a hold while something runs under it.
struct Supervision {
    keeper: Keeper,
    guard: Guard,
    calls: CallServer,
    /// A renewal that has not been answered.
    pending: Option<(Record, Duration)>,
    /// Why the command ends, as far as it is known.
    ending: Ending,
}

impl Supervision {
    /// Returns true if the lock was seen to be removed.
    fn is_lock_lost(&self) -> bool {
        matches!(self.ending, Ending::LockLost(_))
    }

    /// The command is being stopped: its lock was removed, or could not be renewed.
    fn stopped(&mut self) {
        if !self.is_lock_lost() {
            self.ending = Ending::NotRenewed;
        }
        self.calls.close("the lock was lost");
    }
}

impl HeldLock<'_> {
    /// Waits for the command and keeps the lease alive. Where this process is killed, the post step
    /// must not give the lock back while the command runs; and a guard stops the command in time.
    pub(super) async fn until_ended(
        &mut self,
        mut running: Running,
        watchers: Watchers,
    ) -> Result<Ended> {
        self.stage = Stage::AtWork;
        let (group, pid) = (running.group(), running.pid());
        let announced = self.tell(group, &watchers.guard);
        if announced.is_err() {
            running.stop();
        }
        let mut watch = Supervision {
            keeper: Keeper::new(self.record.lease.length(), self.since),
            guard: watchers.guard,
            calls: watchers.calls,
            pending: None,
            ending: Ending::Exited,
        };
        let command = Supervised::Command(&mut running);
        let status = self.supervise(command, &mut watch).await?;
        watch.calls.close("the command is over");
        if let Some(group) = group {
            let group = match running.was_asked() {
                true => group.interrupted(),
                false => group,
            };
            self.wait_for_descendants(group, &mut watch).await?;
        }
        self.wait_for_unlocked_call(&running, group, pid, &mut watch)
            .await?;
        self.stage = Stage::Idle;
        self.calls = watch.calls.calls();
        if let Some(work) = &mut self.work {
            let before = self.calls.worked.iter();
            work.called(
                before
                    .map(|(folder, it)| (folder.clone(), it.before.clone()))
                    .collect(),
            );
        }
        watch.guard.dismiss(&self.cx.host);
        announced?;
        let ending = match watch.ending {
            Ending::Exited if running.was_interrupted() => Ending::Interrupted,
            ending => ending,
        };
        Ok(Ended { status, ending })
    }

    /// Keeps the lease alive until `supervised` is over, and ends it in time where that does not
    /// succeed. All that was left behind by a command was asked to stop before.
    async fn supervise(
        &mut self,
        mut supervised: Supervised<'_>,
        watch: &mut Supervision,
    ) -> Result<ExitStatus> {
        loop {
            match watch.keeper.next(uptime()) {
                Next::Sleep(pause) => tokio::select! {
                    status = supervised.wait(&watch.guard) => return status,
                    () = tokio::time::sleep(pause) => {}
                },
                Next::Interrupt => {
                    if let Supervised::Command(running) = &mut supervised {
                        self.cx.host.warn(match watch.is_lock_lost() {
                            true => "stopping the command: the lock was removed",
                            false => {
                                "stopping the command: the lock could not be renewed for half of its lease"
                            }
                        });
                        watch.stopped();
                        watch.guard.interrupted();
                        running.stop();
                    }
                }
                Next::Kill => {
                    if let Supervised::Command(_) = &supervised {
                        self.cx
                            .host
                            .warn("ending the command: the lock's lease is about to end");
                        watch.stopped();
                    }
                    supervised.kill()?;
                }
                Next::Renew => {
                    let moved = tokio::select! {
                        status = supervised.wait(&watch.guard) => return status,
                        moved = self.send_heartbeat(&mut watch.keeper, &mut watch.pending) => moved,
                    };
                    if let (Some(found), false) = (moved, watch.is_lock_lost()) {
                        watch.ending = Ending::LockLost(found);
                    }
                    self.announce_lease_end(watch);
                }
            }
        }
    }

    /// Ends the processes that the command started before the lock is released: a wrapper that dies of the interrupt
    /// leaves a Terraform that still writes its state.
    async fn wait_for_descendants(&mut self, group: Group, watch: &mut Supervision) -> Result<()> {
        // A process that reads the command's output ends a moment after it.
        let deadline = uptime() + LEFTOVERS_GRACE;
        while group.runs()? && uptime() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        if !group.runs()? {
            return Ok(());
        }
        self.cx
            .host
            .warn("ending what the command left running: it would go on without the lock");
        let leftovers = Supervised::Leftovers(group, Box::pin(group.end()));
        self.supervise(leftovers, watch).await.map(drop)
    }

    /// Waits for a call that runs without a lock of its own and outlives the command: at a terminal,
    /// and where it left the command's group.
    async fn wait_for_unlocked_call(
        &mut self,
        running: &Running,
        group: Option<Group>,
        pid: Option<u32>,
        watch: &mut Supervision,
    ) -> Result<()> {
        let outside = |calls: &CallServer| {
            let call = calls.unlocked();
            call.filter(|call| group.is_none_or(|group| !call.is_in(&group)))
        };
        let Some(mut call) = outside(&watch.calls) else {
            return Ok(());
        };
        let asked = group.is_none() && running.was_asked();
        if !asked && !pid.is_some_and(|pid| call.is(pid)) {
            watch.guard.interrupted();
            call.interrupt();
        }
        self.cx.host.warn(
            "waiting for a call of Terraform that the command left running: it would go on without the lock",
        );
        loop {
            self.supervise(Supervised::Terraform(call), watch).await?;
            // A wrapper may leave its Terraform running. That one is not asked to stop: it may have
            // been, with its wrapper, and Terraform takes a second time for leave to lose state.
            match outside(&watch.calls) {
                Some(next) => call = next,
                None => return Ok(()),
            }
            // Its wrapper was ended, or is over too late for another look at the lease.
            if uptime() >= watch.keeper.last_moment() {
                call.kill();
            }
        }
    }

    /// Sends one heartbeat. Returns the lock that was found instead, if it is no longer ours.
    async fn send_heartbeat(
        &mut self,
        keeper: &mut Keeper,
        pending: &mut Option<(Record, Duration)>,
    ) -> Option<Option<Held>> {
        // One that got no answer is sent again as it was: it may have arrived.
        let (renewed, began) = pending.clone().unwrap_or_else(|| {
            let lease = self.record.lease.renewed();
            let info = self.record.info.clone();
            (Record { info, lease }, uptime())
        });
        // This future may be left before there is an answer, and the write may arrive all the same.
        *pending = Some((renewed.clone(), began));
        let timeout = keeper.timeout(uptime());
        match tokio::time::timeout(timeout, self.renew(&renewed)).await {
            Ok(Ok(Changed::Done)) => {
                *pending = None;
                self.record = renewed;
                keeper.renewed(began);
                None
            }
            Ok(Ok(Changed::Moved(held))) => {
                *pending = None;
                keeper.lost();
                Some(held)
            }
            Ok(Err(_)) | Err(_) => {
                keeper.unanswered(uptime());
                None
            }
        }
    }

    /// Tells the guard and the call server when the lease ends now.
    fn announce_lease_end(&self, watch: &Supervision) {
        let end = watch.keeper.end();
        watch.calls.until(end);
        if watch.guard.until(end).is_err() {
            // Without it a run that is killed would leave its command alone; that is what the post
            // step is for.
            self.cx.host.warn("the guard process has ended");
        }
    }
}
