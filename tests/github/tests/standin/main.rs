//! The stand-in as its clients meet it: over HTTP, with real repositories, and with jobs as real processes.

mod answers;
mod deployments;
mod graphql;
mod history;
mod identity;
mod permissions;
mod pulls;
mod support;
