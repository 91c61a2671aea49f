//! Follows a deployment: looks, judges, logs what moved, until there is a verdict.

use crate::address::address;
use crate::decide::Plan;
use crate::evidence::Evidence;
use crate::follow::{Follow, Next, ROLLBACK_TIME};
use crate::interrupt::Progress;
use crate::locate::status_hint;
use crate::progress::ProgressLog;
use crate::stage::Stage;
use crate::stop::{Stop, stop};
use crate::verdict::{Rollback, Verdict, Why};
use ecs::{Client, Expected, KnownRecord, PollInterval, Record, RetryPolicy, Seen, Tasks};
use kit::Cx;
use kit::aws::{Arn, TaskDefinitionArn};
use kit::clock::human;
use kit::error::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the request for a rollback is repeated while AWS does not take it.
const ASKING: Duration = Duration::from_secs(20);

/// How following ended.
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    pub(crate) expected: Expected,
    /// The last look.
    pub(crate) seen: Seen,
    pub(crate) evidence: Evidence,
    pub(crate) took: Duration,
    pub(crate) timeout: Duration,
    pub(crate) address: Option<String>,
}

/// A deployment to follow.
pub(crate) struct Following {
    pub(crate) expected: Expected,
    /// The look before it.
    pub(crate) before: Seen,
    pub(crate) timeout: Duration,
    /// Why it is left to ECS if this run gives it up, if it is.
    pub(crate) left: Option<Rollback>,
    /// The hook that this run answered.
    pub(crate) answered: Option<String>,
    /// ECS's newest record before this run began the deployment.
    pub(crate) older: Option<Arn>,
}

/// Follows one deployment.
pub(crate) struct Watch<'a> {
    cx: &'a Cx,
    client: &'a Client,
    progress: &'a Progress<Stage>,
    expected: Expected,
    follow: Follow,
    evidence: Evidence,
    record: RecordReader<'a>,
    log: ProgressLog<'a>,
    seen: Seen,
    timeout: Duration,
    left: Option<Rollback>,
    start: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        cx: &'a Cx,
        client: &'a Client,
        plan: &Plan,
        progress: &'a Progress<Stage>,
        following: Following,
    ) -> Self {
        let Following {
            expected,
            before,
            timeout,
            left,
            answered,
            older,
        } = following;
        let mut follow = Follow::new(expected.clone(), plan.running.clone(), timeout);
        if let Some(hook) = answered {
            follow.answered(hook);
        }
        // From here on every transient error is waited for, because the deployment continues whether it is observed or not.
        client.retry_by(RetryPolicy::following(timeout));
        cx.host.info(format!(
            "deployment {} of {}",
            expected.deployment,
            expected.task_definition.name()
        ));
        Self {
            cx,
            client,
            progress,
            follow,
            evidence: Evidence::new(&expected.deployment, &before),
            record: RecordReader {
                cx,
                client,
                known: KnownRecord::after(older),
                off: false,
            },
            log: ProgressLog::new(cx, &expected.deployment),
            expected,
            seen: before,
            timeout,
            left,
            start: Instant::now(),
        }
    }

    /// Looks until there is a verdict.
    ///
    /// # Errors
    /// A call is refused, so how the deployment ends is not seen.
    pub(crate) async fn follow(mut self) -> Result<Ended> {
        let mut interval = PollInterval::new();
        let progress = self.progress;
        let mut cancelled = false;
        let verdict = loop {
            let next = tokio::select! {
                biased;
                signal = progress.cancelled(), if !cancelled => {
                    cancelled = true;
                    Err(Why::Cancelled { signal })
                }
                next = self.turn(&mut interval) => next?,
            };
            let given_up = match next {
                Ok(Next::Wait(_)) => None,
                Ok(Next::TimeOver(waited_for)) => self.give_up(Why::TimedOut { waited_for }).await,
                Ok(Next::Done(verdict)) => break verdict,
                Err(why) => self.give_up(why).await,
            };
            if let Some(verdict) = given_up {
                break verdict;
            }
        };
        self.ended(verdict).await
    }

    /// Looks once, and waits for the next look where there is to be one. `Err` if AWS does not answer until the time is over.
    ///
    /// # Errors
    /// A call is refused.
    async fn turn(&mut self, interval: &mut PollInterval) -> Result<Result<Next, Why>> {
        let (next, changed) = match self.client.look().await {
            Ok(seen) => self.judge(seen).await,
            // The policy's time is the timeout: AWS took no call until it was over.
            Err(error) if error.is_passing() => {
                let waited_for = vec![format!("AWS to answer: {error}")];
                return Ok(Err(Why::TimedOut { waited_for }));
            }
            Err(error) => {
                return Err(error
                    .hint("the deployment continues in ECS, but this run no longer follows it")
                    .hint(status_hint(self.client))
                    .into());
            }
        };
        // Stopped tasks are remembered by ECS for an hour at least; they are asked for when
        // something moved, so that a rollback of days of failing does not flood.
        let ours = self.seen.service.deployment(&self.expected.deployment);
        if changed && ours.is_none_or(|ours| ours.failed > 0) {
            self.add_stopped().await;
        }
        if let Next::Wait(_) = next {
            sleep(interval.next(changed)).await;
        }
        Ok(Ok(next))
    }

    /// Gives the deployment up: has ECS roll it back, and goes on following it, or returns the verdict where there is nothing
    /// more to see.
    async fn give_up(&mut self, why: Why) -> Option<Verdict> {
        if self.follow.is_given_up() {
            return match why {
                // A signal changes nothing any more.
                Why::Cancelled { .. } => None,
                Why::TimedOut { waited_for } => self.follow.unseen(waited_for),
            };
        }
        let rollback = match &self.left {
            Some(left) => left.clone(),
            None => self.roll_back(&why).await?,
        };
        Some(Verdict::GivenUp { why, rollback })
    }

    /// Has ECS roll the deployment back, and goes on following it. Returns what is known where ECS refuses.
    async fn roll_back(&mut self, why: &Why) -> Option<Rollback> {
        let (host, deployment) = (&self.cx.host, &self.expected.deployment);
        let reason = match why {
            Why::TimedOut { .. } => format!("not healthy within {}", human(self.timeout)),
            Why::Cancelled { signal } => format!("interrupted by {signal}"),
        };
        let goes_back = self.follow.goes_back();
        // Little time is left to a run that is cancelled.
        self.client.retry_by(RetryPolicy::within(ASKING));
        let asked = match goes_back {
            true => Ok(Stop::Ended("ECS rolls it back already".to_owned())),
            false => {
                let revision = &self.expected.task_definition;
                stop(self.client, deployment, revision, self.record.known.older()).await
            }
        };
        let now = self.start.elapsed();
        match asked {
            Ok(Stop::Asked) => {
                host.info(format!(
                    "{reason}: asked ECS to roll back deployment {deployment}; waiting for that"
                ));
                self.progress.at(Stage::RollingBack {
                    deployment: deployment.clone(),
                    revision: self.expected.task_definition.name().to_owned(),
                });
                self.follow.rolling_back(now, why.clone());
            }
            Ok(Stop::Ended(seen)) => {
                host.info(format!("{reason}: {seen}; waiting for the end"));
                self.follow.ending(now, why.clone());
            }
            Ok(Stop::Unnamed) => {
                return Some(Rollback::Refused {
                    error: "ECS works on the deployment and does not name its record".to_owned(),
                    hints: Vec::new(),
                });
            }
            Err(error) => {
                let error = kit::Error::from(error);
                return Some(Rollback::Refused {
                    error: error.line(),
                    hints: error.hints,
                });
            }
        }
        self.client.retry_by(RetryPolicy::following(ROLLBACK_TIME));
        None
    }

    async fn ended(mut self, verdict: Verdict) -> Result<Ended> {
        let took = self.start.elapsed();
        // Calls that only add to the report are not retried for the whole timeout again.
        self.client
            .retry_by(RetryPolicy::within(Duration::from_secs(15)));
        let address = match verdict {
            Verdict::Succeeded => self.address().await,
            _ => {
                self.add_stopped().await;
                None
            }
        };
        Ok(Ended {
            verdict,
            expected: self.expected,
            seen: self.seen,
            evidence: self.evidence,
            took,
            timeout: self.timeout,
            address,
        })
    }

    /// Takes in one look; returns what follows from it, and whether anything moved.
    async fn judge(&mut self, mut seen: Seen) -> (Next, bool) {
        seen.record = self.record.read(&self.expected.task_definition).await;
        let now = self.start.elapsed();
        let next = self.follow.next(now, &seen);
        let events = self.evidence.add(&seen);
        let missing = match &next {
            Next::Wait(missing) | Next::TimeOver(missing) => missing.as_slice(),
            Next::Done(_) => &[],
        };
        let changed = self.log.look(&seen, &events, missing, now);
        self.seen = seen;
        (next, changed)
    }

    async fn add_stopped(&mut self) {
        if let Ok(tasks) = self.client.tasks(Tasks::Stopped).await {
            self.evidence.stopped(tasks);
        }
    }

    async fn address(&self) -> Option<String> {
        match address(self.client, &self.seen.service).await {
            Ok(address) => address,
            Err(error) => {
                let line = format!("the address is left out: {error}");
                self.cx.host.warn(line);
                None
            }
        }
    }
}

/// ECS's record of the deployment: read while it can be. Without it the breaker's count is missing, and a rollback that was
/// asked for may be unknown as such.
struct RecordReader<'a> {
    cx: &'a Cx,
    client: &'a Client,
    known: KnownRecord,
    off: bool,
}

impl RecordReader<'_> {
    async fn read(&mut self, task_definition: &TaskDefinitionArn) -> Option<Record> {
        if self.off {
            return None;
        }
        match self.client.record(task_definition, &mut self.known).await {
            Ok(record) => record,
            Err(error) if error.is_passing() => None,
            Err(error) => {
                self.off = true;
                self.cx.host.info(format!(
                    "{error}, which needs {}; following without the circuit breaker's count",
                    error.permission
                ));
                None
            }
        }
    }
}
