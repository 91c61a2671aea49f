//! The messages about a lock that another run holds: the announcements during the wait, and the error at its end.

use super::claimant::Claimant;
use super::repair::repair;
use super::wait::Watch;
use crate::lease::Phase;
use crate::lock::{Held, Lock};
use kit::clock::uptime;
use kit::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// How often the holder is announced at most where waiters have no queue: many of them see another holder at every look.
const QUIET: Duration = Duration::from_secs(10);

/// The last announcement of the wait.
#[derive(Default)]
pub(super) struct Announced {
    news: String,
    /// When it was made, by the time since boot.
    at: Option<Duration>,
}

impl Announced {
    /// Logs the place in the queue and the holder of the lock, if either changed. `ahead` is how many waiters are in front; `None`
    /// where they have no queue.
    pub(super) async fn say(
        &mut self,
        claimant: &Claimant<'_>,
        ahead: Option<u64>,
        held: Option<&Held>,
        watch: &Watch,
    ) -> Result<()> {
        let news = match held {
            Some(held) => format!("0 {}", held.id()),
            None => format!("{ahead:?}"),
        };
        if !self.is_due(news, ahead, uptime()) {
            return Ok(());
        }
        let current = match held {
            Some(_) => None,
            None => claimant.lock.look().await?,
        };
        let timeout = kit::clock::human(claimant.wait.lock_timeout);
        let holder = match held.or(current.as_ref()) {
            Some(held) => format!("held by {held}; {}", watch.known(held.lease.as_deref())),
            None => "free, but other runs are ahead in the queue".to_owned(),
        };
        claimant.cx.host.info(format!(
            "waiting up to {timeout} for {}{}: {holder}",
            claimant.lock.id,
            turn(ahead)
        ));
        Ok(())
    }

    /// Returns true if these are news to announce now, which are then kept as the last ones.
    fn is_due(&mut self, news: String, ahead: Option<u64>, now: Duration) -> bool {
        let recent = ahead.is_none() && self.at.is_some_and(|at| now.saturating_sub(at) < QUIET);
        if self.news == news || recent {
            return false;
        }
        *self = Self {
            news,
            at: Some(now),
        };
        true
    }
}

/// The place in the queue, as a part of a sentence.
fn turn(ahead: Option<u64>) -> String {
    match ahead {
        None => String::new(),
        Some(0) => ", next in the queue".to_owned(),
        Some(ahead) => format!(", place {} in the queue", ahead + 1),
    }
}

/// The error for a lock that several runs take and release without one of them keeping it.
pub(super) fn unsettled(lock: &Lock) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!("the state lock {} keeps changing hands", lock.id),
    )
    .cause("other runs take and release it faster than this one can")
}

pub(super) fn busy(
    lock: &Lock,
    held: &Held,
    ahead: u64,
    timeout: Duration,
    watch: &Watch,
) -> Error {
    let error = Error::new(
        ErrorKind::Busy,
        format!(
            "the state lock {} is still held after {}",
            lock.id,
            kit::clock::human(timeout)
        ),
    );
    let wait = "wait longer with --lock-timeout, or look at the run that holds it";
    let error = error
        .cause(format!("held by {held}"))
        .cause(watch.known(held.lease.as_deref()));
    let error = match ahead {
        0 => error,
        ahead => error.cause(format!("runs ahead of this one in the queue: {ahead}")),
    };
    let error = match &held.lease {
        Some(lease) if lease.phase == Phase::Running && timeout <= lease.length() => {
            error.hint(format!(
                "if its run is dead, the lock is taken over after {} without a heartbeat: run again with a longer --lock-timeout",
                kit::clock::human(lease.length())
            ))
        }
        _ => error,
    };
    match (&held.info, &held.lease) {
        (Some(info), Some(lease)) if lease.phase.is_broken() => error.hint(format!(
            "its holder could not write the state; restore it: {}",
            repair(lock, &info.id, &lease.rescued)
        )),
        (Some(_), Some(lease)) if lease.phase == Phase::Moved => error.hint(
            "this state is locked with the file now: remove `table` from the contract and omit --table (or give --locking file), and set use_lockfile = true instead of dynamodb_table in the backend",
        ),
        (Some(_), lease) => {
            let (program, verb) = match lease.as_ref().map(|lease| lease.phase) {
                // No command runs under it, so it need not be forced.
                Some(Phase::Kept | Phase::Parked) => ("run", format!("unlock --lock-id {}", held.typed_id())),
                Some(_) => ("run", format!("force-unlock --lock-id {}", held.typed_id())),
                None => ("Terraform", format!("force-unlock --lock-id {}", held.typed_id())),
            };
            let command = lock.command(&verb);
            error
                .hint(wait)
                .hint(format!("only if you are certain that this {program} has ended: {command}"))
        }
        (None, _) => error
            .hint("somebody wrote this by hand; look at it in the lock table")
            .hint(format!(
                "only if you are certain that nobody uses it, with an empty ID: {}",
                lock.command(&format!("force-unlock --lock-id {}", held.typed_id()))
            )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{Lease, tests::lease};
    use crate::lock::{Location, Object};

    fn lock() -> Lock {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        Lock {
            location: Location::File(Object::new(client, "states".into(), "k.tflock".into())),
            id: "states/shop/dev/terraform.tfstate".into(),
            arguments: "--bucket states --key shop/dev/terraform.tfstate --table locks".into(),
        }
    }

    fn held(lease: Option<Lease>) -> Held {
        crate::hold::tests::held("3f", lease)
    }

    #[test]
    fn a_busy_lock_names_its_holder_and_a_command_that_can_be_typed() {
        let about = "--bucket states --key shop/dev/terraform.tfstate --table locks";
        for (lease, command) in [
            (Some(lease(Phase::Running)), "force-unlock --lock-id 3f"),
            (Some(lease(Phase::Kept)), "unlock --lock-id 3f"),
            (None, "force-unlock --lock-id 3f"),
        ] {
            let run = lease.as_ref().and_then(|lease| lease.run_url.clone());
            let held = held(lease);
            let error = busy(&lock(), &held, 0, Duration::ZERO, &Watch::default());
            assert_eq!(error.kind, ErrorKind::Busy);
            assert!(error.causes()[0].contains("ada"), "{error}");
            assert!(error.causes()[0].contains(run.as_deref().unwrap_or("3f")));
            let typed = format!("slipway-state {command} {about}");
            assert!(error.hints.last().unwrap().ends_with(&typed), "{error}");
        }
    }

    #[test]
    fn a_lock_without_an_id_says_that_an_empty_one_is_to_be_typed() {
        let mut held = held(None);
        for info in [held.info.clone(), None] {
            held.info = info.map(|mut info| {
                info.id.clear();
                info
            });
            let error = busy(&lock(), &held, 0, Duration::ZERO, &Watch::default());
            let typed = "slipway-state force-unlock --lock-id \"\" --bucket states";
            assert!(error.hints.last().unwrap().contains(typed), "{error}");
        }
    }

    #[test]
    fn a_lock_that_needs_repair_says_where_its_state_is() {
        let mut lease = lease(Phase::NeedsRepair);
        lease.rescued = "s3://states/shop.errored-3f".to_owned().into();
        let held = held(Some(lease));
        let error = busy(&lock(), &held, 0, Duration::ZERO, &Watch::default());
        assert!(error.to_string().contains("s3://states/shop.errored-3f"));
        assert!(error.to_string().contains("state push"), "{error}");
    }

    #[test]
    fn a_run_without_a_queue_has_no_place_in_one() {
        assert_eq!(turn(None), "");
        assert_eq!(turn(Some(0)), ", next in the queue");
        assert_eq!(turn(Some(3)), ", place 4 in the queue");
    }

    #[test]
    fn where_nobody_queues_a_crowd_of_holders_is_announced_every_ten_seconds() {
        let seconds = Duration::from_secs;
        let mut announced = Announced::default();
        let due: Vec<bool> = (0..21)
            .map(|second| announced.is_due(format!("holder {second}"), None, seconds(second)))
            .collect();
        let at: Vec<usize> = (0..21).filter(|second| due[*second]).collect();
        assert_eq!(at, [0, 10, 20]);
        assert!(!announced.is_due("holder 20".to_owned(), None, seconds(60)));
        // In a queue each step forward is announced at once.
        let mut queued = Announced::default();
        assert!(queued.is_due("3".to_owned(), Some(3), seconds(0)));
        assert!(queued.is_due("2".to_owned(), Some(2), seconds(1)));
    }
}
