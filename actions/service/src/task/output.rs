//! The log of a task while it runs, without the secrets that ECS gives it.

use crate::logs::Redactor;
use crate::logs::redactor;
use ecs::{Definition, LogStream, next_lines};
use kit::Cx;
use kit::error::{ErrorKind, Failure};
use net::{Account, Net};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The most answers that are read at once: a log that is written faster must not keep the task's end from being seen.
const PAGES: usize = 10;

/// How long a log has to be silent after its task has ended: lines arrive later than they were written.
const SILENCE: Duration = Duration::from_secs(3);

/// How long lines are waited for after the task has ended.
const LATEST: Duration = Duration::from_secs(15);

/// The lines of a container's log, printed as they come.
pub(crate) struct Output<'a> {
    cx: &'a Cx,
    net: &'a Net,
    account: &'a Account,
    stream: Option<LogStream>,
    redactor: Redactor,
    next: Option<String>,
}

impl<'a> Output<'a> {
    /// Says at once where there will be no lines, and why.
    pub(crate) async fn open(
        cx: &'a Cx,
        net: &'a Net,
        account: &'a Account,
        definition: &Definition,
        container: &str,
        task: &str,
    ) -> Self {
        let mut output = Self {
            cx,
            net,
            account,
            stream: definition.log_stream(container, task, &account.region),
            redactor: Redactor::default(),
            next: None,
        };
        if output.stream.is_none() {
            cx.host.info(format!(
                "container {container} has no log that can be followed: its log driver is not awslogs with awslogs-stream-prefix"
            ));
            return output;
        }
        match redactor(net, account, definition, container).await {
            Ok(redactor) => output.redactor = redactor,
            Err(error) => output.close(&format!("its secrets cannot be hidden: {}", error.line())),
        }
        output
    }

    fn close(&mut self, why: &str) {
        let more = match self.stream.take() {
            Some(LogStream {
                group,
                name,
                region,
            }) => format!(
                "; read it there: aws logs tail {group} --log-stream-names {name} --region {region}"
            ),
            None => String::new(),
        };
        self.cx.host.warn(format!(
            "the log of the task is not shown, because {why}{more}"
        ));
    }

    /// Prints the lines that are new; returns whether there were any.
    pub(crate) async fn print(&mut self) -> bool {
        let mut printed = false;
        for _ in 0..PAGES {
            let Some(stream) = &self.stream else {
                break;
            };
            let read = next_lines(self.net, self.account, stream, self.next.as_deref()).await;
            let read = match read {
                Ok(read) => read,
                Err(error) if error.kind == ErrorKind::Service(Failure::Denied) => {
                    let hints = error.hints.join("; ");
                    self.close(&format!("{}: {hints}", error.line()));
                    break;
                }
                // It is asked for again at the next look.
                Err(_) => break,
            };
            for line in &read.lines {
                self.cx.host.info(format!("| {}", self.redactor.line(line)));
            }
            printed |= !read.lines.is_empty();
            // At the end of a stream the token stays the same (CloudWatch Logs API Reference, `GetLogEvents`).
            let end = read.next.is_none() || read.next == self.next;
            self.next = read.next.or(self.next.take());
            if end {
                break;
            }
        }
        printed
    }

    /// Prints what arrives after the task has ended.
    pub(crate) async fn finish(mut self) {
        let began = Instant::now();
        let mut silent_since = began;
        while self.stream.is_some() && silent_since.elapsed() < SILENCE && began.elapsed() < LATEST
        {
            if self.print().await {
                silent_since = Instant::now();
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
