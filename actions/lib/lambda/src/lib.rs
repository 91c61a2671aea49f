//! The version that an alias of a Lambda function serves and whether it is healthy, defined once for every step that asks.
//!
//! The calls are single requests, because Lambda's whole client would weigh more than the rest of a step.

mod alarms;
mod client;
mod health;
mod settings;
mod types;

pub use alarms::{Alarm, alarms};
pub use client::{Client, Moved, code, moves};
pub use health::{Expected, Look, missing};
pub use settings::{Change, changes};
pub use types::{Alias, Configuration, Function, LATEST, Provisioned};
