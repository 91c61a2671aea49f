//! Work of this program's own under Terraform's lock: commands it starts, and calls between them.

use super::held_lock::{Ending, HeldLock, Stage, Watchers};
use super::opened::open;
use super::take;
use crate::args::Wait;
use crate::backend::Hold;
use crate::info::LockInfo;
use crate::lease::Phase;
use crate::locate::LocatedState;
use crate::lock::Lock;
use crate::rescue::Copies;
use kit::child::{Program, Running};
use kit::clock::uptime;
use kit::error::{Error, Result};
use kit::signal::unless_interrupted;
use kit::step::Cx;
use net::Account;
use std::process::ExitStatus;

/// Where commands run: under a lock that is kept alive, or without one.
pub(crate) enum Runs<'h, 'a> {
    Free(&'h Account),
    Held(&'h mut HeldLock<'a>),
}

impl Runs<'_, '_> {
    pub(crate) fn account(&self) -> &Account {
        match self {
            Runs::Free(account) => account,
            Runs::Held(held_lock) => held_lock.account(),
        }
    }

    /// Runs a command and returns its output.
    ///
    /// # Errors
    /// The lock is gone, or the command cannot be started.
    pub(crate) async fn capture(
        &mut self,
        program: Program,
        cx: &Cx,
    ) -> Result<(ExitStatus, Vec<u8>)> {
        match self {
            Runs::Free(_) => program.capture(&cx.host).await,
            Runs::Held(held_lock) => held_lock.capture(program).await,
        }
    }
}

/// Takes the lock for `verb`, does `work`, and releases the lock whether or not that succeeded, unless a command left
/// a state that it could not write.
///
/// # Errors
/// The lock's, the work's, or that the lock was gone when the work was done.
pub(crate) async fn held<T>(
    verb: &str,
    located: &LocatedState,
    wait: &Wait,
    cx: &Cx,
    work: impl AsyncFnOnce(&mut HeldLock<'_>) -> Result<T>,
) -> Result<T> {
    let opened = unless_interrupted(open(located, Hold::Native, cx)).await?;
    let record = take::record(&opened, verb, Phase::Running, wait.lease, cx);
    let since = take::take(&opened, &record, wait, located, cx).await?;
    let mut held_lock = HeldLock::new(opened, record, since, located, cx);
    let done = work(&mut held_lock).await;
    if held_lock.stage == Stage::Broken {
        return done;
    }
    match done {
        Ok(done) => held_lock.release_or_keep(true).await.map(|()| done),
        Err(error) => Err(held_lock.release_after_failure(error, true).await),
    }
}

impl HeldLock<'_> {
    /// The credentials that commands are given.
    pub(crate) fn account(&self) -> &Account {
        &self.opened.access.account
    }

    /// The credentials that reach the state.
    pub(crate) fn state_account(&self) -> &Account {
        &self.opened.access.state
    }

    /// The lock.
    pub(crate) fn lock(&self) -> &Lock {
        &self.opened.lock
    }

    /// Terraform's `Info` in the lock.
    pub(crate) fn info(&self) -> &LockInfo {
        &self.record.info
    }

    /// Runs a command with its output in the log, the lease kept alive meanwhile.
    ///
    /// # Errors
    /// The lock is gone, or the command cannot be started.
    pub(crate) async fn log(&mut self, program: Program) -> Result<ExitStatus> {
        self.renew_lease().await?;
        let (program, watchers) = self.begin(program)?;
        let (running, watchers) =
            watchers.unless_failed(program.start_in_log(&self.cx.host), &self.cx.host)?;
        self.end(running, watchers).await
    }

    /// Runs a command and returns its output; renews the lease meanwhile.
    ///
    /// # Errors
    /// As [`HeldLock::log`].
    pub(crate) async fn capture(&mut self, program: Program) -> Result<(ExitStatus, Vec<u8>)> {
        self.renew_lease().await?;
        let (program, watchers) = self.begin(program)?;
        let started = program.start_piped(&self.cx.host);
        let ((running, printed), watchers) = watchers.unless_failed(started, &self.cx.host)?;
        let (status, output) = tokio::join!(self.end(running, watchers), printed.read());
        Ok((status?, output?))
    }

    /// Keeps a state that the last command could not write; the lock stays then.
    ///
    /// # Errors
    /// `verdict`, with what became of the state.
    pub(crate) async fn rescue_state(&mut self, verdict: Error) -> Error {
        match self.errored_states().as_slice() {
            [] => match self.unwritable_folder() {
                Some(folder) => self.keep_for_unwritten_state(verdict, &folder).await,
                None => verdict,
            },
            files => self.rescue(verdict, files).await,
        }
    }

    /// Renews the lease, which is also the proof that the lock is still ours.
    pub(crate) async fn renew_lease(&mut self) -> Result<()> {
        let began = uptime();
        self.put(self.record.lease.phase, Copies::default()).await?;
        self.since = began;
        Ok(())
    }

    async fn end(&mut self, running: Running, watchers: Watchers) -> Result<ExitStatus> {
        let ended = self.until_ended(running, watchers).await?;
        match ended.ending {
            Ending::LockLost(found) => Err(self.lock_lost(found.as_ref())),
            Ending::NotRenewed => Err(Error::failed(
                "the command was stopped, because the lock could not be renewed in time",
            )),
            Ending::Exited | Ending::Interrupted => Ok(ended.status),
        }
    }
}
