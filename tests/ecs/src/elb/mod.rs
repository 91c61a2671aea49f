//! Elastic Load Balancing v2: its operations, its health checks, and the forwarding itself.

pub(crate) mod api;
pub(crate) mod forward;
mod groups;
pub(crate) mod health;
mod listeners;
pub(crate) mod rule;
mod rules;
pub(crate) mod scope;
pub(crate) mod state;
pub(crate) mod tls;
