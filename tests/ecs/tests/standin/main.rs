//! The stand-in against what ECS documents, with real containers, a real registry and real health checks.

mod bench;
mod contract;
mod definitions;
mod deploy;
mod failure;
mod tasks;
