//! `copy`: an image by its digest, with what refers to it, to other repositories, regions and accounts.

use crate::args::{self, Settings};
use crate::decide::{self, Mutability};
use crate::ecr::{Ecr, by_tag};
use crate::input::{self, given, source};
use crate::primary::Primary;
use crate::push::{self, Target};
use crate::registry::Repo;
use crate::repository::{self, Prepared, Wanted};
use crate::tags::Tags;
use crate::{replicas, report};
use futures_util::future::join_all;
use kit::id::Digest;
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;
use std::collections::BTreeMap;

pub(crate) async fn run(args: args::Copy, cx: &Cx) -> Result<Report> {
    let digest = input::digest(args.digest)?;
    let primary = Primary::new(&args.repository, cx)?;
    let to = match args.to_repository {
        Some(name) => input::repository(Some(name), None)?,
        None => primary.repository.clone(),
    };
    let tags = Tags::new(args.tag, &to)?;
    let mut destinations =
        crate::destinations::targets(&given(args.destinations.to), &primary.target)?;
    if destinations.is_empty() {
        if to == primary.repository {
            return Err(
                Error::usage("source and destination of the copy are the same")
                    .hint("give --to-repository NAME, or a destination with --to"),
            );
        }
        destinations.push(primary.target.clone());
    }
    let tags = tags.without_registry()?;
    let wanted = Wanted::new(Settings::default(), &primary, source(cx))?;
    let net = Net::new(cx)?;
    let primary_ecr = Ecr::new(
        &net.account(&primary.target).await?,
        primary.repository.clone(),
    );
    let source = primary_ecr.repo(&net).await?;
    let seen = join_all(destinations.iter().map(async |target| {
        let found = find(cx, &net, target, &to, &wanted, &tags).await;
        (
            crate::destinations::name(&to, target, &primary.target),
            found,
        )
    }))
    .await;
    for (name, found) in &seen {
        if let Ok(found) = found
            && let Some(mutability) = &found.mutability
        {
            decide::free(&tags, &found.tags, &digest, mutability)
                .map_err(|error| error.naming(name))?;
        }
    }
    // Nothing is created for an image that is not there.
    push::needed(&source, &digest).await?;
    let made = join_all(seen.into_iter().map(async |(name, found)| {
        let made = make(cx, &net, &primary_ecr, &source, found, &tags, args.dry_run).await;
        (name, made)
    }))
    .await;
    let (mut targets, mut created, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, made) in made {
        match made {
            Ok((target, missing)) => {
                targets.push(target);
                created.extend(missing);
            }
            Err(error) => failed.push(replicas::fail(name, error)),
        }
    }
    let copy = report::Copy {
        from: &source.reference(),
        digest: &digest,
        tags: &tags,
        targets: &targets,
        created: &created,
    };
    if args.dry_run {
        push::all(failed)?;
        return Ok(report::copy_plan(&copy));
    }
    let mut outcomes = push::copy(&cx.host, &source, &digest, &targets).await?;
    outcomes.extend(failed);
    let copied = push::all(outcomes)?;
    Ok(report::copy(&copy, &copied))
}

/// The repository of one destination, before anything is changed.
struct Found {
    ecr: Ecr,
    /// `None` where the repository is missing.
    mutability: Option<Mutability>,
    /// The repository that is to be created.
    missing: Option<Prepared>,
    tags: BTreeMap<String, Digest>,
}

async fn find(
    cx: &Cx,
    net: &Net,
    target: &net::Target,
    to: &str,
    wanted: &Wanted,
    tags: &[String],
) -> Result<Found> {
    let ecr = Ecr::new(&net.account(target).await?, to.to_owned());
    match ecr.describe().await? {
        Some(seen) => Ok(Found {
            tags: by_tag(&ecr.tagged(tags).await?),
            ecr,
            mutability: Some(seen.mutability),
            missing: None,
        }),
        None => Ok(Found {
            missing: Some(repository::prepare(cx, net, &ecr, wanted.clone(), None, false).await?),
            ecr,
            mutability: None,
            tags: BTreeMap::new(),
        }),
    }
}

/// The target, and the repository's name where it was, or would be, created.
async fn make(
    cx: &Cx,
    net: &Net,
    primary_ecr: &Ecr,
    source: &Repo,
    found: Result<Found>,
    tags: &[String],
    dry_run: bool,
) -> Result<(Target, Option<String>)> {
    let found = found?;
    let ecr = &found.ecr;
    let same = ecr.account == primary_ecr.account && ecr.region == primary_ecr.region;
    // One client for one registry, so that it sees whether a blob can be mounted and keeps to one rate.
    let repo = match same {
        true => source.client.repo(&ecr.repository),
        false => ecr.repo(net).await?,
    };
    let mut target = Target::new(repo, tags.to_vec());
    if let (Some(missing), false) = (&found.missing, dry_run) {
        target.created = repository::ensure(cx, ecr, missing).await?.fresh;
    }
    Ok((target, found.missing.map(|_| ecr.location())))
}
