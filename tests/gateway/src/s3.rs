//! S3 in front of moto: names of operations, one writer at a time per object (moto lets two
//! conditional writes win), and buckets' policies, whose conditions moto would not look at.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use http::{Method, StatusCode};

use crate::answer::Answer;
use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Principal;
use crate::policy::{Decision, Question, decide};
use crate::text::{pairs, percent_decode, value};
use crate::{Gateway, lock};

/// Marks a request that stands for one without TLS.
const PLAIN: &str = "x-sandbox-plain-http";

/// What S3 needs remembered: who owns a bucket, and who is writing.
pub(crate) struct Buckets {
    owners: Mutex<HashMap<String, String>>,
    policies: Mutex<HashMap<String, String>>,
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
fn split(path: &str) -> (String, String) {
    let path = percent_decode(path.trim_start_matches('/'));
    match path.split_once('/') {
        Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
        None => (path, String::new()),
    }
}

/// The IAM action that permits an operation.
fn action(operation: &str) -> String {
    let name = match operation {
        "HeadObject" => "GetObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "UploadPart" | "CreateMultipartUpload" | "CompleteMultipartUpload" => "PutObject",
        "DeleteObjects" => "DeleteObject",
        other => other,
    };
    format!("s3:{name}")
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
            permitted_by_policy(gateway, call, principal, owner, &bucket, &key)?;
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

/// Holds a call against the bucket's policy: nobody may do what it denies, and another account only
/// what it allows. What the owner's own roles may do is not looked at.
fn permitted_by_policy(
    gateway: &Gateway,
    call: &Call,
    principal: &Principal,
    owner: &str,
    bucket: &str,
    key: &str,
) -> Result<(), AwsError> {
    let resource = if key.is_empty() {
        format!("arn:aws:s3:::{bucket}")
    } else {
        format!("arn:aws:s3:::{bucket}/{key}")
    };
    let asker = crate::access::asker(principal);
    let mut context = crate::access::context(principal);
    // The sandbox's address stands for AWS's https endpoints, which have no other names here; a
    // request says so where it stands for one without TLS.
    let plain = call.header(PLAIN).is_some();
    context.set("aws:SecureTransport", vec![(!plain).to_string()]);
    // Service Authorization Reference, "Condition keys for Amazon S3".
    for name in [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
    ] {
        if let Some(value) = call.header(name) {
            context.set(&format!("s3:{name}"), vec![value.to_owned()]);
        }
    }
    let action = action(&call.operation);
    let question = Question {
        action: &action,
        resource: Some(&resource),
        asker: &asker,
        context: &context,
    };
    let policy = lock(&gateway.buckets.policies).get(bucket).cloned();
    let decision = policy.map_or(Decision::Silent, |policy| decide(&policy, &question));
    let why = match decision {
        Decision::Allow(_) => return Ok(()),
        Decision::Silent if owner == principal.account => return Ok(()),
        Decision::Silent => format!("because no resource-based policy allows the {action} action"),
        Decision::Deny => "with an explicit deny in a resource-based policy".to_owned(),
    };
    Err(AwsError::new(
        403,
        "AccessDenied",
        format!(
            "User: {} is not authorized to perform: {action} on resource: \"{resource}\" {why}",
            principal.arn
        ),
    ))
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
