//! The formats of a file of variables. The readers of a format get each value exactly as it is, or the
//! file is refused: readers disagree about quotes, escapes and `$`, and none of them reports it. Pure;
//! the end-to-end tests run the readers themselves.

use crate::{Problem, all_or_nothing};
use kit::error::Result;
use kit::secret::Secret;

/// The reader that the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// npm's dotenv, `node --env-file`, python-dotenv.
    Dotenv,
    /// `docker run --env-file`.
    Docker,
    /// A POSIX shell, by `set -a; . FILE`.
    Shell,
    /// One JSON object.
    Json,
}

/// The longest line of an `--env-file`: Go's `bufio.Scanner` ends at 64 KiB (docker/cli,
/// opts/file.go).
const DOCKER_LINE: usize = 64 * 1024 - 1;

impl Format {
    /// The whole file.
    ///
    /// # Errors
    /// Each value that would come back as another one, by name.
    pub(crate) fn render(self, values: &[(String, Secret)]) -> Result<Secret> {
        if self == Self::Json {
            let object: serde_json::Map<String, serde_json::Value> = values
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().into()))
                .collect();
            let text = serde_json::to_string_pretty(&object).unwrap_or_default();
            return Ok(Secret::new(format!("{text}\n")));
        }
        let mut text = String::new();
        let mut problems = Vec::new();
        for (name, value) in values {
            let written = match self {
                Self::Docker => docker(name, value.expose()),
                Self::Shell => Ok(shell(value.expose())),
                Self::Dotenv | Self::Json => dotenv(value.expose()),
            };
            match written {
                Ok(written) => text.push_str(&format!("{name}={written}\n")),
                Err(why) => problems.push(Problem {
                    name: name.clone(),
                    reason: why.to_owned(),
                    create: None,
                }),
            }
        }
        all_or_nothing(
            problems,
            &format!("cannot be written in the format {}", self.name()),
        )
        .map_err(|error| {
            error.hint("use --format json, which holds every value, or --format shell, which holds all but NUL")
        })?;
        Ok(Secret::new(text))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Docker => "docker",
            Self::Shell => "shell",
            Self::Json => "json",
        }
    }
}

/// Single quotes, in which a shell changes nothing.
fn shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// As it is, up to the end of the line: Docker knows neither quotes nor escapes.
fn docker(name: &str, value: &str) -> Result<String, &'static str> {
    if value.contains('\n') {
        return Err("has several lines, and docker reads one");
    }
    if value.ends_with('\r') {
        return Err("ends in a carriage return, which docker takes off");
    }
    if name.len() + 1 + value.len() > DOCKER_LINE {
        return Err("is longer than docker reads");
    }
    Ok(value.to_owned())
}

/// A form that all three readers take for the same: npm's dotenv (lib/main.js), node (src/node_dotenv.cc)
/// and python-dotenv (parser.py, variables.py).
fn dotenv(value: &str) -> Result<String, &'static str> {
    if value.contains('\r') {
        return Err("has a carriage return, which npm's dotenv turns into a line end");
    }
    // In any quotes: it looks for `${`, then for the brace.
    if value.find("${").is_some_and(|at| value[at..].contains('}')) {
        return Err("has `${…}`, which python-dotenv replaces by a variable");
    }
    // Python makes one backslash of two, npm's dotenv takes `\'` for no end, and a backslash in
    // double quotes means something different to each.
    let slashes = value.contains(r"\\") || value.ends_with('\\');
    if !value.contains('\'') && !slashes {
        return Ok(format!("'{value}'"));
    }
    if !value.contains(['"', '\\']) {
        return Ok(format!("\"{value}\""));
    }
    if is_plain(value) {
        return Ok(value.to_owned());
    }
    Err("has quotes or backslashes that the readers of dotenv files take differently")
}

/// Returns true if a value needs no quotes: one line, and nothing that is trimmed, ends it or quotes it.
fn is_plain(value: &str) -> bool {
    let trimmed = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    !value.starts_with(|c: char| trimmed(c) || matches!(c, '\'' | '"' | '`'))
        && !value.ends_with(trimmed)
        && !value.contains(|c: char| c == '#' || (c != ' ' && trimmed(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_writes_a_value_so_that_it_comes_back_or_says_why_not() {
        const NOT: &str = "refused";
        for (value, expected) in [
            ("plain", ["V='plain'", "V=plain", "V='plain'"]),
            ("a b#c", ["V='a b#c'", "V=a b#c", "V='a b#c'"]),
            ("$HOME`x`", ["V='$HOME`x`'", "V=$HOME`x`", "V='$HOME`x`'"]),
            ("${HOME}", [NOT, "V=${HOME}", "V='${HOME}'"]),
            ("it's", ["V=\"it's\"", "V=it's", r"V='it'\''s'"]),
            (
                r#"{"a":"it's"}"#,
                [
                    r#"V={"a":"it's"}"#,
                    r#"V={"a":"it's"}"#,
                    r#"V='{"a":"it'\''s"}'"#,
                ],
            ),
            (r"a\n", [r"V='a\n'", r"V=a\n", r"V='a\n'"]),
            (r"a\", [r"V=a\", r"V=a\", r"V='a\'"]),
            ("a\nb", ["V='a\nb'", NOT, "V='a\nb'"]),
            ("a\r", [NOT, NOT, "V='a\r'"]),
            ("'\"\n", [NOT, NOT, "V=''\\''\"\n'"]),
            ("", ["V=''", "V=", "V=''"]),
        ] {
            for (format, expected) in [Format::Dotenv, Format::Docker, Format::Shell]
                .into_iter()
                .zip(expected)
            {
                let values = [("V".to_owned(), Secret::new(value.to_owned()))];
                match format.render(&values) {
                    Ok(text) => assert_eq!(text.expose(), format!("{expected}\n"), "{format:?}"),
                    Err(error) => {
                        assert_eq!(expected, NOT, "{format:?} {value:?}: {error}");
                        assert!(error.causes()[0].starts_with("V: "), "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn json_holds_every_value() {
        let values = [("V".to_owned(), Secret::new("\0\r\n'\"${X}\\".to_owned()))];
        let text = Format::Json.render(&values).unwrap();
        let read: serde_json::Value = serde_json::from_str(text.expose()).unwrap();
        assert_eq!(read["V"], "\0\r\n'\"${X}\\");
    }
}
