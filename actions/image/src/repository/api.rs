//! ECR's calls for a repository's own settings.

use super::lifecycle::{Image, rejected};
use super::plan::{Current, Scanning};
use super::settings::Wanted;
use crate::ecr::{Ecr, lacking};
use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageStatus, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType, Tag,
};
use kit::{Context, Error, ErrorKind, Failure, Result};
use net::{AwsContext, code};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Looks at the repository, and of its settings at those that are wanted; at the scanning too where `scanning` asks.
pub(crate) async fn observe(ecr: &Ecr, wanted: &Wanted, scanning: bool) -> Result<Option<Current>> {
    let Some(found) = ecr.describe().await? else {
        return Ok(None);
    };
    let mut seen = Current {
        arn: found.arn,
        mutability: found.mutability,
        kms_key: found.kms_key,
        policy: None,
        lifecycle: None,
        tags: None,
        scanning: None,
    };
    if !wanted.pull.is_empty() {
        seen.policy = Some(ecr.policy().await?);
    }
    if wanted.lifecycle.is_some() {
        seen.lifecycle = Some(lifecycle(ecr).await?);
    }
    if !wanted.tags.is_empty() {
        seen.tags = Some(tags(ecr, &seen.arn).await?);
    }
    if scanning {
        seen.scanning = Some(self::scanning(ecr).await);
    }
    Ok(Some(seen))
}

/// Creates the repository. `false`: it was created by another run meanwhile.
pub(crate) async fn create(ecr: &Ecr, wanted: &Wanted) -> Result<bool> {
    let mut request = ecr
        .client
        .create_repository()
        .repository_name(&ecr.repository)
        .image_tag_mutability(mutability(&wanted.mutable_tags))
        .set_image_tag_mutability_exclusion_filters(filters(&wanted.mutable_tags)?);
    let mut tags = BTreeMap::from([("managed-by".to_owned(), "slipway".to_owned())]);
    if let Some(source) = &wanted.source {
        tags.insert("source".to_owned(), source.clone());
    }
    tags.extend(wanted.tags.clone());
    for (key, value) in &tags {
        request = request.tags(tag(key, value)?);
    }
    if let Some(key) = &wanted.kms_key {
        request = request.encryption_configuration(
            EncryptionConfiguration::builder()
                .encryption_type(EncryptionType::Kms)
                .kms_key(key)
                .build()
                .context("cannot ask for encryption")?,
        );
    }
    match request.send().await {
        Ok(_) => Ok(true),
        Err(error) if code(&error) == Some("RepositoryAlreadyExistsException") => Ok(false),
        Err(error) => {
            let hint = match code(&error) {
                Some("KmsException") => Some(
                    "the key must be enabled and in the repository's region, and the publish role needs kms:CreateGrant and kms:DescribeKey on it",
                ),
                Some("LimitExceededException") => {
                    Some("the account has as many repositories as its quota allows")
                }
                _ => None,
            };
            Err(error)
                .cannot(format!("create repository {}", ecr.repository))
                .map_err(|error| match hint {
                    Some(hint) => error.hint(hint),
                    None => lacking(error, "ecr:CreateRepository and ecr:TagResource"),
                })
        }
    }
}

/// Makes all tags immutable but those that `patterns` fit.
pub(crate) async fn set_mutability(ecr: &Ecr, patterns: &[String]) -> Result<()> {
    ecr.client
        .put_image_tag_mutability()
        .repository_name(&ecr.repository)
        .image_tag_mutability(mutability(patterns))
        .set_image_tag_mutability_exclusion_filters(filters(patterns)?)
        .send()
        .await
        .cannot(format!(
            "set which tags of repository {} may move",
            ecr.repository
        ))
        .map(drop)
        .map_err(|error| lacking(error, "ecr:PutImageTagMutability"))
}

pub(crate) async fn set_lifecycle(ecr: &Ecr, policy: &str) -> Result<()> {
    ecr.client
        .put_lifecycle_policy()
        .repository_name(&ecr.repository)
        .lifecycle_policy_text(policy)
        .send()
        .await
        .cannot(format!(
            "write the lifecycle policy of repository {}",
            ecr.repository
        ))
        .map(drop)
        .map_err(not_written)
}

fn not_written(error: Error) -> Error {
    match error.kind {
        ErrorKind::Service(Failure::Rejected) => rejected(error),
        _ => lacking(error, "ecr:PutLifecyclePolicy"),
    }
}

pub(crate) async fn set_tag(ecr: &Ecr, arn: &str, key: &str, value: &str) -> Result<()> {
    ecr.client
        .tag_resource()
        .resource_arn(arn)
        .tags(tag(key, value)?)
        .send()
        .await
        .cannot(format!("tag repository {} with {key}", ecr.repository))
        .map(drop)
        .map_err(|error| lacking(error, "ecr:TagResource"))
}

/// All images of the repository.
pub(crate) async fn images(ecr: &Ecr) -> Result<Vec<Image>> {
    let time = |at: Option<&aws_sdk_ecr::primitives::DateTime>| {
        at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok())
    };
    let (mut images, mut next) = (Vec::new(), None);
    loop {
        let page = ecr
            .client
            .describe_images()
            .repository_name(&ecr.repository)
            .max_results(1000)
            .set_next_token(next)
            .send()
            .await
            .cannot(format!("list the images of repository {}", ecr.repository))
            .map_err(|error| lacking(error, "ecr:DescribeImages"))?;
        for image in page.image_details() {
            let digest = image.image_digest().and_then(|digest| digest.parse().ok());
            images.push(Image {
                digest: digest.ok_or_else(|| {
                    Error::failed(format!(
                        "ECR lists an image of repository {} without its digest",
                        ecr.repository
                    ))
                    .hint("check that AWS_ENDPOINT_URL, where it is set, leads to ECR")
                })?,
                tags: image.image_tags().to_vec(),
                pushed: time(image.image_pushed_at()),
                pulled: time(image.last_recorded_pull_time()),
                archived: image.image_status() == Some(&ImageStatus::Archived),
            });
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(images);
        }
    }
}

async fn lifecycle(ecr: &Ecr) -> Result<Option<String>> {
    let answer = ecr
        .client
        .get_lifecycle_policy()
        .repository_name(&ecr.repository)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer.lifecycle_policy_text),
        Err(error) if code(&error) == Some("LifecyclePolicyNotFoundException") => Ok(None),
        Err(error) => Err(error)
            .cannot(format!(
                "read the lifecycle policy of repository {}",
                ecr.repository
            ))
            .map_err(|error| lacking(error, "ecr:GetLifecyclePolicy")),
    }
}

async fn tags(ecr: &Ecr, arn: &str) -> Result<BTreeMap<String, String>> {
    let answer = ecr
        .client
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .cannot(format!("list the tags of repository {}", ecr.repository))
        .map_err(|error| lacking(error, "ecr:ListTagsForResource"))?;
    Ok(answer
        .tags()
        .iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect())
}

/// Nothing rests on this answer, so failing to get it is not an error.
async fn scanning(ecr: &Ecr) -> Scanning {
    let answer = ecr
        .client
        .batch_get_repository_scanning_configuration()
        .repository_names(&ecr.repository)
        .send()
        .await;
    match answer {
        Ok(answer) => match answer.scanning_configurations().first() {
            Some(found) => match found.scan_frequency() {
                Some(frequency) if frequency.as_str() != "MANUAL" => {
                    Scanning::By(frequency.as_str().to_owned())
                }
                _ if found.scan_on_push() => Scanning::By("SCAN_ON_PUSH".to_owned()),
                _ => Scanning::Never,
            },
            None => Scanning::Unknown("ECR's answer does not contain the repository".to_owned()),
        },
        Err(error) if code(&error) == Some("AccessDeniedException") => Scanning::Unknown(
            "the publish role lacks ecr:BatchGetRepositoryScanningConfiguration".to_owned(),
        ),
        Err(error) => Scanning::Unknown(net::cannot(error, "ask ECR").message),
    }
}

fn mutability(patterns: &[String]) -> ImageTagMutability {
    match patterns.is_empty() {
        true => ImageTagMutability::Immutable,
        false => ImageTagMutability::ImmutableWithExclusion,
    }
}

fn filters(patterns: &[String]) -> Result<Option<Vec<ImageTagMutabilityExclusionFilter>>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let filter = |pattern: &String| {
        ImageTagMutabilityExclusionFilter::builder()
            .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
            .filter(pattern)
            .build()
            .context(format!("cannot make a filter of {pattern}"))
    };
    patterns.iter().map(filter).collect::<Result<_>>().map(Some)
}

fn tag(key: &str, value: &str) -> Result<Tag> {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .context(format!("cannot make the resource tag {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn only_a_policy_that_ecr_rejects_is_the_callers_mistake() {
        let of = |failure| not_written(Error::new(ErrorKind::Service(failure), "no"));
        let rejected = of(Failure::Rejected);
        assert_eq!(rejected.exit(), Exit::Usage);
        assert_eq!(
            rejected.hints,
            ["see \"Lifecycle policy properties\" in the Amazon ECR User Guide"]
        );
        let denied = of(Failure::Denied);
        assert_eq!(denied.exit(), Exit::Failed);
        assert_eq!(
            denied.hints,
            ["the publish role needs ecr:PutLifecyclePolicy"]
        );
        let throttled = of(Failure::Throttled);
        assert_eq!(throttled.exit(), Exit::Failed);
        assert!(throttled.hints.is_empty(), "{throttled}");
    }
}
