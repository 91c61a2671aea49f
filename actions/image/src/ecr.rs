//! ECR's API: repositories, tags, manifests, and the registry's token.

use crate::decide::Mutability;
use crate::registry::{self, MANIFESTS, Registry};
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier, ImageTagMutability};
use kit::aws::{AccountId, Partition, Region};
use kit::id::Digest;
use kit::{Error, Failure, Result};
use net::{Account, AwsContext, Net, code};
use std::collections::BTreeMap;

/// One repository of the build account.
pub(crate) struct Ecr {
    pub(crate) client: Client,
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    /// The second part of an ARN.
    pub(crate) partition: Partition,
    pub(crate) repository: String,
}

/// An image as ECR's API has it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The tag it was asked by; empty where it was asked by digest.
    pub(crate) tag: String,
    pub(crate) digest: Digest,
    /// The manifest's own bytes.
    pub(crate) manifest: String,
}

/// A repository as `DescribeRepositories` shows it.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) arn: String,
    pub(crate) mutability: Mutability,
    /// The KMS key, where it is encrypted with one.
    pub(crate) kms_key: Option<String>,
}

/// Names the permissions that the publish role needs where AWS denied the call. Another failure has another remedy.
pub(crate) fn lacking(error: Error, permissions: &str) -> Error {
    match error.failure() {
        Some(Failure::Denied) => error.hint(format!("the publish role needs {permissions}")),
        _ => error,
    }
}

/// The digest that each tag names.
pub(crate) fn by_tag(images: &[Stored]) -> BTreeMap<String, Digest> {
    images
        .iter()
        .map(|image| (image.tag.clone(), image.digest.clone()))
        .collect()
}

impl Ecr {
    pub(crate) fn new(account: &Account, repository: String) -> Self {
        Self {
            client: Client::new(&account.config),
            account: account.id.clone(),
            region: account.region.clone(),
            partition: account.arn.partition,
            repository,
        }
    }

    /// Repository, account and region, for people.
    pub(crate) fn location(&self) -> String {
        format!("{} in {}, {}", self.repository, self.account, self.region)
    }

    /// The repository as far as one call shows it; `None` where there is none.
    pub(crate) async fn describe(&self) -> Result<Option<Description>> {
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
        Ok(Some(Description {
            arn: found.repository_arn().unwrap_or_default().to_owned(),
            mutability: Mutability {
                mutable,
                exceptions: found
                    .image_tag_mutability_exclusion_filters()
                    .iter()
                    .map(|filter| filter.filter().to_owned())
                    .collect(),
            },
            kms_key: found
                .encryption_configuration()
                .and_then(|encryption| encryption.kms_key())
                .map(str::to_owned),
        }))
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
                .map_err(|error| lacking(error, "ecr:GetRepositoryPolicy")),
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
        let invalid = answer.as_ref().err().and_then(code) == Some("InvalidParameterException");
        answer
            .cannot(format!(
                "write the policy of repository {}",
                self.repository
            ))
            .map(drop)
            .map_err(|error| match invalid {
                true => {
                    error.hint("each account named in the policy must exist and not be suspended")
                }
                false => lacking(error, "ecr:SetRepositoryPolicy"),
            })
    }

    /// The images that `tags` name; a tag that names none is left out.
    pub(crate) async fn tagged(&self, tags: &[String]) -> Result<Vec<Stored>> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let named = |tag: &String| ImageIdentifier::builder().image_tag(tag).build();
        self.get(tags.iter().map(named).collect()).await
    }

    /// As [`Self::tagged`]; none where the repository itself is not there.
    pub(crate) async fn tagged_if_there(&self, tags: &[String]) -> Result<Vec<Stored>> {
        let named = |tag: &String| ImageIdentifier::builder().image_tag(tag).build();
        Ok(self
            .look_up(tags.iter().map(named).collect())
            .await?
            .unwrap_or_default())
    }

    async fn get(&self, ids: Vec<ImageIdentifier>) -> Result<Vec<Stored>> {
        self.look_up(ids).await?.ok_or_else(|| {
            Error::failed(format!(
                "cannot look up images in repository {}",
                self.repository
            ))
            .cause("ECR says that there is no such repository")
            .hint("it was there a moment ago; look in CloudTrail for who deleted it, and run the step again")
        })
    }

    /// `None` where there is no such repository.
    async fn look_up(&self, ids: Vec<ImageIdentifier>) -> Result<Option<Vec<Stored>>> {
        let operation = format!("look up images in repository {}", self.repository);
        let answer = self
            .client
            .batch_get_image()
            .repository_name(&self.repository)
            .set_image_ids(Some(ids))
            .set_accepted_media_types(Some(
                MANIFESTS.iter().map(|name| (*name).to_owned()).collect(),
            ))
            .send()
            .await;
        let answer = match answer {
            Err(error) if code(&error) == Some("RepositoryNotFoundException") => return Ok(None),
            answer => answer.cannot(&operation)?,
        };
        for failure in answer.failures() {
            if failure.failure_code() != Some(&ImageFailureCode::ImageNotFound) {
                let id = failure.image_id();
                let name = id.and_then(|id| id.image_tag().or(id.image_digest()));
                return Err(Error::failed(format!("cannot {operation}")).cause(format!(
                    "{}: {}",
                    name.unwrap_or("an image"),
                    failure.failure_reason().unwrap_or("no reason given")
                ))
                .hint("if it is an image that ECR cannot read, publish its commit again under another tag; else run the step again"));
            }
        }
        answer
            .images()
            .iter()
            .map(|image| {
                let id = image.image_id();
                match (
                    id.and_then(ImageIdentifier::image_digest)
                        .map(Digest::parse),
                    image.image_manifest(),
                ) {
                    (Some(Ok(digest)), Some(manifest)) => Ok(Stored {
                        tag: id
                            .and_then(ImageIdentifier::image_tag)
                            .unwrap_or_default()
                            .to_owned(),
                        digest,
                        manifest: manifest.to_owned(),
                    }),
                    _ => Err(Error::failed(format!("cannot {operation}"))
                        .cause("ECR's answer lacks the digest or the manifest")
                        .hint("check that AWS_ENDPOINT_URL, where it is set, leads to ECR")),
                }
            })
            .collect::<Result<_>>()
            .map(Some)
    }

    /// The digests of a few images that were pushed last: layers of the next are likely among theirs. Only a
    /// saving, so nothing is said where it cannot be asked.
    pub(crate) async fn newest(&self) -> Vec<String> {
        let answer = self
            .client
            .describe_images()
            .repository_name(&self.repository)
            .max_results(100)
            .send()
            .await;
        let mut images = answer
            .map(|answer| answer.image_details.unwrap_or_default())
            .unwrap_or_default();
        images.sort_by_key(|image| {
            std::cmp::Reverse(image.image_pushed_at().map(|at| at.as_nanos()))
        });
        images
            .into_iter()
            .filter(|image| !image.image_tags().iter().any(|tag| attest::is_tag(tag)))
            .filter_map(|image| image.image_digest)
            .take(4)
            .collect()
    }

    /// The registry and its token. The token is held in memory alone and lives for twelve hours.
    pub(crate) async fn registry(&self) -> Result<Registry> {
        let mut registry = token(&self.client, &self.account).await?;
        registry.account_and_region =
            net::account_and_region(self.account.as_str(), self.region.as_str());
        Ok(registry)
    }

    /// A client of the registry, which gets its next token where it got the first.
    fn client(&self, net: &Net, registry: &Registry) -> Result<registry::Client> {
        let (client, account) = (self.client.clone(), self.account.clone());
        registry::Client::new(net, registry, move || {
            let (client, account) = (client.clone(), account.clone());
            async move {
                let registry = token(&client, &account).await?;
                Ok(registry::Token {
                    login: registry.login,
                    expires: registry.expires,
                })
            }
        })
    }

    /// This repository in its registry.
    pub(crate) async fn repo(&self, net: &Net) -> Result<registry::Repo> {
        self.repo_at(net, &self.registry().await?)
    }

    /// This repository in its registry, whose token is there already.
    pub(crate) fn repo_at(&self, net: &Net, registry: &Registry) -> Result<registry::Repo> {
        Ok(self.client(net, registry)?.repo(&self.repository))
    }
}

/// Asks ECR for the registry's address and a token for it.
async fn token(client: &Client, account: &AccountId) -> Result<Registry> {
    let answer = client
        .get_authorization_token()
        .send()
        .await
        .cannot(format!("get the registry's token for account {account}"))?;
    let data = answer.authorization_data().first();
    let (Some(endpoint), Some(token)) = (
        data.and_then(|data| data.proxy_endpoint()),
        data.and_then(|data| data.authorization_token()),
    ) else {
        return Err(Error::failed("ECR answered without a registry token")
            .hint("check that AWS_ENDPOINT_URL, where it is set, leads to ECR"));
    };
    let mut registry = Registry::new(endpoint, token)?;
    registry.expires = data
        .and_then(|data| data.expires_at())
        .and_then(|at| std::time::SystemTime::try_from(*at).ok());
    Ok(registry)
}
