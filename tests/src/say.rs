//! The only place of the sandbox that writes to the terminal: data on standard output, progress on standard error.

use std::io::Write;
use std::time::{Duration, Instant};

/// Writes a line of data. A closed reader is not an error worth reporting.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line about progress, whole and at once: standard error has no buffer, and what others write must not come
/// between the line and its end.
pub fn note(line: &str) {
    if cfg!(test) {
        // Captured by libtest, so that the output of a step that a test makes fail is not taken for one of this run's.
        #[expect(clippy::print_stderr, reason = "libtest captures the macro alone")]
        {
            eprintln!("{line}");
        }
        return;
    }
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Begins a part of a long story.
pub fn heading(text: &str) {
    note(&format!("\n== {text}"));
}

/// Work that takes a while: a line when it begins, and one with the time it took when it ends. Each is a whole line, because
/// others may write between them.
#[must_use]
pub struct Progress {
    task: String,
    began: Instant,
}

impl Progress {
    /// Writes the line `TASK  DETAIL …`.
    pub fn begin(task: &str, detail: &str) -> Self {
        note(&format!("{task:<12} {detail} …"));
        Self {
            task: task.to_owned(),
            began: Instant::now(),
        }
    }

    /// Writes the line `TASK  OUTCOME (TIME)`.
    pub fn end(self, outcome: &str) {
        let time = seconds(self.began.elapsed());
        note(&format!("{:<12} {outcome} ({time})", self.task));
    }

    /// Ends the line by the result's own verdict.
    pub fn finish<T, E>(self, result: std::result::Result<T, E>) -> std::result::Result<T, E> {
        self.end(if result.is_ok() { "done" } else { "failed" });
        result
    }
}

/// Seconds with one decimal, as people read them.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
