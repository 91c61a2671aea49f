//! Judges an alias while it is deployed to. Pure.

use super::act::serves;
use lambda::{Expected, Look, Moved, missing};

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
}
