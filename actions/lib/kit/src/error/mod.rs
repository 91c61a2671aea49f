//! The error every step returns: what is wrong, why, and what to do next.

mod kind;
mod service;

pub use kind::ErrorKind;
pub use service::{Failure, ServiceError};

use crate::exit::Exit;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A failure as a person reads it. Messages are lower case without a final period; they name
/// things (parameters, repositories, roles) and never hold a secret value.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind, by which code decides; it determines the exit code.
    pub kind: ErrorKind,
    /// The problem, in one line.
    pub message: String,
    /// The one of several that the message names, such as a repository.
    subject: Option<String>,
    causes: Vec<Cause>,
    /// Hints on what to do next, one line each.
    pub hints: Vec<String>,
    /// Details worth several lines (a snippet, a table), printed as they are before the message.
    pub details: String,
    /// Markdown for the run's summary page, where the failure has more to show than its message.
    pub summary: Option<String>,
    /// The data that `--json` prints beside the error.
    pub json: Option<serde_json::Value>,
    /// The places in files that are wrong, each of which a host that can annotates.
    pub locations: Vec<Location>,
    /// Outputs that say how the step failed, by their kebab-case name. A later step of the job that runs all the same reads
    /// them.
    pub outputs: Vec<(&'static str, String)>,
}

/// One reason of a failure.
#[derive(Debug, Clone)]
enum Cause {
    /// A sentence of ours.
    Text(String),
    /// Another error, with everything behind it.
    Source(Arc<dyn StdError + Send + Sync>),
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
    /// The problem.
    pub message: String,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            subject: None,
            causes: Vec::new(),
            hints: Vec::new(),
            details: String::new(),
            summary: None,
            json: None,
            locations: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Something failed (exit 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// An argument, input or contract is wrong (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A gate or guard says no (exit 3).
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// The exit code of the process.
    pub fn exit(&self) -> Exit {
        self.kind.exit()
    }

    /// Notes that the message names `subject`.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Puts `subject` before the message, unless the message names it already.
    #[must_use]
    pub fn naming(mut self, subject: &str) -> Self {
        if self.subject.as_deref() != Some(subject) {
            self.message = format!("{subject}: {}", self.message);
            self.subject = Some(subject.to_owned());
        }
        self
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
        self.causes.push(Cause::Text(cause.into()));
        self
    }

    /// Adds several causes.
    #[must_use]
    pub fn with_causes(mut self, causes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let causes = causes.into_iter().map(|cause| Cause::Text(cause.into()));
        self.causes.extend(causes);
        self
    }

    /// Adds `source` and everything behind it as causes.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.causes.push(Cause::Source(Arc::from(source.into())));
        self
    }

    /// The same error under another message; the old message becomes the first cause.
    #[must_use]
    pub fn under(mut self, message: impl Into<String>) -> Self {
        let old = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, Cause::Text(old));
        self
    }

    /// Adds the message and the causes of a second failure, which happened beside this one. Its
    /// hints are left to the caller.
    #[must_use]
    pub fn with_second_failure(mut self, second: Error) -> Self {
        self.causes.push(Cause::Text(second.message));
        self.causes.extend(second.causes);
        self
    }

    /// The causes as text, outermost first. A text that the one before it already ends with, as
    /// those of many libraries do, is left out.
    pub fn causes(&self) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        let mut show = |text: String| {
            let repeated = |earlier: &String| *earlier == text;
            let ends = |earlier: &String| earlier.ends_with(&format!(": {text}"));
            if !shown.iter().any(repeated) && !shown.last().is_some_and(ends) {
                shown.push(text);
            }
        };
        for cause in &self.causes {
            match cause {
                Cause::Text(text) => show(text.clone()),
                Cause::Source(source) => {
                    for error in chain(source.as_ref()) {
                        match error.downcast_ref::<Error>() {
                            // It shows the chain behind it among its own causes.
                            Some(error) => {
                                show(error.message.clone());
                                error.causes().into_iter().for_each(&mut show);
                                break;
                            }
                            None => show(error.to_string()),
                        }
                    }
                }
            }
        }
        shown
    }

    /// Message and causes in one line.
    pub fn line(&self) -> String {
        let causes = self.causes();
        let texts = std::iter::once(self.message.as_str()).chain(causes.iter().map(String::as_str));
        texts.collect::<Vec<_>>().join(": ")
    }

    /// The service's answer behind this error, if one is.
    pub fn service(&self) -> Option<&ServiceError> {
        self.sources().find_map(|source| {
            chain(source).find_map(|error| match error.downcast_ref::<Error>() {
                Some(error) => error.service(),
                None => error.downcast_ref(),
            })
        })
    }

    /// How a service failed, if that is why.
    pub fn failure(&self) -> Option<Failure> {
        match self.kind {
            ErrorKind::Service(failure) => Some(failure),
            _ => self.service().map(|service| service.failure),
        }
    }

    fn sources(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        self.causes.iter().filter_map(|cause| match cause {
            Cause::Text(_) => None,
            Cause::Source(source) => Some(source.as_ref() as &(dyn StdError + 'static)),
        })
    }

    /// Adds an output that is written although the step fails.
    #[must_use]
    pub fn output(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.outputs.push((name, value.into()));
        self
    }

    /// Puts Markdown on the run's summary page.
    #[must_use]
    pub fn summary(mut self, markdown: impl Into<String>) -> Self {
        self.summary = Some(markdown.into());
        self
    }
}

/// An error and everything behind it.
fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        error.source()
    })
}

impl fmt::Display for Error {
    /// The human form: details, `error: …`, `Caused by:`, a blank line, `hint: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.details.is_empty() {
            writeln!(f, "{}\n", self.details.trim_end())?;
        }
        write!(f, "error: {}", self.message)?;
        let causes = self.causes();
        if !causes.is_empty() {
            write!(f, "\nCaused by:")?;
            for cause in causes {
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

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.sources().next()
    }
}

/// Adds a message to a foreign error, keeping its chain as causes.
pub trait Context<T> {
    /// Turns a foreign error into exit 1 with `message` in front of its chain.
    ///
    /// # Errors
    /// The foreign error, wrapped.
    fn context(self, message: impl Into<String>) -> Result<T>;
}

impl<T, E: StdError + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| Error::failed(message).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_subject_is_named_once() {
        let error = Error::failed("cannot push to shop").about("shop");
        assert_eq!(error.naming("shop").message, "cannot push to shop");
        let error = Error::failed("the workshop is closed").naming("shop");
        assert_eq!(error.message, "shop: the workshop is closed");
        assert_eq!(error.naming("shop").message, "shop: the workshop is closed");
    }

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

    fn denied() -> ServiceError {
        ServiceError {
            service: "ecs".to_owned(),
            operation: "DescribeServices".to_owned(),
            failure: Failure::Denied,
            code: Some("AccessDeniedException".to_owned()),
            message: "User: u is not authorized".to_owned(),
            status: Some(400),
            request_id: Some("4f1c".to_owned()),
        }
    }

    #[test]
    fn the_source_stays_an_error_and_is_shown_once() {
        let inner = Error::failed("cannot describe service web").because(denied());
        let error = Error::failed("cannot see web")
            .because(inner)
            .because(denied());
        expect![[r#"
            error: cannot see web
            Caused by:
              cannot describe service web
              AccessDeniedException: User: u is not authorized (ecs DescribeServices, request ID 4f1c)"#]]
        .assert_eq(&error.to_string());
        let source = error.source().and_then(StdError::source).unwrap();
        assert_eq!(source.downcast_ref::<ServiceError>(), Some(&denied()));
        assert_eq!(error.service(), Some(&denied()));
        assert_eq!(error.failure(), Some(Failure::Denied));
        assert_eq!(
            error
                .under("outer")
                .with_second_failure(Error::usage("second"))
                .causes()
                .len(),
            4
        );
    }

    #[test]
    fn a_cause_that_quotes_the_next_one_is_not_followed_by_it() {
        #[derive(Debug)]
        struct Quoting(fmt::Error);
        impl fmt::Display for Quoting {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "cannot write: {}", self.0)
            }
        }
        impl StdError for Quoting {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::failed("x").because(Quoting(fmt::Error));
        assert_eq!(error.causes(), [format!("cannot write: {}", fmt::Error)]);
    }
}
