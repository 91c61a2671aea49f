//! The results of a step, which are written once, at its end.

use crate::secret::Secret;

/// A value for later steps' environment.
#[derive(Debug, Clone)]
pub enum EnvValue {
    /// Anybody may see it.
    Plain(String),
    /// Masked before it is written.
    Secret(Secret),
}

/// Everything a step leaves behind on success. Nothing of it is written before the step ended
/// well, so a failure half way exports nothing but the outputs of its error.
#[derive(Debug, Default)]
pub struct Report {
    /// Outputs by their kebab-case name; a digest, never a secret. GitHub drops an output that
    /// holds a masked value.
    pub outputs: Vec<(&'static str, String)>,
    /// Variables for later steps.
    pub env: Vec<(String, EnvValue)>,
    /// Markdown for the run's summary page.
    pub summary: String,
    /// The result as a person reads it in a log or terminal; goes to standard output.
    pub text: String,
    /// The result for machines, printed instead of `text` with `--json`.
    pub json: serde_json::Value,
}

impl Report {
    /// Adds an output.
    #[must_use]
    pub fn output(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.outputs.push((name, value.into()));
        self
    }
}

/// A number of things: `1 secret`, `3 secrets`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

pub use crate::markdown::{fence, table as markdown_table};

/// A table for terminals and logs: columns aligned with spaces, no lines drawn.
pub fn text_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (cell, width) in cells.zip(&widths) {
            out.push_str(&format!("{cell:width$}  "));
        }
        format!("{}\n", out.trim_end())
    };
    let mut out = line(&mut header.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let table = text_table(&["env", "digest"], &[vec!["staging".into(), "abc".into()]]);
        assert_eq!(table, "env      digest\nstaging  abc\n");
    }
}
