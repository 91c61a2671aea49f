//! Arguments NAME=VALUE whose value may have several lines.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

/// A flag is one pair, whatever is in it. An input or environment variable is a list of pairs, as docker/build-push-action
/// reads one.
#[derive(Debug, Default, Clone, clap::Args)]
struct Raw {
    /// Build argument NAME=VALUE, stored in the image's history for all to read: never a secret; in an input one per line, in double quotes if it has several lines
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// Label NAME=VALUE, beside revision, source and created of the OCI standard; in an input one per line, in double quotes if it has several lines
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
}

/// The pairs, each whole.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pairs {
    pub(crate) build_arg: Vec<String>,
    pub(crate) label: Vec<String>,
}

impl clap::Args for Pairs {
    fn augment_args(command: Command) -> Command {
        Raw::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Raw::augment_args_for_update(command)
    }

    fn group_id() -> Option<clap::Id> {
        Raw::group_id()
    }
}

impl FromArgMatches for Pairs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let raw = Raw::from_arg_matches(matches)?;
        let read = |name: &str, given: Vec<String>| match matches.value_source(name) {
            Some(ValueSource::EnvVariable) => list(&given.join("\n")).map_err(|why| {
                // The text is not quoted: it could be a value that somebody meant to hide.
                clap::Error::raw(
                    clap::error::ErrorKind::ValueValidation,
                    format!("--{}: {why}", name.replace('_', "-")),
                )
            }),
            _ => Ok(given),
        };
        Ok(Self {
            build_arg: read("build_arg", raw.build_arg)?,
            label: read("label", raw.label)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The entries of a list: one per line, without the spaces around it; or in double quotes, in which a double quote is written
/// twice and everything else stands for itself, as in CSV.
fn list(text: &str) -> Result<Vec<String>, String> {
    let mut entries = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(entries);
        }
        let number = entries.len() + 1;
        match rest.strip_prefix('"') {
            Some(quoted) => {
                let (entry, after) = unquoted(quoted).ok_or_else(|| {
                    format!("entry {number} begins with a quote that is not closed")
                })?;
                let (end, after) = after.split_once('\n').unwrap_or((after, ""));
                if !end.trim().is_empty() {
                    return Err(format!(
                        "entry {number} goes on after its closing quote; write a quote within it twice"
                    ));
                }
                entries.push(entry);
                rest = after;
            }
            None => {
                let (entry, after) = rest.split_once('\n').unwrap_or((rest, ""));
                entries.push(entry.trim_end().to_owned());
                rest = after;
            }
        }
    }
}

/// The text up to the closing quote, and what comes after it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut entry = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        entry.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                entry.push('"');
                rest = after;
            }
            None => return Some((entry, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_csv_with_one_column() {
        for (text, entries) in [
            ("", &[][..]),
            ("A=1\n\n  B=2 \r\n", &["A=1", "B=2"]),
            ("A=a,b", &["A=a,b"]),
            ("\"TEMP=a b\"", &["TEMP=a b"]),
            ("\"A=1\n2\n\"\nB=3", &["A=1\n2\n", "B=3"]),
            ("\"A=say \"\"x\"\"\"", &["A=say \"x\""]),
            ("A=\"a b\"", &["A=\"a b\""]),
            ("\"\"", &[""]),
        ] {
            assert_eq!(list(text).unwrap(), entries, "{text:?}");
        }
        for wrong in ["\"A=1", "\"A=1\" x", "\"A=1\"\"", "B=2\n\"A=\"x\""] {
            assert!(list(wrong).is_err(), "{wrong:?}");
        }
    }
}
