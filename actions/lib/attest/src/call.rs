//! Calls to AWS that are made again while the service is busy or does not answer.

use kit::backoff::{self, Retryable};
use kit::error::{Failure, Result};
use net::{Account, Net};
use serde_json::Value;
use std::time::Duration;

/// Attempts of one call. None of the calls here changes anything, so a lost answer may be asked for again.
const ATTEMPTS: usize = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

pub(crate) async fn call(
    net: &Net,
    account: &Account,
    service: &str,
    target: &str,
    input: &Value,
) -> Result<Value> {
    let ask = || net.json(account, service, target, input);
    ask.retry(backoff::policy(ATTEMPTS, FIRST_WAIT))
        .when(|error| error.failure().is_some_and(Failure::is_transient))
        .await
}
