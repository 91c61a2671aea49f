//! The error every step returns: what is wrong, why, and what to do next.

use crate::exit::Exit;
use std::fmt;

/// A failure as a person reads it. Messages are lower case without a final period; they name
/// things (parameters, repositories, roles) and never hold a secret value.
#[derive(Debug, Clone)]
pub struct Error {
    /// The exit code of the process.
    pub exit: Exit,
    /// What is wrong, in one line.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do about it, each one line.
    pub hints: Vec<String>,
    /// Details worth several lines (a snippet, a table), printed as they are before the message.
    pub details: String,
    /// Markdown for the run's summary page, where the failure has more to show than its message.
    pub summary: Option<String>,
    /// What `--json` prints beside the error.
    pub json: Option<serde_json::Value>,
    /// The places in files that are wrong, each of which a host that can annotates.
    pub locations: Vec<Location>,
}

/// A place in a file and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with the exit code `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            details: String::new(),
            summary: None,
            json: None,
            locations: Vec::new(),
        }
    }

    /// Something failed (exit 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// An argument, input or contract is wrong (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A gate or guard says no (exit 3).
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Adds a hint: a command, a setting or a URL that gets the reader further.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds one cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds `source` and everything behind it as causes, dropping repetitions that SDK errors
    /// are full of.
    #[must_use]
    pub fn because(mut self, source: &dyn std::error::Error) -> Self {
        let mut next: Option<&dyn std::error::Error> = Some(source);
        while let Some(error) = next {
            let text = error.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Puts Markdown on the run's summary page.
    #[must_use]
    pub fn summary(mut self, markdown: impl Into<String>) -> Self {
        self.summary = Some(markdown.into());
        self
    }
}

impl fmt::Display for Error {
    /// The human form: details, `error: …`, `Caused by:`, a blank line, `hint: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.details.is_empty() {
            writeln!(f, "{}\n", self.details.trim_end())?;
        }
        write!(f, "error: {}", self.message)?;
        if !self.causes.is_empty() {
            write!(f, "\nCaused by:")?;
            for cause in &self.causes {
                write!(f, "\n  {cause}")?;
            }
        }
        if !self.hints.is_empty() {
            writeln!(f)?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Adds a message to a foreign error, keeping its chain as causes.
pub trait Context<T> {
    /// Turns a foreign error into exit 1 with `message` in front of its chain.
    ///
    /// # Errors
    /// The foreign error, wrapped.
    fn context(self, message: impl Into<String>) -> Result<T>;
}

impl<T, E: std::error::Error> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::failed(message).because(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_person_reads_message_then_causes_then_hints() {
        let error = Error::refused("caller is in account 2, the contract says 1")
            .cause("role arn:aws:iam::2:role/x")
            .hint("check AWS_PROFILE")
            .hint("slipway-contract resolve --environment dev");
        expect![[r#"
            error: caller is in account 2, the contract says 1
            Caused by:
              role arn:aws:iam::2:role/x

            hint: check AWS_PROFILE
            hint: slipway-contract resolve --environment dev"#]]
        .assert_eq(&error.to_string());
    }
}
