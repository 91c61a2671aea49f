//! The replicas of an image. Each is brought about independently: a replica that fails is reported at the end, and does not
//! keep the others from getting the image.

use crate::decide;
use crate::destinations;
use crate::ecr::{Ecr, by_tag};
use crate::primary::Primary;
use crate::push::{self, Outcome, Target};
use crate::repository::{self, Prepared, Wanted};
use futures_util::future::join_all;
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, Result};
use net::Net;
use std::collections::BTreeMap;

/// A replica of a publication, as far as it could be observed.
pub(crate) struct Replica {
    /// Repository and destination, for people.
    pub(crate) name: String,
    pub(crate) found: Result<Found>,
}

/// The repository that a replica goes to, before anything is changed.
pub(crate) struct Found {
    ecr: Ecr,
    prepared: Prepared,
    /// The digests that the wanted tags name there.
    tags: BTreeMap<String, Digest>,
}

/// Observes all destinations at once.
pub(crate) async fn observe(
    cx: &Cx,
    net: &Net,
    primary: &Primary,
    to: &[net::Target],
    wanted: &Wanted,
    tags: &[String],
) -> Vec<Replica> {
    join_all(to.iter().map(async |target| Replica {
        name: destinations::name(&primary.repository, target, &primary.target),
        found: find(cx, net, primary, target, wanted.clone(), tags).await,
    }))
    .await
}

async fn find(
    cx: &Cx,
    net: &Net,
    primary: &Primary,
    target: &net::Target,
    wanted: Wanted,
    tags: &[String],
) -> Result<Found> {
    let ecr = Ecr::new(&net.account(target).await?, primary.repository.clone());
    let prepared =
        repository::prepare(cx, net, &ecr, wanted, primary.ledger.as_ref(), false).await?;
    let tags = by_tag(&ecr.tagged_if_there(tags).await?);
    Ok(Found {
        ecr,
        prepared,
        tags,
    })
}

/// Checks that the tags can be put in all repositories that could be observed. `digest` is the image's, where it is known
/// before it is built.
///
/// # Errors
/// One cannot move and names another image (exit 3).
pub(crate) fn free(
    replicas: &[Replica],
    tags: &[String],
    digest: Option<&Digest>,
    commit: &str,
) -> Result<()> {
    for replica in replicas {
        let Ok(found) = &replica.found else { continue };
        let Some(mutability) = found.prepared.mutability() else {
            continue;
        };
        decide::replica(tags, &found.tags, digest, mutability, commit)
            .map_err(|error| error.naming(&replica.name))?;
    }
    Ok(())
}

/// The replicas, for a plan.
///
/// # Errors
/// One could not be observed.
pub(crate) fn planned(replicas: Vec<Replica>) -> Result<Vec<String>> {
    replicas
        .into_iter()
        .map(|replica| match replica.found {
            Ok(found) => Ok(found.ecr.location()),
            Err(error) => Err(error.naming(&replica.name)),
        })
        .collect()
}

/// Makes the repositories ready to be pushed to. Those that cannot be made ready are failures already.
pub(crate) async fn ready(
    cx: &Cx,
    net: &Net,
    replicas: Vec<Replica>,
) -> (Vec<Target>, Vec<Outcome>) {
    let made = join_all(
        replicas
            .into_iter()
            .map(async |replica| (replica.name, make(cx, net, replica.found).await)),
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
    // The tags are put once the primary repository has its own: see `tag`.
    let mut target = Target::new(found.ecr.repo(net).await?, Vec::new());
    target.created = ready.fresh;
    target.earlier = found.ecr.newest().await;
    Ok(target)
}

/// A replica that failed, by its name.
pub(crate) fn fail(name: String, error: Error) -> Outcome {
    Outcome {
        result: Err(error.naming(&name)),
        name,
    }
}

/// Puts the tags where the image arrived. It is only called once the primary repository is tagged: a run that ends in between
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
                        outcome.result = Err(error.naming(&outcome.name));
                    }
                }
                outcome
            }),
    )
    .await
}

fn another(there: &Digest, digest: &Digest) -> Error {
    Error::failed(format!(
        "it got {there}, but the primary repository got {digest}"
    ))
    .hint("publish to the primary repository alone, and copy from there: slipway-image copy")
}
