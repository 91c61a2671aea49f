//! ECR's API: repositories, tags, manifests, and the registry's token.

use crate::decide::Mutability;
use crate::registry::Registry;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier, ImageTagMutability, Tag};
use kit::{Context, Error, Result};
use net::{Account, AwsContext, code};
use std::time::Duration;

/// What a manifest can be: one image or an index of several, in OCI's and Docker's words.
pub(crate) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// `CreateRepository` returns before the repository can be used; ECR promises no time.
const CREATED_WITHIN: [u64; 7] = [250, 500, 1000, 2000, 4000, 8000, 15_000];

/// One repository of the build account.
pub(crate) struct Ecr {
    client: Client,
    pub(crate) account: String,
    pub(crate) region: String,
    /// `aws`, `aws-cn`, `aws-us-gov`: the second part of an ARN.
    pub(crate) partition: String,
    pub(crate) repository: String,
}

/// An image as ECR's API has it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) tag: String,
    pub(crate) digest: String,
    /// The manifest's own bytes.
    pub(crate) manifest: String,
    pub(crate) media_type: Option<String>,
}

impl Ecr {
    pub(crate) fn new(account: &Account, repository: String) -> Self {
        Self {
            client: Client::new(&account.config),
            account: account.id.clone(),
            region: account.region.clone(),
            partition: account.arn.split(':').nth(1).unwrap_or("aws").to_owned(),
            repository,
        }
    }

    /// Whether the repository exists, and what it lets move.
    pub(crate) async fn describe(&self) -> Result<Option<Mutability>> {
        let answer = self
            .client
            .describe_repositories()
            .repository_names(&self.repository)
            .send()
            .await;
        let answer = match answer {
            Err(error) if code(&error) == Some("RepositoryNotFoundException") => return Ok(None),
            answer => answer.cannot(format!("describe repository {}", self.repository))?,
        };
        let Some(found) = answer.repositories().first() else {
            return Ok(None);
        };
        let mutable = match found.image_tag_mutability() {
            Some(ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion) => {
                false
            }
            // ECR's default.
            Some(ImageTagMutability::Mutable | ImageTagMutability::MutableWithExclusion) | None => {
                true
            }
            Some(other) => {
                return Err(Error::failed(format!(
                    "repository {} has a tag mutability this version does not know: {other}",
                    self.repository
                ))
                .hint("use a newer version of slipway-image"));
            }
        };
        Ok(Some(Mutability {
            mutable,
            exceptions: found
                .image_tag_mutability_exclusion_filters()
                .iter()
                .map(|filter| filter.filter().to_owned())
                .collect(),
        }))
    }

    /// Creates the repository with immutable tags and waits until it is there. That somebody
    /// else created it meanwhile is success; the answer says whether it was this call.
    pub(crate) async fn create(&self, source: Option<&str>) -> Result<(Mutability, bool)> {
        let what = format!("create repository {}", self.repository);
        let mut request = self
            .client
            .create_repository()
            .repository_name(&self.repository)
            .image_tag_mutability(ImageTagMutability::Immutable)
            .tags(tag("managed-by", "slipway")?);
        if let Some(source) = source {
            request = request.tags(tag("source", source)?);
        }
        let created = match request.send().await {
            Ok(_) => true,
            Err(error) if code(&error) == Some("RepositoryAlreadyExistsException") => false,
            Err(error) => {
                return Err(error).cannot(&what).map_err(|error| {
                    error.hint("the publish role needs ecr:CreateRepository and ecr:TagResource")
                });
            }
        };
        for pause in CREATED_WITHIN {
            if let Some(mutability) = self.describe().await? {
                return Ok((mutability, created));
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(Error::failed(format!(
            "repository {} was created in account {} but cannot be described yet",
            self.repository, self.account
        ))
        .hint("run the step again; it goes on where it stopped"))
    }

    /// The repository's policy, where it has one.
    pub(crate) async fn policy(&self) -> Result<Option<String>> {
        let answer = self
            .client
            .get_repository_policy()
            .repository_name(&self.repository)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.policy_text),
            Err(error) if code(&error) == Some("RepositoryPolicyNotFoundException") => Ok(None),
            Err(error) => Err(error)
                .cannot(format!("read the policy of repository {}", self.repository))
                .map_err(|error| error.hint("the publish role needs ecr:GetRepositoryPolicy")),
        }
    }

    /// Replaces the repository's policy.
    pub(crate) async fn set_policy(&self, policy: &str) -> Result<()> {
        let answer = self
            .client
            .set_repository_policy()
            .repository_name(&self.repository)
            .policy_text(policy)
            .send()
            .await;
        let hint = match answer.as_ref().map_err(code) {
            Err(Some("InvalidParameterException")) => {
                "each account named in the policy must exist and not be suspended"
            }
            _ => "the publish role needs ecr:SetRepositoryPolicy",
        };
        answer
            .cannot(format!(
                "write the policy of repository {}",
                self.repository
            ))
            .map(drop)
            .map_err(|error| error.hint(hint))
    }

    /// The images that `tags` name; a tag that names none is left out.
    pub(crate) async fn tagged(&self, tags: &[String]) -> Result<Vec<Stored>> {
        let what = format!("look up tags in repository {}", self.repository);
        let answer = self
            .client
            .batch_get_image()
            .repository_name(&self.repository)
            .set_image_ids(Some(
                tags.iter()
                    .map(|tag| ImageIdentifier::builder().image_tag(tag).build())
                    .collect(),
            ))
            .set_accepted_media_types(Some(
                MANIFESTS.iter().map(|name| (*name).to_owned()).collect(),
            ))
            .send()
            .await
            .cannot(&what)?;
        for failure in answer.failures() {
            if failure.failure_code() != Some(&ImageFailureCode::ImageNotFound) {
                let tag = failure.image_id().and_then(ImageIdentifier::image_tag);
                return Err(Error::failed(format!("cannot {what}")).cause(format!(
                    "{}: {}",
                    tag.unwrap_or("a tag"),
                    failure.failure_reason().unwrap_or("no reason given")
                )));
            }
        }
        answer
            .images()
            .iter()
            .map(|image| {
                let id = image.image_id();
                match (
                    id.and_then(ImageIdentifier::image_tag),
                    id.and_then(ImageIdentifier::image_digest),
                    image.image_manifest(),
                ) {
                    (Some(tag), Some(digest), Some(manifest)) => Ok(Stored {
                        tag: tag.to_owned(),
                        digest: digest.to_owned(),
                        manifest: manifest.to_owned(),
                        media_type: image.image_manifest_media_type().map(str::to_owned),
                    }),
                    _ => Err(Error::failed(format!("cannot {what}"))
                        .cause("ECR answered without tag, digest or manifest")),
                }
            })
            .collect()
    }

    /// Puts `tag` on an image by its unchanged manifest. `false`: the tag is immutable and names
    /// another image.
    pub(crate) async fn put_tag(&self, image: &Stored, tag: &str) -> Result<bool> {
        let answer = self
            .client
            .put_image()
            .repository_name(&self.repository)
            .image_manifest(&image.manifest)
            .set_image_manifest_media_type(image.media_type.clone())
            .image_digest(&image.digest)
            .image_tag(tag)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == Some("ImageAlreadyExistsException") => Ok(true),
            Err(error) if code(&error) == Some("ImageTagAlreadyExistsException") => Ok(false),
            Err(error) => Err(error).cannot(format!(
                "put tag {tag} on {} in repository {}",
                image.digest, self.repository
            )),
        }
    }

    /// The registry and its token. The token is held in memory alone and lives for twelve hours.
    pub(crate) async fn registry(&self) -> Result<Registry> {
        let answer = self
            .client
            .get_authorization_token()
            .send()
            .await
            .cannot(format!(
                "get the registry's token for account {}",
                self.account
            ))?;
        let data = answer.authorization_data().first();
        let (Some(endpoint), Some(token)) = (
            data.and_then(|data| data.proxy_endpoint()),
            data.and_then(|data| data.authorization_token()),
        ) else {
            return Err(Error::failed("ECR answered without a registry token"));
        };
        Registry::new(endpoint, token)
    }
}

fn tag(key: &str, value: &str) -> Result<Tag> {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .context(format!("cannot make the resource tag {key}"))
}
