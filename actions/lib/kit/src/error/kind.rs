//! The kinds of errors, and the exit code of each.

use super::Failure;
use crate::exit::Exit;

/// The kind of an error: what code decides by, and what determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A failure that is neither the caller's mistake nor a refusal.
    Failed,
    /// A call to a service failed.
    Service(Failure),
    /// No credentials were found where they were needed.
    NoCredentials,
    /// An argument, an input or the contract is wrong.
    Usage,
    /// The same beside a command of the user's ([`Exit::UsageBesideCommand`]).
    UsageBesideCommand,
    /// A gate or a guard refused.
    Refused,
    /// Somebody else holds the lock, or waiting for it timed out.
    Busy,
    /// The new version did not become healthy and the old one is back.
    RolledBack,
    /// The infrastructure differs from the state.
    Drifted,
    /// Another deployment replaced the one that was followed.
    Superseded,
    /// A deployment waits for a person's answer.
    Paused,
    /// A deployment neither became healthy nor failed in time.
    TimedOut,
    /// A signal stopped the step.
    Interrupted,
    /// The user's command ended with this code.
    Command(u8),
}

impl ErrorKind {
    /// The exit code of a step that fails with an error of this kind.
    pub fn exit(self) -> Exit {
        match self {
            Self::Failed | Self::Service(_) | Self::NoCredentials => Exit::Failed,
            Self::Usage => Exit::Usage,
            Self::UsageBesideCommand => Exit::UsageBesideCommand,
            Self::Refused => Exit::Refused,
            Self::Busy => Exit::Busy,
            Self::RolledBack => Exit::RolledBack,
            Self::Drifted => Exit::Drifted,
            Self::Superseded => Exit::Superseded,
            Self::Paused => Exit::Paused,
            Self::TimedOut => Exit::TimedOut,
            Self::Interrupted => Exit::Interrupted,
            Self::Command(code) => Exit::Child(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit_code() {
        for (kind, code) in [
            (ErrorKind::Failed, 1),
            (ErrorKind::Service(Failure::Denied), 1),
            (ErrorKind::Service(Failure::NoAnswer), 1),
            (ErrorKind::NoCredentials, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::UsageBesideCommand, 64),
            (ErrorKind::Refused, 3),
            (ErrorKind::Busy, 4),
            (ErrorKind::RolledBack, 5),
            (ErrorKind::Drifted, 6),
            (ErrorKind::Superseded, 7),
            (ErrorKind::TimedOut, 9),
            (ErrorKind::Interrupted, 130),
            (ErrorKind::Command(127), 127),
        ] {
            assert_eq!(kind.exit().code(), code, "{kind:?}");
        }
    }
}
