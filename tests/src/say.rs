//! The only place of the sandbox that writes to the terminal: data on standard output, progress on standard error.

use std::io::Write;
use std::time::{Duration, Instant};

/// Writes a line of data. A closed reader is not an error worth reporting.
pub fn data(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line about progress.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Begins a part of a long story.
pub fn heading(text: &str) {
    note(&format!("\n== {text}"));
}

/// One line of progress: begun when the work begins, ended with the time it took.
#[must_use]
pub struct Progress {
    began: Instant,
}

impl Progress {
    /// Begins the line `WHAT  DETAIL …`.
    pub fn begin(what: &str, detail: &str) -> Self {
        let mut out = std::io::stderr();
        let _ = write!(out, "{what:<12} {detail} … ");
        let _ = out.flush();
        Self {
            began: Instant::now(),
        }
    }

    /// Ends the line.
    pub fn end(self, outcome: &str) {
        note(&format!("{outcome} ({})", seconds(self.began.elapsed())));
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
