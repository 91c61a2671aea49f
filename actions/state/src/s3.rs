//! What all calls to S3 share.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use kit::step::Cx;
use net::Account;

/// An S3 client for `account` in the state's region, which need not be the account's.
pub(crate) fn client(account: &Account, region: &str, cx: &Cx) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&account.config)
        .region(aws_sdk_s3::config::Region::new(region.to_owned()))
        .force_path_style(net::path_style(&cx.env))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Whether a condition was why a write was refused: 412, 404 for a condition on what is gone, and
/// 409 for two at once (Amazon S3 User Guide, "Conditional requests").
pub(crate) fn refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(
        net::code(error),
        Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
    )
}
