//! Calls on something that another run may be changing at the same time.

use super::Found;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use kit::backoff::spread;
use kit::error::{Error, Failure, Result};
use std::time::Duration;

/// How often something that another run is changing just now is tried again, a second apart.
pub(super) const TRIES: u32 = 30;

/// The finding for a call that failed: the missing permission if it was denied, otherwise an error.
pub(super) fn unread<E>(error: SdkError<E>, permission: &str, subject: &str) -> Result<Found>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match net::failure(&error) {
        Failure::Denied => Ok(Found::Unknown(permission.to_owned())),
        _ => Err(net::cannot(error, &format!("look at {subject}"))),
    }
}

/// Changes something that another run may be changing too.
pub(super) async fn change<T, E>(
    operation: &str,
    call: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    retry(operation, call).await.map(drop)
}

/// Calls until what another run does, or what was just made, is no longer in the way.
pub(super) async fn retry<T, E>(
    operation: &str,
    call: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> Result<T>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match call().await {
            Ok(done) => return Ok(done),
            Err(error)
                if tries < TRIES
                    && matches!(
                        net::code(&error),
                        Some(
                            "OperationAborted"
                                | "ResourceInUseException"
                                | "LimitExceededException"
                                | "ContinuousBackupsUnavailableException"
                                // Made a moment ago, and not everywhere yet.
                                | "NoSuchBucket"
                                | "ResourceNotFoundException"
                                | "TableNotFoundException"
                        )
                    ) =>
            {
                tokio::time::sleep(spread(Duration::from_secs(2))).await;
            }
            Err(error) => return Err(net::cannot(error, operation)),
        }
    }
}

/// A request that the SDK's own rules refuse: our mistake.
pub(super) fn bad(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::failed("bad request").because(error)
}
