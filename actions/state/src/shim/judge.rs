//! The decision about a call. Pure.
//!
//! Only a call on the very state whose lock is held, which would take that very lock, is told not
//! to lock. Every other call runs unchanged and locks for itself, and words that would switch its
//! lock off are refused.

use super::call::{Call, Kind};
use super::init::init;
use super::look::CallContext;
use super::ours::Ours;
use super::strict;
use super::target::{Target, state, target};
use super::verdict::{Verdict, refused};

/// Judges a call by what was seen around it.
pub(crate) fn judge(ours: &Ours, call: &Call, seen: &CallContext) -> Verdict {
    let Some(rule) = &ours.rule else {
        return by_lock(ours, call, seen);
    };
    if let Some(refused) = strict::forbidden(rule, call, seen) {
        return refused;
    }
    let verdict = by_lock(ours, call, seen);
    match call.kind() {
        Kind::Init => strict::keeping_lock(rule, seen, verdict),
        Kind::Locking | Kind::Other => verdict,
    }
}

/// Judges a call by the state that it works on.
fn by_lock(ours: &Ours, call: &Call, seen: &CallContext) -> Verdict {
    let subcommand = call.subcommand();
    let words = match call.words() {
        Ok(words) => words,
        Err(_) if call.is_lock_free() => return Verdict::Unchanged(None),
        Err(unreadable) => {
            return refused(
                unreadable.to_string(),
                "quote its words as a shell would, without ; & | < > ( ) and backquotes",
            );
        }
    };
    let lock_flags = call.lock_flags(&words);
    let off_hint = "leave -lock=false out, also of TF_CLI_ARGS: the step switches locking off where it holds the lock itself";
    match call.kind() {
        Kind::Other if subcommand == "force-unlock" && words.contains(&ours.lock_id) => refused(
            "`force-unlock` would remove the lock that this step holds",
            "leave it out: the step gives the lock back when its command ends",
        ),
        Kind::Other if lock_flags.off => refused(
            format!("`{subcommand}` is told not to lock, and this step holds no lock for it"),
            off_hint,
        ),
        Kind::Other => Verdict::Unchanged(None),
        Kind::Init if lock_flags.off => refused(
            "`init` is told not to lock, and may migrate a state",
            "leave -lock=false out: `init` locks nothing else",
        ),
        Kind::Init => match &call.unreadable {
            Some(why) => refused(
                format!("the backend that `init` configures cannot be read: {why}"),
                "give it words in UTF-8",
            ),
            None => init(ours, &words, seen),
        },
        Kind::Locking => locking(ours, call, &words, seen, off_hint),
    }
}

fn locking(
    ours: &Ours,
    call: &Call,
    words: &[String],
    seen: &CallContext,
    off_hint: &str,
) -> Verdict {
    let subcommand = call.subcommand();
    let held = format!("s3://{}", ours.backend.lock_id());
    let lock_flags = call.lock_flags(words);
    if let Some(refused) = push_to_other_state(ours, call, seen) {
        return refused;
    }
    let lock_for_itself = |description: String| {
        if lock_flags.off {
            refused(
                format!("`{subcommand}` is told not to lock, and {description}"),
                off_hint,
            )
        } else {
            Verdict::Unchanged(Some(format!(
                "`{subcommand}` locks for itself: {description}"
            )))
        }
    };
    match target(ours, call, words, seen) {
        Target::Held | Target::WrongLock(_) if !ours.native => {
            lock_for_itself(format!("the step holds a lock beside that of {held}"))
        }
        Target::Held if lock_flags.on && !lock_flags.off => refused(
            format!("`{subcommand}` is told to lock {held}, whose lock this step holds already"),
            "leave -lock=true out: it would wait for the lock of its own run",
        ),
        Target::Held => Verdict::Unlocked {
            timeout: Call::lock_timeout(words),
            off: lock_flags.off,
        },
        Target::Other(description) => lock_for_itself(format!(
            "it works on {description}, and this step holds the lock of {held}"
        )),
        Target::Unclear(why) => {
            lock_for_itself(format!("it is unknown whether it works on {held}: {why}"))
        }
        Target::Unprotected(description) => refused(
            format!(
                "`{subcommand}` would run without any lock: it works on {description}, whose backend sets neither use_lockfile nor dynamodb_table"
            ),
            "set use_lockfile = true in its backend, and run init again",
        ),
        Target::WrongLock(why) => refused(
            format!(
                "`{subcommand}` works on {held}, but not under the lock that this step holds: {why}"
            ),
            "make the backend and the step agree, and run init again",
        ),
    }
}

/// Refuses a rescued state's push into another state than the one it was rescued from.
fn push_to_other_state(ours: &Ours, call: &Call, seen: &CallContext) -> Option<Verdict> {
    if ours.to_repair.is_empty() || call.subcommand() != "state push" {
        return None;
    }
    let wanted = ours.to_repair.join(", ");
    let reason = match state(call, seen) {
        Some(state) => {
            let found = format!("{}/{}", state.bucket, state.key);
            if ours.to_repair.contains(&found) {
                return None;
            }
            format!(
                "`state push` would write s3://{found}, workspace `{}`",
                state.workspace
            )
        }
        None => "the state that `state push` would write is unknown".to_owned(),
    };
    Some(refused(
        format!("{reason}; the state that was rescued belongs to s3://{wanted}"),
        "run it in the folder of that state, after init and `workspace select` of its workspace",
    ))
}

#[cfg(test)]
pub(super) mod tests;
