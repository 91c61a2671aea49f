//! The GitHub Deployment that mirrors a record.

use crate::mirrored::Mirrored;
use github::{Deployment, GitHub, NewDeployment, State, Unknown};
use ledger::{Record, Verdict};
use serde_json::json;

/// Makes sure that the record has a deployment with a status, and that the earlier live deployment
/// is inactive. Existing parts are not created again, so a run that stopped halfway is completed by
/// the next.
pub(super) async fn mirror(github: &GitHub, record: &Record, hash: &str) -> Result<u64, Unknown> {
    let deployments = github.deployments(&record.environment).await?;
    let description = format!("{} {}", record.verdict, record.digest);
    let id = match deployments.iter().find(|found| mirrors(found, hash)) {
        Some(found) => found.id,
        None => {
            let payload = json!(Mirrored::of(record, hash));
            github
                .create_deployment(&NewDeployment::new(
                    record.commit.as_str(),
                    &record.environment,
                    &description,
                    payload,
                ))
                .await?
                .id
        }
    };
    if github.deployment_status(id).await?.is_none() {
        let state = match record.verdict {
            Verdict::Healthy => State::Success,
            _ => State::Failure,
        };
        github
            .set_deployment_status(id, state, &description, record.run.as_deref())
            .await?;
    }
    if record.verdict == Verdict::Healthy {
        retire(github, &deployments, id, &record.service).await?;
    }
    Ok(id)
}

/// Sets the newest live deployment before `id` of the same service to inactive. GitHub does this
/// itself, but not for production environments.
async fn retire(
    github: &GitHub,
    deployments: &[Deployment],
    id: u64,
    service: &str,
) -> Result<(), Unknown> {
    let earlier = deployments
        .iter()
        .filter(|found| found.id < id && is_of(found, |it| it.service == service));
    for found in earlier {
        let status = github.deployment_status(found.id).await?;
        match status.as_ref().map(|status| status.state.as_str()) {
            Some("success") => {
                github
                    .set_deployment_status(found.id, State::Inactive, "replaced", None)
                    .await?;
                return Ok(());
            }
            // The earlier ones were set together with this one.
            Some("inactive") => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

fn mirrors(deployment: &Deployment, hash: &str) -> bool {
    is_of(deployment, |it| it.hash == hash)
}

fn is_of(deployment: &Deployment, which: impl Fn(&Mirrored) -> bool) -> bool {
    Mirrored::read(deployment).is_some_and(|it| which(&it))
}
