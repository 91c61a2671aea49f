//! A repository of ECR, as moto keeps it.

use http::Method;
use serde_json::{Value, json};

use crate::Gateway;
use crate::access::needs::Need;
use crate::answer::Answer;
use crate::error::AwsError;
use crate::text::wildcard;

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921";

/// ECR takes names of 256 bytes. The distribution behind takes 255, in which account, region and time have to fit too.
const LONGEST_NAME: usize = 180;

/// A repository as moto describes it.
pub(crate) struct Repository {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    mutability: String,
    exclusions: Vec<String>,
    created: String,
}

impl Repository {
    /// Its name in the registry behind. The time of its creation is part of it: a repository deleted and made
    /// again is empty.
    pub(crate) fn path(&self) -> String {
        let name = match self.name.len() > LONGEST_NAME {
            true => format!("long-{}", crate::sigv4::sha256(self.name.as_bytes())),
            false => self.name.clone(),
        };
        format!("{}/{}/{name}/{}", self.account, self.region, self.created)
    }

    /// Returns true if a tag that exists may not be moved.
    pub(crate) fn fixes(&self, tag: &str) -> bool {
        let excluded = self.exclusions.iter().any(|filter| wildcard(filter, tag));
        match self.mutability.as_str() {
            "IMMUTABLE" => true,
            "IMMUTABLE_WITH_EXCLUSION" => !excluded,
            "MUTABLE_WITH_EXCLUSION" => excluded,
            _ => false,
        }
    }

    /// ECR's words for a tag that is taken.
    pub(crate) fn tag_taken(&self, tag: &str) -> String {
        format!(
            "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because the tag is immutable.",
            self.name
        )
    }

    /// An action on it.
    pub(crate) fn need(&self, action: &str) -> Need {
        Need {
            action: format!("ecr:{action}"),
            resource: arn(&self.account, &self.region, &self.name),
            owner: self.account.clone(),
            keys: Vec::new(),
        }
    }
}

pub(crate) fn arn(account: &str, region: &str, name: &str) -> String {
    format!("arn:aws:ecr:{region}:{account}:repository/{name}")
}

async fn ask(
    gateway: &Gateway,
    account: &str,
    region: &str,
    operation: &str,
    input: &Value,
) -> Result<Answer, AwsError> {
    let headers = [
        ("x-amz-target", format!("{TARGET}.{operation}")),
        ("content-type", "application/x-amz-json-1.1".to_owned()),
    ];
    crate::moto::ask(
        gateway,
        Method::POST,
        "/",
        "ecr",
        region,
        account,
        &headers,
        input.to_string(),
    )
    .await
}

/// The repository, or `None`.
pub(crate) async fn find(
    gateway: &Gateway,
    account: &str,
    region: &str,
    name: &str,
) -> Result<Option<Repository>, AwsError> {
    let answer = ask(
        gateway,
        account,
        region,
        "DescribeRepositories",
        &json!({"repositoryNames": [name]}),
    )
    .await?;
    match (answer.status.is_success(), answer.error.as_deref()) {
        (true, _) => {}
        (false, Some("RepositoryNotFoundException" | "InvalidParameterException")) => {
            return Ok(None);
        }
        (false, other) => {
            return Err(AwsError::upstream(
                "moto",
                format!("ECR said {}", other.unwrap_or("nothing")),
            ));
        }
    }
    let output: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    let Some(found) = output["repositories"].get(0) else {
        return Ok(None);
    };
    Ok(Some(Repository {
        account: account.to_owned(),
        region: region.to_owned(),
        name: name.to_owned(),
        mutability: found["imageTagMutability"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        exclusions: found["imageTagMutabilityExclusionFilters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|filter| filter["filter"].as_str().map(str::to_owned))
            .collect(),
        created: found["createdAt"]
            .to_string()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect(),
    }))
}

/// Refuses in ECR's words what another account lacks, before anybody asks for permissions on it.
pub(crate) async fn must_exist(gateway: &Gateway, need: &Need) -> Result<(), AwsError> {
    let parts: Vec<&str> = need.resource.splitn(6, ':').collect();
    let [_, _, _, region, account, repository] = parts.as_slice() else {
        return Ok(());
    };
    let name = repository.strip_prefix("repository/").unwrap_or_default();
    if name.is_empty() || name == "*" {
        return Ok(());
    }
    match find(gateway, account, region, name).await? {
        Some(_) => Ok(()),
        None => Err(not_found(account, name)),
    }
}

/// ECR's words for a repository that is not there.
pub(crate) fn not_found(account: &str, name: &str) -> AwsError {
    AwsError::new(
        400,
        "RepositoryNotFoundException",
        format!(
            "The repository with name '{name}' does not exist in the registry with id '{account}'"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(mutability: &str) -> Repository {
        Repository {
            account: "1".into(),
            region: "r".into(),
            name: "n".into(),
            mutability: mutability.into(),
            exclusions: vec!["cache*".into()],
            created: "0".into(),
        }
    }

    #[test]
    fn mutability_and_its_exclusions() {
        for (mutability, version, cache) in [
            ("MUTABLE", false, false),
            ("IMMUTABLE", true, true),
            ("IMMUTABLE_WITH_EXCLUSION", true, false),
            ("MUTABLE_WITH_EXCLUSION", false, true),
        ] {
            let repository = repository(mutability);
            assert_eq!(
                (repository.fixes("v1"), repository.fixes("cache-main")),
                (version, cache),
                "{mutability}"
            );
        }
    }
}
