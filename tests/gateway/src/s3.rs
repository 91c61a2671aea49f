//! S3 in front of moto: names of operations, one writer at a time per object (moto lets two
//! conditional writes win), and buckets' owners and policies, of which moto would not look at the conditions.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use http::{Method, StatusCode};

use crate::access::{self, needs};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Principal;
use crate::text::{pairs, percent_decode, value};
use crate::{Gateway, lock};

/// The owners and policies of buckets, and the locks that admit one writer to an object at a time.
pub(crate) struct Buckets {
    pub(crate) owners: Mutex<HashMap<String, String>>,
    pub(crate) policies: Mutex<HashMap<String, String>>,
    writers: Vec<tokio::sync::Mutex<()>>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            owners: Mutex::default(),
            policies: Mutex::default(),
            writers: (0..64).map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }
}

/// The operation's API name.
pub(crate) fn operation(method: &Method, path: &str, query: &str) -> String {
    let (bucket, key) = split(path);
    let query = pairs(query, false);
    let has = |name: &str| value(&query, name).is_some();
    const SUBRESOURCES: [(&str, &str); 13] = [
        ("versioning", "BucketVersioning"),
        ("encryption", "BucketEncryption"),
        ("policy", "BucketPolicy"),
        ("publicAccessBlock", "PublicAccessBlock"),
        ("location", "BucketLocation"),
        ("lifecycle", "BucketLifecycleConfiguration"),
        ("object-lock", "ObjectLockConfiguration"),
        ("ownershipControls", "BucketOwnershipControls"),
        ("cors", "BucketCors"),
        ("logging", "BucketLogging"),
        ("notification", "BucketNotificationConfiguration"),
        ("replication", "BucketReplication"),
        ("acl", "Acl"),
    ];
    let verb = match method.as_str() {
        "PUT" => "Put",
        "DELETE" => "Delete",
        "HEAD" => "Head",
        "POST" => "Post",
        _ => "Get",
    };
    if bucket.is_empty() {
        "ListBuckets".to_owned()
    } else if let Some((_, name)) = SUBRESOURCES.iter().find(|(query, _)| has(query)) {
        format!("{verb}{name}")
    } else if has("tagging") {
        format!(
            "{verb}{}Tagging",
            if key.is_empty() { "Bucket" } else { "Object" }
        )
    } else if key.is_empty() {
        match verb {
            "Put" => "CreateBucket",
            "Delete" => "DeleteBucket",
            "Head" => "HeadBucket",
            "Post" => "DeleteObjects",
            _ if has("versions") => "ListObjectVersions",
            _ if has("uploads") => "ListMultipartUploads",
            _ if has("list-type") => "ListObjectsV2",
            _ => "ListObjects",
        }
        .to_owned()
    } else {
        match verb {
            "Post" if has("uploads") => "CreateMultipartUpload".to_owned(),
            "Post" => "CompleteMultipartUpload".to_owned(),
            "Put" if has("partNumber") => "UploadPart".to_owned(),
            "Delete" if has("uploadId") => "AbortMultipartUpload".to_owned(),
            _ => format!("{verb}Object"),
        }
    }
}

/// Bucket and key of a path-style path.
pub(crate) fn split(path: &str) -> (String, String) {
    let path = percent_decode(path.trim_start_matches('/'));
    match path.split_once('/') {
        Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
        None => (path, String::new()),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_their_api_names() {
        for (method, path, query, name) in [
            ("GET", "/", "", "ListBuckets"),
            ("PUT", "/b", "", "CreateBucket"),
            ("HEAD", "/b", "", "HeadBucket"),
            ("GET", "/b", "list-type=2&prefix=x", "ListObjectsV2"),
            ("PUT", "/b", "versioning", "PutBucketVersioning"),
            ("GET", "/b/k/l", "", "GetObject"),
            ("HEAD", "/b/k", "", "HeadObject"),
            ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"),
            ("POST", "/b/k", "uploads", "CreateMultipartUpload"),
            ("POST", "/b/k", "uploadId=u", "CompleteMultipartUpload"),
            ("POST", "/b", "delete", "DeleteObjects"),
            ("DELETE", "/b/k", "", "DeleteObject"),
        ] {
            assert_eq!(operation(&method.parse().unwrap(), path, query), name);
        }
    }
}
