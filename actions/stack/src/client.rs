//! CloudFormation's API as this step uses it: every list is read to its end, and a call that AWS throttles or fails to answer
//! is made again for as long as the step has time.

mod convert;
mod drift;
mod read;
mod write;

#[cfg(test)]
pub(crate) use drift::Difference;
pub(crate) use drift::{Detection, Drifted, Resource};
pub(crate) use write::{Creation, Executed, Source, Value};

use crate::prose;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use kit::backoff::endless;
use kit::error::{Error, Result};
use net::Account;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long a call is made again, unless [`Client::retry_until`] says otherwise.
const RETRIED_FOR: Duration = Duration::from_secs(120);
/// The first and the longest wait between two attempts, to each of which jitter adds up to as much again.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

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
    async fn retried<T, E>(
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
            .unwrap_or_else(|| Instant::now() + RETRIED_FOR);
        let mut pauses = endless(FIRST, 2.0, LONGEST);
        loop {
            let error = match call().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let pause = pauses.next().unwrap_or(LONGEST);
            if !net::failure(&error).is_transient() || Instant::now() + pause > until {
                return Err(net::cannot(error, action));
            }
            kit::host::debug(&format!("{action}: retrying after a moment"));
            sleep(pause).await;
        }
    }
}

/// Returns true if CloudFormation answered that there is no such stack.
fn no_such_stack(error: &Error) -> bool {
    let answer = error.service();
    is_code(error, &["ValidationError"])
        && answer.is_some_and(|answer| prose::no_such_stack(&answer.message))
}

/// Returns true if CloudFormation answered with this code.
pub(crate) fn is_code(error: &Error, codes: &[&str]) -> bool {
    let answer = error.service().and_then(|answer| answer.code.as_deref());
    answer.is_some_and(|code| codes.contains(&code))
}
