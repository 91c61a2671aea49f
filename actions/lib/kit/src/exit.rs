//! The one table of exit codes. `docs/exit-codes.md` is rendered from it and compared in a test.

/// The result of a step, as the exit code that a workflow or buildspec sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work is done and was verified at its source.
    Done,
    /// A failure that is neither the caller's mistake nor a refusal.
    Failed,
    /// An argument, an input or the contract is wrong. Nothing was changed.
    Usage,
    /// The same, where the command line also holds a command of the user's, whose own 2 it could
    /// be taken for (`terraform plan -detailed-exitcode`: there are changes).
    UsageBesideCommand,
    /// A gate or a guard refused. The refused change was not made.
    Refused,
    /// Somebody else holds the lock, or waiting for it timed out.
    Busy,
    /// The new version did not become healthy and the old one is back.
    RolledBack,
    /// The infrastructure differs from the state. Nothing was changed.
    Drifted,
    /// Another deployment replaced the one that was followed.
    Superseded,
    /// A deployment waits for a person's answer.
    Paused,
    /// A deployment neither became healthy nor failed in time, or a task was not over.
    TimedOut,
    /// A bug in Slipway.
    Bug,
    /// Stopped by a signal.
    Interrupted,
    /// The user's command failed with this exit code.
    Child(u8),
}

impl Exit {
    /// Every code of Slipway's own, with the text that documents it.
    pub const ALL: [(Exit, &'static str); 13] = [
        (Exit::Done, "done, and verified at the source"),
        (Exit::Failed, "failed"),
        (
            Exit::Usage,
            "an argument, an input or the contract is wrong; nothing was changed",
        ),
        (
            Exit::Refused,
            "refused by a gate or a guard; the refused change was not made",
        ),
        (
            Exit::Busy,
            "busy: a lock, deployment, stack or ledger is in use by somebody else; run again later",
        ),
        (Exit::RolledBack, "rolled back to the previous version"),
        (
            Exit::Drifted,
            "a difference was found (`drift`, `diff --exit-code`); nothing was changed",
        ),
        (
            Exit::Superseded,
            "superseded: another deployment replaced this one, or another operation changed the stack since",
        ),
        (
            Exit::Paused,
            "paused: the deployment waits at a hook until somebody continues it or rolls it back",
        ),
        (
            Exit::TimedOut,
            "timed out: a deployment was not healthy, or a task, a scan or an operation of a stack not over, in time, or the end of one could not be seen",
        ),
        (
            Exit::UsageBesideCommand,
            "like 2, from a verb that runs a command of yours, so that it differs from that command's own 2",
        ),
        (Exit::Bug, "a bug in Slipway"),
        (Exit::Interrupted, "interrupted by a signal"),
    ];

    /// The number the operating system gets.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Busy => 4,
            Exit::RolledBack => 5,
            Exit::Drifted => 6,
            Exit::Superseded => 7,
            Exit::Paused => 8,
            Exit::TimedOut => 9,
            // sysexits.h, EX_USAGE.
            Exit::UsageBesideCommand => 64,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
            Exit::Child(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rendered here and committed, so that the document cannot differ from the code.
    fn document() -> String {
        let rows: Vec<Vec<String>> = Exit::ALL
            .iter()
            .map(|(exit, meaning)| vec![exit.code().to_string(), (*meaning).to_owned()])
            .collect();
        format!(
            "# Exit codes\n\nAll steps share this table. `UPDATE_EXPECT=1 cargo test -p kit` rewrites this file.\n\n{}\n\
             A command that a step runs for you (`state run`, `secrets exec`, `identity exec`, `service run-task`) keeps its own exit code.\n\
             As in a shell, 127 means that there is no such command, and 126 that it may not be executed.\n",
            crate::markdown::table(&["code", "meaning"], &rows)
        )
    }

    #[test]
    fn the_document_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/exit-codes.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document());
    }

    #[test]
    fn every_code_is_its_own() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
    }
}
