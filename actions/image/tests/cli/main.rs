//! slipway-image as its user sees it: the exit code, one message, and nothing exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod arguments;
mod checkout;
mod contract;
mod helper;
mod job;
mod layout;
