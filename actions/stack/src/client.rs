//! CloudFormation's API as this step uses it: every list is read to its end, and a call that AWS throttles or fails to answer
//! is made again for as long as the step has time.

mod drift;
mod read;
mod write;

#[cfg(test)]
pub(crate) use drift::Difference;
pub(crate) use drift::{Detection, Drifted};
pub(crate) use write::{Creation, Executed, Value};

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use kit::backoff::spread;
use kit::error::{Error, Result};
use net::Account;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a call is made again at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// The first and the longest wait between two attempts.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// A client for one account and region.
pub(crate) struct Client {
    api: aws_sdk_cloudformation::Client,
    until: Cell<Option<Instant>>,
}

impl Client {
    pub(crate) fn new(account: &Account) -> Self {
        Self {
            api: aws_sdk_cloudformation::Client::new(&account.config),
            until: Cell::new(None),
        }
    }

    /// From here on, calls are made again until this moment instead of for the usual time.
    pub(crate) fn retry_until(&self, until: Instant) {
        self.until.set(Some(until));
    }

    /// Calls are made again for the usual time.
    pub(crate) fn retry_as_usual(&self) {
        self.until.set(None);
    }

    /// Calls until AWS answers something that is about the call. Only for calls that change nothing when they are made twice.
    async fn patiently<T, E>(
        &self,
        action: &str,
        call: impl AsyncFn() -> std::result::Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let until = self
            .until
            .get()
            .unwrap_or_else(|| Instant::now() + PATIENCE);
        let mut pause = FIRST;
        loop {
            let error = match call().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if !net::failure(&error).is_transient() || Instant::now() + pause > until {
                return Err(net::cannot(error, action));
            }
            kit::host::debug(&format!("{action}: made again after a moment"));
            sleep(spread(pause)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Whether CloudFormation says that there is no such stack. It has no code for that, only one for every mistake in a request
/// (CloudFormation API Reference, DescribeStacks: "If the stack doesn't exist, a ValidationError is returned").
fn no_such_stack(error: &Error) -> bool {
    let answer = error.service();
    answer.is_some_and(|answer| {
        answer.code.as_deref() == Some("ValidationError")
            && answer.message.contains("does not exist")
    })
}

/// Whether CloudFormation answered with this code.
pub(crate) fn is_code(error: &Error, codes: &[&str]) -> bool {
    let answer = error.service().and_then(|answer| answer.code.as_deref());
    answer.is_some_and(|code| codes.contains(&code))
}
