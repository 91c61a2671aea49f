//! Reads a log of libtest's and keeps what a person needs of the tests that failed: each one's panic message and the last lines
//! that it printed, without backtraces.

/// The most lines that are shown of all tests together; the log has the rest.
const MOST: usize = 250;
/// The fewest lines that one test is given, however many failed.
const FEWEST: usize = 12;
/// The most characters of a line that are shown.
const WIDEST: usize = 2000;
/// The lines of a message, and the characters, of which its summary is made: where, what, left and right.
const SUMMARIZED: usize = 5;
const WIDEST_SUMMARY: usize = 500;

/// Describes the tests that failed, in the log's order, and the programs that ended without naming a test. Empty if no test
/// failed.
pub(crate) fn of(log: &str) -> String {
    let sections = sections(log);
    let lengths: Vec<usize> = sections.iter().map(|section| section.lines.len()).collect();
    let share = share(&lengths);
    let mut shown: Vec<String> = verdicts(log);
    for section in &sections {
        shown.push(section.title.to_owned());
        shown.extend(section.within(share));
    }
    shown.join("\n")
}

/// One line for each failed test: its name, where it panicked, and the beginning of the message. Where no test is named, the
/// programs that ended without one.
pub(super) fn summary(log: &str) -> Vec<String> {
    let lines: Vec<String> = sections(log).iter().map(Section::summary).collect();
    if lines.is_empty() {
        return verdicts(log);
    }
    lines
}

/// The names of the tests that failed, in the log's order.
pub(super) fn names(log: &str) -> Vec<String> {
    let sections = sections(log);
    sections.iter().map(|one| one.name().to_owned()).collect()
}

/// Returns true if a test program was ended by a signal, so that the tests that it did not come to have no verdict.
pub(super) fn killed(log: &str) -> bool {
    let verdicts = verdicts(log);
    verdicts.iter().any(|line| line.contains("(signal: "))
}

/// The output of one failed test.
struct Section<'a> {
    title: &'a str,
    /// Without empty lines and backtraces.
    lines: Vec<&'a str>,
}

impl Section<'_> {
    fn name(&self) -> &str {
        let name = self.title.trim_start_matches("---- ");
        name.trim_end_matches(" ----").trim_end_matches(" stdout")
    }

    fn summary(&self) -> String {
        let name = self.name();
        let panics = self
            .lines
            .iter()
            .position(|line| line.contains(" panicked at "));
        let message = &self.lines[panics.unwrap_or(0)..];
        let message: Vec<&str> = message
            .iter()
            .take(SUMMARIZED)
            .map(|line| {
                line.split_once(" panicked at ")
                    .map_or(*line, |(_, at)| at)
                    .trim()
            })
            .collect();
        let message: String = message.join(" ").chars().take(WIDEST_SUMMARY).collect();
        format!("{name}: {message}")
    }

    /// At most `room` lines: the beginning of the panic message, which says what was expected, and its end, which often holds
    /// the output of a program; of what was printed before the panic, the last lines.
    fn within(&self, room: usize) -> Vec<String> {
        if self.lines.len() <= room {
            return self.lines.iter().map(|line| cut(line)).collect();
        }
        let panic = self
            .lines
            .iter()
            .position(|line| line.contains(" panicked at "))
            .unwrap_or(0);
        let (before, message) = self.lines.split_at(panic);
        let mut shown = Vec::new();
        let left = room.saturating_sub(message.len());
        if !before.is_empty() {
            shown.push("…".to_owned());
            let from = before.len().saturating_sub(left);
            shown.extend(before[from..].iter().map(|line| cut(line)));
        }
        if message.len() <= room {
            shown.extend(message.iter().map(|line| cut(line)));
            return shown;
        }
        let first = FEWEST.max(room / 2).min(room);
        let last = message.len() - (room - first);
        shown.extend(message[..first].iter().map(|line| cut(line)));
        shown.push(format!("… {} more lines in the log", last - first));
        shown.extend(message[last..].iter().map(|line| cut(line)));
        shown
    }
}

/// The lines that name a failed test, or a test program that failed or was killed.
fn verdicts(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| {
            line.ends_with(" ... FAILED")
                || line.starts_with("error: test failed")
                || line.trim_start().starts_with("process didn't exit")
        })
        .map(cut)
        .collect()
}

fn sections(log: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open = false;
    let mut backtrace = false;
    for line in log.lines() {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            let lines = Vec::new();
            sections.push(Section { title: line, lines });
            (open, backtrace) = (true, false);
            continue;
        }
        if line == "failures:" || line.starts_with("test result: ") {
            open = false;
        }
        if line == "stack backtrace:" {
            backtrace = true;
            continue;
        }
        backtrace = backtrace && of_backtrace(line);
        let noise = backtrace || line.trim().is_empty() || of_notes(line);
        if let Some(section) = sections.last_mut().filter(|_| open && !noise) {
            section.lines.push(line);
        }
    }
    sections
}

/// A frame (`   7: name`) or its place (`             at file:line`).
fn of_backtrace(line: &str) -> bool {
    let text = line.trim_start();
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let frame = number.len() < text.len() && number.starts_with(": ");
    line.starts_with(' ') && (frame || text.starts_with("at "))
}

fn of_notes(line: &str) -> bool {
    line.starts_with("note: Some details are omitted") || line.starts_with("note: run with `RUST_")
}

/// The lines that each test may have: what short ones leave is shared by the long ones.
fn share(lengths: &[usize]) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let mut room = MOST;
    for (index, length) in sorted.iter().enumerate() {
        let each = room / (sorted.len() - index);
        if *length > each {
            return each.max(FEWEST);
        }
        room -= length;
    }
    MOST
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str, printed: &str) -> String {
        format!("---- {name} stdout ----\n{printed}\n\n")
    }

    #[test]
    fn failed_tests_are_shown_and_passed_ones_are_not() {
        let log = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\n\nthread 'b' panicked at x.rs:3:\nleft is not right\n\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed\n\nerror: test failed, to rerun pass `-p x`\n\nCaused by:\n  process didn't exit successfully: `x` (signal: 6, SIGABRT)\nrunning 1 test\ntest c ... ok\n";
        assert_eq!(
            of(log),
            "test b ... FAILED\nerror: test failed, to rerun pass `-p x`\n  process didn't exit successfully: `x` (signal: 6, SIGABRT)\n---- b stdout ----\nthread 'b' panicked at x.rs:3:\nleft is not right"
        );
        assert_eq!(of("test c ... ok\ntest result: ok. 1 passed\n"), "");
    }

    #[test]
    fn each_failed_test_has_a_line_of_its_own() {
        let log = [
            failed("a", "noise\nthread 'a' (7) panicked at x.rs:3:5:\nassertion `left == right` failed: exit code\n  left: Some(1)\n right: Some(3)"),
            failed("b", "Error: \"no panic\""),
        ]
        .concat();
        assert_eq!(
            summary(&log),
            [
                "a: x.rs:3:5: assertion `left == right` failed: exit code left: Some(1) right: Some(3)",
                "b: Error: \"no panic\""
            ]
        );
        let killed = "error: test failed, to rerun pass `-p x`";
        assert_eq!(summary(killed), [killed]);
        let long = failed(
            "c",
            &format!("thread 'c' panicked at x.rs:3:\n{}", "é".repeat(900)),
        );
        assert!(summary(&long)[0].chars().count() < 510);
    }

    #[test]
    fn a_backtrace_is_left_out_and_the_message_and_later_lines_stay() {
        let frames: String = (0..200)
            .map(|n| format!("  {n:>3}: core::ops::call_{n}\n             at /rustc/x.rs:{n}:5\n"))
            .collect();
        let log = failed(
            "b",
            &format!(
                "asked 3: yes\n\nthread 'b' (7) panicked at x.rs:3:\nassertion `left == right` failed: exit code\n  left: Some(1)\n right: Some(3)\nstack backtrace:\n{frames}note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n  3: a line of its own\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"
            ),
        );
        assert_eq!(
            of(&log),
            "---- b stdout ----\nasked 3: yes\nthread 'b' (7) panicked at x.rs:3:\nassertion `left == right` failed: exit code\n  left: Some(1)\n right: Some(3)\n  3: a line of its own"
        );
    }

    #[test]
    fn noise_before_the_panic_is_cut_and_the_message_is_whole() {
        let noise: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let shown = of(&failed(
            "b",
            &format!("{noise}thread 'b' panicked at x.rs:3:\nthe message"),
        ));
        assert!(
            shown.starts_with("---- b stdout ----\n…\nline 252\n"),
            "{shown}"
        );
        let end = "line 499\nthread 'b' panicked at x.rs:3:\nthe message";
        assert!(shown.ends_with(end), "{shown}");
    }

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        let output: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let shown = of(&failed(
            "b",
            &format!("thread 'b' panicked at x.rs:3:\nexit code 1\n{output}"),
        ));
        assert!(shown.contains("x.rs:3:\nexit code 1\nline 0\n"), "{shown}");
        assert!(shown.contains("\n… 252 more lines in the log\n"), "{shown}");
        assert!(shown.ends_with("\nline 499"), "{shown}");
    }

    #[test]
    fn many_failed_tests_share_the_lines_and_each_keeps_its_message() {
        let output: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let long = format!("{output}thread 'x' panicked at x.rs:3:\nexit code 1\n{output}");
        let log: String = (0..40)
            .map(|n| failed(&format!("t{n}"), &long))
            .chain([failed("short", "thread 's' panicked at y.rs:1:\nno")])
            .collect();
        let shown = of(&log);
        assert_eq!(
            shown
                .matches("panicked at x.rs:3:\nexit code 1\nline 0")
                .count(),
            40
        );
        assert!(shown.ends_with("---- short stdout ----\nthread 's' panicked at y.rs:1:\nno"));
        assert!(shown.lines().count() < 41 * (FEWEST + 4), "{shown}");
        assert_eq!(share(&[10, 400, 400]), 120);
        assert_eq!(share(&[10, 20]), MOST);
    }
}
