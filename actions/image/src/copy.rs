//! `copy`: an image by its digest, with what refers to it, to other repositories, regions and accounts.

use crate::args::{self, Settings};
use crate::ecr::{Ecr, by_tag};
use crate::place::Place;
use crate::push::{self, Target};
use crate::repository::{self, Wanted};
use crate::request::{given, source, tags};
use crate::{decide, elsewhere, report, request};
use kit::id::Digest;
use kit::step::{Cx, required};
use kit::{Error, Report, Result};
use net::Net;

pub(crate) async fn run(args: args::Copy, cx: &Cx) -> Result<Report> {
    let digest = Digest::parse(&required("digest", args.digest, None)?)?;
    let tags = tags(args.tag)?;
    let place = Place::new(&args.place, cx)?;
    let to = match args.to_repository {
        Some(name) => request::repository(Some(name), None)?,
        None => place.repository.clone(),
    };
    let mut places = elsewhere::targets(&given(args.elsewhere.to), &place.target)?;
    if places.is_empty() {
        if to == place.repository {
            return Err(Error::usage("the copy would go where the image is already")
                .hint("name --to-repository, or a further place with --to"));
        }
        places.push(place.target.clone());
    }
    let wanted = Wanted::new(Settings::default(), &place, source(cx))?;
    let net = Net::new(cx)?;
    let home = Ecr::new(&net.account(&place.target).await?, place.repository.clone());
    let source = home.repo(&net).await?;
    let mut homes = Vec::new();
    for target in &places {
        let ecr = Ecr::new(&net.account(target).await?, to.clone());
        let missing = match ecr.describe().await? {
            Some(seen) => {
                let there = ecr.tagged(&tags).await?;
                decide::free(&tags, &by_tag(there), &digest, &seen.mutability)?;
                None
            }
            None => Some(repository::prepare(cx, &net, &ecr, wanted.clone(), None, false).await?),
        };
        homes.push((ecr, missing));
    }
    let created: Vec<String> = homes
        .iter()
        .filter(|(_, missing)| missing.is_some())
        .map(|(ecr, _)| ecr.place())
        .collect();
    // Nothing is created for an image that is not there.
    push::needed(&source, &digest).await?;
    let mut targets = Vec::new();
    for (ecr, missing) in &homes {
        let same = ecr.account == home.account && ecr.region == home.region;
        // One client for one registry, so that it sees whether a blob can be mounted and keeps to one pace.
        let repo = match same {
            true => source.client.repo(&to),
            false => ecr.repo(&net).await?,
        };
        let mut target = Target::new(repo, tags.clone());
        if let (Some(missing), false) = (missing, args.dry_run) {
            target.created = repository::ensure(cx, ecr, missing).await?.created;
        }
        targets.push(target);
    }
    let copy = report::Copy {
        from: &source.reference(),
        digest: &digest,
        tags: &tags,
        targets: &targets,
        created: &created,
    };
    if args.dry_run {
        return Ok(report::copy_plan(&copy));
    }
    let copied = push::all(push::copy(&cx.host, &source, &digest, &targets).await?)?;
    Ok(report::copy(&copy, &copied))
}
