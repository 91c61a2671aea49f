//! Runs end-to-end tests that failed among all others once more, each by itself. Eight of them run at once on two processors, and a
//! failure there may be the machine's: one such test in six hundred would fail the whole run every few days. A test that passes by
//! itself does not fail the run, but its name and its first failure stand at the end of the output, since it may as well show a race
//! of the product. Tests that only compute have no such excuse.

use super::failures;
use super::steps::{Step, Tests};

/// The most tests that are repeated. More than these are not an accident of timing.
const MOST: usize = 3;

/// The step that runs the failed tests by themselves.
pub(super) struct Alone {
    pub(super) step: Step,
    pub(super) tests: usize,
}

/// Returns the step that repeats the tests that failed, or none if they are not to be repeated: they compute, they are too many, or
/// the log does not name each one, as where a test program was killed.
pub(super) fn alone(step: &Step, failed: usize, log: &str) -> Option<Alone> {
    let names = failures::names(log);
    let known = names.len() == failed && (1..=MOST).contains(&failed);
    let [command] = &step.commands[..] else {
        return None;
    };
    if step.tests != Tests::Waiting || !known || failures::killed(log) {
        return None;
    }
    let mut command = command.clone();
    command.extend(["--", "--test-threads=1", "--exact"].map(str::to_owned));
    command.extend(names);
    let step = Step {
        commands: vec![command],
        ..*step
    };
    Some(Alone {
        step,
        tests: failed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::steps::Needs;
    use super::*;

    fn log(names: &[&str]) -> String {
        let sections = names.iter();
        let sections: String = sections
            .map(|name| format!("---- {name} stdout ----\nthread panicked at x.rs:3:\nslow\n\n"))
            .collect();
        format!("{sections}error: test failed, to rerun pass `-p x`\n")
    }

    fn command(tests: Tests, failed: usize, log: &str) -> Option<String> {
        let step = Step {
            name: "e2e",
            about: "",
            needs: Needs::Nothing,
            on_demand: false,
            tests,
            commands: vec![vec!["cargo".into(), "test".into()]],
            variables: &[],
        };
        alone(&step, failed, log).map(|alone| alone.step.commands[0].join(" "))
    }

    #[test]
    fn a_few_named_tests_are_repeated_and_nothing_else() {
        assert_eq!(
            command(Tests::Waiting, 2, &log(&["a::b", "c"])).unwrap(),
            "cargo test -- --test-threads=1 --exact a::b c"
        );
        assert_eq!(command(Tests::Computing, 1, &log(&["a"])), None);
        assert_eq!(
            command(Tests::Waiting, 4, &log(&["a", "b", "c", "d"])),
            None
        );
        assert_eq!(command(Tests::Waiting, 2, &log(&["a"])), None);
        assert_eq!(command(Tests::Waiting, 0, &log(&[])), None);
        let killed = format!(
            "{}  process didn't exit successfully: `x` (signal: 9, SIGKILL: kill)\n",
            log(&["a"])
        );
        assert_eq!(command(Tests::Waiting, 1, &killed), None);
    }
}
