//! Moves an alias' traffic to a version step by step, watches alarms meanwhile, and goes back where that fails.

use super::alarms::Watched;
use super::follow::{Seen, Stay, judge};
use super::set::{Replaced, Set, set};
use super::shift::Step;
use super::stage::Stage;
use super::verdict::{Back, Verdict};
use crate::interrupt::Progress;
use crate::progress::first_few;
use crate::verdict::Why;
use kit::Cx;
use kit::error::{Failure, Result};
use lambda::{Client, Expected, Moved, alarms};
use net::{Account, Net, PollInterval, RetryPolicy};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long going back may take.
const BACK: Duration = Duration::from_secs(600);

/// A deployment that is about to change the alias.
pub(super) struct Driver<'a> {
    pub(super) cx: &'a Cx,
    pub(super) net: &'a Net,
    /// Whose credentials read the alarms.
    pub(super) account: &'a Account,
    /// Whose credentials change the alias.
    pub(super) client: &'a Client,
    pub(super) progress: &'a Progress<Stage>,
    pub(super) alarms: Vec<String>,
    pub(super) watched: Watched,
    pub(super) replaced: Replaced,
    pub(super) before: Moved,
    pub(super) expected_before: Option<Expected>,
    pub(super) version: String,
    pub(super) expected: Expected,
    pub(super) steps: Vec<Step>,
    pub(super) bake: Duration,
    pub(super) until: Instant,
    /// Why nothing is undone where this run gives up, if it is not.
    pub(super) left: Option<Back>,
}

/// Why the traffic does not go on.
enum Halt {
    Verdict(Verdict),
    /// The alias has to go back.
    Wrong(String),
    GivenUp(Why),
}

impl Driver<'_> {
    /// Moves the traffic, and comes to a verdict.
    ///
    /// # Errors
    /// Lambda or CloudWatch refuse a call; the alias went back then if it could.
    pub(super) async fn drive(&mut self) -> Result<Verdict> {
        let mut written = vec![self.before.clone()];
        let progress = self.progress;
        // A call that AWS does not take is made again for as long as there is time, and a signal must not wait for that. An update
        // that is on its way then has a revision ID as its condition, so it cannot come after the way back.
        let outcome = tokio::select! {
            biased;
            signal = progress.cancelled() => {
                Err(Halt::GivenUp(Why::Cancelled { signal }).into())
            }
            outcome = self.forward(&mut written) => outcome,
        };
        let error = match outcome {
            Ok(()) => return Ok(Verdict::Succeeded),
            Err(Failed::Halt(Halt::Verdict(verdict))) => return Ok(verdict),
            Err(Failed::Halt(Halt::Wrong(reason))) => {
                return Ok(self.wrong(reason, &written).await);
            }
            Err(Failed::Halt(Halt::GivenUp(why))) => return Ok(self.given_up(why, &written).await),
            // A call that AWS did not take until the time was over says nothing about the version.
            Err(Failed::Error(error)) if error.failure().is_some_and(Failure::is_transient) => {
                let waited_for = vec![error.message];
                return Ok(self.given_up(Why::TimedOut { waited_for }, &written).await);
            }
            Err(Failed::Error(error)) => *error,
        };
        if self.left.is_some() {
            return Err(error);
        }
        Err(match self.back(&written).await {
            Back::Completed => error.cause(format!(
                "the alias serves version {} again",
                self.before.version
            )),
            Back::Failed(causes) => error
                .cause("the rollback was not completed")
                .with_causes(first_few(&causes, 10))
                .hint(super::status_hint(self.client)),
            Back::Unwanted | Back::NotOurs => error.hint(super::status_hint(self.client)),
        })
    }

    async fn wrong(&self, reason: String, written: &[Moved]) -> Verdict {
        match self.back(written).await {
            Back::Completed => Verdict::RolledBack { reason },
            Back::Failed(causes) => Verdict::Failed { reason, causes },
            Back::Unwanted | Back::NotOurs => Verdict::Failed {
                reason,
                causes: vec![
                    "this run did not change the alias, so it was left as it is".to_owned(),
                ],
            },
        }
    }

    async fn given_up(&self, why: Why, written: &[Moved]) -> Verdict {
        let back = match self.left.clone() {
            Some(left) => left,
            None => self.back(written).await,
        };
        Verdict::GivenUp { why, back }
    }

    /// Moves the traffic forward. `written` is what the alias was told last, and what it was being told when that failed.
    async fn forward(&mut self, written: &mut Vec<Moved>) -> std::result::Result<(), Failed> {
        // Where traffic moves already, an alarm in ALARM counts before the next step.
        self.listen().await?;
        for step in std::mem::take(&mut self.steps) {
            let to = Moved {
                version: self.before.version.clone(),
                weight: Some((self.version.clone(), f64::from(step.percent) / 100.0)),
            };
            self.write(written, to).await?;
            self.watch(written, false, Stay::new(step.wait)).await?;
        }
        let all = Moved {
            version: self.version.clone(),
            weight: None,
        };
        self.write(written, all).await?;
        self.watch(written, true, Stay::new(self.bake)).await
    }

    /// Has the alias serve something, if it still serves what it was told last.
    async fn write(&self, written: &mut Vec<Moved>, to: Moved) -> std::result::Result<(), Failed> {
        if written.last() == Some(&to) {
            return Ok(());
        }
        let from = written.clone();
        // Where the answer is lost, the alias may serve either.
        written.push(to.clone());
        match set(self.client, &self.replaced, &from, &to, self.until).await? {
            Set::Done => {}
            Set::Taken(alias) => {
                let serves = alias.line();
                return Err(Halt::Verdict(Verdict::Superseded { serves }).into());
            }
            Set::Late(serves) => {
                let waited_for = vec![late(&serves)];
                return Err(Halt::GivenUp(Why::TimedOut { waited_for }).into());
            }
        }
        self.cx.host.info(match &to.weight {
            Some((version, weight)) => format!(
                "version {version} has {:.0}% of the traffic",
                weight * 100.0
            ),
            None => format!("version {} has all of the traffic", to.version),
        });
        *written = vec![to];
        Ok(())
    }

    /// Looks once.
    async fn look(&self, written: &Moved, expected: Option<&Expected>) -> Result<Seen> {
        let look = self.client.look().await?;
        if self.replaced.has(&look.alias) {
            let change = "the alias to show its last change".to_owned();
            return Ok(Seen::Ours(vec![change]));
        }
        Ok(judge(written, expected, &look))
    }

    /// Watches for a time, and if the version has all of the traffic, until it is healthy.
    async fn watch(
        &mut self,
        written: &[Moved],
        complete: bool,
        mut stay: Stay,
    ) -> std::result::Result<(), Failed> {
        let mut interval = PollInterval::new();
        let mut said = String::new();
        loop {
            let expected = complete.then_some(&self.expected);
            let now = written.last().unwrap_or(&self.before);
            let missing = match self.look(now, expected).await? {
                Seen::Ours(missing) => missing,
                Seen::Taken(serves) => {
                    return Err(Halt::Verdict(Verdict::Superseded { serves }).into());
                }
                Seen::Broken(why) => return Err(Halt::Wrong(why).into()),
            };
            self.listen().await?;
            if stay.is_over(&missing, Instant::now()) {
                return Ok(());
            }
            let waiting = first_few(&missing, 3).join("; ");
            let changed = waiting != said;
            if changed && !waiting.is_empty() {
                self.cx.host.info(format!("waiting for {waiting}"));
            }
            said = waiting;
            if Instant::now() >= self.until {
                let waited_for = missing;
                return Err(Halt::GivenUp(Why::TimedOut { waited_for }).into());
            }
            sleep(interval.next(changed)).await;
        }
    }

    /// Ends the deployment if an alarm went off.
    async fn listen(&mut self) -> std::result::Result<(), Failed> {
        if self.alarms.is_empty() {
            return Ok(());
        }
        let policy = self.client.policy();
        let seen = alarms(self.net, self.account, policy, &self.cx.host, &self.alarms).await?;
        match self.watched.look(&seen).as_slice() {
            [] => Ok(()),
            in_alarm => {
                Err(Halt::Wrong(format!("alarms went off: {}", in_alarm.join(", "))).into())
            }
        }
    }

    /// Has the alias serve the version before again, alone, and verifies that. A call that fails there is not the end of the
    /// deployment's story: why it went back is to be told too.
    async fn back(&self, written: &[Moved]) -> Back {
        if self.left == Some(Back::NotOurs) {
            return Back::NotOurs;
        }
        match self.went_back(written).await {
            Ok(back) => back,
            Err(error) => {
                let line = error.line();
                Back::Failed(std::iter::once(line).chain(error.hints).collect())
            }
        }
    }

    async fn went_back(&self, written: &[Moved]) -> Result<Back> {
        self.progress.at(Stage::GoingBack {
            version: self.before.version.clone(),
        });
        let home = Moved {
            version: self.before.version.clone(),
            weight: None,
        };
        self.cx
            .host
            .info(format!("going back to version {}", home.version));
        self.client.retry_by(RetryPolicy::following(BACK));
        let until = Instant::now() + BACK;
        let taken = |serves: String| {
            Back::Failed(vec![format!("somebody else had the alias serve {serves}")])
        };
        match set(self.client, &self.replaced, written, &home, until).await? {
            Set::Done => {}
            Set::Taken(alias) => return Ok(taken(alias.line())),
            Set::Late(serves) => return Ok(Back::Failed(vec![late(&serves)])),
        }
        let mut interval = PollInterval::new();
        loop {
            let missing = match self.look(&home, self.expected_before.as_ref()).await? {
                Seen::Ours(missing) if missing.is_empty() => return Ok(Back::Completed),
                Seen::Ours(missing) => missing,
                Seen::Taken(serves) => return Ok(taken(serves)),
                Seen::Broken(why) => return Ok(Back::Failed(vec![why])),
            };
            if Instant::now() >= until {
                return Ok(Back::Failed(missing));
            }
            sleep(interval.next(false)).await;
        }
    }
}

/// The condition that is missing while an alias does not take a change.
fn late(serves: &str) -> String {
    format!("the alias to take the change: it serves {serves}")
}

/// Why [`Driver::forward`] ended early.
enum Failed {
    Halt(Halt),
    Error(Box<kit::Error>),
}

impl From<Halt> for Failed {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<kit::Error> for Failed {
    fn from(error: kit::Error) -> Self {
        Self::Error(Box::new(error))
    }
}
