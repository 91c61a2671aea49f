//! The digest that Terraform keeps of a state beside its lock: whether it is the state's, and how to
//! make it so. What decides is pure.

use super::versions::Known;
use super::{args, item, report, stands, write_digest};
use crate::args::Hold;
use crate::hold::{self, Holding, held};
use crate::lock::Item;
use crate::object::{Objects, Standing, StateFile, kept_digest};
use crate::place;
use kit::error::Result;
use kit::report::Report;
use kit::signal::unless_interrupted;
use kit::step::Cx;

/// How far back a version is looked for that the digest belongs to.
const BACK: usize = 50;

/// How state and digest stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Neither is there.
    Nothing,
    /// The digest is the state's.
    Same,
    /// There is a state and no digest: Terraform skips its check.
    Missing,
    /// The digest is another state's: the version that is, if one is found.
    Other(Option<(String, Standing)>),
    /// There is a digest and no state.
    NoState(Option<(String, Standing)>),
}

/// What was looked at.
pub(super) struct Looked {
    pub(super) state: Option<StateFile>,
    pub(super) kept: Option<String>,
    pub(super) verdict: Verdict,
}

fn judge(state: Option<&StateFile>, kept: Option<&str>, known: &[Known]) -> Verdict {
    let of_digest = || {
        known.iter().find_map(|known| {
            let state = known.state.as_ref()?;
            (Some(state.digest().as_str()) == kept)
                .then(|| (known.version.id.clone(), state.standing()))
        })
    };
    match (state, kept) {
        (None, None) => Verdict::Nothing,
        (None, Some(_)) => Verdict::NoState(of_digest()),
        (Some(_), None) => Verdict::Missing,
        (Some(state), Some(kept)) if state.digest() == kept => Verdict::Same,
        (Some(_), Some(_)) => Verdict::Other(of_digest()),
    }
}

/// Whether the state as it is may get its digest without anybody's word for it: it follows the one
/// that the digest belongs to, so the digest's write was lost.
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
    let state = objects.read(None).await?;
    let kept = kept_digest(item).await?;
    let same = state.as_ref().map(StateFile::digest) == kept;
    let known = match same || kept.is_none() {
        true => Vec::new(),
        false => objects.known(BACK).await?,
    };
    let verdict = judge(state.as_ref(), kept.as_deref(), &known);
    Ok(Looked {
        state,
        kept,
        verdict,
    })
}

/// # Errors
/// They differ (exit 3), or AWS's.
pub(crate) async fn verify(args: args::Verify, cx: &Cx) -> Result<Report> {
    let placed = place::find(&args.place, &args.object, cx)?;
    let opened = hold::open(&placed, Hold::Native, cx).await?;
    let item = item(&opened.lock.item, "verify")?;
    let objects = Objects::of(&placed, &opened.account, cx);
    let looked = look(&objects, item).await?;
    report::verified(&objects.name(), &looked)
}

/// # Errors
/// Nothing proves that the state as it is, is the right one (exit 3), or AWS's.
pub(crate) async fn repair(args: args::Repair, cx: &Cx) -> Result<Report> {
    let placed = place::find(&args.place, &args.object, cx)?;
    held(
        "repair-digest",
        &placed,
        &args.wait,
        cx,
        async |held: &mut Holding<'_>| {
            let objects = Objects::of(&placed, held.account(), cx);
            let item = item(&held.lock().item, "repair")?.clone();
            let looked = unless_interrupted(look(&objects, &item)).await?;
            let name = objects.name();
            let state = match (&looked.verdict, &looked.state) {
                (Verdict::Nothing | Verdict::Same, _) | (_, None) => {
                    // Says that all is well, or that there is no state to make a digest of.
                    return report::verified(&name, &looked);
                }
                (_, Some(state)) => state,
            };
            if !follows(state, &looked.verdict) && !args.accept_current {
                return Err(report::unproven(&name, &looked));
            }
            held.alive().await?;
            write_digest(held, &item, state).await?;
            stands(&objects, Some(&item), state).await?;
            Ok(report::repaired(&name, &looked, state))
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::super::versions::Version;
    use super::*;

    fn state(serial: u64, lineage: &str) -> StateFile {
        let text = format!(r#"{{"serial":{serial},"lineage":"{lineage}"}}"#);
        StateFile::parse(text.into(), None).unwrap()
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
    fn a_lost_digest_is_told_from_a_state_that_was_put_there() {
        let now = state(5, "l");
        let history = [known(5, "l"), known(4, "l"), known(9, "l"), known(3, "m")];
        let kept = |serial, lineage: &str| Some(state(serial, lineage).digest());
        for (digest, follows_it) in [
            (None, true),
            // The write before the last one: its successor's digest was lost.
            (kept(4, "l"), true),
            // A newer one: somebody put an older state back.
            (kept(9, "l"), false),
            (kept(3, "m"), false),
            (kept(8, "l"), false),
        ] {
            let verdict = judge(Some(&now), digest.as_deref(), &history);
            assert_ne!(verdict, Verdict::Same);
            assert_eq!(follows(&now, &verdict), follows_it, "{verdict:?}");
        }
        let digest = now.digest();
        assert_eq!(judge(Some(&now), Some(&digest), &[]), Verdict::Same);
        assert_eq!(judge(None, None, &[]), Verdict::Nothing);
        let gone = judge(None, Some(&digest), &history);
        assert_eq!(gone, Verdict::NoState(Some(("v5".into(), now.standing()))));
        assert!(!follows(&now, &gone));
    }
}
