//! The state's hold against real Terraform, DynamoDB Local and S3: leases that are kept, lost and taken over, the line of
//! those who wait, holds that pass from job to job, and the three ways of locking.

mod builds;
mod calls;
#[cfg(target_arch = "x86_64")]
mod clock;
mod control;
mod credentials;
mod handover;
mod lease;
mod left;
mod line;
mod newer;
mod object;
mod others;
mod rescue;
mod wrappers;

pub(crate) use object::object;

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sandbox::instance::port;
use sandbox::runner::story::Story;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cancel::{APPLY, State};
use crate::gateway;
use crate::job::Job;
use crate::support::{Started, TIMEOUT, instance, item, log, until, wait, world};

/// Longer than anything here takes on a machine that others keep busy.
const DEADLINE: Duration = Duration::from_secs(600);

/// Runs until the test lets it go.
const HOLDING: &str = ": > started; while [ ! -e go ]; do sleep 0.1; done";

/// A verb about a state, as a person types it.
pub(crate) fn verb(state: &State, job: &Job, arguments: &[&str]) -> Command {
    let (first, rest) = arguments.split_first().unwrap();
    let mut all = vec![
        *first,
        "--bucket",
        state.bucket(),
        "--table",
        state.table(),
        "--key",
        &state.key,
    ];
    all.extend(rest);
    job.command("slipway-state", &all)
}

/// Runs a verb, and expects the exit code and these texts in its output.
#[track_caller]
fn ends(state: &State, job: &Job, arguments: &[&str], exit: i32, expected: &[&str]) -> String {
    let output = job.run(&mut verb(state, job, arguments));
    let text = format!(
        "{}{}",
        log(&output),
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    for piece in expected {
        assert!(
            text.contains(piece),
            "{arguments:?}: no {piece:?} in\n{text}"
        );
    }
    text
}

pub(crate) fn started(job: &Job) {
    until("the command runs", DEADLINE, || {
        job.file("started").exists().then_some(())
    });
}

/// A run under the lock is killed, and leaves its command behind; `more` is how it locks.
fn killed(state: &State, job: &Job, more: &[&str]) {
    let command = [
        "--",
        "sh",
        "-c",
        "echo $$ > pid; : > started; exec sleep 300",
    ];
    let arguments = [&["run"], more, &command].concat();
    let running = Started::new(&mut verb(state, job, &arguments));
    started(job);
    running.signal(Signal::KILL);
}

pub(crate) fn release_command(job: &Job) {
    std::fs::write(job.file("go"), "").unwrap();
}

/// An output of the job's last step that named it.
fn output(job: &Job, name: &str) -> String {
    let text = job.read("output");
    let mut lines = text.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line.starts_with(&format!("{name}<<")) {
            found = lines.next();
        }
    }
    found.unwrap().to_owned()
}

/// A job of the same run with another name.
pub(crate) fn job(state: &State, name: &str) -> Job {
    let mut variables = state.world.variables(instance());
    variables.extend(state.keys.variables());
    variables.insert("GITHUB_JOB".to_owned(), name.to_owned());
    Job::new(variables)
}

/// The post step of a step that ran `lock`: its inputs, and what it left for it.
fn post(state: &State, job: &Job) -> Command {
    let mut command = job.command("slipway-state", &[]);
    command.envs([
        ("SLIPWAY_PHASE", "post"),
        ("INPUT_COMMAND", "lock"),
        ("INPUT_BUCKET", state.bucket()),
        ("INPUT_TABLE", state.table()),
        ("INPUT_KEY", &state.key),
    ]);
    command.envs(job.state());
    command
}

/// Faults of the gateway for dev's account of the world of these tests.
pub(crate) fn fault(state: &State, body: Value) {
    let account = &state.world.environment("dev").unwrap().account.id;
    let mut body = body;
    body["account"] = json!(account);
    gateway::tell("faults", &body);
}

/// The faults of that account which no call has met yet.
pub(crate) fn waiting_faults(state: &State) -> Vec<Value> {
    gateway::waiting_faults(&state.world.environment("dev").unwrap().account.id)
}

/// A world of its own: faults strike an account, and others work in the usual one.
pub(crate) fn alone(name: &str) -> State {
    let world: &'static _ = Box::leak(Box::new(wait(TIMEOUT, world(name))));
    State::of(world, name)
}
