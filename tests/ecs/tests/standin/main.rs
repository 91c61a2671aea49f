//! The stand-in against what ECS documents, with real containers, a real registry and real health checks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what tests share outside of a test function may fail as a test does"
)]

mod bench;
mod contract;
mod definitions;
mod deploy;
mod failure;
mod parts;
mod shift;
mod tasks;
