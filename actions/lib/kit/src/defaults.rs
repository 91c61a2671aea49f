//! Where a value comes from that no argument gives. It is decided once, at the start of a step.

use crate::contract::Resolved;
use crate::error::{Error, Result};

/// The source of a step's defaults.
#[derive(Debug, Clone)]
pub enum Defaults<T = Resolved> {
    /// The contract, resolved for the environment that was named.
    Contract(Box<T>),
    /// Nothing: the arguments alone count.
    None,
}

impl<C> Defaults<C> {
    /// The contract, if there is one.
    pub fn contract(&self) -> Option<&C> {
        match self {
            Self::Contract(resolved) => Some(resolved),
            Self::None => None,
        }
    }

    /// As [`Defaults::contract`], to keep.
    pub fn into_contract(self) -> Option<C> {
        match self {
            Self::Contract(resolved) => Some(*resolved),
            Self::None => None,
        }
    }

    /// The argument, else the contract's value.
    ///
    /// # Errors
    /// The argument is not given, and there is no contract (exit 2).
    pub fn required<T>(
        &self,
        argument: &str,
        given: Option<T>,
        declared: impl FnOnce(&C) -> T,
    ) -> Result<T> {
        given
            .or_else(|| self.contract().map(declared))
            .ok_or_else(|| missing(argument))
    }
}

/// Takes the first that is there: the argument, else what the contract says.
///
/// # Errors
/// Neither is there (exit 2).
pub fn required<T>(argument: &str, given: Option<T>, contract: Option<T>) -> Result<T> {
    given.or(contract).ok_or_else(|| missing(argument))
}

fn missing(argument: &str) -> Error {
    Error::usage(format!("--{argument} is missing")).hint(format!(
        "give --{argument}, or --environment NAME to take it from the contract"
    ))
}
