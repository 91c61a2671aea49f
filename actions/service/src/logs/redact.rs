//! Hides secrets in log lines. Pure.
//!
//! A runner hides what its job masked, and nobody masked in this job what only the tasks know. So the values are taken out here.
//! A line is never cut: a mask hides nothing of a secret of which a part is missing.

use kit::error::{Error, Result};
use kit::masks::{Masks, Visible};

/// A longer line is left out.
const LONGEST: usize = 4096;
/// The lines of one container are together no longer.
const TOGETHER: usize = 16_384;

/// The texts to hide.
#[derive(Default)]
pub(crate) struct Redactor(Vec<String>);

impl Redactor {
    /// Hides a secret from here on.
    ///
    /// # Errors
    /// It cannot be hidden: it is too short, or a common word.
    pub(crate) fn hide(&mut self, name: &str, value: &str) -> Result<()> {
        let masks = Masks::of(value);
        if let Some(visible @ Visible::Whole) = masks.visible {
            return Err(Error::failed(format!("secret {name} {visible}")));
        }
        self.0.extend(masks.hidden);
        // Where one text holds another, the longer one goes first.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Ok(())
    }

    /// The line as it may be shown.
    pub(crate) fn line(&self, line: &str) -> String {
        if line.len() > LONGEST {
            return format!("[a line of {} bytes is left out]", line.len());
        }
        let hide = |line: String, text: &String| line.replace(text.as_str(), "***");
        self.0.iter().fold(line.to_owned(), hide)
    }
}

/// The last lines, at most so many, and no more than fit.
pub(crate) fn last(lines: impl DoubleEndedIterator<Item = String>, most: usize) -> Vec<String> {
    let mut left = TOGETHER;
    let fits = |line: &String| {
        let rest = left.checked_sub(line.len());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let mut last: Vec<String> = lines.rev().take(most).take_while(fits).collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_the_parts_of_one_are_hidden_longest_first() {
        let mut redactor = Redactor::default();
        redactor.hide("A", "hunter2-and-more").unwrap();
        redactor
            .hide("B", r#"{"password": "hunter2", "port": 5432}"#)
            .unwrap();
        redactor.hide("C", "first line\nsecond line").unwrap();
        redactor.hide("D", "").unwrap();
        for (line, shown) in [
            ("x hunter2-and-more y", "x *** y"),
            ("pg://me:hunter2@db:5432", "pg://me:***@db:5432"),
            ("only second line", "only ***"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redactor.line(line), shown);
        }
    }

    #[test]
    fn a_secret_that_cannot_be_hidden_hides_the_log() {
        let error = Redactor::default().hide("PIN", "12").unwrap_err();
        assert!(
            error.message.starts_with("secret PIN is shorter"),
            "{error}"
        );
    }

    #[test]
    fn a_line_is_shown_whole_or_not_at_all() {
        let redactor = Redactor::default();
        assert_eq!(redactor.line(&"x".repeat(LONGEST)).len(), LONGEST);
        let long = redactor.line(&"x".repeat(LONGEST + 1));
        assert_eq!(long, "[a line of 4097 bytes is left out]");
    }

    #[test]
    fn the_last_lines_are_kept_as_far_as_they_fit() {
        let lines = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        let few = last(lines(&["a", "b", "c"]).into_iter(), 2);
        assert_eq!(few, ["b", "c"]);
        let long = "x".repeat(TOGETHER / 2);
        let fitting = last(lines(&["a", &long, &long]).into_iter(), 9);
        assert_eq!(fitting.len(), 2);
        let over = last(lines(&["a", &long, "b", &long]).into_iter(), 9);
        assert_eq!(over.len(), 2);
    }
}
