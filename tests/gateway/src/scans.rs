//! ECR's image scans, whose results moto makes up. The control interface sets the findings; a scan without any set
//! begins when it is asked for, and finds nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::ecr_repository::Repository;
use crate::error::AwsError;
use crate::{Gateway, distribution, lock};

/// The results of an image's scan, as the control interface takes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) repository: String,
    pub(crate) digest: String,
    /// The results of successive looks; the last one repeats. Empty: there was no scan yet.
    #[serde(default)]
    looks: VecDeque<Seen>,
    /// The error that asking for a scan is answered with.
    start: Option<Refusal>,
    /// The results of looks after a scan was asked for.
    #[serde(default)]
    after_start: VecDeque<Seen>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    message: String,
}

/// The result of one look, in ECR's words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    status: String,
    description: Option<String>,
    /// How long ago the scan ended; 0 by default.
    #[serde(default)]
    seconds_ago: i64,
    /// `findingSeverityCounts`; absent by default.
    counts: Option<Map<String, Value>>,
    #[serde(default)]
    findings: Vec<Value>,
    #[serde(default)]
    enhanced: Vec<Value>,
}

#[derive(Debug, Default)]
struct Image {
    looks: VecDeque<Seen>,
    /// The look that pages are of.
    current: Option<Seen>,
    refusal: Option<Refusal>,
    after_start: VecDeque<Seen>,
    asked: Option<OffsetDateTime>,
}

/// The scans of all images, by place and digest.
#[derive(Default)]
pub(crate) struct Scans {
    images: Mutex<HashMap<String, Image>>,
}

impl Scans {
    pub(crate) fn set(&self, script: Script) {
        let key = key(
            &script.account,
            &script.region,
            &script.repository,
            &script.digest,
        );
        let image = Image {
            looks: script.looks,
            current: None,
            refusal: script.start,
            after_start: script.after_start,
            asked: None,
        };
        lock(&self.images).insert(key, image);
    }
}

fn key(account: &str, region: &str, repository: &str, digest: &str) -> String {
    format!("{account}/{region}/{repository}@{digest}")
}

/// The image that a call names by digest or tag.
async fn image(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<(String, distribution::Manifest), AwsError> {
    let id = &input["imageId"];
    let reference = id["imageDigest"].as_str().or(id["imageTag"].as_str());
    let found = match reference {
        Some(reference) => distribution::manifest(gateway, &repository.path(), reference).await?,
        None => None,
    };
    let manifest = found.ok_or_else(|| crate::images::missing(repository, id))?;
    let key = key(
        &repository.account,
        &repository.region,
        &repository.name,
        &manifest.digest,
    );
    Ok((key, manifest))
}

/// `StartImageScan`.
pub(crate) async fn start(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let (key, manifest) = image(gateway, repository, input).await?;
    if manifest.json()["manifests"].is_array() {
        return Err(AwsError::new(
            400,
            "UnsupportedImageTypeException",
            "The image is of a type that cannot be scanned",
        ));
    }
    let now = OffsetDateTime::now_utc();
    let mut images = lock(&gateway.scans.images);
    let image = images.entry(key).or_default();
    if let Some(refusal) = &image.refusal {
        return Err(AwsError::new(400, &refusal.code, &refusal.message));
    }
    if image
        .asked
        .is_some_and(|asked| now - asked < Duration::hours(24))
    {
        return Err(AwsError::new(
            400,
            "LimitExceededException",
            "The scan quota per image has been exceeded. Wait and try again.",
        ));
    }
    image.asked = Some(now);
    image.looks = match image.after_start.is_empty() {
        false => image.after_start.clone(),
        true => ["IN_PROGRESS", "COMPLETE"]
            .map(|status| Seen {
                status: status.to_owned(),
                description: None,
                seconds_ago: 0,
                counts: None,
                findings: Vec::new(),
                enhanced: Vec::new(),
            })
            .into(),
    };
    Ok(json!({
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": manifest.digest},
        "imageScanStatus": {"status": "IN_PROGRESS"},
    }))
}

/// `DescribeImageScanFindings`.
pub(crate) async fn describe(
    gateway: &Gateway,
    repository: &Repository,
    input: &Value,
) -> Result<Value, AwsError> {
    let (key, manifest) = image(gateway, repository, input).await?;
    let mut images = lock(&gateway.scans.images);
    let image = images.entry(key).or_default();
    // A further page is of the same look.
    if input["nextToken"].is_null() {
        image.current = match image.looks.len() {
            0 | 1 => image.looks.front().cloned(),
            _ => image.looks.pop_front(),
        };
    }
    let Some(seen) = &image.current else {
        return Err(AwsError::new(
            400,
            "ScanNotFoundException",
            format!(
                "Image scan does not exist for the image with '{{imageDigest:'{}', imageTag:'null'}}' in the repository with name '{}' in the registry with id '{}'",
                manifest.digest, repository.name, repository.account
            ),
        ));
    };
    let mut status = json!({"status": seen.status});
    if let Some(description) = &seen.description {
        status["description"] = json!(description);
    }
    let mut answer = json!({
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageId": {"imageDigest": manifest.digest},
        "imageScanStatus": status,
    });
    if matches!(seen.status.as_str(), "COMPLETE" | "ACTIVE") {
        answer["imageScanFindings"] = page(seen, input, &mut answer);
    }
    Ok(answer)
}

/// One page of the findings, as long as asked for; the token is the place to go on from.
fn page(seen: &Seen, input: &Value, answer: &mut Value) -> Value {
    let size = input["maxResults"].as_u64().unwrap_or(100).clamp(1, 1000);
    let size = usize::try_from(size).unwrap_or(100);
    let start = input["nextToken"]
        .as_str()
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let ended = OffsetDateTime::now_utc() - Duration::seconds(seen.seconds_ago);
    let mut findings = json!({"imageScanCompletedAt": ended.unix_timestamp()});
    if let Some(counts) = &seen.counts {
        findings["findingSeverityCounts"] = json!(counts);
    }
    for (name, all) in [
        ("findings", &seen.findings),
        ("enhancedFindings", &seen.enhanced),
    ] {
        let some: Vec<&Value> = all.iter().skip(start).take(size).collect();
        if !some.is_empty() {
            findings[name] = json!(some);
        }
    }
    if start + size < seen.findings.len().max(seen.enhanced.len()) {
        answer["nextToken"] = json!((start + size).to_string());
    }
    findings
}
