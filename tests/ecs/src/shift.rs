//! A deployment that shifts traffic: its stages, its steps, and its lifecycle hooks. Pure: what was seen goes in, what
//! follows comes out.
//!
//! Sources: the service model's descriptions of `lifecycleStage` and `DeploymentLifecycleHook`, and the developer guide's
//! pages on blue/green, linear and canary deployments and on pause hooks.

use serde_json::{Value, json};

use crate::ids;
use crate::value::{list, need, number, text, texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Reconcile,
    PreScaleUp,
    ScaleUp,
    PostScaleUp,
    TestShift,
    PostTestShift,
    /// A stage of hooks alone. The record has no name for it and shows the shift that it precedes.
    PreProduction,
    Production,
    PostProduction,
    Bake,
    CleanUp,
}

impl Stage {
    /// The `lifecycleStage` of a service deployment.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reconcile => "RECONCILE_SERVICE",
            Self::PreScaleUp => "PRE_SCALE_UP",
            Self::ScaleUp => "SCALE_UP",
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::TestShift => "TEST_TRAFFIC_SHIFT",
            Self::PostTestShift => "POST_TEST_TRAFFIC_SHIFT",
            Self::PreProduction | Self::Production => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProduction => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Self::Bake => "BAKE_TIME",
            Self::CleanUp => "CLEAN_UP",
        }
    }

    /// The stage's name in a hook's `lifecycleStages`.
    fn hook_name(self) -> &'static str {
        match self {
            Self::PreProduction => "PRE_PRODUCTION_TRAFFIC_SHIFT",
            other => other.name(),
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Reconcile => Self::PreScaleUp,
            Self::PreScaleUp => Self::ScaleUp,
            Self::ScaleUp => Self::PostScaleUp,
            Self::PostScaleUp => Self::TestShift,
            Self::TestShift => Self::PostTestShift,
            Self::PostTestShift => Self::PreProduction,
            Self::PreProduction => Self::Production,
            Self::Production => Self::PostProduction,
            Self::PostProduction => Self::Bake,
            Self::Bake | Self::CleanUp => Self::CleanUp,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) id: String,
    kind: &'static str,
    target: Option<String>,
    pub(crate) status: &'static str,
    expires_at: f64,
    timeout_action: String,
}

impl Hook {
    pub(crate) fn describe(&self) -> Value {
        let mut shown = json!({
            "hookId": self.id,
            "targetType": self.kind,
            "targetArn": self.target,
            "status": self.status,
            "expiresAt": self.expires_at,
            "timeoutAction": self.timeout_action,
        });
        crate::check::drop_null_members(&mut shown);
        shown
    }
}

/// Where a deployment that shifts traffic stands.
#[derive(Debug)]
pub(crate) struct Shift {
    pub(crate) stage: Stage,
    /// When the stage, or its latest step, began.
    since: f64,
    /// Steps of production traffic that were made.
    step: usize,
    /// Percentages of the traffic that the target revision is to get.
    pub(crate) production: f64,
    pub(crate) test: f64,
    pub(crate) hooks: Vec<Hook>,
    /// True if the hooks of the stage have begun.
    entered: bool,
    /// True if this visit to the stage has made its step of production traffic.
    stepped: bool,
    /// The revision that served before, to which a rollback returns.
    pub(crate) source: Option<String>,
    pub(crate) back: bool,
}

/// What was seen of the two revisions' tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) now: f64,
    /// Seconds that a configured minute takes here.
    pub(crate) minute: f64,
    /// All tasks of the target, or when it goes back of the source, are healthy.
    pub(crate) ready: bool,
    /// No other revision's tasks are left.
    pub(crate) alone: bool,
    /// Tasks of revisions other than source and target are left.
    pub(crate) strays: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Moved,
    Finished,
    RollBack(&'static str),
}

/// The percentages of production traffic through which a deployment goes.
fn steps(configuration: &Value) -> Vec<f64> {
    let number = |inner: &str, name: &str, default: f64| {
        configuration[inner][name].as_f64().unwrap_or(default)
    };
    match text(configuration, "strategy") {
        Some("CANARY") => {
            let first = number("canaryConfiguration", "canaryPercent", 5.0);
            if first < 100.0 {
                vec![first, 100.0]
            } else {
                vec![100.0]
            }
        }
        Some("LINEAR") => {
            let step = number("linearConfiguration", "stepPercent", 10.0).max(3.0);
            let mut all: Vec<f64> = (1..)
                .map(|n| (f64::from(n) * step * 10.0).round() / 10.0)
                .take_while(|percent| *percent < 100.0)
                .collect();
            all.push(100.0);
            all
        }
        _ => vec![100.0],
    }
}

/// Minutes between two steps.
fn step_minutes(configuration: &Value) -> f64 {
    let minutes = match text(configuration, "strategy") {
        Some("CANARY") => configuration["canaryConfiguration"]["canaryBakeTimeInMinutes"]
            .as_f64()
            .or(Some(10.0)),
        Some("LINEAR") => configuration["linearConfiguration"]["stepBakeTimeInMinutes"]
            .as_f64()
            .or(Some(6.0)),
        _ => None,
    };
    minutes.unwrap_or(0.0)
}

pub(crate) fn shifts(configuration: &Value) -> bool {
    text(configuration, "strategy").is_some_and(|strategy| strategy != "ROLLING")
}

impl Shift {
    pub(crate) fn new(source: Option<String>, several: bool, now: f64) -> Self {
        // Without a revision that serves, there is no traffic to be kept from the new one.
        let production = if source.is_some() { 0.0 } else { 100.0 };
        Self {
            stage: if several {
                Stage::Reconcile
            } else {
                Stage::PreScaleUp
            },
            since: now,
            step: 0,
            production,
            test: production,
            hooks: Vec::new(),
            entered: false,
            stepped: false,
            source,
            back: false,
        }
    }

    fn enter(&mut self, stage: Stage, now: f64) -> Next {
        self.stage = stage;
        self.since = now;
        self.entered = false;
        self.stepped = false;
        Next::Moved
    }

    /// Turns the deployment around. The traffic returns at once where the source still runs, and else after it does.
    pub(crate) fn turn_back(&mut self, source_ready: bool, now: f64) {
        self.back = true;
        for hook in &mut self.hooks {
            if hook.status == "AWAITING_ACTION" {
                hook.status = "FAILED";
            }
        }
        let stage = if source_ready {
            Stage::Production
        } else {
            Stage::ScaleUp
        };
        self.enter(stage, now);
    }

    /// Looks once, and moves by at most one stage or step.
    pub(crate) fn advance(&mut self, configuration: &Value, seen: Seen) -> Next {
        if self.back {
            return self.advance_back(seen);
        }
        match self.hooks_done(configuration, seen) {
            Next::Moved => {}
            waiting => return waiting,
        }
        match self.stage {
            Stage::Reconcile if seen.strays => Next::Stay,
            Stage::ScaleUp if !seen.ready => Next::Stay,
            Stage::TestShift if self.test < 100.0 => {
                self.test = 100.0;
                self.since = seen.now;
                Next::Moved
            }
            Stage::Production => self.advance_production(configuration, seen),
            Stage::Bake => {
                let minutes = number(configuration, "bakeTimeInMinutes").unwrap_or(0);
                if seen.now < self.since + minutes as f64 * seen.minute {
                    return Next::Stay;
                }
                self.enter(Stage::CleanUp, seen.now)
            }
            Stage::CleanUp if seen.alone => Next::Finished,
            Stage::CleanUp => Next::Stay,
            stage => self.enter(stage.next(), seen.now),
        }
    }

    /// Makes a step, waits, and goes back to the stage before it for the next one.
    fn advance_production(&mut self, configuration: &Value, seen: Seen) -> Next {
        let steps = steps(configuration);
        let next = steps.get(self.step).copied();
        match next {
            Some(percent) if !self.stepped => {
                self.stepped = true;
                self.production = self.production.max(percent);
                self.step += 1;
                self.since = seen.now;
                Next::Moved
            }
            None => self.enter(Stage::PostProduction, seen.now),
            Some(_) if seen.now < self.since + step_minutes(configuration) * seen.minute => {
                Next::Stay
            }
            Some(_) => self.enter(Stage::PreProduction, seen.now),
        }
    }

    /// `Moved` when no hook of this stage keeps the deployment.
    fn hooks_done(&mut self, configuration: &Value, seen: Seen) -> Next {
        if !self.entered {
            self.entered = true;
            let begun: Vec<Hook> = list(configuration, "lifecycleHooks")
                .iter()
                .filter(|hook| {
                    texts(hook, "lifecycleStages")
                        .iter()
                        .any(|one| one == self.stage.hook_name())
                })
                .map(|hook| begin(hook, seen))
                .collect();
            self.hooks.extend(begun);
        }
        for hook in &mut self.hooks {
            if hook.status != "AWAITING_ACTION" {
                continue;
            }
            if seen.now < hook.expires_at {
                return Next::Stay;
            }
            hook.status = "TIMED_OUT";
            if hook.timeout_action == "ROLLBACK" {
                return Next::RollBack(
                    "Service deployment rolled back because a lifecycle hook timed out.",
                );
            }
        }
        Next::Moved
    }

    fn advance_back(&mut self, seen: Seen) -> Next {
        match self.stage {
            Stage::ScaleUp if !seen.ready => Next::Stay,
            Stage::Production if self.production == 0.0 && self.test == 0.0 => {
                self.enter(Stage::CleanUp, seen.now)
            }
            Stage::CleanUp if seen.alone => Next::Finished,
            Stage::CleanUp => Next::Stay,
            Stage::Production => {
                (self.production, self.test) = (0.0, 0.0);
                Next::Moved
            }
            _ => self.enter(Stage::Production, seen.now),
        }
    }
}

/// A pause hook waits for ContinueServiceDeployment. A Lambda function is not called by this stand-in; its hook is
/// recorded as one that succeeded.
fn begin(hook: &Value, seen: Seen) -> Hook {
    let limit = &hook["timeoutConfiguration"];
    let minutes = number(limit, "timeoutInMinutes").unwrap_or(1440);
    let pause = text(hook, "targetType") == Some("PAUSE");
    let kind = if pause { "PAUSE" } else { "AWS_LAMBDA" };
    Hook {
        id: format!(
            "ecs-{}-{}",
            if pause { "pause" } else { "lambda" },
            ids::hex32()
        ),
        kind,
        target: (!pause).then(|| need(hook, "hookTargetArn").to_owned()),
        status: if pause {
            "AWAITING_ACTION"
        } else {
            "SUCCEEDED"
        },
        expires_at: seen.now + minutes as f64 * seen.minute,
        timeout_action: text(limit, "action").unwrap_or("ROLLBACK").to_owned(),
    }
}

/// Target groups that a task of a revision belongs in, by the entries of `loadBalancers`.
pub(crate) fn group(entry: &Value, alternate: bool) -> Option<&str> {
    let other = text(&entry["advancedConfiguration"], "alternateTargetGroupArn");
    let first = text(entry, "targetGroupArn");
    if alternate { other.or(first) } else { first }
}

/// The target groups and rules that serve a revision, as `resolvedConfiguration` shows them.
pub(crate) fn resolved(settings: &Value, alternate: bool) -> Vec<Value> {
    list(settings, "loadBalancers")
        .iter()
        .filter_map(|entry| {
            let mut shown = json!({"targetGroupArn": group(entry, alternate)?});
            let rule = text(&entry["advancedConfiguration"], "productionListenerRule");
            if let Some(rule) = rule {
                shown["productionListenerRule"] = rule.into();
            }
            Some(shown)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(now: f64) -> Seen {
        Seen {
            now,
            minute: 1.0,
            ready: true,
            alone: true,
            strays: false,
        }
    }

    /// Stages and production weights through which a deployment goes, looked at ten times a second.
    fn course(configuration: &Value, mut shift: Shift, until: f64) -> Vec<(&'static str, f64)> {
        let mut course = vec![(shift.stage.name(), shift.production)];
        for look in 0..(until * 10.0) as u32 {
            let next = shift.advance(configuration, seen(f64::from(look) / 10.0));
            let at = (shift.stage.name(), shift.production);
            if course.last() != Some(&at) {
                course.push(at);
            }
            if next != Next::Stay && next != Next::Moved {
                break;
            }
        }
        course
    }

    fn fresh() -> Shift {
        Shift::new(Some("blue".to_owned()), false, 0.0)
    }

    #[test]
    fn traffic_shifts_in_the_steps_of_the_strategy() {
        let weights = |configuration: Value| -> Vec<f64> {
            let course = course(&configuration, fresh(), 60.0);
            assert_eq!(course.last(), Some(&("CLEAN_UP", 100.0)));
            let mut weights: Vec<f64> = course.iter().map(|(_, weight)| *weight).collect();
            weights.dedup();
            weights
        };
        assert_eq!(
            weights(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1})),
            [0.0, 100.0]
        );
        let canary = json!({"canaryPercent": 7.5, "canaryBakeTimeInMinutes": 1});
        assert_eq!(
            weights(json!({"strategy": "CANARY", "canaryConfiguration": canary})),
            [0.0, 7.5, 100.0]
        );
        let linear = json!({"stepPercent": 30.0, "stepBakeTimeInMinutes": 1});
        assert_eq!(
            weights(json!({"strategy": "LINEAR", "linearConfiguration": linear})),
            [0.0, 30.0, 60.0, 90.0, 100.0]
        );
    }

    #[test]
    fn the_stages_come_in_their_order() {
        let course = course(&json!({"strategy": "BLUE_GREEN"}), fresh(), 10.0);
        let mut stages: Vec<&str> = course.iter().map(|(stage, _)| *stage).collect();
        stages.dedup();
        assert_eq!(
            stages,
            [
                "PRE_SCALE_UP",
                "SCALE_UP",
                "POST_SCALE_UP",
                "TEST_TRAFFIC_SHIFT",
                "POST_TEST_TRAFFIC_SHIFT",
                "PRODUCTION_TRAFFIC_SHIFT",
                "POST_PRODUCTION_TRAFFIC_SHIFT",
                "BAKE_TIME",
                "CLEAN_UP"
            ]
        );
    }

    #[test]
    fn a_pause_hook_waits_for_its_answer_or_its_end() {
        let pause = |action: &str| {
            json!({"strategy": "BLUE_GREEN", "lifecycleHooks": [{
                "targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
                "timeoutConfiguration": {"timeoutInMinutes": 5, "action": action},
            }]})
        };
        let paused = |shift: &mut Shift, configuration: &Value, until: f64| {
            let mut next = Next::Stay;
            for look in 0..(until * 10.0) as u32 {
                next = shift.advance(configuration, seen(f64::from(look) / 10.0));
            }
            next
        };
        let configuration = pause("ROLLBACK");
        let mut shift = fresh();
        assert_eq!(paused(&mut shift, &configuration, 3.0), Next::Stay);
        assert_eq!(shift.hooks[0].status, "AWAITING_ACTION");
        assert_eq!((shift.stage, shift.production), (Stage::PreProduction, 0.0));
        shift.hooks[0].status = "SUCCEEDED";
        assert_eq!(shift.advance(&configuration, seen(3.1)), Next::Moved);
        assert_eq!(shift.advance(&configuration, seen(3.2)), Next::Moved);
        assert_eq!(shift.production, 100.0);

        let mut late = fresh();
        assert_eq!(paused(&mut late, &configuration, 3.0), Next::Stay);
        let end = late.advance(&configuration, seen(20.0));
        assert!(matches!(end, Next::RollBack(_)), "{end:?}");
        assert_eq!(late.hooks[0].status, "TIMED_OUT");

        let configuration = pause("CONTINUE");
        let mut late = fresh();
        assert_eq!(paused(&mut late, &configuration, 3.0), Next::Stay);
        assert_eq!(late.advance(&configuration, seen(20.0)), Next::Moved);
        assert_eq!(late.stage, Stage::Production);
    }

    #[test]
    fn a_hook_before_production_pauses_every_step() {
        let configuration = json!({
            "strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1},
            "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}],
        });
        let mut shift = fresh();
        let mut answers = Vec::new();
        for look in 0..200 {
            shift.advance(&configuration, seen(f64::from(look) / 10.0));
            let waiting = shift
                .hooks
                .iter_mut()
                .find(|hook| hook.status == "AWAITING_ACTION");
            if let Some(hook) = waiting {
                answers.push(shift.production);
                hook.status = "SUCCEEDED";
            }
        }
        assert_eq!(answers, [0.0, 10.0]);
        assert_eq!(shift.production, 100.0);
    }

    #[test]
    fn a_deployment_that_goes_back_returns_the_traffic_once_the_source_runs() {
        for (ready, first) in [(true, Stage::Production), (false, Stage::ScaleUp)] {
            let mut shift = fresh();
            (shift.stage, shift.production, shift.test) = (Stage::Bake, 100.0, 100.0);
            shift.turn_back(ready, 1.0);
            assert_eq!(shift.stage, first);
            let waiting = Seen {
                ready: false,
                ..seen(2.0)
            };
            if !ready {
                assert_eq!(shift.advance(&json!({}), waiting), Next::Stay);
                assert_eq!(shift.advance(&json!({}), seen(3.0)), Next::Moved);
                assert_eq!(shift.production, 100.0);
            }
            assert_eq!(shift.advance(&json!({}), seen(4.0)), Next::Moved);
            assert_eq!((shift.production, shift.test), (0.0, 0.0));
            assert_eq!(shift.advance(&json!({}), seen(5.0)), Next::Moved);
            assert_eq!(shift.advance(&json!({}), seen(6.0)), Next::Finished);
        }
    }
}
