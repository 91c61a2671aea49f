//! The log of a build, masked as CodeBuild masks it.

use regex_lite::Regex;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::fault::{Context, Result};

/// A build's log, and the function that shows it as it comes.
pub(super) struct Log<'s> {
    /// The masked text.
    pub(super) text: String,
    masks: Vec<String>,
    key: Regex,
    show: &'s mut dyn FnMut(&str),
}

impl<'s> Log<'s> {
    pub(super) fn new(show: &'s mut dyn FnMut(&str)) -> Result<Self> {
        Ok(Self {
            text: String::new(),
            masks: Vec::new(),
            // IAM User Guide, "IAM identifiers", unique ID prefixes.
            key: Regex::new(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b").context("a pattern")?,
            show,
        })
    }

    /// Hides values from the Parameter Store and Secrets Manager from here on.
    pub(super) fn hide<'v>(&mut self, values: impl IntoIterator<Item = &'v String>) {
        self.masks.extend(
            values
                .into_iter()
                .filter(|value| !value.is_empty())
                .cloned(),
        );
        // Longer ones first, so that no tail of one is left standing.
        self.masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }

    /// A line of a command's output. Masking matches the exact stored value ("env", Note), so a value that a command
    /// has transformed or broken over lines shows, as it would in CodeBuild.
    pub(super) fn line(&mut self, line: &str) {
        let masked = self.masks.iter().fold(line.to_owned(), |text, mask| {
            text.replace(mask.as_str(), "***")
        });
        let masked = self.key.replace_all(&masked, "***");
        (self.show)(&masked);
        self.text.push_str(&masked);
        self.text.push('\n');
    }

    /// A line of CodeBuild's own.
    pub(super) fn note(&mut self, line: &str) {
        let now = OffsetDateTime::now_utc()
            .format(format_description!(
                "[year]/[month]/[day] [hour]:[minute]:[second]"
            ))
            .unwrap_or_default();
        self.line(&format!("[Container] {now} {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_values_and_access_key_ids_are_hidden_exactly_as_they_are() {
        let mut shown = Vec::new();
        let mut show = |line: &str| shown.push(line.to_owned());
        let mut log = Log::new(&mut show).unwrap();
        log.hide(&[
            "hunter2".to_owned(),
            String::new(),
            "hunter2-long".to_owned(),
        ]);
        log.line("a hunter2-long b hunter2 c");
        log.line("key ASIAIOSFODNN7EXAMPLE, aHVudGVyMg== HUNTER2");
        assert_eq!(log.text, "a *** b *** c\nkey ***, aHVudGVyMg== HUNTER2\n");
        assert_eq!(shown, ["a *** b *** c", "key ***, aHVudGVyMg== HUNTER2"]);
    }
}
