//! The version that an ECS service runs and whether it is healthy, defined once for every step that asks.

mod client;
mod convert;
mod definition;
mod error;
mod health;
mod history;
mod image;
mod logs;
mod look;
mod object;
pub mod prose;
mod record;
mod run;
mod seen;
mod select;
mod strategy;

pub use client::Client;
pub use definition::Definition;
pub use error::Error;
pub use health::{Expected, endpoint, is_target, missing, state};
pub use history::{History, Past, Revision};
pub use image::{host_of, name_of, repository_of};
pub use logs::{ContainerSecret, LogLines, LogStream, last_lines, next_lines};
pub use look::Tasks;
pub use net::{PollInterval, RetryPolicy};
pub use object::Object;
pub use record::{InProgress, KnownRecord, is_over};
pub use run::OneOff;
pub use seen::{
    Alarms, Attachment, Breaker, Container, Deployment, Event, Hook, Record, Rollout, Seen,
    Service, Target, TargetGroup, Task, Weights, name_of_group,
};
pub use select::{Selection, containers};
pub use strategy::Strategy;
