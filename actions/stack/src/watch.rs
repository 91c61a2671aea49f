//! Follows an operation: looks, logs what happened, until there is a verdict.

use crate::cause::{Causes, causes, left_behind, line};
use crate::client::Client;
use crate::follow::{Next, Verdict, interference, may_have_ended, next};
use crate::inner::Inner;
use crate::search::Execution;
use crate::seen::{DEPTH, Event, Stack};
use kit::Cx;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Failure, Result};
use net::PollInterval;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long nested stacks are not looked at while nothing happens in the outermost one. Each costs a call, and the verdict is the
/// outermost one's.
const NESTED_EVERY: Duration = Duration::from_secs(5);
/// How often a person hears that the step still waits.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// How many events that are known are read again: events of the same moment may appear in another order than they are listed.
const OVERLAP: usize = 50;

/// How following ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    /// The stack as it is now; `None` if it is gone.
    pub(crate) stack: Option<Stack>,
    pub(crate) causes: Causes,
    pub(crate) took: Duration,
}

/// Following one operation on a stack.
pub(crate) struct Watch<'a> {
    cx: &'a Cx,
    client: &'a Client,
    stack: &'a str,
    /// The arguments that lead to the stack again, for hints.
    arguments: &'a str,
    token: String,
    /// Everything that happened since the operation began, the oldest first.
    events: Vec<Event>,
    inner: Inner,
    looked_inside: Instant,
    /// The newest event before it.
    boundary: Option<String>,
    timeout: Duration,
    start: Instant,
}

impl<'a> Watch<'a> {
    /// An operation that is about to begin on this stack, by its ARN.
    ///
    /// # Errors
    /// The events cannot be read.
    pub(crate) async fn ahead(
        cx: &'a Cx,
        client: &'a Client,
        stack: &'a str,
        arguments: &'a str,
        token: String,
        timeout: Duration,
    ) -> Result<Self> {
        let newest = client.newest_event(stack).await?;
        let execution = Execution {
            token,
            made: None,
            events: Vec::new(),
            boundary: newest.map(|event| event.id),
        };
        Ok(Self::resume(
            cx, client, stack, arguments, execution, timeout,
        ))
    }

    /// An operation that began before.
    pub(crate) fn resume(
        cx: &'a Cx,
        client: &'a Client,
        stack: &'a str,
        arguments: &'a str,
        execution: Execution,
        timeout: Duration,
    ) -> Self {
        Self {
            cx,
            client,
            stack,
            arguments,
            token: execution.token,
            events: execution.events,
            inner: Inner::default(),
            looked_inside: Instant::now(),
            boundary: execution.boundary,
            timeout,
            start: Instant::now(),
        }
    }

    /// Looks until there is a verdict.
    ///
    /// # Errors
    /// The timeout is over, or a call is refused, so the end is not seen (exit 9).
    pub(crate) async fn follow(mut self) -> Result<Ended> {
        // The operation goes on whether it is observed or not, so every look is made again until the timeout.
        self.client.retry_until(self.start + self.timeout);
        let (mut interval, mut last) = (PollInterval::new(), Instant::now());
        self.tell(&self.events);
        let (verdict, stack) = loop {
            let (ended, more) = match self.look().await {
                Ok(seen) => seen,
                Err(error) => return Err(unseen(error, self.timeout, self.arguments)),
            };
            if let Some(ended) = ended {
                break ended;
            }
            if self.start.elapsed() >= self.timeout {
                return Err(self.timed_out());
            }
            if more > 0 {
                last = Instant::now();
            } else if last.elapsed() >= REPORT_EVERY {
                last = Instant::now();
                let waited = human(self.start.elapsed());
                let (status, busy) = (self.status(), self.in_progress());
                self.cx.host.info(format!("{status} after {waited}{busy}"));
            }
            sleep(interval.next(more > 0)).await;
        };
        let took = self.start.elapsed();
        let mut causes = match verdict {
            Verdict::Succeeded => left_behind(&self.ours()),
            _ => self.causes().await,
        };
        for line in &causes.left {
            self.cx
                .host
                .warn(format!("left behind, outside of the stack: {line}"));
        }
        if verdict != Verdict::Succeeded
            && let Some(other) = interference(&self.token, &self.events)
        {
            causes
                .others
                .push(format!("another operation began: {}", line(other)));
        }
        self.client.retry_as_usual();
        Ok(Ended {
            verdict,
            stack,
            causes,
            took,
        })
    }

    /// Reads what happened since the last look, and logs that; returns the verdict if there is one, with the stack, and how much it
    /// was. A look is one call while nothing ends: CloudFormation does not say how many it takes.
    async fn look(&mut self) -> Result<(Option<(Verdict, Option<Stack>)>, usize)> {
        let known: BTreeSet<&str> = self.events.iter().map(|event| event.id.as_str()).collect();
        let passed = Cell::new(0_usize);
        let enough = |event: &Event| {
            passed.set(passed.get() + usize::from(known.contains(event.id.as_str())));
            passed.get() > OVERLAP || self.boundary.as_ref() == Some(&event.id)
        };
        let mut new = self.client.events(self.stack, enough).await?;
        // A page that moved on while it was read shows events twice.
        let mut unique: BTreeSet<String> = BTreeSet::new();
        new.retain(|event| !known.contains(event.id.as_str()) && unique.insert(event.id.clone()));
        self.tell(&new);
        let mut number = new.len();
        if !new.is_empty() || self.looked_inside.elapsed() >= NESTED_EVERY {
            number += self.inner.look(self.cx, self.client, &new).await;
            self.looked_inside = Instant::now();
        }
        self.events.extend(new);
        self.events.sort_by_key(|event| event.millis);
        if !may_have_ended(&self.token, &self.events) {
            return Ok((None, number));
        }
        let stack = self.client.stack(self.stack).await?;
        let ended = match next(&self.token, stack.as_ref(), &self.events) {
            Next::Done(verdict) => Some((verdict, stack)),
            Next::Wait => None,
        };
        Ok((ended, number))
    }

    fn tell(&self, events: &[Event]) {
        for event in events {
            let ours = event.token.as_deref() == Some(self.token.as_str());
            let other = if ours { "" } else { "another operation: " };
            self.cx.host.info(format!("{other}{}", line(event)));
        }
    }

    /// The resources whose last event is not an end.
    fn in_progress(&self) -> String {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for event in self.events.iter().filter(|event| !event.is_of_stack()) {
            last.insert(&event.logical_id, &event.status);
        }
        let busy = last
            .iter()
            .filter(|(_, status)| status.ends_with("_IN_PROGRESS"));
        let names: Vec<&str> = busy.map(|(name, _)| *name).collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(", waiting for {}", names.join(", ")),
        }
    }

    /// The status of the stack by its newest event.
    fn status(&self) -> &str {
        let mut of_stack = self.events.iter().filter(|event| event.is_of_stack());
        let newest = of_stack.next_back();
        newest.map_or("no event yet", |event| event.status.as_str())
    }

    fn timed_out(&self) -> Error {
        Error::new(
            ErrorKind::TimedOut,
            format!(
                "the stack did not reach an end within {}: {}{}",
                human(self.timeout),
                self.status(),
                self.in_progress()
            ),
        )
        .cause("CloudFormation goes on with it; nothing was cancelled")
        .hint(format!(
            "see how it stands: slipway-stack status {}",
            self.arguments
        ))
        .hint("run the same command again to follow it further, with a longer --timeout")
    }

    /// The events of this operation.
    fn ours(&self) -> Vec<Event> {
        let token = Some(self.token.as_str());
        let ours = self.events.iter();
        ours.filter(|event| event.token.as_deref() == token)
            .cloned()
            .collect()
    }

    /// Why the operation failed: its own events, and those of nested stacks down to the resource that failed.
    async fn causes(&self) -> Causes {
        let ours = self.ours();
        // Calls that only add to the report are not retried for long.
        self.client
            .retry_until(Instant::now() + Duration::from_secs(15));
        let begin = ours.first().map_or(i64::MIN, |event| event.millis);
        deepest(self.client, causes(&ours), begin).await
    }
}

/// The error of an operation whose end was not seen, because CloudFormation did not answer: nothing is known of the operation itself, so
/// this says neither that it failed nor that it was refused. A call that may succeed later was made again until the timeout.
pub(crate) fn unseen(mut error: Error, timeout: Duration, arguments: &str) -> Error {
    let later = error.failure().is_some_and(Failure::is_transient);
    let mut unseen = Error::new(
        ErrorKind::TimedOut,
        match later {
            true => format!(
                "the end of the operation was not seen within {}",
                human(timeout)
            ),
            false => "the end of the operation cannot be seen".to_owned(),
        },
    );
    unseen.hints = std::mem::take(&mut error.hints);
    unseen
        .because(error)
        .cause("CloudFormation goes on with it; nothing was cancelled")
        .hint(format!(
            "see how it stands: slipway-stack status {arguments}"
        ))
        .hint("run the same command again to follow it further")
}

/// The causes with the root cause of the nested stack that failed, as deep as it goes.
pub(crate) async fn deepest(client: &Client, mut found: Causes, begin: i64) -> Causes {
    for _ in 0..DEPTH {
        let Some(nested) = found.nested.take() else {
            break;
        };
        // Events are read back to the beginning of the operation.
        let earlier = |event: &Event| event.millis < begin;
        let events = match client.events(&nested, earlier).await {
            Ok(events) => events,
            Err(error) => {
                found.unread(&nested, &error.line());
                break;
            }
        };
        let inner = causes(&events);
        match inner.root {
            Some(root) => found.others.extend(found.root.replace(root)),
            None => found.unread(&nested, "none of its events says why"),
        }
        found.others.extend(inner.others);
        found.cancelled += inner.cancelled;
        found.nested = inner.nested;
    }
    found
}
