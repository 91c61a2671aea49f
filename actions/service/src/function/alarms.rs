//! The alarms that count: one that was in ALARM before the deployment began says nothing about it, until it has left that state. Pure.

use super::plan::Version;
use kit::error::{Error, Result};
use lambda::Alarm;
use std::collections::BTreeSet;

/// The alarms of a deployment.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    in_alarm_before: BTreeSet<String>,
}

impl Watched {
    /// Notes those in ALARM before the deployment begins. Where traffic moves already, one in ALARM may have gone off because of
    /// that, so it counts.
    ///
    /// # Errors
    /// All of them are in ALARM, so that nothing would watch the deployment (exit 3).
    pub(crate) fn begin(version: &Version, seen: &[Alarm]) -> Result<Self> {
        if let Version::GoOn(_) | Version::End(_) = version {
            return Ok(Self::default());
        }
        let in_alarm = seen.iter().filter(|alarm| alarm.in_alarm());
        let in_alarm_before: BTreeSet<String> = in_alarm.map(|alarm| alarm.name.clone()).collect();
        let changes = *version != Version::Keep;
        if changes && !seen.is_empty() && seen.iter().all(Alarm::in_alarm) {
            let names: Vec<&str> = in_alarm_before.iter().map(String::as_str).collect();
            return Err(Error::refused(
                "every alarm that was given is in ALARM already, so none would watch the deployment",
            )
            .cause(format!("in ALARM: {}", names.join(", ")))
            .hint("wait until one has left ALARM, or give another --alarm")
            .hint("omit --alarm to deploy unwatched, such as a version that is to bring them back to OK"));
        }
        Ok(Self { in_alarm_before })
    }

    /// The alarms that were in ALARM before it began and have not left that state since.
    pub(crate) fn in_alarm_before(&self) -> Vec<String> {
        self.in_alarm_before.iter().cloned().collect()
    }

    /// The alarms that went off since.
    pub(crate) fn look(&mut self, seen: &[Alarm]) -> Vec<String> {
        for alarm in seen.iter().filter(|alarm| !alarm.in_alarm()) {
            self.in_alarm_before.remove(&alarm.name);
        }
        let in_alarm = seen.iter().filter(|alarm| alarm.in_alarm());
        in_alarm
            .filter(|alarm| !self.in_alarm_before.contains(&alarm.name))
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
        assert_eq!(watched.in_alarm_before(), ["errors"]);
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
    fn an_alarm_that_is_in_alarm_while_traffic_moves_already_counts() {
        let moving = Version::GoOn("2".to_owned());
        let mut watched = Watched::begin(&moving, &alarms(["ALARM", "OK"])).unwrap();
        assert!(watched.in_alarm_before().is_empty());
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
