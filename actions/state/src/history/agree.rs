//! State and digest, held against each other where a tool works on the state. Terraform refuses a state whose digest is another
//! one's, and says nothing of one that has no digest: a run that was killed between the two writes left it so, and the next apply
//! would find it out only after it changed something.

use super::digest::judge;
use super::seen::Verdict;
use crate::lock::Lock;
use crate::object::{Found, Objects, StateFile, kept_digest};
use kit::error::{Error, Result};
use kit::signal::unless_interrupted;
use kit::step::Cx;

/// Checks, under the lock, that the state is the one that the digest was written for.
///
/// # Errors
/// State and digest do not agree (exit 3), or AWS's.
pub(crate) async fn require_agreement(objects: &Objects, lock: &Lock) -> Result<()> {
    match disagreement(objects, lock).await? {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Warns of a state without a digest where nothing is locked and nothing will be written. A digest that differs is the tool's to
/// refuse, because it waits for one that another run is just writing.
pub(crate) async fn warn_of_missing(objects: &Objects, lock: &Lock, cx: &Cx) {
    match disagreement(objects, lock).await {
        Ok(Some((Verdict::Missing, error))) => cx.host.warn(format!(
            "{}; repair it: {}",
            error.line(),
            objects.command("repair-digest")
        )),
        Ok(_) => {}
        Err(error) => cx.host.warn(format!(
            "state and digest of {} were not compared: {}",
            objects.name(),
            error.line()
        )),
    }
}

/// The error of a tool that failed, with the reason that it prints only in its own words: it refuses the state.
pub(crate) async fn explained(error: Error, objects: &Objects, lock: &Lock) -> Error {
    match unless_interrupted(disagreement(objects, lock)).await {
        Ok(Some((Verdict::Other(_) | Verdict::NoState(_), why))) => {
            let error = error.cause(why.line());
            why.hints.into_iter().fold(error, Error::hint)
        }
        // Where it cannot be compared, the tool's error stands for itself.
        _ => error,
    }
}

async fn disagreement(objects: &Objects, lock: &Lock) -> Result<Option<(Verdict, Error)>> {
    let Some(item) = lock.item() else {
        return Ok(None);
    };
    let found = objects.find(None).await?;
    let kept = kept_digest(item).await?;
    let verdict = judge(&found, kept.as_deref(), &[]);
    let Some(cause) = cause(&found, kept.as_deref(), &verdict) else {
        return Ok(None);
    };
    let error = Error::refused(format!(
        "state and digest of {} do not agree",
        objects.name()
    ))
    .cause(format!("{cause}, in {}", item.table))
    .hint(format!(
        "compare them: {}",
        objects.command("verify-digest")
    ))
    .hint(format!(
        "if a run was killed while it wrote the state: {}",
        objects.command("repair-digest")
    ));
    Ok(Some((verdict, error)))
}

/// The difference between state and digest; `None` where there is none, and for an object that is not a state, which whoever
/// reads it refuses by itself. Pure.
fn cause(found: &Found, kept: Option<&str>, verdict: &Verdict) -> Option<String> {
    let state = found.state();
    let now = state.map(StateFile::digest).unwrap_or_default();
    let serial = state.map(|state| state.serial).unwrap_or_default();
    let kept = kept.unwrap_or_default();
    match verdict {
        Verdict::Nothing | Verdict::Same | Verdict::NotAState(..) => None,
        Verdict::Missing => Some(format!(
            "the digest of the state (serial {serial}, {now}) is missing"
        )),
        Verdict::Other(_) => Some(format!(
            "the digest is {kept}, and that of the state (serial {serial}) is {now}"
        )),
        Verdict::NoState(_) => Some(format!("there is no state, and a digest {kept}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Stored;

    #[test]
    fn a_state_without_its_digest_is_told_from_one_with_another_and_from_none() {
        let stored = |bytes: &[u8]| Stored {
            bytes: bytes.to_vec(),
            etag: None,
            version: None,
        };
        let text = br#"{"serial":5,"lineage":"l"}"#;
        let state = StateFile::parse(text.to_vec()).unwrap();
        let digest = state.digest();
        let there = Found::State(state, stored(text));
        let other = Found::Other(stored(b"<html>"), "expected value".to_owned());
        for (found, kept, wanted) in [
            (&there, Some(digest.as_str()), None),
            (&there, None, Some("is missing")),
            (&there, Some("d"), Some("the digest is d, and that")),
            (&Found::Nothing, Some("d"), Some("no state, and a digest d")),
            (&Found::Nothing, None, None),
            (&other, Some("d"), None),
        ] {
            let cause = cause(found, kept, &judge(found, kept, &[]));
            match (&cause, wanted) {
                (None, None) => {}
                (Some(cause), Some(wanted)) => assert!(cause.contains(wanted), "{cause}"),
                _ => panic!("{cause:?}, not {wanted:?}"),
            }
        }
    }
}
