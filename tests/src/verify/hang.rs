//! Names a test that hangs while it hangs, and ends it, so that it costs minutes and not the whole run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::end::below;
use crate::process::{Process, parents};
use crate::say::{note, seconds};

/// How long a test may take, without what it says it waits for its turn, before the programs it started are killed. No test
/// takes a fifth of it on a machine that does nothing else.
const LONGEST: Duration = Duration::from_secs(600);
/// When the whole test program is killed: the test waits for something that is not a program.
const LAST: Duration = Duration::from_secs(1200);
/// The age from which a program counts as one of the hanging test's. Those of other tests are younger.
const OLD: Duration = Duration::from_secs(300);
/// The time after which libtest calls a test slow.
const SLOW: Duration = Duration::from_secs(60);

/// The slow tests of one test program.
#[derive(Default)]
pub(super) struct Watch {
    /// When each slow test began.
    slow: BTreeMap<String, Instant>,
    waits: BTreeMap<String, Wait>,
    /// The tests whose programs were killed.
    killed: Vec<String>,
    /// True if a test of any test program hung. It may have passed because its programs were killed.
    hung: bool,
}

/// A test's waiting for its turn.
#[derive(Default)]
struct Wait {
    total: Duration,
    since: Option<Instant>,
}

/// The action against a test that hangs.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    KillPrograms(String),
    KillTests(String),
}

impl Watch {
    /// Reads a line that the tests wrote.
    pub(super) fn line(&mut self, line: &str, now: Instant) {
        if line.starts_with("test result: ") {
            *self = Self {
                hung: self.hung,
                ..Self::default()
            };
        }
        // Output of a program that does not end its line can come before the test's name.
        let Some((_, rest)) = line.split_once("test ") else {
            return;
        };
        if let Some((name, after)) = rest.split_once(" ...") {
            self.slow.remove(name);
            // libtest writes the verdict by itself, so that another test's line can come before it.
            self.line(after.trim_start(), now);
        } else if let Some((name, _)) = rest.split_once(" has been running for over ") {
            let began = now.checked_sub(SLOW).unwrap_or(now);
            self.slow.insert(name.to_owned(), began);
        } else if let Some(name) = rest.strip_suffix(" waits") {
            self.waits.entry(name.to_owned()).or_default().since = Some(now);
        } else if let Some((name, _)) = rest.split_once(" waited ") {
            let wait = self.waits.entry(name.to_owned()).or_default();
            if let Some(since) = wait.since.take() {
                wait.total += now.duration_since(since);
            }
        }
    }

    /// Returns true if a test hung.
    pub(super) fn hung(&self) -> bool {
        self.hung
    }

    /// Ends the test that hangs, if there is one, below the process `cargo`.
    pub(super) fn look(&mut self, cargo: u32) {
        let Some(act) = self.act(Instant::now()) else {
            return;
        };
        self.hung = true;
        let running = parents().into_iter();
        let programs: Vec<u32> = running
            .filter(|(_, parent)| *parent == cargo)
            .map(|(pid, _)| pid)
            .collect();
        let (why, victims) = match act {
            Act::KillPrograms(name) => {
                let old = |one: &Process| one.age().is_some_and(|age| age >= OLD);
                let victims = below(&programs).into_iter().filter(old).collect();
                self.killed.push(name.clone());
                let why = format!("takes longer than {}", seconds(LONGEST));
                (format!("test {name} {why}: killing its programs"), victims)
            }
            Act::KillTests(name) => {
                let victims: Vec<Process> = programs
                    .iter()
                    .filter_map(|pid| Process::of(*pid))
                    .collect();
                self.slow.clear();
                let why = format!("takes longer than {}", seconds(LAST));
                (format!("test {name} {why}: killing all tests"), victims)
            }
        };
        note(&why);
        for victim in victims {
            note(&format!("  process {}: {}", victim.pid, victim.command()));
            victim.kill();
        }
    }

    fn act(&self, now: Instant) -> Option<Act> {
        self.slow.iter().find_map(|(name, began)| {
            let wait = self.waits.get(name);
            // A turn comes when other tests end, which are watched as well.
            if wait.is_some_and(|wait| wait.since.is_some()) {
                return None;
            }
            let waited = wait.map(|wait| wait.total).unwrap_or_default();
            let took = now.duration_since(*began).saturating_sub(waited);
            if took >= LAST {
                return Some(Act::KillTests(name.clone()));
            }
            (took >= LONGEST && !self.killed.contains(name))
                .then(|| Act::KillPrograms(name.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_test_loses_its_programs_first_and_then_its_life() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        watch.line("test a has been running for over 60 seconds", at(60));
        watch.line("test b has been running for over 60 seconds", at(60));
        watch.line("test a ... ok", at(70));
        assert_eq!(watch.act(at(599)), None);
        assert_eq!(watch.act(at(600)), Some(Act::KillPrograms("b".to_owned())));
        watch.killed.push("b".to_owned());
        assert_eq!(watch.act(at(1199)), None);
        assert_eq!(watch.act(at(1200)), Some(Act::KillTests("b".to_owned())));
        watch.line("test result: FAILED. 1 passed; 1 failed", at(1201));
        assert_eq!(watch.act(at(2000)), None);
    }

    #[test]
    fn a_line_between_a_test_and_its_verdict_belongs_to_another_test() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        watch.line("test b waits", at(10));
        for test in ["a", "b"] {
            let line = format!("test {test} has been running for over 60 seconds");
            watch.line(&line, at(60));
        }
        watch.line("test a ... test b waited 90.0 s", at(100));
        watch.line("ok", at(100));
        assert_eq!(watch.act(at(689)), None);
        assert_eq!(watch.act(at(690)), Some(Act::KillPrograms("b".to_owned())));
    }

    #[test]
    fn a_test_ends_also_behind_a_line_without_an_end() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        watch.line("test a::b has been running for over 60 seconds", at(60));
        watch.line("world w: three environmentstest a::b ... ok", at(70));
        assert_eq!(watch.act(at(700)), None);
    }

    #[test]
    fn a_test_that_waits_for_its_turn_does_not_hang() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        watch.line("test a waits", at(10));
        watch.line("test a has been running for over 60 seconds", at(60));
        assert_eq!(watch.act(at(3000)), None);
        watch.line("test a waited 2990.0 s", at(3000));
        assert_eq!(watch.act(at(3589)), None);
        assert_eq!(watch.act(at(3590)), Some(Act::KillPrograms("a".to_owned())));
    }

    #[test]
    fn a_program_tells_its_age_and_its_command() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.age().unwrap() < Duration::from_secs(24 * 3600));
        assert!(own.command().contains("sandbox"), "{}", own.command());
    }
}
