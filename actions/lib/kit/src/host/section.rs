//! Sections of the log that end with their guard, and what the runner takes for its commands meanwhile.

use super::{Host, Kind, github};

/// Ends a folded section of the log when dropped.
pub struct Group<'a>(pub(super) &'a Host);

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.0.kind == Kind::GitHub && !self.0.is_stopped() {
            self.0.line("::endgroup::");
        }
    }
}

/// Tracks whether the runner takes commands from the log at the moment.
#[derive(Debug, Default)]
pub(super) struct Commands {
    /// How many stretches of other programs' output there are, one in another.
    stretches: usize,
    /// The token with which the runner takes commands again (`stop-commands`).
    token: String,
    /// A program may still print that somebody else wrote.
    for_good: bool,
    /// Annotations that wait until the runner takes them.
    waiting: Vec<String>,
}

impl Commands {
    pub(super) fn are_stopped(&self) -> bool {
        self.for_good || self.stretches > 0
    }
}

/// Ends a stretch of other programs' output when dropped.
#[derive(Debug)]
pub struct Verbatim {
    host: Host,
    for_good: bool,
}

impl Verbatim {
    pub(super) fn of(host: &Host) -> Self {
        let mut commands = host.commands();
        if !commands.are_stopped() {
            commands.token = github::delimiter();
            host.line(&format!("::stop-commands::{}", commands.token));
        }
        commands.stretches += 1;
        drop(commands);
        Self {
            host: host.clone(),
            for_good: false,
        }
    }

    /// Lets the runner take no command from the log of this step any more: a program that somebody
    /// else wrote may print at any time.
    pub fn stay(&mut self) {
        self.for_good = true;
    }
}

impl Drop for Verbatim {
    fn drop(&mut self) {
        let mut commands = self.host.commands();
        commands.stretches -= 1;
        commands.for_good |= self.for_good;
        if commands.are_stopped() {
            return;
        }
        self.host.line(&format!("::{}::", commands.token));
        for line in std::mem::take(&mut commands.waiting) {
            self.host.line(&line);
        }
    }
}

impl Host {
    /// Returns true if the runner takes no commands from the log at the moment.
    pub(super) fn is_stopped(&self) -> bool {
        self.commands().are_stopped()
    }

    /// Returns true if it takes none any more, in this step.
    pub(crate) fn is_stopped_for_good(&self) -> bool {
        self.commands().for_good
    }

    /// Keeps an annotation until the runner takes commands again.
    pub(super) fn defer(&self, annotation: String) {
        self.commands().waiting.push(annotation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn commands_are_taken_again_after_the_outermost_stretch_unless_one_stays() {
        let host = Host::detect(&Env::from([("GITHUB_ACTIONS", "true")]));
        let outer = host.verbatim();
        let inner = host.verbatim();
        assert!(host.is_stopped());
        drop(inner);
        assert!(host.is_stopped());
        drop(outer);
        assert!(!host.is_stopped());
        let mut stays = host.verbatim();
        stays.as_mut().unwrap().stay();
        drop(stays);
        assert!(host.is_stopped() && host.is_stopped_for_good());
        // A clone is the same log.
        drop(host.clone().verbatim());
        assert!(host.is_stopped_for_good());
    }

    #[test]
    fn a_log_without_commands_has_none_to_stop() {
        let host = Host::detect(&Env::default());
        assert!(host.verbatim().is_none() && !host.is_stopped());
    }
}
