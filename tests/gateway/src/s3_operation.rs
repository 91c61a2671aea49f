//! The operation, the bucket and the key of an S3 call, by its method and path.

use http::Method;

use crate::text::{pairs, percent_decode, value};

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
