//! ECR's image operations, answered from the manifests that the registry truly holds (moto invents digests).

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::distribution::{self, Manifest};
use crate::ecr_repository::Repository;
use crate::error::AwsError;
use crate::{Gateway, lock};

/// The facts that the registry does not keep: the manifests without a tag, and when each manifest was pushed.
#[derive(Default)]
pub(crate) struct Images {
    pushed: Mutex<HashMap<String, BTreeMap<String, OffsetDateTime>>>,
    /// Held while a tag is checked and set, so that an immutable tag has one first writer.
    pub(crate) tagging: tokio::sync::Mutex<()>,
}

impl Images {
    pub(crate) fn remember(&self, path: &str, digest: &str) {
        lock(&self.pushed)
            .entry(path.to_owned())
            .or_default()
            .entry(digest.to_owned())
            .or_insert_with(OffsetDateTime::now_utc);
    }

    fn known(&self, path: &str) -> BTreeMap<String, OffsetDateTime> {
        lock(&self.pushed).get(path).cloned().unwrap_or_default()
    }
}

/// An image of a repository with all its tags.
pub(crate) struct Image {
    pub(crate) manifest: Manifest,
    pub(crate) tags: Vec<String>,
    pub(crate) pushed: Option<OffsetDateTime>,
}

/// Every image, the tagged from the registry's tags, the untagged from what was pushed and is still there.
pub(crate) async fn all(
    gateway: &Gateway,
    repository: &Repository,
) -> Result<BTreeMap<String, Image>, AwsError> {
    let path = repository.path();
    let known = gateway.images.known(&path);
    let mut images: BTreeMap<String, Image> = BTreeMap::new();
    for tag in distribution::tags(gateway, &path).await? {
        if let Some(manifest) = distribution::manifest(gateway, &path, &tag).await? {
            let pushed = known.get(&manifest.digest).copied();
            let image = images.entry(manifest.digest.clone()).or_insert(Image {
                manifest,
                tags: Vec::new(),
                pushed,
            });
            image.tags.push(tag);
        }
    }
    for (digest, pushed) in known {
        if !images.contains_key(&digest)
            && let Some(manifest) = distribution::manifest(gateway, &path, &digest).await?
        {
            images.insert(
                digest,
                Image {
                    manifest,
                    tags: Vec::new(),
                    pushed: Some(pushed),
                },
            );
        }
    }
    Ok(images)
}

/// Every manifest of a repository.
pub(crate) async fn manifests(
    gateway: &Gateway,
    repository: &Repository,
) -> Result<Vec<Manifest>, AwsError> {
    let images = all(gateway, repository).await?;
    Ok(images.into_values().map(|image| image.manifest).collect())
}

fn reference(id: &Value) -> Option<&str> {
    id["imageDigest"]
        .as_str()
        .or_else(|| id["imageTag"].as_str())
}

pub(crate) fn missing(repository: &Repository, id: &Value) -> AwsError {
    let part = |key: &str| id[key].as_str().unwrap_or("null").to_owned();
    AwsError::new(
        400,
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with name '{}' in the registry with id '{}'",
            part("imageDigest"),
            part("imageTag"),
            repository.name,
            repository.account
        ),
    )
}

/// `DescribeImages`.
pub(crate) async fn describe(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let mut images = all(gateway, repository).await?;
    let mut chosen = Vec::new();
    if let Some(ids) = input["imageIds"].as_array() {
        for id in ids {
            let wanted = reference(id).unwrap_or_default();
            let digest = images
                .iter()
                .find(|(digest, image)| {
                    digest.as_str() == wanted || image.tags.iter().any(|tag| tag == wanted)
                })
                .map(|(digest, _)| digest.clone());
            let image = match digest.and_then(|digest| images.remove(&digest)) {
                Some(image) => image,
                // Pushed before this gateway started, and without a tag now.
                None if wanted.starts_with("sha256:") => {
                    let manifest = distribution::manifest(gateway, &repository.path(), wanted)
                        .await?
                        .ok_or_else(|| missing(repository, id))?;
                    Image {
                        manifest,
                        tags: Vec::new(),
                        pushed: None,
                    }
                }
                None => return Err(missing(repository, id)),
            };
            chosen.push(image);
        }
    } else {
        chosen.extend(
            images
                .into_values()
                .filter(|image| status_matches(input, !image.tags.is_empty())),
        );
    }
    let mut details = Vec::new();
    for image in chosen {
        details.push(detail(gateway, repository, &image).await?);
    }
    Ok(paged("imageDetails", details, input))
}

async fn detail(
    gateway: &Gateway,
    repository: &Repository,
    image: &Image,
) -> Result<Value, AwsError> {
    let document = image.manifest.json();
    let layers = document["layers"].as_array().into_iter().flatten();
    let mut size: u64 = layers
        .chain([&document["config"]])
        .filter_map(|layer| layer["size"].as_u64())
        .sum();
    for child in document["manifests"].as_array().into_iter().flatten() {
        if let Some(digest) = child["digest"].as_str()
            && let Some(manifest) =
                distribution::manifest(gateway, &repository.path(), digest).await?
        {
            let inner = manifest.json();
            size += inner["layers"]
                .as_array()
                .into_iter()
                .flatten()
                .chain([&inner["config"]])
                .filter_map(|layer| layer["size"].as_u64())
                .sum::<u64>();
        }
    }
    let mut detail = json!({
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageDigest": image.manifest.digest,
        "imageSizeInBytes": size,
        "imageManifestMediaType": image.manifest.kind,
    });
    if !image.tags.is_empty() {
        detail["imageTags"] = json!(image.tags);
    }
    if let Some(kind) = document["config"]["mediaType"].as_str() {
        detail["artifactMediaType"] = json!(kind);
    }
    if let Some(pushed) = image.pushed {
        detail["imagePushedAt"] = json!(pushed.unix_timestamp());
    }
    Ok(detail)
}

/// `ListImages`.
pub(crate) async fn list(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let mut ids = Vec::new();
    for (digest, image) in all(gateway, repository).await? {
        if !status_matches(input, !image.tags.is_empty()) {
            continue;
        }
        if image.tags.is_empty() {
            ids.push(json!({"imageDigest": digest}));
        }
        ids.extend(
            image
                .tags
                .iter()
                .map(|tag| json!({"imageDigest": digest, "imageTag": tag})),
        );
    }
    Ok(paged("imageIds", ids, input))
}

fn status_matches(input: &Value, tagged: bool) -> bool {
    match input["filter"]["tagStatus"].as_str() {
        Some("TAGGED") => tagged,
        Some("UNTAGGED") => !tagged,
        _ => true,
    }
}

/// One page, as long as asked for, 100 by default; the token marks where the next page starts.
pub(crate) fn paged(key: &str, list: Vec<Value>, input: &Value) -> Value {
    let number = |value: &Value| {
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
    };
    let start = input["nextToken"]
        .as_str()
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let size = number(&input["maxResults"]).unwrap_or(100).clamp(1, 1000);
    let total = list.len();
    let mut answer = json!({key: list.into_iter().skip(start).take(size).collect::<Vec<_>>()});
    if start + size < total {
        answer["nextToken"] = json!((start + size).to_string());
    }
    answer
}

/// `BatchGetImage`: the manifests' very bytes.
pub(crate) async fn get(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in input["imageIds"].as_array().into_iter().flatten() {
        let found = match reference(id) {
            Some(reference) => {
                distribution::manifest(gateway, &repository.path(), reference).await?
            }
            None => None,
        };
        let agrees = |manifest: &Manifest| {
            id["imageDigest"]
                .as_str()
                .is_none_or(|digest| digest == manifest.digest)
        };
        match found.filter(agrees) {
            Some(manifest) => {
                let mut image_id = json!({"imageDigest": manifest.digest});
                if let Some(tag) = id["imageTag"].as_str() {
                    image_id["imageTag"] = json!(tag);
                }
                images.push(json!({
                    "registryId": repository.account,
                    "repositoryName": repository.name,
                    "imageId": image_id,
                    "imageManifest": String::from_utf8_lossy(&manifest.bytes),
                    "imageManifestMediaType": manifest.kind,
                }));
            }
            None => failures.push(json!({
                "imageId": id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
            })),
        }
    }
    Ok(json!({"images": images, "failures": failures}))
}

/// `BatchCheckLayerAvailability`.
pub(crate) async fn layers(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let mut layers = Vec::new();
    for digest in crate::text::strings(&input["layerDigests"]) {
        let mut layer = json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"});
        if let Some(size) = distribution::blob(gateway, &repository.path(), &digest).await? {
            layer["layerAvailability"] = json!("AVAILABLE");
            layer["layerSize"] = json!(size);
        }
        layers.push(layer);
    }
    Ok(json!({"layers": layers, "failures": []}))
}

/// Refuses an image that is there already, and a tag that is immutable and names another image.
async fn refuse_taken(
    gateway: &Gateway,
    repository: &Repository,
    tag: Option<&str>,
    digest: &str,
) -> Result<(), AwsError> {
    let path = repository.path();
    if let Some(existing) = distribution::manifest(gateway, &path, tag.unwrap_or(digest)).await? {
        if existing.digest == digest {
            return Err(AwsError::new(
                400,
                "ImageAlreadyExistsException",
                format!(
                    "Image with digest '{digest}' and tag '{}' already exists in the repository with name '{}' in registry with id '{}'",
                    tag.unwrap_or("null"),
                    repository.name,
                    repository.account
                ),
            ));
        }
        if let Some(tag) = tag
            && repository.fixes(tag)
        {
            return Err(AwsError::new(
                400,
                "ImageTagAlreadyExistsException",
                repository.tag_taken(tag),
            ));
        }
    }
    Ok(())
}

/// `PutImage`: the manifest's bytes are kept as they are; its layers must be there.
pub(crate) async fn put(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let text = input["imageManifest"].as_str().unwrap_or_default();
    let document: Value = serde_json::from_str(text).map_err(|_| {
        AwsError::new(
            400,
            "InvalidParameterException",
            "Invalid parameter at 'ImageManifest': not a manifest",
        )
    })?;
    let kind = input["imageManifestMediaType"]
        .as_str()
        .or_else(|| document["mediaType"].as_str())
        .unwrap_or("application/vnd.docker.distribution.manifest.v2+json");
    let digest = format!("sha256:{}", crate::sigv4::sha256(text.as_bytes()));
    if input["imageDigest"]
        .as_str()
        .is_some_and(|given| given != digest)
    {
        return Err(AwsError::new(
            400,
            "ImageDigestDoesNotMatchException",
            "The specified image digest does not match the digest that was calculated for the image",
        ));
    }
    let path = repository.path();
    let tag = input["imageTag"].as_str();
    let _one_writer = gateway.images.tagging.lock().await;
    refuse_taken(gateway, repository, tag, &digest).await?;
    if let Err(refusal) = distribution::put_manifest(
        gateway,
        &path,
        tag.unwrap_or(&digest),
        kind,
        text.to_owned().into(),
    )
    .await?
    {
        let code = if refusal.contains("UNKNOWN") {
            "LayersNotFoundException"
        } else {
            "InvalidParameterException"
        };
        return Err(AwsError::new(
            400,
            code,
            format!("The manifest was refused: {refusal}"),
        ));
    }
    gateway.images.remember(&path, &digest);
    let mut id = json!({"imageDigest": digest});
    if let Some(tag) = tag {
        id["imageTag"] = json!(tag);
    }
    Ok(json!({"image": {
        "registryId": repository.account, "repositoryName": repository.name, "imageId": id,
        "imageManifest": text, "imageManifestMediaType": kind,
    }}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end() {
        let list: Vec<Value> = (0..5).map(|n| json!(n)).collect();
        let page = paged("x", list.clone(), &json!({"maxResults": 2}));
        assert_eq!(page, json!({"x": [0, 1], "nextToken": "2"}));
        assert_eq!(
            paged("x", list, &json!({"maxResults": 2, "nextToken": "4"})),
            json!({"x": [4]})
        );
    }
}
