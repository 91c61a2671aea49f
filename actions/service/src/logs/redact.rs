//! Hides secrets in log lines. Pure.
//!
//! A runner hides what its job masked, and nobody masked in this job what only the tasks know. So the values are taken out here.
//! A line is never cut: a mask hides nothing of a secret of which a part is missing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kit::error::{Error, Result};
use kit::masks::{Masks, Visible};
use std::collections::BTreeSet;

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
        self.0.extend(masks.hidden.iter().flat_map(|it| forms(it)));
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
        self.0.iter().fold(plain(line), hide)
    }
}

/// The text as it is shown: what is shown without control characters is searched without them.
fn plain(text: &str) -> String {
    let shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(shown).collect()
}

/// The forms in which programs write a text: as it is, in JSON, in a URL, and in Base64.
fn forms(text: &str) -> BTreeSet<String> {
    let json = serde_json::Value::from(text).to_string();
    let json = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
    let upper = percent(text);
    let lower = upper_escapes_lowered(&upper);
    let mut forms = BTreeSet::from([text.to_owned(), json, upper, lower]);
    for start in 0..3 {
        let encoded = base64_inside(text, start);
        forms.insert(encoded.replace('+', "-").replace('/', "_"));
        forms.insert(encoded);
    }
    let forms = forms.iter().map(|form| plain(form));
    forms.filter(|form| !form.is_empty()).collect()
}

/// The text with everything but unreserved characters as `%XX` (RFC 3986, section 2).
fn percent(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The same with lower-case escapes.
fn upper_escapes_lowered(text: &str) -> String {
    let mut left = 0_u8;
    let lower = |c: char| {
        if c == '%' {
            left = 2;
            return c;
        }
        let escaped = left > 0;
        left = left.saturating_sub(1);
        match escaped {
            true => c.to_ascii_lowercase(),
            false => c,
        }
    };
    text.chars().map(lower).collect()
}

/// The characters of a Base64 text that depend on `text` alone, where `text` begins at this byte of a group of three, such as
/// a password after a user's name and a colon.
fn base64_inside(text: &str, start: usize) -> String {
    let bytes = [&[0; 3][..start], text.as_bytes()].concat();
    let encoded = STANDARD_NO_PAD.encode(&bytes);
    let (first, end) = ((start * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
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
    fn a_secret_is_hidden_in_the_forms_that_programs_write_it_in() {
        let mut redactor = Redactor::default();
        let secret = "p\"ss/w\u{f6}rd+1";
        redactor.hide("A", secret).unwrap();
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for (line, wanted) in [
            (
                "pg://me:p%22ss%2Fw%C3%B6rd%2B1@db".to_owned(),
                "pg://me:***@db",
            ),
            (
                "pg://me:p%22ss%2fw%c3%b6rd%2b1@db".to_owned(),
                "pg://me:***@db",
            ),
            (
                serde_json::json!({ "key": secret }).to_string(),
                r#"{"key":"***"}"#,
            ),
            (format!("p\u{1b}\"ss/w{}", "\u{f6}r\u{0}d+1"), "***"),
        ] {
            assert_eq!(redactor.line(&line), wanted);
        }
        for user in ["", "a:", "ab:", "abc:"] {
            let line = format!(
                "Authorization: Basic {}",
                base64(&format!("{user}{secret}"))
            );
            let shown = redactor.line(&line);
            let rest: usize = shown.chars().filter(|c| *c != '*').count();
            assert!(shown.contains("***"), "{line}: {shown}");
            // A character on each side holds bits of the neighbors too.
            assert!(rest <= "Authorization: Basic ".len() + 10, "{shown}");
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
