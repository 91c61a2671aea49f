//! S3: buckets and objects, whose actions are not named as its operations are.
//! Source: Service Authorization Reference, "Amazon S3"; S3 User Guide, "Required permissions for Amazon S3 API operations".

use super::{Need, Scene};
use crate::lock;
use crate::s3_operation::split;
use crate::text::{pairs, percent_decode, value};

pub(super) fn needs(scene: &Scene<'_>) -> Option<Vec<Need>> {
    let call = scene.call;
    let operation = scene.operation();
    if operation == "ListBuckets" {
        return Some(vec![scene.need("ListAllMyBuckets", "*")]);
    }
    let (bucket, key) = split(&call.path);
    let query = pairs(&call.query, false);
    let version = value(&query, "versionId").is_some();
    let bucket_need = on(scene, &bucket, None);
    let object = on(scene, &bucket, Some(&key));
    let Some(action) = on_object(operation, version) else {
        let action = on_bucket(operation, !key.is_empty())?;
        let mut need = match key.is_empty() {
            true => bucket_need(action),
            false => object(action),
        };
        for (parameter, key) in [
            ("prefix", "s3:prefix"),
            ("delimiter", "s3:delimiter"),
            ("max-keys", "s3:max-keys"),
        ] {
            let asked = value(&query, parameter).map(str::to_owned);
            need = need.with(key, asked.into_iter().collect());
        }
        return Some(vec![need]);
    };
    // The list of the objects to delete is in a body that streams, so only what may delete all may delete any.
    let mut needs = vec![match operation {
        "DeleteObjects" => on(scene, &bucket, Some("*"))(action),
        _ => asked(scene, object(action)),
    }];
    for (header, action) in [
        ("x-amz-tagging", "PutObjectTagging"),
        ("x-amz-acl", "PutObjectAcl"),
    ] {
        if call.header(header).is_some() {
            needs.push(object(action));
        }
    }
    if let Some(source) = call.header("x-amz-copy-source") {
        let (path, version) = source.split_once('?').unwrap_or((source, ""));
        let (bucket, key) = split(&format!(
            "/{}",
            percent_decode(path.trim_start_matches('/'))
        ));
        let action = match version.is_empty() {
            true => "GetObject",
            false => "GetObjectVersion",
        };
        needs.push(on(scene, &bucket, Some(&key))(action));
    }
    Some(needs)
}

/// The encryption that a write asks for, and whether it may replace what is there (S3 User Guide, "Enforce conditional writes on Amazon S3
/// buckets").
fn asked(scene: &Scene<'_>, need: Need) -> Need {
    [
        "if-none-match",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
    ]
    .into_iter()
    .fold(need, |need, name| {
        let asked = scene.call.header(name).map(str::to_owned);
        need.with(&format!("s3:{name}"), asked.into_iter().collect())
    })
}

/// The permission with which a caller can distinguish a missing object from a forbidden one.
pub(crate) fn list(scene: &Scene<'_>, bucket: &str) -> Need {
    on(scene, bucket, None)("ListBucket")
}

/// An action on a bucket or one of its objects. A bucket that does not exist counts as the caller's own.
fn on<'a>(scene: &'a Scene<'_>, bucket: &str, key: Option<&str>) -> impl Fn(&str) -> Need + 'a {
    let arn = match key {
        Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
        None => format!("arn:aws:s3:::{bucket}"),
    };
    let owner = lock(&scene.buckets.owners).get(bucket).cloned();
    move |action| {
        let mut need = scene.need(action, &arn);
        if let Some(owner) = &owner {
            need.owner.clone_from(owner);
        }
        need
    }
}

fn on_object(operation: &str, version: bool) -> Option<&'static str> {
    Some(match (operation, version) {
        ("GetObject" | "HeadObject", false) => "GetObject",
        ("GetObject" | "HeadObject", true) => "GetObjectVersion",
        ("PutObject" | "UploadPart" | "CreateMultipartUpload" | "CompleteMultipartUpload", _) => {
            "PutObject"
        }
        ("DeleteObject", false) | ("DeleteObjects", _) => "DeleteObject",
        ("DeleteObject", true) => "DeleteObjectVersion",
        ("AbortMultipartUpload", _) => "AbortMultipartUpload",
        ("GetObjectTagging", false) => "GetObjectTagging",
        ("PutObjectTagging", false) => "PutObjectTagging",
        ("DeleteObjectTagging", false) => "DeleteObjectTagging",
        _ => return None,
    })
}

fn on_bucket(operation: &str, object: bool) -> Option<&'static str> {
    Some(match operation {
        "GetAcl" if object => "GetObjectAcl",
        "PutAcl" if object => "PutObjectAcl",
        _ if object => return None,
        "CreateBucket" => "CreateBucket",
        "DeleteBucket" => "DeleteBucket",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "GetBucketVersioning" => "GetBucketVersioning",
        "PutBucketVersioning" => "PutBucketVersioning",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketPolicy" => "GetBucketPolicy",
        "PutBucketPolicy" => "PutBucketPolicy",
        "DeleteBucketPolicy" => "DeleteBucketPolicy",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetBucketLocation" => "GetBucketLocation",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycleConfiguration" => {
            "PutLifecycleConfiguration"
        }
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        "PutObjectLockConfiguration" => "PutBucketObjectLockConfiguration",
        "GetBucketOwnershipControls" => "GetBucketOwnershipControls",
        "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => {
            "PutBucketOwnershipControls"
        }
        "GetBucketTagging" => "GetBucketTagging",
        "PutBucketTagging" | "DeleteBucketTagging" => "PutBucketTagging",
        "GetBucketCors" => "GetBucketCORS",
        "GetBucketLogging" => "GetBucketLogging",
        "PutBucketLogging" => "PutBucketLogging",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "GetAcl" => "GetBucketAcl",
        "PutAcl" => "PutBucketAcl",
        _ => return None,
    })
}
