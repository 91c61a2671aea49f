//! Terraform and OpenTofu as a command under a lock finds them: this binary under their names. Each
//! call tells the step what it really runs on, is told whether its lock is held, and becomes the
//! tool.

mod answer;
mod call;
mod init;
mod judge;
#[cfg(test)]
mod key_tests;
mod look;
mod ours;
mod pin;
mod plans;
mod saved;
mod server;
mod shared;
mod strict;
mod target;
mod unseen;
mod verdict;
mod words;

pub(crate) use look::selected;
pub(crate) use ours::{Ours, is_identity};
pub(crate) use server::{CallServer, Calls, folders};
pub(crate) use strict::READONLY;
pub(crate) use target::state_in;

use crate::process::TOOLS;
use answer::{Answer, Question, UNLOCKED};
use call::Call;
use look::CallContext;
use pin::Variables;
use server::SOCKET;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How often a call asks again when something changes while it is answered.
const ASKED: usize = 20;

/// Becomes Terraform or OpenTofu, if this binary was called by one of their names.
pub fn called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = PathBuf::from(arguments.next()?);
    let tool = TOOLS
        .into_iter()
        .find(|tool| name.file_name() == Some(OsStr::new(tool)))?;
    let arguments: Vec<OsString> = arguments.collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let Some(real) = real(tool, &folders) else {
        say(&format!("{tool} is not on PATH"));
        return Some(ExitCode::from(127));
    };
    let socket = own_folder(&name, tool, &folders).map(|folder| folder.join(SOCKET));
    let mut program = Command::new(&real);
    program.arg0(&name);
    let before = pin::unpinned(|name| std::env::var(name).ok());
    set(&mut program, &before);
    match socket.filter(|socket| socket.exists()) {
        None => {
            program.args(arguments);
        }
        Some(socket) => match ask(&socket, tool, &real, arguments, &before) {
            Ok((arguments, pins)) => {
                program.args(arguments);
                set(&mut program, &pins);
            }
            Err(why) => {
                say(&why);
                return Some(ExitCode::FAILURE);
            }
        },
    }
    let failed = program.exec();
    say(&format!("cannot start {}: {failed}", real.display()));
    Some(ExitCode::from(126))
}

fn set(program: &mut Command, variables: &Variables) {
    for (name, value) in variables {
        match value {
            Some(value) => program.env(name, value),
            None => program.env_remove(name),
        };
    }
}

/// The folder with the link by which this binary was called.
fn own_folder(name: &Path, tool: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    if let Some(folder) = name.parent().filter(|it| !it.as_os_str().is_empty()) {
        return Some(folder.to_owned());
    }
    let mut folders = folders.iter();
    folders
        .find(|folder| is_own_binary(&folder.join(tool)))
        .cloned()
}

/// The first tool of that name that is not this binary.
fn real(tool: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let mut files = folders.iter().map(|folder| folder.join(tool));
    files.find(|file| {
        let runs = std::fs::metadata(file)
            .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
        runs && !is_own_binary(file)
    })
}

fn is_own_binary(file: &Path) -> bool {
    let identity = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    let this = identity(Path::new("/proc/self/exe"));
    this.is_some() && identity(file) == this
}

#[expect(
    clippy::print_stderr,
    reason = "this process stands in for another program"
)]
fn say(line: &str) {
    // It names workspaces, keys and folders as they are.
    eprintln!("slipway-state: {}", kit::host::inert(line));
}

/// Asks the step how to run this call, after its variables are changed by `before`. Returns the arguments and the
/// variables to run it with.
fn ask(
    socket: &Path,
    tool: &str,
    real: &Path,
    arguments: Vec<OsString>,
    before: &Variables,
) -> Result<(Vec<OsString>, Variables), String> {
    let no_answer = |reason: &dyn std::fmt::Display| {
        format!(
            "the step that holds the state lock does not answer ({reason}): {tool} was not started"
        )
    };
    let mut stream = UnixStream::connect(socket).map_err(|error| no_answer(&error))?;
    let reader = stream.try_clone().map_err(|error| no_answer(&error))?;
    let mut answers = BufReader::new(reader).lines();
    let call = this_call(&arguments, before)?;
    let directory = std::env::current_dir()
        .map_err(|error| format!("cannot see the working folder: {error}"))?;
    let look = || CallContext::around(&call, &directory, tool == "tofu");
    let mut seen = look();
    for _ in 0..ASKED {
        let question = Question {
            call: call.clone(),
            seen,
        };
        let mut text = serde_json::to_vec(&question).map_err(|error| no_answer(&error))?;
        text.push(b'\n');
        stream.write_all(&text).map_err(|error| no_answer(&error))?;
        let line = match answers.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(no_answer(&error)),
            None => return Err(no_answer(&"it is over")),
        };
        let answer = serde_json::from_str(&line).map_err(|error| no_answer(&error))?;
        let (further, pins) = match answer {
            Answer::Unchanged(note) => {
                note.iter().for_each(|note| say(note));
                return Ok((arguments, Variables::new()));
            }
            Answer::Refused { why, hint } => {
                return Err(format!("{tool} was not started: {why}\n  hint: {hint}"));
            }
            Answer::With(further) => (further, Variables::new()),
            Answer::Unlocked { call } => {
                let value = |name: &str| question.call.variables.get(name).cloned();
                let pins = pin::pinned(&question.seen, real, call, value);
                (vec![UNLOCKED.to_owned()], pins)
            }
        };
        // It may have waited for its turn, and a workspace or a backend may be another by now.
        seen = look();
        if seen == question.seen {
            let with = call.with(&further);
            return Ok((with.into_iter().map(OsString::from).collect(), pins));
        }
    }
    Err(format!(
        "{tool} was not started: its workspace or backend keeps changing"
    ))
}

fn this_call(arguments: &[OsString], before: &Variables) -> Result<Call, String> {
    let mut call = Call::default();
    for argument in arguments {
        if argument.to_str().is_none() {
            call.unreadable = Some("an argument is not text".to_owned());
        }
        call.arguments.push(argument.to_string_lossy().into_owned());
    }
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in before {
        match value {
            Some(value) => variables.insert(name.into(), value.clone()),
            None => variables.remove(&OsString::from(name)),
        };
    }
    for (name, value) in variables {
        let bytes = name.as_bytes();
        if !bytes.starts_with(b"TF_") && !bytes.starts_with(b"AWS_") {
            continue;
        }
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) if decides(&name) => {
                call.variables.insert(name, value);
            }
            (Ok(_), Ok(_)) => {}
            (name, _) => {
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                return Err(format!(
                    "the variable {name} is not text, so the state that this call works on is unknown"
                ));
            }
        }
    }
    Ok(call)
}

/// Returns true if a variable decides about the state, or about the providers. The values of others stay with the call.
fn decides(name: &str) -> bool {
    name.starts_with("TF_CLI_ARGS")
        || matches!(
            name,
            "TF_WORKSPACE" | "TF_DATA_DIR" | "AWS_REGION" | "AWS_DEFAULT_REGION" | strict::REATTACH
        )
        || is_identity(name)
}
