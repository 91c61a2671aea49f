//! The answers to the calls of Terraform that a command makes. At most one call at a time is told not
//! to lock.

use super::call::{Call, Kind};
use super::judge::judge;
use super::look::CallContext;
use super::plans;
use super::shared::{FOLDERS, Forbidden, Shared, State, Unlocked, Worked};
use super::strict;
use super::target::state;
use super::verdict::Verdict;
use crate::process::{Process, TOOLS};
use crate::rescue::{self, ErroredState};
use kit::clock::uptime;
use kit::error::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

/// The pause between two looks at the call that runs without a lock of its own.
const LOOK: Duration = Duration::from_millis(50);
/// The argument that a call is told not to lock with.
pub(super) const UNLOCKED: &str = "-lock=false";
/// Longer than any question.
const LONGEST: u64 = 16 << 20;

/// A call's question of how it may run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) call: Call,
    pub(super) seen: CallContext,
}

/// The instruction that the call gets.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Run as it is; the note is for the user.
    Unchanged(Option<String>),
    /// Run with `-lock=false`, if it would ask the same again. `call`: the process of the call that it
    /// is, or that made it.
    Unlocked { call: i32 },
    /// Run with these arguments after the subcommand.
    With(Vec<String>),
    /// Do not run.
    Refused { why: String, hint: String },
}

impl Shared {
    /// The refusal of a call where the lock file has what it did not have when this step first saw it.
    fn moved(&self, question: &Question) -> Option<Verdict> {
        let rule = self.ours.rule.as_ref()?;
        let Some(Ok(found)) = &question.seen.dependencies else {
            return None;
        };
        let mut state = self.state();
        let locks = &mut state.locks;
        let folder = question.seen.folder.clone();
        let before = locks.entry(folder).or_insert_with(|| found.locked());
        strict::moved(rule, before, &question.seen)
    }

    /// Records the folder of a call, where the call leaves a state that it cannot write. The note to the post step is
    /// written before the call starts.
    fn record_folder(&self, question: &Question) -> Result<()> {
        let mut calls = self.state();
        let folder = &question.seen.folder;
        let state = state(&question.call, &question.seen);
        if let Some(worked) = calls.worked.get_mut(folder) {
            worked.state = state;
            worked.creates |= question.call.creates();
            return Ok(());
        }
        let before = rescue::look(folder);
        let worked = Worked {
            state,
            before,
            creates: question.call.creates(),
        };
        calls.worked.insert(folder.clone(), worked);
        let folders: BTreeMap<&PathBuf, &Option<ErroredState>> = calls
            .worked
            .iter()
            .map(|(folder, worked)| (folder, &worked.before))
            .collect();
        let noted = serde_json::to_string(&folders)
            .context("the folder cannot be noted for the post step")
            .and_then(|note| self.host.remember(FOLDERS, &note));
        if noted.is_err() {
            calls.worked.remove(folder);
        }
        noted
    }
}

impl Unlocked {
    /// Returns true if `process` is this call itself: the same process, or the same call made below it, as
    /// by a wrapper that finds the tool on PATH. Below a Terraform it is a call of its own.
    fn continues_as(&self, process: Process, question: &Question) -> bool {
        let same = || {
            let (before, now) = (&self.call, &question.call);
            before.subcommand() == now.subcommand()
                && self.folder == question.seen.folder
                && now.arguments.iter().any(|word| word == UNLOCKED)
                && before
                    .arguments
                    .iter()
                    .all(|word| now.arguments.contains(word))
        };
        self.process == process
            || self.again.contains(&process)
            || (same() && process.is_below(self.process, &TOOLS))
    }
}

/// Answers every connection, until it is aborted.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Answers the questions of one call, which asks again where something changed in between.
async fn answer(mut stream: UnixStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let process = stream.peer_cred()?.pid().and_then(Process::of);
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(reader, LONGEST)).lines();
    while let Some(line) = lines.next_line().await? {
        let question: Question = serde_json::from_str(&line)?;
        let answer = decide(&shared, &question, process).await;
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        writer.write_all(&text).await?;
    }
    Ok(())
}

async fn decide(shared: &Shared, question: &Question, process: Option<Process>) -> Answer {
    shared.state().asked = true;
    if let Some(refused) = closed_refusal(&shared.state()) {
        return refused;
    }
    if let Some(Verdict::Refused { why, hint }) = plans::forbidden(&shared.ours, &question.call) {
        let mut state = shared.state();
        state.forbidden.get_or_insert_with(|| Forbidden {
            why: why.clone(),
            hint: hint.clone(),
        });
        return Answer::Refused { why, hint };
    }
    if let Some(Verdict::Refused { why, hint }) = shared.moved(question) {
        return Answer::Refused { why, hint };
    }
    let verdict = judge(&shared.ours, &question.call, &question.seen);
    let answer = match plans::without_questions(&shared.ours, &question.call, verdict) {
        Verdict::Unchanged(note) => Answer::Unchanged(note),
        Verdict::With(arguments) => Answer::With(arguments),
        Verdict::Refused { why, hint } => Answer::Refused { why, hint },
        Verdict::Unlocked { timeout, off } => {
            let Some(process) = process else {
                return Answer::Unchanged(None);
            };
            wait_for_turn(shared, question, process, timeout, off).await
        }
    };
    // A call that is refused leaves no state anywhere. Until it has the answer, none begins.
    if question.call.kind() == Kind::Locking
        && !matches!(answer, Answer::Refused { .. })
        && let Err(error) = shared.record_folder(question)
    {
        return Answer::Refused {
            why: error.line(),
            hint: "run the step again".to_owned(),
        };
    }
    answer
}

fn closed_refusal(state: &State) -> Option<Answer> {
    state.closed.map(|why| Answer::Refused {
        why: format!("no call starts under the lock any more: {why}"),
        hint: "run the step again".to_owned(),
    })
}

/// Waits until no other call runs without a lock of its own.
async fn wait_for_turn(
    shared: &Shared,
    question: &Question,
    process: Process,
    timeout: Duration,
    off: bool,
) -> Answer {
    let began = Instant::now();
    loop {
        {
            let mut state = shared.state();
            if uptime() >= state.end {
                state.closed.get_or_insert("its lease is over");
            }
            if let Some(refused) = closed_refusal(&state) {
                return refused;
            }
            if let Some(other) = &mut state.unlocked
                && other.continues_as(process, question)
            {
                if other.process != process && !other.again.contains(&process) {
                    other.again.push(process);
                }
                let call = other.process.id();
                return Answer::Unlocked { call };
            }
            let other = state.unlocked.as_ref();
            if other.is_none_or(|other| other.at_work().is_none()) {
                // The guard first: this process may be killed in between.
                if shared.guard.unlocked(process).is_err() {
                    return Answer::Refused {
                        why: "the guard process has ended".to_owned(),
                        hint: "run the step again".to_owned(),
                    };
                }
                state.unlocked = Some(Unlocked {
                    process,
                    again: Vec::new(),
                    folder: question.seen.folder.clone(),
                    call: question.call.clone(),
                });
                let call = process.id();
                return Answer::Unlocked { call };
            }
        }
        if began.elapsed() >= timeout {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    if off {
        return Answer::Refused {
            why: "it is told not to lock, and another call works on this state".to_owned(),
            hint: "run them one after another, or leave -lock=false out and give -lock-timeout"
                .to_owned(),
        };
    }
    // It meets the lock, and Terraform says so in its own words.
    Answer::Unchanged(Some(
        "another call of this command works on this state; -lock-timeout=5m waits for it"
            .to_owned(),
    ))
}
