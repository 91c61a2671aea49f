//! Moves an alias' traffic to a version step by step, watches alarms meanwhile, and goes back where that fails.

use super::act::{Set, set};
use super::alarms::Watched;
use super::follow::{Seen, judge};
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
    pub(super) async fn drive(mut self) -> Result<Verdict> {
        let mut written = vec![self.before.clone()];
        let outcome = self.forward(&mut written).await;
        match outcome {
            Ok(()) => Ok(Verdict::Succeeded),
            Err(Failed::Halt(Halt::Verdict(verdict))) => Ok(verdict),
            Err(Failed::Halt(Halt::Wrong(reason))) => Ok(match self.back(&written).await? {
                Back::Completed => Verdict::RolledBack { reason },
                Back::Failed(causes) => Verdict::Failed { reason, causes },
                Back::Unwanted | Back::NotOurs => Verdict::Failed {
                    reason,
                    causes: vec![
                        "this run did not change the alias, so it was left as it is".to_owned(),
                    ],
                },
            }),
            Err(Failed::Halt(Halt::GivenUp(why))) => self.given_up(why, &written).await,
            // A call that AWS did not take until the time was over says nothing about the version.
            Err(Failed::Error(error)) if error.failure().is_some_and(Failure::is_transient) => {
                let why = Why::TimedOut {
                    waited_for: vec![error.message],
                };
                self.given_up(why, &written).await
            }
            Err(Failed::Error(error)) => {
                let error = *error;
                if self.left.is_some() {
                    return Err(error);
                }
                Err(match self.back(&written).await {
                    Ok(Back::Completed) => error.cause(format!(
                        "the alias serves version {} again",
                        self.before.version
                    )),
                    _ => error.hint(super::status_hint(self.client)),
                })
            }
        }
    }

    async fn given_up(&self, why: Why, written: &[Moved]) -> Result<Verdict> {
        let back = match self.left.clone() {
            Some(left) => left,
            None => self.back(written).await?,
        };
        Ok(Verdict::GivenUp { why, back })
    }

    /// Moves the traffic forward. `written` is what the alias was told last, and what it was being told when that failed.
    async fn forward(&mut self, written: &mut Vec<Moved>) -> std::result::Result<(), Failed> {
        for step in std::mem::take(&mut self.steps) {
            let to = Moved {
                version: self.before.version.clone(),
                weight: Some((self.version.clone(), f64::from(step.percent) / 100.0)),
            };
            self.write(written, to).await?;
            let end = Instant::now() + step.wait;
            self.watch(written, false, end).await?;
        }
        let all = Moved {
            version: self.version.clone(),
            weight: None,
        };
        self.write(written, all).await?;
        let end = Instant::now() + self.bake;
        self.watch(written, true, end).await
    }

    /// Has the alias serve something, if it still serves what it was told last.
    async fn write(&self, written: &mut Vec<Moved>, to: Moved) -> std::result::Result<(), Failed> {
        if written.last() == Some(&to) {
            return Ok(());
        }
        let from = written.clone();
        // Where the answer is lost, the alias may serve either.
        written.push(to.clone());
        let outcome = set(self.client, &from, &to).await?;
        if let Set::Taken(alias) = outcome {
            let serves = alias.line();
            return Err(Halt::Verdict(Verdict::Superseded { serves }).into());
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

    /// Watches until `end`, and if the version has all of the traffic, until it is healthy.
    async fn watch(
        &mut self,
        written: &[Moved],
        complete: bool,
        end: Instant,
    ) -> std::result::Result<(), Failed> {
        let mut interval = PollInterval::new();
        let mut said = String::new();
        loop {
            let look = self.client.look().await?;
            let expected = complete.then_some(&self.expected);
            let now = written.last().unwrap_or(&self.before);
            let missing = match judge(now, expected, &look) {
                Seen::Ours(missing) => missing,
                Seen::Taken(serves) => {
                    return Err(Halt::Verdict(Verdict::Superseded { serves }).into());
                }
                Seen::Broken(why) => return Err(Halt::Wrong(why).into()),
            };
            self.listen().await?;
            if missing.is_empty() && Instant::now() >= end {
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
            tokio::select! {
                signal = self.progress.cancelled() => {
                    return Err(Halt::GivenUp(Why::Cancelled { signal }).into());
                }
                () = sleep(interval.next(changed)) => {}
            }
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
            ringing => Err(Halt::Wrong(format!("alarms went off: {}", ringing.join(", "))).into()),
        }
    }

    /// Has the alias serve the version before again, alone, and verifies that.
    async fn back(&self, written: &[Moved]) -> Result<Back> {
        if self.left == Some(Back::NotOurs) {
            return Ok(Back::NotOurs);
        }
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
        if let Set::Taken(alias) = set(self.client, written, &home).await? {
            let serves = alias.line();
            return Ok(Back::Failed(vec![format!(
                "somebody else had the alias serve {serves}"
            )]));
        }
        let mut interval = PollInterval::new();
        loop {
            let look = self.client.look().await?;
            let missing = match judge(&home, self.expected_before.as_ref(), &look) {
                Seen::Ours(missing) if missing.is_empty() => return Ok(Back::Completed),
                Seen::Ours(missing) => missing,
                Seen::Taken(serves) => {
                    return Ok(Back::Failed(vec![format!(
                        "somebody else had the alias serve {serves}"
                    )]));
                }
                Seen::Broken(why) => return Ok(Back::Failed(vec![why])),
            };
            if Instant::now() >= until {
                return Ok(Back::Failed(missing));
            }
            sleep(interval.next(false)).await;
        }
    }
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
