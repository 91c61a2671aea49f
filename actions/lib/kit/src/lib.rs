//! The common parts of every step: the host it runs on, the contract, errors and exit codes, secret
//! values, the clock, and the frame that turns arguments into a report. Knows no step and no
//! network.

pub mod action;
mod arguments;
pub mod aws;
pub mod backoff;
pub mod child;
pub mod clock;
pub mod contract;
mod defaults;
pub mod env;
pub mod environ;
pub mod error;
pub mod exit;
pub mod group;
pub mod hex;
pub mod host;
pub mod id;
mod inputs;
mod lenient;
pub mod lockfile;
pub mod markdown;
pub mod masks;
pub mod misleading;
pub mod number;
pub mod own;
pub mod paths;
pub mod render;
pub mod report;
pub mod secret;
pub mod signal;
pub mod stat;
pub mod step;

pub use contract::Resolved;
pub use defaults::Defaults;
pub use error::{Context, Error, ErrorKind, Failure, Result, ServiceError};
pub use exit::Exit;
pub use lenient::Lenient;
pub use report::Report;
pub use secret::Secret;
pub use step::{Cx, Step};
