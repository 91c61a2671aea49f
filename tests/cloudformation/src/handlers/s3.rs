//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.

use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, Services};
use crate::tags;
use crate::template::parameters::text;

pub(super) const PROPERTIES: [&str; 5] = [
    "BucketName",
    "VersioningConfiguration",
    "BucketEncryption",
    "PublicAccessBlockConfiguration",
    "Tags",
];

pub(super) const POLICY_PROPERTIES: [&str; 2] = ["Bucket", "PolicyDocument"];

async fn call(
    services: &Services,
    method: Method,
    bucket: &str,
    query: &str,
    body: String,
) -> Result<(), Refusal> {
    let path = format!("/{bucket}");
    let sent = services.send("s3", method, &path, query, HeaderMap::new(), body.into());
    sent.await.map(drop)
}

/// Returns true if a bucket has the name, in whichever account.
pub(super) async fn exists(services: &Services, bucket: &str) -> bool {
    call(services, Method::HEAD, bucket, "", String::new())
        .await
        .is_ok()
}

fn made(desk: &Desk, bucket: &str) -> Made {
    let region = &desk.services.region;
    let attributes = [
        ("Arn", format!("arn:aws:s3:::{bucket}")),
        ("DomainName", format!("{bucket}.s3.amazonaws.com")),
        (
            "RegionalDomainName",
            format!("{bucket}.s3.{region}.amazonaws.com"),
        ),
        (
            "DualStackDomainName",
            format!("{bucket}.s3.dualstack.{region}.amazonaws.com"),
        ),
    ];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), Value::from(value)));
    Made {
        physical: bucket.to_owned(),
        attributes: Map::from_iter(attributes),
    }
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let given = properties.get("BucketName").and_then(Value::as_str);
    let bucket = given.map_or_else(|| desk.name().to_lowercase(), str::to_owned);
    if exists(&desk.services, &bucket).await {
        return Err(desk.exists("AWS::S3::Bucket", &bucket));
    }
    let region = &desk.services.region;
    let place = match region.as_str() {
        "us-east-1" => String::new(),
        region => format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ),
    };
    call(&desk.services, Method::PUT, &bucket, "", place).await?;
    settle(desk, &bucket, &Map::new(), properties).await?;
    Ok(made(desk, &bucket))
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    settle(desk, physical, old, new).await?;
    Ok(made(desk, physical))
}

/// Sets what differs. A setting that the template has no more is removed.
async fn settle(
    desk: &Desk,
    bucket: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    for (property, query, body) in [
        (
            "VersioningConfiguration",
            "versioning",
            versioning as fn(Option<&Value>) -> Option<String>,
        ),
        ("BucketEncryption", "encryption", encryption),
        ("PublicAccessBlockConfiguration", "publicAccessBlock", block),
        ("Tags", "tagging", tagging),
    ] {
        if old.get(property) == new.get(property) {
            continue;
        }
        match body(new.get(property)) {
            Some(body) => call(&desk.services, Method::PUT, bucket, query, body).await?,
            None => call(&desk.services, Method::DELETE, bucket, query, String::new()).await?,
        }
    }
    Ok(())
}

/// A bucket that had versions once can only have them suspended.
fn versioning(asked: Option<&Value>) -> Option<String> {
    let status = asked
        .and_then(|it| it["Status"].as_str())
        .unwrap_or("Suspended");
    Some(format!(
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status></VersioningConfiguration>"
    ))
}

fn encryption(asked: Option<&Value>) -> Option<String> {
    let rules = asked?["ServerSideEncryptionConfiguration"].as_array()?;
    let mut body = "<ServerSideEncryptionConfiguration>".to_owned();
    for rule in rules {
        let by = &rule["ServerSideEncryptionByDefault"];
        body.push_str("<Rule><ApplyServerSideEncryptionByDefault>");
        for (property, tag) in [
            ("SSEAlgorithm", "SSEAlgorithm"),
            ("KMSMasterKeyID", "KMSMasterKeyID"),
        ] {
            if let Some(value) = by[property].as_str() {
                body.push_str(&format!("<{tag}>{}</{tag}>", escaped(value)));
            }
        }
        body.push_str("</ApplyServerSideEncryptionByDefault>");
        if let Some(enabled) = rule["BucketKeyEnabled"].as_bool() {
            body.push_str(&format!("<BucketKeyEnabled>{enabled}</BucketKeyEnabled>"));
        }
        body.push_str("</Rule>");
    }
    Some(body + "</ServerSideEncryptionConfiguration>")
}

fn block(asked: Option<&Value>) -> Option<String> {
    let asked = asked?;
    let mut body = "<PublicAccessBlockConfiguration>".to_owned();
    for name in [
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    ] {
        let on = asked[name].as_bool().unwrap_or(false);
        body.push_str(&format!("<{name}>{on}</{name}>"));
    }
    Some(body + "</PublicAccessBlockConfiguration>")
}

fn tagging(asked: Option<&Value>) -> Option<String> {
    let pairs = tags::pairs(asked);
    if pairs.is_empty() {
        return None;
    }
    let mut body = "<Tagging><TagSet>".to_owned();
    for (key, value) in pairs {
        body.push_str(&format!(
            "<Tag><Key>{}</Key><Value>{}</Value></Tag>",
            escaped(&key),
            escaped(&value)
        ));
    }
    Some(body + "</TagSet></Tagging>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    call(&desk.services, Method::DELETE, physical, "", String::new()).await
}

pub(super) async fn create_policy(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let bucket = properties.get("Bucket").map(text).unwrap_or_default();
    let document = properties
        .get("PolicyDocument")
        .map(text)
        .unwrap_or_default();
    call(&desk.services, Method::PUT, &bucket, "policy", document).await?;
    Ok(Made {
        physical: bucket,
        attributes: Map::new(),
    })
}

pub(super) async fn delete_policy(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    call(
        &desk.services,
        Method::DELETE,
        physical,
        "policy",
        String::new(),
    )
    .await
}
