//! ECR: repositories, by the account that `registryId` names.
//! Source: Service Authorization Reference, "Amazon Elastic Container Registry".

use super::{Need, Scene};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let repositories = |names: &[String]| -> Vec<Need> {
        match names {
            [] => vec![of(scene, scene.operation(), "*")],
            names => names
                .iter()
                .map(|name| of(scene, scene.operation(), name))
                .collect(),
        }
    };
    Some(match scene.operation() {
        "GetAuthorizationToken"
        | "GetAccountSetting"
        | "PutAccountSetting"
        | "DescribeRegistry"
        | "GetRegistryPolicy"
        | "GetRegistryScanningConfiguration"
        | "PutRegistryScanningConfiguration" => vec![scene.same("*")],
        "DescribeRepositories" | "BatchGetRepositoryScanningConfiguration" => {
            repositories(&scene.texts("repositoryNames"))
        }
        "CreateRepository" => {
            let name = scene.text("repositoryName")?;
            let mut needs = repositories(&[name.to_owned()]);
            if scene.has_tags() {
                needs.push(of(scene, "TagResource", name));
            }
            needs
        }
        "TagResource" | "UntagResource" | "ListTagsForResource" => {
            let arn = scene.text("resourceArn")?;
            let mut need = scene.same(arn);
            need.owner = super::account_of(arn)?;
            vec![need]
        }
        "DeleteRepository"
        | "DescribeImages"
        | "ListImages"
        | "BatchGetImage"
        | "BatchDeleteImage"
        | "BatchCheckLayerAvailability"
        | "GetDownloadUrlForLayer"
        | "InitiateLayerUpload"
        | "UploadLayerPart"
        | "CompleteLayerUpload"
        | "PutImage"
        | "ListImageReferrers"
        | "DescribeImageScanFindings"
        | "StartImageScan"
        | "PutImageTagMutability"
        | "PutImageScanningConfiguration"
        | "GetLifecyclePolicy"
        | "PutLifecyclePolicy"
        | "DeleteLifecyclePolicy"
        | "GetLifecyclePolicyPreview"
        | "StartLifecyclePolicyPreview"
        | "GetRepositoryPolicy"
        | "SetRepositoryPolicy"
        | "DeleteRepositoryPolicy" => repositories(&[scene.text("repositoryName")?.to_owned()]),
        _ => return None,
    })
}

fn of(scene: &Scene<'_>, action: &str, name: &str) -> Need {
    let owner = scene.text("registryId").unwrap_or(scene.account);
    let region = &scene.call.region;
    let arn = format!("arn:aws:ecr:{region}:{owner}:repository/{name}");
    let mut need = scene.need(action, arn);
    owner.clone_into(&mut need.owner);
    need
}
