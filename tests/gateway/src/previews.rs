//! ECR's preview of a lifecycle policy, which moto lacks: what each rule would do to the images that are there.
//!
//! Source: Amazon ECR API Reference, `StartLifecyclePolicyPreview` and `GetLifecyclePolicyPreview`; Amazon ECR User Guide, "How
//! lifecycle policies work" and "Lifecycle policy properties".

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::error::AwsError;
use crate::images::{self, Image};
use crate::text::{strings, wildcard};
use crate::{Gateway, lock};

/// How long a preview is in progress. ECR names no time; botocore's waiter looks every five seconds.
const TAKES: Duration = Duration::milliseconds(700);

/// How long the preview before is still shown after a new one was started. It is documented nowhere whether ECR ever does so, and a
/// client has to expect it.
const LAGS: Duration = Duration::milliseconds(200);

/// The newest preview of each repository, by its path.
#[derive(Default)]
pub(crate) struct Previews {
    of: Mutex<HashMap<String, Started>>,
}

struct Started {
    newest: Preview,
    /// The preview that is shown until then.
    before: Option<(OffsetDateTime, Preview)>,
}

#[derive(Clone)]
struct Preview {
    text: String,
    results: Vec<Value>,
    done: OffsetDateTime,
}

/// The repository of a preview.
pub(crate) struct Place<'a> {
    pub(crate) account: &'a str,
    pub(crate) name: &'a str,
    /// Its name in the registry behind.
    pub(crate) path: String,
}

/// `StartLifecyclePolicyPreview`.
pub(crate) fn start(
    gateway: &Gateway,
    place: &Place<'_>,
    images: Vec<Image>,
    input: &Value,
) -> Result<Value, AwsError> {
    let now = OffsetDateTime::now_utc();
    let mut previews = lock(&gateway.previews.of);
    let last = previews.get(&place.path);
    if last.is_some_and(|begun| now < begun.newest.done) {
        return Err(AwsError::new(
            400,
            "LifecyclePolicyPreviewInProgressException",
            "The previous lifecycle policy preview request has not completed. Wait and try again.",
        ));
    }
    let Some(text) = input["lifecyclePolicyText"].as_str() else {
        return Err(invalid("the preview of a policy that is set is not here"));
    };
    let results = evaluate(text, images, now)?;
    let newest = Preview {
        text: text.to_owned(),
        results,
        done: now + TAKES,
    };
    let before = previews.remove(&place.path);
    let before = before.map(|begun| (now + LAGS, begun.newest));
    previews.insert(place.path.clone(), Started { newest, before });
    Ok(json!({
        "registryId": place.account,
        "repositoryName": place.name,
        "lifecyclePolicyText": text,
        "status": "IN_PROGRESS",
    }))
}

/// `GetLifecyclePolicyPreview`.
pub(crate) fn get(gateway: &Gateway, place: &Place<'_>, input: &Value) -> Result<Value, AwsError> {
    if !input["imageIds"].is_null() || !input["filter"].is_null() {
        return Err(invalid("a part of a preview is not here"));
    }
    let now = OffsetDateTime::now_utc();
    let previews = lock(&gateway.previews.of);
    let preview = previews.get(&place.path).map(|begun| match &begun.before {
        Some((until, before)) if now < *until => before.clone(),
        _ => begun.newest.clone(),
    });
    drop(previews);
    let Some(preview) = preview else {
        return Err(AwsError::new(
            400,
            "LifecyclePolicyPreviewNotFoundException",
            format!(
                "Lifecycle policy preview does not exist for the repository with name '{}' in the registry with id '{}'",
                place.name, place.account
            ),
        ));
    };
    let done = preview.done <= now;
    let mut answer = match done {
        true => {
            let expiring = preview
                .results
                .iter()
                .filter(|result| result["action"]["type"] == "EXPIRE")
                .count();
            let mut answer = images::paged("previewResults", preview.results, input);
            answer["summary"] = json!({"expiringImageTotalCount": expiring});
            answer
        }
        false => json!({}),
    };
    answer["registryId"] = json!(place.account);
    answer["repositoryName"] = json!(place.name);
    answer["lifecyclePolicyText"] = json!(preview.text);
    answer["status"] = json!(if done { "COMPLETE" } else { "IN_PROGRESS" });
    Ok(answer)
}

/// The images that the rules take, each by one rule at most. A rule of lower priority cannot take an image that an earlier rule selects or
/// took, but counts it.
fn evaluate(text: &str, images: Vec<Image>, now: OffsetDateTime) -> Result<Vec<Value>, AwsError> {
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid("not JSON"))?;
    let mut rules: Vec<(u64, &Value)> = Vec::new();
    for rule in policy["rules"].as_array().into_iter().flatten() {
        let priority = rule["rulePriority"].as_u64();
        rules.push((priority.ok_or_else(|| invalid("no rulePriority"))?, rule));
    }
    rules.sort_by_key(|(priority, _)| *priority);
    if rules.is_empty() || rules.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(invalid("each rule has a rulePriority of its own"));
    }
    let mut claimed = HashSet::new();
    let mut results = Vec::new();
    for (priority, rule) in rules {
        let selection = &rule["selection"];
        let mut selected = Vec::new();
        for image in &images {
            if selects(selection, image)? {
                selected.push(image);
            }
        }
        selected.sort_by_key(|image| std::cmp::Reverse(image.pushed));
        let number = selection["countNumber"]
            .as_u64()
            .filter(|number| *number > 0)
            .ok_or_else(|| invalid("no countNumber"))?;
        let days = Duration::days(number.try_into().unwrap_or(i64::MAX));
        for (newer, image) in (0_u64..).zip(selected) {
            let takes = match (
                selection["countType"].as_str(),
                selection["countUnit"].as_str(),
            ) {
                (Some("imageCountMoreThan"), None) => newer >= number,
                (Some("sinceImagePushed"), Some("days")) => {
                    image.pushed.is_none_or(|pushed| now - pushed > days)
                }
                _ => return Err(invalid("countType and countUnit")),
            };
            if claimed.insert(image.manifest.digest.clone()) && takes {
                results.push(result(priority, &rule["action"], image)?);
            }
        }
    }
    Ok(results)
}

fn result(priority: u64, action: &Value, image: &Image) -> Result<Value, AwsError> {
    let action = match action["type"].as_str() {
        Some("expire") => json!({"type": "EXPIRE"}),
        Some("transition") => json!({"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}),
        _ => return Err(invalid("action")),
    };
    let mut result = json!({
        "imageDigest": image.manifest.digest, "action": action, "appliedRulePriority": priority, "storageClass": "STANDARD",
    });
    if !image.tags.is_empty() {
        result["imageTags"] = json!(image.tags);
    }
    if let Some(pushed) = image.pushed {
        result["imagePushedAt"] = json!(pushed.unix_timestamp());
    }
    Ok(result)
}

fn selects(selection: &Value, image: &Image) -> Result<bool, AwsError> {
    let prefixes = strings(&selection["tagPrefixList"]);
    let mut patterns = strings(&selection["tagPatternList"]);
    patterns.extend(prefixes.iter().map(|prefix| format!("{prefix}*")));
    match (selection["tagStatus"].as_str(), patterns.is_empty()) {
        (Some("any"), true) => Ok(true),
        (Some("untagged"), true) => Ok(image.tags.is_empty()),
        (Some("tagged"), false) => Ok(patterns
            .iter()
            .all(|pattern| image.tags.iter().any(|tag| wildcard(pattern, tag)))),
        _ => Err(invalid("tagStatus and its tags")),
    }
}

fn invalid(why: &str) -> AwsError {
    AwsError::new(
        400,
        "InvalidParameterException",
        format!(
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: {why}'"
        ),
    )
}
