//! `AWS::CertificateManager::Certificate`, validated by a record in a hosted zone.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::names::{Record, change};
use super::{Desk, Failure, Made, Properties, copied};
use crate::services::Refusal;
use crate::template::parameters::text;

pub(super) const PROPERTIES: [&str; 6] = [
    "DomainName",
    "DomainValidationOptions",
    "KeyAlgorithm",
    "SubjectAlternativeNames",
    "Tags",
    "ValidationMethod",
];

async fn call(desk: &Desk, target: &'static str, input: Value) -> Result<Value, Refusal> {
    desk.services.json("acm", target, input).await
}

pub(super) async fn create(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let names = [
        "DomainName",
        "KeyAlgorithm",
        "SubjectAlternativeNames",
        "Tags",
        "ValidationMethod",
    ];
    let input = Value::Object(copied(properties, &names));
    let answer = call(desk, "CertificateManager.RequestCertificate", input).await?;
    let arn = text(&answer["CertificateArn"]);
    let options = properties.get("DomainValidationOptions");
    for option in options.and_then(Value::as_array).into_iter().flatten() {
        let zone = option.get("HostedZoneId").map(text).unwrap_or_default();
        validate(desk, &arn, &option["DomainName"], &zone).await?;
    }
    issued(desk, &arn).await?;
    Ok(made(&arn))
}

fn made(arn: &str) -> Made {
    Made {
        physical: arn.to_owned(),
        attributes: Map::from_iter([("CertificateArn".to_owned(), Value::from(arn))]),
    }
}

async fn described(desk: &Desk, arn: &str) -> Result<Value, Refusal> {
    let input = json!({"CertificateArn": arn});
    let answer = call(desk, "CertificateManager.DescribeCertificate", input).await?;
    Ok(answer["Certificate"].clone())
}

/// Makes the record that proves the domain. It stays when the certificate goes, as in AWS.
/// Source: AWS CloudFormation User Guide, `AWS::CertificateManager::Certificate`.
async fn validate(desk: &Desk, arn: &str, domain: &Value, zone: &str) -> Result<(), Refusal> {
    let certificate = described(desk, arn).await?;
    let options = certificate["DomainValidationOptions"].as_array();
    let mut options = options.into_iter().flatten();
    let Some(found) = options.find(|option| option["DomainName"] == *domain) else {
        return Ok(());
    };
    let asked = &found["ResourceRecord"];
    let record = Record {
        name: text(&asked["Name"]),
        kind: text(&asked["Type"]),
        content: format!(
            "<TTL>300</TTL><ResourceRecords><ResourceRecord><Value>{}</Value></ResourceRecord></ResourceRecords>",
            text(&asked["Value"])
        ),
    };
    change(desk, zone, "UPSERT", &record).await
}

async fn issued(desk: &Desk, arn: &str) -> Result<(), Failure> {
    for _ in 0..600 {
        match described(desk, arn).await?["Status"].as_str() {
            Some("ISSUED") => return Ok(()),
            Some("PENDING_VALIDATION") => tokio::time::sleep(Duration::from_millis(200)).await,
            other => {
                let status = other.unwrap_or_default();
                return Err(Failure::new("NotStabilized", format!("{arn} is {status}")));
            }
        }
    }
    Err(Failure::new(
        "NotStabilized",
        format!("{arn} was not issued"),
    ))
}

pub(super) async fn update(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let calls = super::retag::TagCalls {
        service: "acm",
        remove: ("CertificateManager.RemoveTagsFromCertificate", "Tags"),
        add: ("CertificateManager.AddTagsToCertificate", "Tags"),
        resource: json!({"CertificateArn": physical}),
        tags: new.get("Tags").cloned().unwrap_or_default(),
    };
    // To be removed, a tag is named as a pair here.
    if !crate::tags::gone(old.get("Tags"), new.get("Tags")).is_empty() {
        return Err(Failure::new(
            "InvalidRequest",
            "the sandbox's CloudFormation does not remove tags of a certificate",
        ));
    }
    desk.retag(calls, old, new).await?;
    Ok(made(physical))
}

pub(super) async fn delete(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let input = json!({"CertificateArn": physical});
    let target = "CertificateManager.DeleteCertificate";
    call(desk, target, input).await.map(drop)
}
