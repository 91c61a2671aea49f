//! Waiting for the lock: what to do next, given what was seen. Pure, but for the loop at the end.

use crate::info::LockInfo;
use crate::lock::{Attempt, Holder, Lock};
use kit::error::{Error, Result};
use kit::exit::Exit;
use kit::step::Cx;
use std::time::Duration;

/// The pause between two attempts. A held lock is held for minutes; one write in four seconds
/// costs next to nothing and hands over soon enough.
const PAUSE: Duration = Duration::from_secs(4);

/// What a waiter does after an attempt that found the lock held.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Try again after this long; say so if the holder is a new one.
    Wait(Duration),
    /// Give up: the time is over.
    GiveUp,
}

fn next(waited: Duration, timeout: Duration, pause: Duration) -> Next {
    match timeout.checked_sub(waited) {
        Some(left) if !left.is_zero() => Next::Wait(pause.min(left)),
        _ => Next::GiveUp,
    }
}

/// Takes the lock, waiting up to `timeout` for whoever holds it.
///
/// # Errors
/// Still held when the time is over (exit 4, naming the holder), or DynamoDB's.
pub(crate) async fn acquire(
    lock: &Lock,
    info: &LockInfo,
    timeout: Duration,
    cx: &Cx,
) -> Result<()> {
    let run = cx.host.run_url();
    let started = std::time::Instant::now();
    let mut seen: Option<Holder> = None;
    loop {
        let held = match lock.take(info, run.as_deref()).await? {
            Attempt::Taken => return Ok(()),
            Attempt::Held(held) => held,
        };
        let Next::Wait(pause) = next(started.elapsed(), timeout, PAUSE) else {
            return Err(busy(lock, &held, timeout));
        };
        if seen.as_ref() != Some(&held) {
            cx.host.info(format!(
                "waiting up to {} for {}, held by {held}",
                kit::clock::human(timeout),
                lock.id
            ));
            seen = Some(held);
        }
        tokio::time::sleep(pause).await;
    }
}

fn busy(lock: &Lock, held: &Holder, timeout: Duration) -> Error {
    let error = Error::new(
        Exit::Busy,
        format!(
            "the state lock {} is still held after {}",
            lock.id,
            kit::clock::human(timeout)
        ),
    )
    .cause(format!("held by {held}"));
    match held {
        Holder::Known { info, .. } => error
            .hint("wait longer with --lock-timeout, or look at the run that holds it")
            .hint(format!(
                "only if that run is over for certain: {}",
                lock.unlock_command(&info.id)
            )),
        Holder::Unreadable => error.hint(format!(
            "somebody wrote this item by hand; look at it in the table {}",
            lock.table
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_in_steps_and_never_past_its_time() {
        let seconds = Duration::from_secs;
        for (waited, timeout, wanted) in [
            (0, 0, Next::GiveUp),
            (0, 60, Next::Wait(seconds(4))),
            (58, 60, Next::Wait(seconds(2))),
            (60, 60, Next::GiveUp),
            (61, 60, Next::GiveUp),
        ] {
            assert_eq!(next(seconds(waited), seconds(timeout), PAUSE), wanted);
        }
    }

    #[tokio::test]
    async fn a_busy_lock_names_its_holder_and_a_command_that_can_be_typed() {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .build();
        let lock = Lock {
            client: aws_sdk_dynamodb::Client::from_conf(config),
            table: "locks".into(),
            id: "states/shop/dev/terraform.tfstate".into(),
        };
        let mut info = LockInfo::new(
            lock.id.clone(),
            "apply",
            String::new(),
            "ada".into(),
            time::OffsetDateTime::UNIX_EPOCH,
        );
        info.id = "3f".into();
        let held = Holder::Known {
            info: Box::new(info),
            run: None,
        };
        let error = busy(&lock, &held, Duration::ZERO);
        assert_eq!(error.exit, Exit::Busy);
        assert!(error.causes[0].contains("ada"), "{error}");
        assert!(
            error.hints[1].ends_with(
                "slipway-state unlock --lock-id 3f --bucket states --key shop/dev/terraform.tfstate --table locks"
            ),
            "{error}"
        );
    }
}
