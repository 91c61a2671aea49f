//! `retag`: tags for an image that is there, by its digest and its very bytes.

use crate::args;
use crate::decide;
use crate::ecr::{Ecr, by_tag};
use crate::place::Place;
use crate::push::{self, Target};
use crate::report;
use crate::request::{self, Tags};
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;

pub(crate) async fn run(args: args::Retag, cx: &Cx) -> Result<Report> {
    let digest = request::digest(args.digest)?;
    let place = Place::new(&args.place, cx)?;
    let tags = Tags::new(args.tag, &place.repository)?;
    if tags.names.is_empty() {
        return Err(Error::usage("there is no tag to put").hint("give --tag TAG, one for each"));
    }
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&place.target).await?, place.repository);
    let Some(seen) = ecr.describe().await? else {
        return Err(Error::usage(format!(
            "account {} has no repository {} in {}",
            ecr.account, ecr.repository, ecr.region
        ))
        .hint("check --repository and the region"));
    };
    let repo = ecr.repo(&net).await?;
    tags.are_of(repo.client.host())?;
    let tags = tags.names;
    // All are looked at before the first is put.
    let there = by_tag(ecr.tagged(&tags).await?);
    decide::free(&tags, &there, &digest, &seen.mutability)?;
    let add: Vec<String> = tags
        .iter()
        .filter(|tag| there.get(*tag).map(String::as_str) != Some(digest.as_str()))
        .cloned()
        .collect();
    let target = Target::new(repo, add);
    match args.dry_run {
        true => push::needed(&target.repo, &digest).await?,
        false => push::retag(&target, &digest).await?,
    };
    Ok(report::retag(&target, &digest, &tags, args.dry_run))
}
