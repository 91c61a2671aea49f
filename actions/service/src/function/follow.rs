//! Judges an alias while it is deployed to. Pure.

use super::set::serves;
use lambda::{Expected, Look, Moved, missing};
use std::time::Duration;
use tokio::time::Instant;

/// What one look at the alias says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It serves what was written; with what is missing until it does so completely.
    Ours(Vec<String>),
    /// It serves what somebody else wrote.
    Taken(String),
    /// It cannot become healthy.
    Broken(String),
}

/// Judges a look. `written` is what the alias was last told to serve; `expected` is only known once it has all of the traffic.
pub(super) fn judge(written: &Moved, expected: Option<&Expected>, look: &Look) -> Seen {
    if !serves(&look.alias, written) {
        return Seen::Taken(look.alias.line());
    }
    if let Some(provisioned) = look.provisioned.as_ref().filter(|it| it.status == "FAILED") {
        let reason = provisioned
            .status_reason
            .as_deref()
            .unwrap_or("without a reason");
        return Seen::Broken(format!("its provisioned concurrency failed: {reason}"));
    }
    let configuration = &look.serving.configuration;
    if expected.is_some() && configuration.state.as_deref() == Some("Failed") {
        let reason = configuration
            .state_reason
            .as_deref()
            .unwrap_or("without a reason");
        return Seen::Broken(format!("version {} failed: {reason}", written.version));
    }
    Seen::Ours(expected.map_or_else(Vec::new, |expected| missing(expected, look)))
}

/// The time for which traffic stays as it is, from the first look with nothing missing: until then the version need not have it.
#[derive(Debug)]
pub(super) struct Stay {
    time: Duration,
    since: Option<Instant>,
}

impl Stay {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, since: None }
    }

    /// Takes in a look at this time, and returns true if the time is over and nothing is missing.
    pub(super) fn is_over(&mut self, missing: &[String], now: Instant) -> bool {
        missing.is_empty() && now >= *self.since.get_or_insert(now) + self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::id::Digest;
    use serde_json::{Value, json};

    fn look(version: &str, weights: Value, state: &str, provisioned: Value) -> Look {
        let image = format!("h/web@sha256:{}", "a".repeat(64));
        let routing = json!({ "AdditionalVersionWeights": weights });
        Look {
            alias: serde_json::from_value(
                json!({"FunctionVersion": version, "RoutingConfig": routing}),
            )
            .unwrap(),
            serving: serde_json::from_value(
                json!({"Configuration": {"State": state}, "Code": {"ResolvedImageUri": image}}),
            )
            .unwrap(),
            provisioned: serde_json::from_value(provisioned).unwrap(),
        }
    }

    #[test]
    fn each_end_of_a_deployment_has_its_own_state() {
        let expected = Expected {
            version: Some("2".to_owned()),
            digest: Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap(),
        };
        let all = Moved {
            version: "2".to_owned(),
            weight: None,
        };
        let status = |status: &str| json!({"Status": status, "StatusReason": "no capacity"});
        let judged = |look: Look| judge(&all, Some(&expected), &look);
        let healthy = look("2", json!({}), "Active", Value::Null);
        assert_eq!(judged(healthy), Seen::Ours(Vec::new()));
        let provisioning = judged(look(
            "2",
            json!({"1": 1.0}),
            "Active",
            status("IN_PROGRESS"),
        ));
        assert!(
            matches!(&provisioning, Seen::Ours(missing) if missing.len() == 2),
            "{provisioning:?}"
        );
        let failed = judged(look("2", json!({}), "Active", status("FAILED")));
        assert!(
            matches!(&failed, Seen::Broken(why) if why.contains("no capacity")),
            "{failed:?}"
        );
        assert!(matches!(
            judged(look("2", json!({}), "Failed", Value::Null)),
            Seen::Broken(_)
        ));
        for taken in [("1", json!({})), ("3", json!({})), ("2", json!({"3": 0.1}))] {
            let seen = judged(look(taken.0, taken.1, "Active", Value::Null));
            assert!(matches!(seen, Seen::Taken(_)), "{seen:?}");
        }
    }

    #[test]
    fn a_step_is_ours_as_long_as_nobody_changes_its_weight() {
        let step = Moved {
            version: "1".to_owned(),
            weight: Some(("2".to_owned(), 0.1)),
        };
        let seen = |weights| judge(&step, None, &look("1", weights, "Active", Value::Null));
        assert_eq!(seen(json!({"2": 0.1})), Seen::Ours(Vec::new()));
        assert_eq!(seen(json!({})), Seen::Taken("version 1".to_owned()));
    }

    #[test]
    fn the_bake_begins_when_the_version_has_the_traffic() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let provisioning = ["its provisioned concurrency".to_owned()];
        let mut stay = Stay::new(Duration::from_secs(60));
        assert!(!stay.is_over(&provisioning, at(0)));
        assert!(!stay.is_over(&provisioning, at(100)));
        assert!(!stay.is_over(&[], at(110)));
        assert!(!stay.is_over(&[], at(169)));
        assert!(!stay.is_over(&provisioning, at(175)));
        assert!(stay.is_over(&[], at(176)));
        assert!(Stay::new(Duration::ZERO).is_over(&[], at(0)));
    }
}
