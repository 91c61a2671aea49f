//! The stand-in as its clients meet it: over HTTP, with real repositories, and with jobs as real processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, where a failure is a panic"
)]

mod answers;
mod deployments;
mod graphql;
mod history;
mod identity;
mod issues;
mod judge;
mod permissions;
mod pulls;
mod support;
