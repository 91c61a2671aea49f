//! GitHub's file commands and workflow commands, written so that no value can break out of them.
//! Rules: actions/runner `FileCommandManager.cs` and `ActionCommandManager.cs`, actions/toolkit
//! `file-command.ts` and `command.ts`.

use super::plain::without_control;
use crate::env::Env;
use crate::error::{Context, Error, Result};
use crate::report::{EnvValue, Report};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Names that would change how later steps run rather than what they know. The runner itself
/// blocks only `NODE_OPTIONS`.
const FORBIDDEN: &[&str] = &[
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "NODE_OPTIONS",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "HOME",
    "SHELL",
];
const FORBIDDEN_PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "PYTHON",
    "PERL5",
    "GIT_",
    "GITHUB_",
    "RUNNER_",
    "ACTIONS_",
    "CODEBUILD_",
    "INPUT_",
    "STATE_",
];

/// Refuses a variable's name that is not a shell identifier, or that steers the shell, the loader,
/// an interpreter or the runner.
///
/// # Errors
/// Such a name (exit 2).
pub fn may_export(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let identifier = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let steers = FORBIDDEN.contains(&name)
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix));
    let (reason, hint) = if !identifier {
        (
            "it is not the name of a variable",
            "use letters, digits and underscores, and begin with a letter or an underscore",
        )
    } else if steers {
        (
            "the shell, the loader, an interpreter or the runner acts on it",
            "choose another name, and set the variable in the command that needs it",
        )
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("no variable may be called `{name}`: {reason}")).hint(hint))
}

/// The files the runner reads back, checked for presence.
pub(super) struct Files<'a> {
    output: &'a str,
    env: &'a str,
    state: &'a str,
}

/// # Errors
/// A missing file command variable (exit 2): printing `::set-output` instead, as the toolkit
/// does, would let any line of a child's output set outputs (CVE-2020-15228).
pub(super) fn files(env: &Env) -> Result<Files<'_>> {
    let get = |name: &str| {
        env.get(name).ok_or_else(|| {
            Error::usage(format!("GITHUB_ACTIONS is set but {name} is not"))
                .hint("outside a GitHub runner, unset GITHUB_ACTIONS")
        })
    };
    Ok(Files {
        output: get("GITHUB_OUTPUT")?,
        env: get("GITHUB_ENV")?,
        state: get("GITHUB_STATE")?,
    })
}

pub(super) fn write(env: &Env, report: &Report) -> Result<()> {
    let files = files(env)?;
    let mut exported = String::new();
    for (name, value) in &report.env {
        may_export(name)?;
        let value = match value {
            EnvValue::Plain(value) => value,
            EnvValue::Secret(secret) => secret.expose(),
        };
        exported.push_str(&entry(name, value));
    }
    let outputs: String = report
        .outputs
        .iter()
        .map(|(name, value)| entry(name, value))
        .collect();
    append(files.env, &exported)?;
    append(files.output, &outputs)
}

pub(super) fn remember(env: &Env, name: &str, value: &str) -> Result<()> {
    append(files(env)?.state, &entry(name, value))
}

pub(super) fn summary(env: &Env, markdown: &str) -> Result<()> {
    // A runner without summaries (older GitHub Enterprise) loses nothing but the page.
    match env.get("GITHUB_STEP_SUMMARY") {
        Some(path) => append(path, &format!("{}\n\n", markdown.trim_end())),
        None => Ok(()),
    }
}

fn append(path: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .context(format!("cannot write {path}"))
}

/// One heredoc entry. The delimiter is random and checked against the value (CVE-2022-35954).
fn entry(name: &str, value: &str) -> String {
    let mut delimiter = delimiter();
    while value.contains(&delimiter) || name.contains(&delimiter) {
        delimiter = self::delimiter();
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

pub(super) fn delimiter() -> String {
    format!("slipway_{}", uuid::Uuid::new_v4().simple())
}

/// Text no line of which the runner takes for a command: `::…` counts at a line's start, the older
/// `##[…` anywhere in it (actions/runner `ActionCommand.cs`).
pub fn inert(text: &str) -> String {
    without_control(text)
        .split('\n')
        .map(|line| {
            let line = line.replace("##[", "# #[");
            match line.trim_start().strip_prefix("::") {
                Some(rest) => format!(": :{rest}"),
                None => line,
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Escapes a workflow command's data. `%` first, or the other escapes would be escaped again.
pub(super) fn escape_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(&without_control(text))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

pub(super) fn annotation(level: &str, title: Option<&str>, text: &str) -> String {
    let text = escape_data(&without_control(text));
    match title {
        Some(title) => format!("::{level} title={}::{text}", escape_property(title)),
        None => format!("::{level}::{text}"),
    }
}

/// The annotations of an error on the run's page.
pub(super) fn error_annotations(env: &Env, step: &str, error: &Error) -> Vec<String> {
    if error.locations.is_empty() {
        let mut text = error.message.clone();
        if let Some(cause) = error.causes().first() {
            text.push_str(&format!("\ncaused by: {cause}"));
        }
        for hint in &error.hints {
            text.push_str(&format!("\nhint: {hint}"));
        }
        return vec![annotation("error", Some(step), &text)];
    }
    // GitHub finds a file by its path from the repository's root, where steps start.
    let root = env.get("GITHUB_WORKSPACE").map(Path::new);
    error
        .locations
        .iter()
        .map(|location| {
            let file = Path::new(&location.file);
            let file = root
                .and_then(|root| file.strip_prefix(root).ok())
                .unwrap_or(file);
            format!(
                "::error file={},line={},col={},title={}::{}",
                escape_property(&file.to_string_lossy()),
                location.line,
                location.column,
                escape_property(step),
                escape_data(&without_control(&location.message)),
            )
        })
        .collect()
}

/// The command that hides `text`.
pub(super) fn mask_command(text: &str) -> String {
    format!("::add-mask::{}", escape_data(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file command back by the runner's rules.
    fn parse(text: &str) -> Vec<(String, String)> {
        let mut lines = text.split('\n');
        let mut found = Vec::new();
        while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
            let (name, delimiter) = line.split_once("<<").unwrap();
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            found.push((name.to_owned(), value.join("\n")));
        }
        found
    }

    #[test]
    fn every_value_comes_back_as_it_was() {
        for value in [
            "",
            "x",
            "a=b",
            "A<<B\nx\nB",
            "\n",
            "line\r\nline\n",
            "%0A",
            "ü€",
        ] {
            assert_eq!(
                parse(&entry("name", value)),
                [("name".to_owned(), value.to_owned())]
            );
        }
    }

    #[test]
    fn a_mask_is_one_command() {
        assert_eq!(mask_command("a\n50%off"), "::add-mask::a%0A50%25off");
    }

    #[test]
    fn names_that_steer_later_steps_are_refused() {
        for name in [
            "LD_PRELOAD",
            "NODE_OPTIONS",
            "PATH",
            "GITHUB_TOKEN",
            "A-B",
            "",
            "1A",
            "A=B",
        ] {
            assert!(may_export(name).is_err(), "{name}");
        }
        for name in ["DATABASE_URL", "TF_VAR_region", "_x", "AWS_REGION"] {
            assert!(may_export(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn foreign_text_cannot_contain_workflow_commands() {
        assert_eq!(
            inert("fix ##[stop-commands]x\n  ::add-mask::y\n\u{1b}[2Jdone: a::b"),
            "fix # #[stop-commands]x\n: :add-mask::y\n[2Jdone: a::b"
        );
    }

    #[test]
    fn annotations_cannot_be_broken_out_of() {
        assert_eq!(
            annotation("error", Some("a,b:c"), "x\n::set-env::"),
            "::error title=a%2Cb%3Ac::x%0A::set-env::"
        );
    }
}
