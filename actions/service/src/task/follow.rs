//! Follows a task to its end, and stops it when the time is over or the run is cancelled.

use super::decide::{End, Next, next};
use super::output::Output;
use ecs::{Client, RetryPolicy};
use kit::Cx;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::signal::Signals;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// How long ECS may take to stop a task: it gives containers two minutes at most (Amazon ECS Developer Guide, `stopTimeout`).
const STOPPING: Duration = Duration::from_secs(180);

/// How long ECS may not show a task that it has started.
const UNSEEN: Duration = Duration::from_secs(60);

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
    pub(crate) arn: String,
    pub(crate) container: String,
    pub(crate) timeout: Duration,
    pub(crate) output: Output<'a>,
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
    /// A call is refused, the task cannot be stopped, or a second signal comes; the task goes on then.
    pub(crate) async fn follow(mut self, signals: &mut Signals) -> Result<Ended> {
        self.client.retry_by(RetryPolicy::following(self.timeout));
        let began = Instant::now();
        let mut until = began + self.timeout;
        let (mut stopped, mut asked) = (None, false);
        let end = loop {
            let give_up = tokio::select! {
                biased;
                signal = signals.next() => Some(Stopped::Cancelled(signal)),
                looked = self.look(began) => match looked? {
                    Next::Done(end) => break end,
                    Next::Stop if !asked => {
                        asked = true;
                        self.stop("the command is over, and other containers are not").await?;
                        None
                    }
                    Next::Stop | Next::Wait if Instant::now() >= until => Some(Stopped::TimedOut),
                    Next::Stop | Next::Wait => None,
                },
            };
            let Some(why) = give_up else {
                continue;
            };
            if stopped.is_some() {
                return Err(self.left(why));
            }
            stopped = Some(why);
            until = Instant::now() + STOPPING;
            asked = true;
            let reason = match why {
                Stopped::TimedOut => format!("not over within {}", human(self.timeout)),
                Stopped::Cancelled(signal) => format!("interrupted by {signal}"),
            };
            self.cx.host.info(format!("{reason}: stopping the task"));
            self.client.retry_by(RetryPolicy::following(STOPPING));
            self.stop(&format!("slipway-service run-task: {reason}"))
                .await?;
        };
        self.output.finish().await;
        Ok(Ended { end, stopped })
    }

    /// Looks once, and waits for the next look where there is to be one.
    async fn look(&mut self, began: Instant) -> Result<Next> {
        let seen = match self.client.task(&self.arn).await {
            Ok(Some(seen)) => next(&seen, &self.container),
            Ok(None) if began.elapsed() < UNSEEN => Next::Wait,
            Ok(None) => Next::Done(End::Unknown {
                reason: "ECS does not know the task any more".to_owned(),
            }),
            // Its time is over as well.
            Err(error) if error.is_passing() => Next::Wait,
            Err(error) => return Err(self.unseen(error.into())),
        };
        if let Next::Wait = seen {
            self.output.print().await;
            sleep(LOOK).await;
        }
        Ok(seen)
    }

    async fn stop(&self, reason: &str) -> Result<()> {
        let stopped = self.client.stop_task(&self.arn, reason).await;
        stopped.map_err(|error| self.unseen(error.into()))
    }

    fn unseen(&self, error: Error) -> Error {
        error
            .hint(format!("task {} goes on", self.arn))
            .hint(self.stop_command())
    }

    fn stop_command(&self) -> String {
        format!(
            "stop it: aws ecs stop-task --cluster {} --task {}",
            self.client.cluster, self.arn
        )
    }

    /// The error of a run that ends before its task does.
    fn left(&self, why: Stopped) -> Error {
        match why {
            Stopped::Cancelled(signal) => {
                Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
            }
            Stopped::TimedOut => Error::new(
                ErrorKind::TimedOut,
                format!("the task did not stop within {}", human(STOPPING)),
            ),
        }
        .cause(format!(
            "ECS was asked to stop task {}, and its end was not seen",
            self.arn
        ))
        .hint(self.stop_command())
    }
}
