//! How many tests ran, and how long each took, from the lines of libtest's that `cargo test` prints and the times at which they came.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A line, and when it came.
pub(super) type Timed = (Duration, String);

/// The tests of one `cargo test` run, with their counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) ignored: usize,
    pub(super) tests: Vec<Test>,
}

/// One test that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    /// Its program and its path in it.
    pub(super) name: String,
    /// Without the time that it said it waited for its turn.
    pub(super) time: Duration,
}

/// Counts and times the tests. libtest names a test when it ends, not when it begins; but it begins them in the order of their
/// names, the next one whenever one of its `threads` becomes free, which tells when each began.
pub(super) fn tally(lines: &[Timed], threads: usize) -> Tally {
    let mut tally = Tally::default();
    let mut program = String::new();
    let mut began = Duration::ZERO;
    let mut ends: Vec<(Duration, &str)> = Vec::new();
    let mut waits: BTreeMap<&str, Duration> = BTreeMap::new();
    for (at, line) in lines {
        if let Some(name) = program_of(line) {
            program = name;
        } else if line.starts_with("running ") && line.trim_end().ends_with([' ', 's', 't']) {
            (began, ends, waits) = (*at, Vec::new(), BTreeMap::new());
        } else if let Some((name, time)) = turn(ended(line).map_or(line, |(_, after)| after)) {
            *waits.entry(name).or_default() += time;
            ends.extend(ended(line).map(|(name, _)| (*at, name)));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            tally.passed += count(counts, "passed");
            tally.failed += count(counts, "failed");
            tally.ignored += count(counts, "ignored");
            for (name, time) in times(began, &ends, threads) {
                let waited = waits.get(name).copied().unwrap_or_default();
                tally.tests.push(Test {
                    name: format!("{program} {name}"),
                    time: time.saturating_sub(waited),
                });
            }
            ends.clear();
        } else if let Some((name, _)) = ended(line) {
            ends.push((*at, name));
        }
    }
    tally
}

/// `     Running tests/e2e/main.rs (target/debug/deps/e2e-0123456789abcdef)`, `   Doc-tests kit`.
fn program_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} (documentation)"));
    }
    let (_, file) = line.strip_prefix("Running ")?.rsplit_once('(')?;
    let file = file.strip_suffix(')')?.rsplit('/').next()?;
    Some(
        file.rsplit_once('-')
            .map_or(file, |(name, _)| name)
            .to_owned(),
    )
}

/// `test NAME waited 12.3 s`.
fn turn(line: &str) -> Option<(&str, Duration)> {
    let (name, time) = line
        .trim_start()
        .strip_prefix("test ")?
        .split_once(" waited ")?;
    let seconds: f64 = time.strip_suffix(" s")?.parse().ok()?;
    Some((name, Duration::try_from_secs_f64(seconds).ok()?))
}

/// `test NAME ... ok`, and what a program printed may have come between, or before on the same line.
fn ended(line: &str) -> Option<(&str, &str)> {
    let (before, rest) = line.split_once("test ")?;
    let (name, verdict) = rest.split_once(" ...")?;
    let is_verdict = ["ok", "FAILED", "ignored"]
        .iter()
        .any(|it| verdict.trim_start().starts_with(it));
    if !before.is_empty() && !is_verdict {
        return None;
    }
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some((name, verdict))
}

/// The number before a word in `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
        .next()
        .unwrap_or_default()
}

fn times<'a>(
    began: Duration,
    ends: &[(Duration, &'a str)],
    threads: usize,
) -> Vec<(&'a str, Duration)> {
    let mut names: Vec<&str> = ends.iter().map(|(_, name)| *name).collect();
    names.sort_unstable();
    let mut waiting: VecDeque<&str> = names.into();
    let mut running: BTreeMap<&str, Duration> = BTreeMap::new();
    for name in waiting.drain(..threads.min(waiting.len())) {
        running.insert(name, began);
    }
    let mut times = Vec::new();
    for (at, name) in ends {
        // A name that is not expected yet has been running since something before it ended.
        let from = running.remove(name).unwrap_or_else(|| {
            waiting.retain(|other| other != name);
            began
        });
        times.push((*name, at.saturating_sub(from)));
        if let Some(next) = waiting.pop_front() {
            running.insert(next, *at);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn timed(lines: &[(u64, &str)]) -> Vec<Timed> {
        let timed = |(at, line): &(u64, &str)| (seconds(*at), (*line).to_owned());
        lines.iter().map(timed).collect()
    }

    const RUN: [(u64, &str); 17] = [
        (1, "   Compiling kit v0.1.0"),
        (
            10,
            "     Running unittests src/lib.rs (target/debug/deps/slipway_state-0123456789abcdef)",
        ),
        (10, ""),
        (10, "running 4 tests"),
        (13, "test b ... test a waited 1.5 s"),
        (13, "ok"),
        (15, "test a ... FAILED"),
        (15, "test c - should panic ... ok"),
        (20, "test d ... sandbox is up"),
        (20, "ok"),
        (
            20,
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 10.00s",
        ),
        (21, "   Doc-tests kit"),
        (21, "running 2 tests"),
        (22, "test src/lib.rs - x (line 3) ... ok"),
        (22, "test src/lib.rs - y (line 9) ... ignored"),
        (
            22,
            "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
        ),
        (23, "error: 1 target failed:"),
    ];

    #[test]
    fn a_test_begins_when_a_thread_is_free() {
        let tally = tally(&timed(&RUN), 2);
        let time = |name: &str| {
            let found = tally.tests.iter().find(|test| test.name == name);
            found.unwrap_or_else(|| panic!("no {name}: {tally:?}")).time
        };
        assert_eq!((tally.passed, tally.failed, tally.ignored), (4, 1, 1));
        assert_eq!(time("slipway_state a"), Duration::from_millis(3500));
        assert_eq!(time("slipway_state b"), seconds(3));
        assert_eq!(time("slipway_state c"), seconds(2));
        assert_eq!(time("slipway_state d"), seconds(5));
        assert_eq!(
            time("kit (documentation) src/lib.rs - x (line 3)"),
            seconds(1)
        );
        assert_eq!(tally.tests.len(), 6);
    }

    #[test]
    fn a_test_that_ends_behind_a_line_without_an_end_is_timed() {
        assert_eq!(
            ended("three environmentstest a::b ... ok"),
            Some(("a::b", " ok"))
        );
        assert_eq!(ended("the smoke test goes on ... soon"), None);
    }

    #[test]
    fn a_log_without_tests_counts_none() {
        let none = timed(&[(1, "error[E0425]: cannot find value"), (2, "running late")]);
        assert_eq!(tally(&none, 2), Tally::default());
    }
}
