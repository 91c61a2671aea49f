//! How long a deployment is followed. Pure.

use crate::decide::Update;
use ecs::Strategy;
use kit::clock::human;
use kit::error::{Error, Result};
use std::time::Duration;

/// The time for tasks to start and to become healthy, where none is given.
pub(crate) const USUAL: Duration = Duration::from_secs(15 * 60);

/// The time until the deployment is given up: as given, else the usual one and what the service's configuration makes every
/// deployment wait.
///
/// # Errors
/// It is zero, or over before a deployment that is to begin could be (exit 2).
pub(crate) fn allowed(
    given: Option<Duration>,
    strategy: &Strategy,
    update: Update,
) -> Result<Duration> {
    let waits = strategy.waits;
    let Some(given) = given else {
        return Ok(USUAL + waits);
    };
    refuse_none(given)?;
    if update != Update::None && given <= waits {
        return Err(Error::usage(format!(
            "--timeout is {}, and every deployment of the service waits for {} by its configuration",
            human(given),
            human(waits)
        ))
        .cause(format!(
            "its strategy is {}, and it waits between the steps of traffic and while it bakes",
            strategy.kind
        ))
        .hint(format!(
            "omit --timeout, which then is {}, or give more than {}",
            human(USUAL + waits),
            human(waits)
        )));
    }
    Ok(given)
}

/// # Errors
/// The time is zero (exit 2).
pub(crate) fn refuse_none(timeout: Duration) -> Result<()> {
    if !timeout.is_zero() {
        return Ok(());
    }
    Err(Error::usage("--timeout is zero: nothing ends that fast")
        .hint("give it as long as the service needs to become healthy, such as 15m"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn the_time_covers_the_waits_that_the_service_configures() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let strategy = |waits: u64| Strategy {
            kind: "CANARY".to_owned(),
            waits: minutes(waits),
        };
        // Given, the configured waits, whether a deployment begins, the time or the exit code.
        for (given, waits, begins, wanted) in [
            (None, 0, true, Ok(15)),
            (None, 60, true, Ok(75)),
            (Some(5), 0, true, Ok(5)),
            (Some(61), 60, true, Ok(61)),
            (Some(60), 60, true, Err(Exit::Usage)),
            (Some(5), 60, true, Err(Exit::Usage)),
            // What is left of a deployment under way may be shorter.
            (Some(5), 60, false, Ok(5)),
            (Some(0), 0, false, Err(Exit::Usage)),
        ] {
            let update = if begins { Update::Deploy } else { Update::None };
            let found = allowed(given.map(minutes), &strategy(waits), update);
            let found = found.map_err(|error| error.exit());
            assert_eq!(found, wanted.map(minutes), "{given:?} {waits}");
        }
    }
}
