//! The repository: created on demand, never by the infrastructure stack, so that environments can
//! be torn down while the images stay.

use crate::args;
use crate::decide::{self, Mutability, RepositoryPlan};
use crate::ecr::Ecr;
use crate::{report, request};
use kit::contract::Resolved;
use kit::step::Cx;
use kit::{Report, Result};
use net::{Net, Purpose, Target};

/// The repository after what had to be done was done.
pub(crate) struct Ready {
    pub(crate) mutability: Mutability,
    pub(crate) created: bool,
}

pub(crate) async fn run(args: args::Repository, cx: &Cx) -> Result<Report> {
    let resolved = cx.resolved()?;
    let name = request::repository(args.repository, resolved.as_ref())?;
    let net = Net::new(cx)?;
    let ecr = open(&net, name, resolved.as_ref()).await?;
    let seen = ecr.describe().await?;
    let plan = decide::repository(seen.as_ref());
    if args.dry_run {
        return Ok(report::repository(&ecr, &plan, None));
    }
    ensure(cx, &ecr, seen).await?;
    let registry = ecr.registry().await?;
    Ok(report::repository(&ecr, &plan, Some(&registry.host)))
}

/// The repository in the build account, or in whatever account the caller is in.
pub(crate) async fn open(net: &Net, name: String, resolved: Option<&Resolved>) -> Result<Ecr> {
    let target = resolved.map_or_else(Target::ambient, |resolved| {
        Target::of(resolved, Purpose::Publish)
    });
    Ok(Ecr::new(&net.account(&target).await?, name))
}

/// Creates the repository unless it was `seen`.
pub(crate) async fn ensure(cx: &Cx, ecr: &Ecr, seen: Option<Mutability>) -> Result<Ready> {
    warn(cx, ecr, &decide::repository(seen.as_ref()));
    match seen {
        Some(mutability) => Ok(Ready {
            mutability,
            created: false,
        }),
        None => {
            let (mutability, created) = ecr.create(request::source(cx).as_deref()).await?;
            if created {
                cx.host.info(format!(
                    "created repository {} in account {}, {}",
                    ecr.repository, ecr.account, ecr.region
                ));
            }
            Ok(Ready {
                mutability,
                created,
            })
        }
    }
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
