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
mod tests;
