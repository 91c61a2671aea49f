//! Follows a deployment: looks, judges, logs what moved, until there is a verdict.

use crate::address::address;
use crate::decide::Plan;
use crate::evidence::Evidence;
use crate::follow::{Follow, Next, Verdict};
use crate::place::status_hint;
use crate::progress::ProgressLog;
use ecs::{Client, Expected, PollInterval, Record, RetryPolicy, Seen, Tasks};
use kit::Cx;
use kit::aws::{Arn, TaskDefinitionArn};
use kit::error::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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

/// Following one deployment.
pub(crate) struct Watch<'a> {
    cx: &'a Cx,
    client: &'a Client,
    expected: Expected,
    follow: Follow,
    evidence: Evidence,
    record: RecordReader<'a>,
    log: ProgressLog<'a>,
    seen: Seen,
    timeout: Duration,
    start: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        cx: &'a Cx,
        client: &'a Client,
        plan: &Plan,
        expected: Expected,
        before: Seen,
        timeout: Duration,
    ) -> Self {
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
            follow: Follow::new(expected.clone(), plan.running.clone(), timeout),
            evidence: Evidence::new(&expected.deployment, &before),
            record: RecordReader {
                cx,
                client,
                arn: None,
                off: false,
            },
            log: ProgressLog::new(cx, &expected.deployment),
            expected,
            seen: before,
            timeout,
            start: Instant::now(),
        }
    }

    /// Looks until there is a verdict.
    ///
    /// # Errors
    /// A call is refused, so how the deployment ends is not seen.
    pub(crate) async fn follow(mut self) -> Result<Ended> {
        let mut interval = PollInterval::new();
        let verdict = loop {
            let (next, changed) = match self.client.look().await {
                Ok(seen) => self.judge(seen).await,
                // The policy's time is the timeout: AWS took no call until it was over.
                Err(error) if error.is_passing() => {
                    let waited_for = vec![format!("AWS to answer: {error}")];
                    break Verdict::TimedOut { waited_for };
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
            match next {
                Next::Wait(_) => sleep(interval.next(changed)).await,
                Next::Done(verdict) => break verdict,
            }
        };
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
            Next::Wait(missing) => missing.as_slice(),
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

/// ECS's record of the deployment: read while it can be. Without it there is a verdict all the
/// same, only without the breaker's count.
struct RecordReader<'a> {
    cx: &'a Cx,
    client: &'a Client,
    arn: Option<Arn>,
    off: bool,
}

impl RecordReader<'_> {
    async fn read(&mut self, task_definition: &TaskDefinitionArn) -> Option<Record> {
        if self.off {
            return None;
        }
        match self.client.record(task_definition, &mut self.arn).await {
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
