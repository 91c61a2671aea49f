//! Reading provenance from ECR (Amazon ECR API Reference, "BatchGetImage"), for steps that need nothing
//! else of it.

use crate::artifact::tag;
use crate::call::call;
use kit::error::{Error, Failure, Result};
use kit::id::{CommitId, Digest};
use net::{Account, Net};
use serde_json::{Value, json};

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.BatchGetImage";

/// The manifest of the provenance of `image` for `commit` in a repository of `account`, `None` if there
/// is none. Nothing about it is verified.
///
/// # Errors
/// ECR cannot be asked; the error of a missing permission names it.
pub async fn find(
    net: &Net,
    account: &Account,
    repository: &str,
    image: &Digest,
    commit: &CommitId,
) -> Result<Option<Vec<u8>>> {
    let tag = tag(image, commit);
    let input = json!({
        "registryId": account.id,
        "repositoryName": repository,
        "imageIds": [{ "imageTag": tag }],
        "acceptedMediaTypes": ["application/vnd.oci.image.manifest.v1+json"],
    });
    match call(net, account, "ecr", TARGET, &input).await {
        Ok(answer) => found(&answer, repository),
        Err(error) => {
            let code = error.service().and_then(|service| service.code.clone());
            if code.as_deref() == Some("RepositoryNotFoundException") {
                return Ok(None);
            }
            let denied = error.failure() == Some(Failure::Denied);
            let error = error.under(format!(
                "cannot read the provenance in repository {repository}"
            ));
            Err(match denied {
                true => error.hint(format!(
                    "{} needs ecr:BatchGetImage on repository {repository}",
                    account.arn
                )),
                false => error,
            })
        }
    }
}

fn found(answer: &Value, repository: &str) -> Result<Option<Vec<u8>>> {
    let incomplete = |why: &str| {
        Error::failed(format!(
            "cannot read the provenance in repository {repository}"
        ))
        .cause(format!("ECR: {why}"))
    };
    if let Some(manifest) = answer["images"][0]["imageManifest"].as_str() {
        return Ok(Some(manifest.as_bytes().to_vec()));
    }
    let failure = &answer["failures"][0];
    match failure["failureCode"].as_str() {
        Some("ImageNotFound") => Ok(None),
        Some(_) => Err(incomplete(
            failure["failureReason"]
                .as_str()
                .unwrap_or("no reason given"),
        )),
        None => Err(incomplete(
            "the answer holds neither an image nor a failure",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ecrs_word_that_there_is_none_means_that() {
        let manifest = json!({"images": [{"imageManifest": "{}"}], "failures": []});
        assert_eq!(found(&manifest, "r").unwrap(), Some(b"{}".to_vec()));
        let none = json!({"images": [], "failures": [{"failureCode": "ImageNotFound"}]});
        assert_eq!(found(&none, "r").unwrap(), None);
        for unclear in [
            json!({"images": [], "failures": []}),
            json!({"images": [], "failures": [{"failureCode": "KmsError", "failureReason": "x"}]}),
            Value::Null,
        ] {
            assert!(found(&unclear, "r").is_err(), "{unclear}");
        }
    }
}
