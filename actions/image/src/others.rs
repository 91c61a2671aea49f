//! The further places of an image, each for itself: what fails at one is told at the end and keeps no other from its image.

use crate::decide;
use crate::ecr::{Ecr, by_tag};
use crate::elsewhere;
use crate::place::Place;
use crate::push::{self, Outcome, Target};
use crate::repository::{self, Prepared, Wanted};
use futures_util::future::join_all;
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, Result};
use net::Net;
use std::collections::BTreeMap;

/// A further place of a publication, as far as it could be looked at.
pub(crate) struct Other {
    /// Repository and place, for people.
    pub(crate) name: String,
    pub(crate) found: Result<Found>,
}

/// What was seen at a place.
pub(crate) struct Found {
    ecr: Ecr,
    prepared: Prepared,
    /// What the wanted tags name there.
    tags: BTreeMap<String, String>,
}

/// Looks at all places at once.
pub(crate) async fn observe(
    cx: &Cx,
    net: &Net,
    place: &Place,
    to: &[net::Target],
    wanted: &Wanted,
    tags: &[String],
) -> Vec<Other> {
    join_all(to.iter().map(async |target| Other {
        name: elsewhere::name(&place.repository, target, &place.target),
        found: find(cx, net, place, target, wanted.clone(), tags).await,
    }))
    .await
}

async fn find(
    cx: &Cx,
    net: &Net,
    place: &Place,
    target: &net::Target,
    wanted: Wanted,
    tags: &[String],
) -> Result<Found> {
    let ecr = Ecr::new(&net.account(target).await?, place.repository.clone());
    let prepared = repository::prepare(cx, net, &ecr, wanted, place.ledger.as_ref(), false).await?;
    let tags = by_tag(ecr.tagged_if_there(tags).await?);
    Ok(Found {
        ecr,
        prepared,
        tags,
    })
}

/// Whether the tags can be put at all places that could be looked at. `digest` is the image's, where it is known before it
/// is built.
///
/// # Errors
/// One cannot move and names another image (exit 3).
pub(crate) fn free(
    others: &[Other],
    tags: &[String],
    digest: Option<&str>,
    commit: &str,
) -> Result<()> {
    for other in others {
        let Ok(found) = &other.found else { continue };
        let Some(mutability) = found.prepared.mutability() else {
            continue;
        };
        decide::elsewhere(tags, &found.tags, digest, mutability, commit)
            .map_err(|error| push::named(&other.name, error))?;
    }
    Ok(())
}

/// The places, for a plan.
///
/// # Errors
/// One could not be looked at.
pub(crate) fn planned(others: Vec<Other>) -> Result<Vec<String>> {
    others
        .into_iter()
        .map(|other| match other.found {
            Ok(found) => Ok(found.ecr.place()),
            Err(error) => Err(push::named(&other.name, error)),
        })
        .collect()
}

/// Makes the places ready to be pushed to. Those that are not are failures already.
pub(crate) async fn ready(cx: &Cx, net: &Net, others: Vec<Other>) -> (Vec<Target>, Vec<Outcome>) {
    let made = join_all(
        others
            .into_iter()
            .map(async |other| (other.name, make(cx, net, other.found).await)),
    );
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for (name, made) in made.await {
        match made {
            Ok(target) => targets.push(target),
            Err(error) => failed.push(fail(name, error)),
        }
    }
    (targets, failed)
}

async fn make(cx: &Cx, net: &Net, found: Result<Found>) -> Result<Target> {
    let found = found?;
    let ready = repository::ensure(cx, &found.ecr, &found.prepared).await?;
    // The tags are put when the repository itself has its own: see `tag`.
    let mut target = Target::new(found.ecr.repo(net).await?, Vec::new());
    target.created = ready.fresh;
    target.earlier = found.ecr.newest().await;
    Ok(target)
}

/// A place that failed, by its name.
pub(crate) fn fail(name: String, error: Error) -> Outcome {
    Outcome {
        result: Err(push::named(&name, error)),
        name,
    }
}

/// Puts the tags where the image arrived. It is only called once the repository itself is tagged: a run that ends in between
/// leaves no tag behind that a later build would contradict.
pub(crate) async fn tag(
    targets: &[Target],
    outcomes: Vec<Outcome>,
    tags: &[String],
    digest: &Digest,
) -> Vec<Outcome> {
    join_all(
        targets
            .iter()
            .zip(outcomes)
            .map(async |(target, mut outcome)| {
                if let Ok(delivered) = &outcome.result {
                    let tagged = match delivered.manifest.digest == *digest {
                        true => push::tag(&target.repo, tags, &delivered.manifest).await,
                        false => Err(another(&delivered.manifest.digest, digest)),
                    };
                    if let Err(error) = tagged {
                        outcome.result = Err(push::named(&outcome.name, error));
                    }
                }
                outcome
            }),
    )
    .await
}

fn another(there: &Digest, digest: &Digest) -> Error {
    Error::failed(format!(
        "it got {there}, and the repository itself {digest}"
    ))
    .hint("publish to one place and copy from there: slipway-image copy")
}
