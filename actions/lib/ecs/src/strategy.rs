//! How a service deploys: all at once, or by shifting traffic in steps. Pure.

use aws_sdk_ecs::types as ecs;
use std::time::Duration;

/// How a service deploys.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub kind: String,
    /// How long a deployment waits by its configuration alone: between the steps of traffic, and while it bakes.
    pub waits: Duration,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            kind: ROLLING.to_owned(),
            waits: Duration::ZERO,
        }
    }
}

const ROLLING: &str = "ROLLING";

impl Strategy {
    /// Returns true if a deployment runs two versions beside each other and shifts traffic from one to the other.
    pub fn shifts(&self) -> bool {
        self.kind != ROLLING
    }

    /// The defaults are those of the API (Amazon ECS API Reference, `LinearConfiguration`, `CanaryConfiguration`).
    pub(crate) fn of(found: Option<&ecs::DeploymentConfiguration>) -> Self {
        let Some(found) = found else {
            return Self::default();
        };
        let kind = found.strategy.as_ref().map_or(ROLLING, |it| it.as_str());
        let between = match kind {
            "LINEAR" => {
                let linear = found.linear_configuration.as_ref();
                let step = linear.and_then(|it| it.step_percent).unwrap_or(10.0);
                let minutes = linear.map_or(6, |it| it.step_bake_time_in_minutes.unwrap_or(6));
                // No wait follows the step that reaches all of the traffic.
                let steps = (100.0 / step.max(3.0)).ceil() as i64 - 1;
                steps.max(0) * i64::from(minutes)
            }
            "CANARY" => {
                let canary = found.canary_configuration.as_ref();
                i64::from(canary.map_or(10, |it| it.canary_bake_time_in_minutes.unwrap_or(10)))
            }
            _ => 0,
        };
        let minutes = match kind {
            ROLLING => 0,
            _ => between + i64::from(found.bake_time_in_minutes.unwrap_or_default()),
        };
        Self {
            kind: kind.to_owned(),
            waits: Duration::from_secs(u64::try_from(minutes * 60).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_those_between_steps_and_the_bake() {
        let configuration = |kind: &str, percent: Option<f64>, minutes: Option<i32>, bake| {
            let linear = ecs::LinearConfiguration::builder()
                .set_step_percent(percent)
                .set_step_bake_time_in_minutes(minutes)
                .build();
            let canary = ecs::CanaryConfiguration::builder()
                .set_canary_percent(percent)
                .set_canary_bake_time_in_minutes(minutes)
                .build();
            ecs::DeploymentConfiguration::builder()
                .strategy(kind.into())
                .set_bake_time_in_minutes(bake)
                .set_linear_configuration((kind == "LINEAR").then_some(linear))
                .set_canary_configuration((kind == "CANARY").then_some(canary))
                .build()
        };
        for (kind, percent, step, bake, minutes) in [
            ("ROLLING", None, None, Some(7), 0),
            ("BLUE_GREEN", None, None, Some(7), 7),
            ("CANARY", Some(5.0), Some(20), Some(5), 25),
            ("CANARY", None, None, None, 10),
            ("LINEAR", Some(25.0), Some(2), Some(1), 7),
            ("LINEAR", Some(30.0), Some(1), None, 3),
            ("LINEAR", Some(100.0), Some(5), None, 0),
            ("LINEAR", None, None, None, 54),
        ] {
            let found = Strategy::of(Some(&configuration(kind, percent, step, bake)));
            assert_eq!(found.waits.as_secs(), minutes * 60, "{kind} {percent:?}");
            assert_eq!(found.shifts(), kind != "ROLLING");
        }
        assert_eq!(Strategy::of(None), Strategy::default());
    }
}
