//! The sandbox's one error: what went wrong, and what to do about it.

use std::fmt;

/// The result of the sandbox's functions.
pub type Result<T> = std::result::Result<T, Fault>;

/// A failure a person can act on.
#[derive(Debug)]
pub struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// A failure described by one sentence without a final period.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Adds what was being done when another error came up.
pub trait Context<T> {
    /// Turns the error into a [`Fault`] that reads `WHAT: ERROR`.
    fn context(self, message: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Fault::new(format!("{message}: {error}")))
    }
}
