//! Calls to AWS that are made again while the service is busy or does not answer.

use kit::backoff;
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
    let mut waits = backoff::attempts(ATTEMPTS, FIRST_WAIT).skip(1);
    loop {
        let error = match net.json(account, service, target, input).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let passes = matches!(
            error.failure(),
            Some(Failure::Throttled | Failure::Unavailable | Failure::NoAnswer)
        );
        match waits.next() {
            Some(wait) if passes => tokio::time::sleep(wait).await,
            _ => return Err(error),
        }
    }
}
