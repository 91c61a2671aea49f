//! Follows a task to its end, and stops it when the time is over or the run is cancelled.

use super::decide::{End, Next, next, unseen};
use super::output::Output;
use super::stage::{Stage, TaskPlace};
use crate::interrupt::Progress;
use ecs::{Client, RetryPolicy};
use kit::Cx;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// How long ECS may take to stop a task: it gives containers two minutes at most (Amazon ECS Developer Guide, `stopTimeout`).
const STOPPING: Duration = Duration::from_secs(180);

/// How long the request to stop a task is repeated while AWS does not take it.
const ASKING: Duration = Duration::from_secs(20);

/// Why a task was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    TimedOut,
    Cancelled(&'static str),
}

/// A task that runs.
pub(crate) struct Running<'a> {
    pub(crate) cx: &'a Cx,
    /// The client that may stop it.
    pub(crate) client: &'a Client,
    pub(crate) task: TaskPlace,
    pub(crate) container: String,
    pub(crate) timeout: Duration,
    /// Its log, unless the run was cancelled before it was opened.
    pub(crate) output: Option<Output<'a>>,
    pub(crate) progress: &'a Progress<Stage>,
    /// True if the command was seen to be over while the task went on.
    pub(crate) over: bool,
}

/// How a task ended, and why it was stopped if it was.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stopped: Option<Stopped>,
}

impl Running<'_> {
    /// Waits until it has stopped.
    ///
    /// # Errors
    /// A call is refused, the task cannot be stopped, or ECS does not show it any more; it may go on then.
    pub(crate) async fn follow(mut self) -> Result<Ended> {
        self.client.retry_by(RetryPolicy::following(self.timeout));
        let progress = self.progress;
        let mut seen = Instant::now();
        let mut until = seen + self.timeout;
        let (mut stopped, mut asked) = (None, false);
        let end = loop {
            let why = tokio::select! {
                biased;
                signal = progress.cancelled(), if stopped.is_none() => Some(Stopped::Cancelled(signal)),
                looked = self.look(&mut seen) => match looked? {
                    Next::Done(end) => break end,
                    Next::Lost => return Err(self.lost()),
                    Next::Stop if !asked => {
                        asked = true;
                        self.stop("the command is over, and other containers are not").await?;
                        None
                    }
                    Next::Stop | Next::Wait if Instant::now() >= until => Some(Stopped::TimedOut),
                    Next::Stop | Next::Wait => None,
                },
            };
            let Some(why) = why else {
                continue;
            };
            if stopped.is_some() {
                return Err(self.left());
            }
            stopped = Some(why);
            until = Instant::now() + STOPPING;
            asked = true;
            let reason = match why {
                Stopped::TimedOut => format!("not over within {}", human(self.timeout)),
                Stopped::Cancelled(signal) => format!("interrupted by {signal}"),
            };
            self.cx.host.info(format!("{reason}: stopping the task"));
            self.stop(&format!("slipway-service run-task: {reason}"))
                .await?;
            progress.at(Stage::Stopping(self.task.clone()));
            self.client.retry_by(RetryPolicy::following(STOPPING));
        };
        // A runner that cancels kills before the last lines arrive.
        let cancelled = matches!(stopped, Some(Stopped::Cancelled(_)));
        if let Some(output) = self.output.filter(|_| !cancelled) {
            output.finish().await;
        }
        Ok(Ended { end, stopped })
    }

    /// Looks once, and waits for the next look where there is to be one. `seen` is when ECS showed the task last.
    async fn look(&mut self, seen: &mut Instant) -> Result<Next> {
        let next = match self.client.task(&self.task.arn).await {
            Ok(Some(task)) => {
                *seen = Instant::now();
                next(&task, &self.container, self.over)
            }
            Ok(None) => unseen(seen.elapsed()),
            // Its time is over as well.
            Err(error) if error.is_passing() => Next::Wait,
            Err(error) => return Err(self.goes_on(error.into())),
        };
        // The first look that sees the command over asks at once for the others to be stopped.
        let first = matches!(next, Next::Stop) && !std::mem::replace(&mut self.over, true);
        if let Next::Stop | Next::Wait = next
            && !first
        {
            if let Some(output) = &mut self.output {
                output.print().await;
            }
            sleep(LOOK).await;
        }
        Ok(next)
    }

    async fn stop(&self, reason: &str) -> Result<()> {
        // Little time is left to a run that is cancelled.
        self.client.retry_by(RetryPolicy::within(ASKING));
        let stopped = self.client.stop_task(&self.task.arn, reason).await;
        self.client.retry_by(RetryPolicy::following(self.timeout));
        stopped.map_err(|error| self.goes_on(error.into()))
    }

    fn goes_on(&self, error: Error) -> Error {
        error
            .hint(format!("task {} goes on", self.task.arn))
            .hint(self.task.stop_hint())
            .output("task-arn", &self.task.arn)
    }

    /// The error of a run that ECS does not show its task any more.
    fn lost(&self) -> Error {
        let TaskPlace { arn, cluster } = &self.task;
        Error::failed(format!(
            "ECS does not show task {arn}, so it is unknown how the command ended, or whether it is over"
        ))
        .hint(format!(
            "see whether it runs: aws ecs describe-tasks --cluster {cluster} --tasks {arn}"
        ))
        .hint(self.task.stop_hint())
        .output("task-arn", arn)
    }

    /// The error of a run that ends before the task that it had stopped.
    fn left(&self) -> Error {
        Error::new(
            ErrorKind::TimedOut,
            format!("the task did not stop within {}", human(STOPPING)),
        )
        .cause(format!(
            "ECS was asked to stop task {}, and its end was not seen",
            self.task.arn
        ))
        .hint(self.task.stop_hint())
        .output("task-arn", &self.task.arn)
    }
}
