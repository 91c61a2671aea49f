//! How far a run got, for the message after an interrupt.

use kit::error::{Error, ErrorKind};

/// The changes made so far.
#[derive(Debug, Clone, Default)]
pub(crate) enum Progress {
    #[default]
    Unchanged,
    /// A change set of this name is being made.
    Planning(String),
    /// Termination protection and the stack policy are being set.
    Protecting,
    /// The change set was, or is about to be, executed.
    Executing,
    /// A rollback goes on, or is about to.
    Recovering,
}

/// The error of an interrupted run: how far it got, and what to do next.
pub(crate) fn interrupted(signal: &str, progress: &Progress, arguments: &str) -> Error {
    let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
    match progress {
        Progress::Unchanged => error.cause("nothing was changed"),
        Progress::Planning(name) => error
            .cause(format!(
                "the change set {name} may be left behind, and a new stack as REVIEW_IN_PROGRESS without resources"
            ))
            .hint(format!("plan again: slipway-stack plan {arguments}")),
        Progress::Protecting => error
            .cause("the stack's protection may be set; nothing else was changed")
            .hint("run the same apply again"),
        Progress::Recovering => error
            .cause("CloudFormation goes on with the rollback; it was not cancelled")
            .hint(format!("see how it ends: slipway-stack status {arguments}"))
            .hint("or run the same command again: it follows what is under way"),
        Progress::Executing => error
            .cause("CloudFormation goes on with the change set; it was not cancelled")
            .hint(format!("see how it ends: slipway-stack status {arguments}"))
            .hint("or run the same apply again: it follows what is under way"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn an_interrupted_run_says_what_goes_on() {
        for (progress, cause) in [
            (Progress::Unchanged, "nothing was changed"),
            (
                Progress::Planning("slipway-1".to_owned()),
                "slipway-1 may be left behind",
            ),
            (Progress::Protecting, "protection may be set"),
            (Progress::Executing, "goes on with the change set"),
            (Progress::Recovering, "goes on with the rollback"),
        ] {
            let error = interrupted("SIGTERM", &progress, "--name shop");
            assert_eq!(error.exit(), Exit::Interrupted);
            assert!(error.to_string().contains(cause), "{error}");
        }
    }
}
