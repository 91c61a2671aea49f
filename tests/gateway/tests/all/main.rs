//! The gateway before real parts: moto, AWS's DynamoDB Local, the CNCF distribution, driven by AWS's own SDK and skopeo.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

mod access;
mod builds;
mod calendars;
mod dynamodb;
mod ecr;
mod identity;
mod kms;
mod parts;
mod record;
mod s3;
mod stacks;
mod support;
mod web_identity;
