//! The alarms that count: one that rang before the deployment began says nothing about it, until it was silent. Pure.

use super::plan::Version;
use kit::error::{Error, Result};
use lambda::Alarm;
use std::collections::BTreeSet;

/// The alarms of a deployment.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    rang_before: BTreeSet<String>,
}

impl Watched {
    /// Notes those that ring before the deployment begins. Where traffic moves already, one that rings may have been set off by
    /// that, so it counts.
    ///
    /// # Errors
    /// All of them ring, so that nothing would watch the deployment (exit 3).
    pub(crate) fn begin(version: &Version, seen: &[Alarm]) -> Result<Self> {
        if let Version::GoOn(_) | Version::End(_) = version {
            return Ok(Self::default());
        }
        let ringing = seen.iter().filter(|alarm| alarm.rings());
        let rang_before: BTreeSet<String> = ringing.map(|alarm| alarm.name.clone()).collect();
        let changes = *version != Version::Keep;
        if changes && !seen.is_empty() && seen.iter().all(Alarm::rings) {
            let names: Vec<&str> = rang_before.iter().map(String::as_str).collect();
            return Err(Error::refused(
                "every alarm that was given rings already, so none would watch the deployment",
            )
            .cause(format!("in ALARM: {}", names.join(", ")))
            .hint("wait until one is silent, or give another --alarm")
            .hint("omit --alarm to deploy unwatched, such as a version that is to silence them"));
        }
        Ok(Self { rang_before })
    }

    /// The alarms that rang before it began and have not been silent since.
    pub(crate) fn rang_before(&self) -> Vec<String> {
        self.rang_before.iter().cloned().collect()
    }

    /// The alarms that went off since.
    pub(crate) fn look(&mut self, seen: &[Alarm]) -> Vec<String> {
        for alarm in seen.iter().filter(|alarm| !alarm.rings()) {
            self.rang_before.remove(&alarm.name);
        }
        let ringing = seen.iter().filter(|alarm| alarm.rings());
        ringing
            .filter(|alarm| !self.rang_before.contains(&alarm.name))
            .map(|alarm| alarm.name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarms(states: [&str; 2]) -> Vec<Alarm> {
        let named = ["errors", "latency"].into_iter().zip(states);
        named
            .map(|(name, state)| Alarm {
                name: name.to_owned(),
                state: state.to_owned(),
            })
            .collect()
    }

    #[test]
    fn an_alarm_counts_if_it_went_off_after_the_beginning() {
        let publish = Version::Publish { code: true };
        let mut watched = Watched::begin(&publish, &alarms(["ALARM", "OK"])).unwrap();
        assert_eq!(watched.rang_before(), ["errors"]);
        assert!(
            watched
                .look(&alarms(["ALARM", "INSUFFICIENT_DATA"]))
                .is_empty()
        );
        assert_eq!(watched.look(&alarms(["ALARM", "ALARM"])), ["latency"]);
        assert!(watched.look(&alarms(["OK", "OK"])).is_empty());
        assert_eq!(watched.look(&alarms(["ALARM", "OK"])), ["errors"]);
    }

    #[test]
    fn an_alarm_that_rings_while_traffic_moves_already_counts() {
        let moving = Version::GoOn("2".to_owned());
        let mut watched = Watched::begin(&moving, &alarms(["ALARM", "OK"])).unwrap();
        assert!(watched.rang_before().is_empty());
        assert_eq!(watched.look(&alarms(["ALARM", "OK"])), ["errors"]);
        assert!(Watched::begin(&moving, &alarms(["ALARM", "ALARM"])).is_ok());
    }

    #[test]
    fn a_deployment_that_no_alarm_would_watch_is_refused() {
        let publish = Version::Publish { code: true };
        let error = Watched::begin(&publish, &alarms(["ALARM", "ALARM"])).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert!(error.line().contains("errors, latency"), "{error}");
        assert!(Watched::begin(&publish, &[]).is_ok());
        assert!(Watched::begin(&Version::Keep, &alarms(["ALARM", "ALARM"])).is_ok());
    }
}
