//! `retag`: tags for an image that is there, by its digest and its very bytes.

use crate::args;
use crate::decide;
use crate::ecr::{Ecr, by_tag};
use crate::input;
use crate::primary::Primary;
use crate::push::{self, Target};
use crate::report;
use crate::tags::Tags;
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;

pub(crate) async fn run(args: args::Retag, cx: &Cx) -> Result<Report> {
    let digest = input::digest(args.digest)?;
    let primary = Primary::new(&args.repository, cx)?;
    let tags = Tags::new(args.tag, &primary.repository)?;
    if tags.names.is_empty() {
        return Err(Error::usage("no tag is given").hint("give --tag TAG, one for each"));
    }
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&primary.target).await?, primary.repository);
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
    let there = by_tag(&ecr.tagged(&tags).await?);
    decide::free(&tags, &there, &digest, &seen.mutability)?;
    let add: Vec<String> = tags
        .iter()
        .filter(|tag| there.get(*tag) != Some(&digest))
        .cloned()
        .collect();
    let target = Target::new(repo, add);
    match args.dry_run {
        true => push::needed(&target.repo, &digest).await?,
        false => push::retag(&target, &digest).await?,
    };
    Ok(report::retag(&target, &digest, &tags, args.dry_run))
}
