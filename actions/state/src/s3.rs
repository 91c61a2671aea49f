//! The S3 client and helpers that all calls to S3 share.

use crate::backend::Encryption;
use aws_sdk_s3::config::interceptors::BeforeSerializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::copy_object::CopyObjectInput;
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadInput;
use aws_sdk_s3::operation::put_object::PutObjectInput;
use aws_sdk_s3::types::ServerSideEncryption;
use kit::aws::Region;
use kit::step::Cx;
use net::Account;

/// An S3 client for `account` in the state's region, which need not be the account's. Every object
/// that it writes is encrypted as `encryption` says.
pub(crate) fn client(
    account: &Account,
    region: &Region,
    encryption: &Encryption,
    cx: &Cx,
) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&account.config)
        .region(aws_sdk_s3::config::Region::new(region.to_string()))
        .force_path_style(net::path_style(&cx.env))
        .retry_classifier(net::ClockWasSet)
        .interceptor(Encrypts(encryption.clone()))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Asks for the state's encryption wherever an object is made. The lock's object is among them, as it
/// is in Terraform (`internal/backend/remote-state/s3/client.go`, `lockWithFile`) and OpenTofu
/// (opentofu/opentofu#2970): a bucket's policy may refuse whatever does not ask.
#[derive(Debug)]
struct Encrypts(Encryption);

impl Intercept for Encrypts {
    fn name(&self) -> &'static str {
        "Encrypts"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        let fields = if let Some(put) = input.downcast_mut::<PutObjectInput>() {
            (&mut put.server_side_encryption, &mut put.ssekms_key_id)
        } else if let Some(copy) = input.downcast_mut::<CopyObjectInput>() {
            (&mut copy.server_side_encryption, &mut copy.ssekms_key_id)
        } else if let Some(parts) = input.downcast_mut::<CreateMultipartUploadInput>() {
            (&mut parts.server_side_encryption, &mut parts.ssekms_key_id)
        } else {
            return Ok(());
        };
        (*fields.0, *fields.1) = asked(&self.0);
        Ok(())
    }
}

/// The algorithm and the KMS key that a request names.
fn asked(encryption: &Encryption) -> (Option<ServerSideEncryption>, Option<String>) {
    match encryption {
        Encryption::Bucket => (None, None),
        Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
        Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
    }
}

/// Returns true if a write was refused because of a condition: 412, 404 for a condition on an object that is gone, and
/// 409 for two at once (Amazon S3 User Guide, "Conditional requests").
pub(crate) fn refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(
        net::code(error),
        Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
    )
}
