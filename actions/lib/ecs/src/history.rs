//! The deployments of a service that ECS has records of.

use crate::client::Client;
use crate::convert::arn;
use crate::error::Error;
use aws_sdk_ecs::types::ContainerImage;
use kit::aws::{Arn, TaskDefinitionArn};
use std::collections::BTreeMap;

/// A revision of a service, as far as ECS shows it.
#[derive(Debug, Clone, Default)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// Its task definition.
    pub task_definition: Option<TaskDefinitionArn>,
    /// The digest of each container's image.
    pub digests: BTreeMap<String, String>,
}

/// A deployment that ECS has a record of.
#[derive(Debug, Clone)]
pub struct Past {
    /// ARN of the record.
    pub arn: Arn,
    /// `IN_PROGRESS`, `SUCCESSFUL`, `ROLLBACK_SUCCESSFUL`, …
    pub status: String,
    /// When it was created, in seconds since 1970.
    pub created_at: i64,
    /// The revision that it deployed.
    pub target: Revision,
}

/// The deployments of a service that ECS has records of.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// They, newest first.
    pub deployments: Vec<Past>,
    /// The revision that was in service before the oldest of them, where ECS shows exactly one.
    pub before: Option<Revision>,
}

/// A deployment as ECS lists it.
pub(crate) struct Listed {
    pub(crate) arn: Arn,
    /// ARN of the service revision that it deploys.
    pub(crate) revision: String,
    status: String,
    /// In seconds since 1970.
    created_at: i64,
}

/// The records that a history goes back to: two a day for the 90 days that ECS keeps them. Older ones say nothing of the
/// version before the one that runs, unless a service is deployed that often.
const PAST: usize = 200;

/// The records among which the newest is looked for.
pub(crate) const NEWEST: usize = 20;

/// The greatest page of ListServiceDeployments (Amazon ECS API Reference).
const PAGE: usize = 100;

/// The digest of a container's image: as it is named, else as its tasks found it. For an index the two may differ, since a task
/// may report the manifest of its own platform; only the named one is what a deployment asks for.
fn digest_of(image: &ContainerImage) -> Option<(String, String)> {
    let named = image.image().and_then(|image| image.split_once('@'));
    let digest = named.map(|(_, digest)| digest).or(image.image_digest());
    Some((image.container_name()?.to_owned(), digest?.to_owned()))
}

impl Client {
    /// The newest 200 deployments of the last 90 days (Amazon ECS Developer Guide, "View service history").
    ///
    /// # Errors
    /// An account, region or role may lack this API.
    pub async fn history(&self) -> Result<History, Error> {
        let mut listed = self.listed(PAST).await?;
        listed.truncate(PAST);
        let mut targets: Vec<String> = listed.iter().map(|it| it.revision.clone()).collect();
        let source = match listed.last() {
            Some(oldest) => self.source_of(&oldest.arn).await?,
            None => None,
        };
        targets.extend(source.clone());
        targets.sort();
        targets.dedup();
        let revisions = self.revisions(&targets).await?;
        let revision = |arn: String| match revisions.get(&arn) {
            Some(found) => found.clone(),
            None => Revision {
                arn,
                ..Revision::default()
            },
        };
        Ok(History {
            before: source.map(revision),
            deployments: listed
                .into_iter()
                .map(|it| Past {
                    arn: it.arn,
                    status: it.status,
                    created_at: it.created_at,
                    target: revision(it.revision),
                })
                .collect(),
        })
    }

    /// The revision that a deployment replaced, where it is one.
    async fn source_of(&self, arn: &Arn) -> Result<Option<String>, Error> {
        let found = self.described_record(arn).await?;
        let sources = found.and_then(|found| found.source_service_revisions);
        Ok(match sources.unwrap_or_default().as_slice() {
            [only] => only.arn.clone(),
            _ => None,
        })
    }

    /// Service revisions by ARN; one that ECS does not show is missing.
    async fn revisions(&self, arns: &[String]) -> Result<BTreeMap<String, Revision>, Error> {
        const ACTION: &str = "ecs:DescribeServiceRevisions";
        let mut revisions = BTreeMap::new();
        // DescribeServiceRevisions takes up to 20.
        for some in arns.chunks(20) {
            let call = self
                .ecs
                .describe_service_revisions()
                .set_service_revision_arns(Some(some.to_vec()));
            let doing = format!("describe the revisions of service {}", self.service);
            let answer = self.call(ACTION, &doing, || call.clone().send()).await?;
            for found in answer.service_revisions.unwrap_or_default() {
                let Some(arn) = found.service_revision_arn else {
                    continue;
                };
                let named = found.task_definition.as_deref();
                let images = found.container_images.unwrap_or_default();
                let revision = Revision {
                    arn: arn.clone(),
                    task_definition: named.and_then(|named| named.parse().ok()),
                    digests: images.iter().filter_map(digest_of).collect(),
                };
                revisions.insert(arn, revision);
            }
        }
        Ok(revisions)
    }

    /// The deployments that ECS lists, newest first: at least so many where there are as many.
    pub(crate) async fn listed(&self, wanted: usize) -> Result<Vec<Listed>, Error> {
        const ACTION: &str = "ecs:ListServiceDeployments";
        let size = i32::try_from(wanted.min(PAGE)).unwrap_or(i32::MAX);
        let call = self
            .ecs
            .list_service_deployments()
            .cluster(&self.cluster)
            .service(&self.service)
            .max_results(size);
        let doing = format!("list the deployments of service {}", self.service);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let call = call.clone().set_next_token(next);
            let answer = self.call(ACTION, &doing, || call.clone().send()).await?;
            found.extend(answer.service_deployments.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() || found.len() >= wanted {
                break;
            }
        }
        let mut found: Vec<_> = found
            .into_iter()
            .filter_map(|brief| {
                let created = brief.created_at;
                Some((
                    created.map_or(0, |at| at.as_nanos()),
                    brief.service_deployment_arn?,
                    brief.target_service_revision_arn?,
                    brief
                        .status
                        .map_or_else(String::new, |it| it.as_str().to_owned()),
                    created.map_or(0, |at| at.secs()),
                ))
            })
            .collect();
        found.sort();
        let newest_first = found.into_iter().rev();
        newest_first
            .map(|(_, named, revision, status, created_at)| {
                let arn = arn(Some(named), "a service deployment");
                let arn = arn.map_err(|error| Error::unreadable(ACTION, error))?;
                Ok(Listed {
                    arn,
                    revision,
                    status,
                    created_at,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_the_digest_that_it_is_named_by() {
        for (image, found, wanted) in [
            (
                "a.example/web@sha256:index",
                Some("sha256:platform"),
                Some("sha256:index"),
            ),
            ("a.example/web@sha256:index", None, Some("sha256:index")),
            (
                "a.example/web:1",
                Some("sha256:found"),
                Some("sha256:found"),
            ),
            ("a.example/web:1", None, None),
        ] {
            let container = ContainerImage::builder()
                .container_name("web")
                .image(image)
                .set_image_digest(found.map(str::to_owned))
                .build();
            let digest = digest_of(&container).map(|(_, digest)| digest);
            assert_eq!(digest.as_deref(), wanted, "{image} {found:?}");
        }
    }
}
