//! S3 in front of moto: names of operations, one writer at a time per object (moto lets two
//! conditional writes win), and buckets' owners and policies, of which moto would not look at the conditions.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::{Body, Bytes};
use http::{Method, StatusCode};

use crate::access::{self, needs};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Principal;
use crate::s3_operation::split;
use crate::{Gateway, lock};

/// Forwards one S3 call.
pub(crate) async fn handle(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
    body: Body,
) -> Result<Answer, AwsError> {
    let (bucket, key) = split(&call.path);
    let owner = lock(&gateway.buckets.owners).get(&bucket).cloned();
    let account = match &owner {
        Some(owner) if call.operation != "CreateBucket" => {
            if call.operation.ends_with("BucketPolicy") {
                return policy(gateway, call, bucket, body).await;
            }
            owner.clone()
        }
        _ => principal.account.clone(),
    };
    let mut hasher = DefaultHasher::new();
    (&bucket, &key).hash(&mut hasher);
    let slot = usize::try_from(hasher.finish() % 64).unwrap_or_default();
    let writes = matches!(call.method, Method::PUT | Method::POST | Method::DELETE);
    let _one_writer = if writes {
        Some(gateway.buckets.writers[slot].lock().await)
    } else {
        None
    };
    let mut answer = crate::moto::stream(gateway, call, &account, body).await?;
    if answer.status == StatusCode::NOT_FOUND && owner.is_some() && !key.is_empty() {
        answer = forbidden_if_unlisted(gateway, call, principal, &bucket, answer).await?;
    }
    if answer.status.is_success() {
        if call.operation == "GetBucketVersioning" {
            answer = versioning(answer).await?;
        }
        match call.operation.as_str() {
            "CreateBucket" => {
                lock(&gateway.buckets.owners)
                    .entry(bucket)
                    .or_insert(account);
            }
            "DeleteBucket" => {
                lock(&gateway.buckets.owners).remove(&bucket);
                lock(&gateway.buckets.policies).remove(&bucket);
            }
            _ => {}
        }
    }
    Ok(answer)
}

/// A caller who may not list a bucket does not learn which objects it lacks (S3 API reference, GetObject and HeadObject).
async fn forbidden_if_unlisted(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
    bucket: &str,
    answer: Answer,
) -> Result<Answer, AwsError> {
    if !matches!(call.operation.as_str(), "GetObject" | "HeadObject") {
        return Ok(answer);
    }
    let need = needs::list(&needs::Scene::new(gateway, call, principal), bucket);
    match access::permit::may(gateway, principal, &need).await? {
        true => Ok(answer),
        false => Err(AwsError::new(403, "AccessDenied", "Access Denied")),
    }
}

/// moto names the root element after the operation, S3 after what it holds (S3 API reference, GetBucketVersioning); SDKs
/// insist on it.
async fn versioning(answer: Answer) -> Result<Answer, AwsError> {
    let answer = answer.read().await?;
    let text = answer
        .text()
        .replace("GetBucketVersioningResponse", "VersioningConfiguration");
    Ok(Answer {
        body: Bytes::from(text).into(),
        ..answer
    })
}

/// Puts, gives out or removes a bucket's policy.
async fn policy(
    gateway: &Gateway,
    call: &Call,
    bucket: String,
    body: Body,
) -> Result<Answer, AwsError> {
    let none = || {
        AwsError::new(
            404,
            "NoSuchBucketPolicy",
            "The bucket policy does not exist",
        )
    };
    let done = |text: String| {
        let mut answer = Answer::json(&serde_json::Value::Null);
        if text.is_empty() {
            answer.status = StatusCode::NO_CONTENT;
        }
        answer.body = Bytes::from(text).into();
        answer
    };
    match call.method.as_str() {
        "PUT" => {
            let bytes = axum::body::to_bytes(body, 20 * 1024)
                .await
                .map_err(|_| AwsError::new(400, "PolicyTooLarge", "Policy is too large"))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if !serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|it| it.is_object()) {
                return Err(AwsError::new(
                    400,
                    "MalformedPolicy",
                    "Policies must be valid JSON and the first byte must be '{'",
                ));
            }
            lock(&gateway.buckets.policies).insert(bucket, text);
            Ok(done(String::new()))
        }
        "DELETE" => {
            lock(&gateway.buckets.policies).remove(&bucket);
            Ok(done(String::new()))
        }
        _ => {
            let text = lock(&gateway.buckets.policies).get(&bucket).cloned();
            text.map(done).ok_or_else(none)
        }
    }
}
