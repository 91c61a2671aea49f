//! The digest that Terraform keeps of a state beside its lock: whether it is the state's, and how to repair it. The decision is pure.

use super::seen::{Known, Looked, Verdict};
use super::{Change, args, change_digest, item, report, verify_written};
use crate::backend::Hold;
use crate::hold::{self, HeldLock, held};
use crate::locate;
use crate::lock::Item;
use crate::object::{Found, Objects, StateFile, kept_digest};
use kit::error::{Error, Result};
use kit::report::Report;
use kit::signal::unless_interrupted;
use kit::step::Cx;

/// The number of versions that are compared with the digest.
const BACK: usize = 50;

pub(super) fn judge(found: &Found, kept: Option<&str>, known: &[Known]) -> Verdict {
    let of_digest = || {
        known.iter().find_map(|known| {
            let state = known.state.as_ref()?;
            (Some(state.digest().as_str()) == kept)
                .then(|| (known.version.id.clone(), state.state_version()))
        })
    };
    let state = match found {
        Found::Other(stored, why) if !stored.bytes.is_empty() => {
            return Verdict::NotAState(why.clone(), of_digest());
        }
        found => found.state(),
    };
    match (state, kept) {
        (None, None) => Verdict::Nothing,
        (None, Some(_)) => Verdict::NoState(of_digest()),
        (Some(_), None) => Verdict::Missing,
        (Some(state), Some(kept)) if state.digest() == kept => Verdict::Same,
        (Some(_), Some(_)) => Verdict::Other(of_digest()),
    }
}

/// Returns true if the digest of the current state may be written without a person's consent: the state follows the one that
/// the digest belongs to, so the write of its digest was lost.
fn follows(state: &StateFile, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Missing => true,
        Verdict::Other(Some((_, before))) => {
            before.lineage == state.lineage && before.serial < state.serial
        }
        _ => false,
    }
}

async fn look(objects: &Objects, item: &Item) -> Result<Looked> {
    let found = objects.find(None).await?;
    let kept = kept_digest(item).await?;
    let same = found.state().map(StateFile::digest) == kept;
    let known = match same || kept.is_none() {
        true => Vec::new(),
        false => objects.known(BACK).await?,
    };
    let verdict = judge(&found, kept.as_deref(), &known);
    Ok(Looked {
        found,
        kept,
        verdict,
    })
}

/// # Errors
/// They differ (exit 3), or AWS's.
pub(crate) async fn verify(args: args::Verify, cx: &Cx) -> Result<Report> {
    let located = locate::of(&args.state, cx)?;
    let opened = hold::open(&located, Hold::Native, cx).await?;
    let item = item(opened.lock.item(), "verify")?;
    let objects = Objects::of(&located, &opened.access.state, cx);
    let looked = look(&objects, item).await?;
    report::verified(&objects, &looked)
}

/// # Errors
/// Nothing proves that the state as it is, is the right one (exit 3), or AWS's.
pub(crate) async fn repair(args: args::Repair, cx: &Cx) -> Result<Report> {
    let located = locate::of(&args.locked.state, cx)?;
    held(
        "repair-digest",
        &located,
        &args.locked.wait,
        cx,
        async |held: &mut HeldLock<'_>| {
            let objects = Objects::of(&located, held.state_account(), cx);
            let item = item(held.lock().item(), "repair")?.clone();
            let looked = unless_interrupted(look(&objects, &item)).await?;
            let change = match decide(&looked, args.accept_current) {
                Decision::Nothing => return report::verified(&objects, &looked),
                Decision::Unproven => return Err(report::unproven(&objects, &looked)),
                Decision::Change(change) => change,
            };
            held.renew_lease().await?;
            change_digest(held, &item, change).await.map_err(|error| {
                error.hint(format!(
                    "compare state and digest: {}",
                    objects.command("verify-digest")
                ))
            })?;
            match looked.found.state() {
                Some(state) => verify_written(&objects, Some(&item), state).await?,
                None => refuse_if_present(&objects, &item).await?,
            }
            Ok(report::repaired(&objects.name(), &looked))
        },
    )
    .await
}

/// The change that a digest needs.
enum Decision<'a> {
    /// The digest is right, or it cannot be corrected here.
    Nothing,
    /// It is unknown which of the two is right.
    Unproven,
    Change(Change<'a>),
}

fn decide(looked: &Looked, accept_current: bool) -> Decision<'_> {
    let kept = looked.kept.as_deref();
    match (&looked.verdict, looked.found.state(), kept) {
        (Verdict::Nothing | Verdict::Same | Verdict::NotAState(..), ..) => Decision::Nothing,
        (verdict, Some(state), kept) if accept_current || follows(state, verdict) => {
            Decision::Change(Change::Replace(kept, state))
        }
        (_, None, Some(kept)) if accept_current => Decision::Change(Change::Remove(kept)),
        _ => Decision::Unproven,
    }
}

/// Looks at the source: there is neither a state nor a digest.
///
/// # Errors
/// There is one (exit 1).
async fn refuse_if_present(objects: &Objects, item: &Item) -> Result<()> {
    if objects.read().await?.is_some() || kept_digest(item).await?.is_some() {
        return Err(Error::failed(format!(
            "{} was written while its digest was removed",
            objects.name()
        ))
        .hint("somebody writes without the lock: find out who before going on"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::seen::Version;
    use super::*;
    use crate::object::Stored;

    fn state(serial: u64, lineage: &str) -> StateFile {
        let text = format!(r#"{{"serial":{serial},"lineage":"{lineage}"}}"#);
        StateFile::parse(text.into()).unwrap()
    }

    fn found(state: &StateFile) -> Found {
        let stored = stored(&state.bytes);
        Found::State(state.clone(), stored)
    }

    fn stored(bytes: &[u8]) -> Stored {
        Stored {
            bytes: bytes.to_vec(),
            etag: None,
            version: None,
        }
    }

    fn known(serial: u64, lineage: &str) -> Known {
        Known {
            version: Version {
                id: format!("v{serial}"),
                when: None,
                latest: false,
                deleted: false,
            },
            state: Some(state(serial, lineage)),
        }
    }

    #[test]
    fn a_lost_digest_is_distinguished_from_a_replaced_state() {
        let now = state(5, "l");
        let history = [known(5, "l"), known(4, "l"), known(9, "l"), known(3, "m")];
        let kept = |serial, lineage: &str| Some(state(serial, lineage).digest());
        for (digest, follows_it) in [
            (None, true),
            // The write before the last one: its successor's digest was lost.
            (kept(4, "l"), true),
            // A newer one: an older state was restored.
            (kept(9, "l"), false),
            (kept(3, "m"), false),
            (kept(8, "l"), false),
        ] {
            let verdict = judge(&found(&now), digest.as_deref(), &history);
            assert_ne!(verdict, Verdict::Same);
            assert_eq!(follows(&now, &verdict), follows_it, "{verdict:?}");
        }
        let digest = now.digest();
        assert_eq!(judge(&found(&now), Some(&digest), &[]), Verdict::Same);
        assert_eq!(judge(&Found::Nothing, None, &[]), Verdict::Nothing);
        let gone = judge(&Found::Nothing, Some(&digest), &history);
        assert_eq!(
            gone,
            Verdict::NoState(Some(("v5".into(), now.state_version())))
        );
        assert!(!follows(&now, &gone));
    }

    #[test]
    fn a_digest_is_removed_only_without_a_state_and_with_a_persons_consent() {
        let looked = |found: Found, kept: Option<&str>| Looked {
            verdict: judge(&found, kept, &[]),
            found,
            kept: kept.map(str::to_owned),
        };
        let empty = || Found::Other(stored(b""), "it is empty".into());
        let garbage = || Found::Other(stored(b"<html>"), "expected value".into());
        for (found, accepted, wanted) in [
            (Found::Nothing, true, "remove d"),
            (Found::Nothing, false, "unproven"),
            (empty(), true, "remove d"),
            (empty(), false, "unproven"),
            (garbage(), true, "nothing"),
            (found(&state(5, "l")), true, "replace d"),
            (found(&state(5, "l")), false, "unproven"),
        ] {
            let looked = looked(found, Some("d"));
            let decided = match decide(&looked, accepted) {
                Decision::Nothing => "nothing".to_owned(),
                Decision::Unproven => "unproven".to_owned(),
                Decision::Change(Change::Remove(seen)) => format!("remove {seen}"),
                Decision::Change(Change::Replace(seen, _)) => {
                    format!("replace {}", seen.unwrap_or("none"))
                }
                Decision::Change(Change::Write(_)) => "write".to_owned(),
            };
            assert_eq!(decided, wanted, "{looked:?}");
        }
    }
}
