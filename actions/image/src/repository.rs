//! The repository: created on demand, never by the infrastructure stack, so that environments can
//! be torn down while the images stay.

use crate::args;
use crate::decide::{self, Mutability, RepositoryPlan};
use crate::ecr::Ecr;
use crate::place::Place;
use crate::pull::{self, Pull};
use crate::{report, request};
use kit::step::Cx;
use kit::{Error, Report, Result};
use net::Net;
use std::collections::BTreeSet;
use std::time::Duration;

/// The repository after what had to be done was done.
pub(crate) struct Ready {
    pub(crate) mutability: Mutability,
    pub(crate) created: bool,
}

pub(crate) async fn run(args: args::Repository, cx: &Cx) -> Result<Report> {
    let place = Place::new(&args, cx)?;
    let net = Net::new(cx)?;
    let ecr = Ecr::new(&net.account(&place.target).await?, place.repository);
    let seen = ecr.describe().await?;
    let pull = pull(&ecr, place.pull, seen.is_some()).await?;
    let plan = decide::repository(seen.as_ref());
    if args.dry_run {
        return Ok(report::repository(&ecr, &plan, &pull, None));
    }
    ensure(cx, &ecr, seen, &pull).await?;
    let registry = ecr.registry().await?;
    Ok(report::repository(&ecr, &plan, &pull, Some(&registry.host)))
}

/// Who is to pull, and whether the repository's policy has to be written for it. The
/// repository's own account needs no policy.
pub(crate) async fn pull(ecr: &Ecr, mut accounts: BTreeSet<String>, exists: bool) -> Result<Pull> {
    accounts.remove(&ecr.account);
    let seen = match exists && !accounts.is_empty() {
        true => ecr.policy().await?,
        false => None,
    };
    let write = pull::policy(&ecr.partition, &accounts, seen.as_deref())?.is_some();
    Ok(Pull { accounts, write })
}

/// Creates the repository unless it was `seen`, and lets accounts pull from it.
pub(crate) async fn ensure(
    cx: &Cx,
    ecr: &Ecr,
    seen: Option<Mutability>,
    pull: &Pull,
) -> Result<Ready> {
    warn(cx, ecr, &decide::repository(seen.as_ref()));
    let ready = match seen {
        Some(mutability) => Ready {
            mutability,
            created: false,
        },
        None => {
            let (mutability, created) = ecr.create(request::source(cx).as_deref()).await?;
            if created {
                cx.host.info(format!(
                    "created repository {} in account {}, {}",
                    ecr.repository, ecr.account, ecr.region
                ));
            }
            Ready {
                mutability,
                created,
            }
        }
    };
    if pull.write {
        allow(cx, ecr, &pull.accounts).await?;
    }
    Ok(ready)
}

/// Reads the policy anew before it writes, so that little time is left in which a statement that
/// somebody else adds would be lost: ECR has no conditional write.
async fn allow(cx: &Cx, ecr: &Ecr, accounts: &BTreeSet<String>) -> Result<()> {
    let wanted = async || {
        let seen = ecr.policy().await?;
        pull::policy(&ecr.partition, accounts, seen.as_deref())
    };
    let Some(policy) = wanted().await? else {
        return Ok(());
    };
    ecr.set_policy(&policy).await?;
    let names = report::list(accounts);
    for pause in [0, 500, 1000, 2000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if wanted().await?.is_none() {
            cx.host
                .info(format!("repository {} lets {names} pull", ecr.repository));
            return Ok(());
        }
    }
    Err(Error::failed(format!(
        "the policy of repository {} was written but does not let {names} pull",
        ecr.repository
    ))
    .hint("somebody else may have written it at the same time; run the step again"))
}

fn warn(cx: &Cx, ecr: &Ecr, plan: &RepositoryPlan) {
    if let RepositoryPlan::Keep { drift } = plan {
        for difference in drift {
            cx.host.warn(format!(
                "repository {}: {difference}; to change it: aws ecr put-image-tag-mutability --repository-name {} --image-tag-mutability IMMUTABLE",
                ecr.repository, ecr.repository
            ));
        }
    }
}
