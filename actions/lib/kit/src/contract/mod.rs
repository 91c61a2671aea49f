//! The contract, `delivery.yaml`: what a service is, where it goes, and who decides.

mod model;

pub use model::*;

use crate::env::Env;
use crate::error::{Error, Result};
use std::path::Path;

/// A contract that was read and checked.
#[derive(Debug, Clone)]
pub struct Contract {}

/// Reads the contract at `path`.
///
/// # Errors
/// No such file, or every mistake in it at once, with places (exit 2).
pub fn load(_path: &Path) -> Result<Contract> {
    Err(Error::usage("not written yet"))
}

impl Contract {
    /// One environment, with defaults filled in and references followed.
    ///
    /// # Errors
    /// No such environment, or a reference that leads nowhere (exit 2).
    pub fn resolve(&self, _environment: &str, _env: &Env) -> Result<Resolved> {
        Err(Error::usage("not written yet"))
    }
}
