//! The alarms that count: one that rang before the deployment began says nothing about it, until it was silent. Pure.

use lambda::Alarm;
use std::collections::BTreeSet;

/// The alarms of a deployment.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    rang_before: BTreeSet<String>,
}

impl Watched {
    /// Notes those that ring before the deployment begins.
    pub(crate) fn begin(seen: &[Alarm]) -> Self {
        let ringing = seen.iter().filter(|alarm| alarm.rings());
        Self {
            rang_before: ringing.map(|alarm| alarm.name.clone()).collect(),
        }
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
        let mut watched = Watched::begin(&alarms(["ALARM", "OK"]));
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
}
