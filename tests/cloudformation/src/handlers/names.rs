//! `AWS::Route53::HostedZone` and `AWS::Route53::RecordSet`.
//! Source: Amazon Route 53 API Reference, "CreateHostedZone" and "ChangeResourceRecordSets".

use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::{Desk, Failure, Made, Properties, unknown};
use crate::ids;
use crate::services::{Refusal, xml_all, xml_one};
use crate::template::parameters::text;

const ZONE: [&str; 2] = ["HostedZoneConfig", "Name"];
const RECORD: [&str; 6] = [
    "AliasTarget",
    "HostedZoneId",
    "Name",
    "ResourceRecords",
    "TTL",
    "Type",
];
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::Route53::HostedZone" => &ZONE,
        _ => &RECORD,
    }
}

/// A call of the REST protocol; answers XML.
async fn call(desk: &Desk, method: Method, path: &str, body: String) -> Result<String, Refusal> {
    let path = format!("/2013-04-01/{path}");
    let answer = desk
        .services
        .send("route53", method, &path, "", HeaderMap::new(), body.into())
        .await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A set of records as a change names it: name, type, and what the records are, in XML.
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) content: String,
}

impl Record {
    fn of(properties: &Properties) -> Self {
        let word = |name: &str| properties.get(name).map(text).unwrap_or_default();
        let content = match properties.get("AliasTarget") {
            Some(alias) => {
                let part = |name: &str| escaped(&alias.get(name).map(text).unwrap_or_default());
                let looks = alias.get("EvaluateTargetHealth").map(text);
                format!(
                    "<AliasTarget><HostedZoneId>{}</HostedZoneId><DNSName>{}</DNSName>\
                     <EvaluateTargetHealth>{}</EvaluateTargetHealth></AliasTarget>",
                    part("HostedZoneId"),
                    part("DNSName"),
                    looks.unwrap_or_else(|| "false".to_owned()),
                )
            }
            None => {
                let values = properties.get("ResourceRecords").and_then(Value::as_array);
                let values = values.into_iter().flatten().map(|value| {
                    let value = escaped(&text(value));
                    format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>")
                });
                let values: String = values.collect();
                let ttl = word("TTL");
                format!("<TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords>")
            }
        };
        Self {
            name: word("Name"),
            kind: word("Type"),
            content,
        }
    }
}

/// Changes a set of records in a zone.
pub(super) async fn change(
    desk: &Desk,
    zone: &str,
    action: &str,
    record: &Record,
) -> Result<(), Refusal> {
    let Record {
        name,
        kind,
        content,
    } = record;
    let name = escaped(name);
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes><Change>\
         <Action>{action}</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type>{content}\
         </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    let path = format!("hostedzone/{}/rrset/", bare(zone));
    call(desk, Method::POST, &path, body).await.map(drop)
}

/// The ID without the path that answers have before it.
fn bare(zone: &str) -> &str {
    zone.rsplit('/').next().unwrap_or(zone)
}

fn zone_of(properties: &Properties) -> String {
    properties.get("HostedZoneId").map(text).unwrap_or_default()
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::Route53::HostedZone" => create_zone(desk, properties).await,
        "AWS::Route53::RecordSet" => {
            let record = Record::of(properties);
            change(desk, &zone_of(properties), "CREATE", &record).await?;
            Ok(made(&record.name))
        }
        _ => Err(unknown(kind)),
    }
}

fn made(physical: &str) -> Made {
    Made {
        physical: physical.to_owned(),
        attributes: Map::new(),
    }
}

async fn create_zone(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let name = properties.get("Name").map(text).unwrap_or_default();
    let comment = properties.get("HostedZoneConfig").map(|given| {
        let comment = escaped(&given.get("Comment").map(text).unwrap_or_default());
        format!("<HostedZoneConfig><Comment>{comment}</Comment></HostedZoneConfig>")
    });
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"{NAMESPACE}\"><Name>{}</Name><CallerReference>{}</CallerReference>{}\
         </CreateHostedZoneRequest>",
        escaped(&name),
        ids::uuid(),
        comment.unwrap_or_default(),
    );
    let answer = call(desk, Method::POST, "hostedzone", body).await?;
    let zone = xml_one(&answer, "HostedZone").unwrap_or_default();
    let id = xml_one(&zone, "Id").unwrap_or_default();
    let id = bare(&id);
    let servers = xml_all(&answer, "NameServer");
    Ok(Made {
        physical: id.to_owned(),
        attributes: Map::from_iter([
            ("Id".to_owned(), Value::from(id)),
            ("NameServers".to_owned(), Value::from(servers)),
        ]),
    })
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    if kind != "AWS::Route53::RecordSet" {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not change {kind}"),
        ));
    }
    let (before, after) = (Record::of(old), Record::of(new));
    change(desk, &zone_of(new), "UPSERT", &after).await?;
    // A record of another name or type is another one, and the first is still there.
    if before.name != after.name || before.kind != after.kind {
        change(desk, &zone_of(old), "DELETE", &before).await?;
        return Ok(made(&after.name));
    }
    Ok(made(physical))
}

pub(super) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    if kind == "AWS::Route53::HostedZone" {
        let path = format!("hostedzone/{physical}");
        return call(desk, Method::DELETE, &path, String::new())
            .await
            .map(drop);
    }
    let record = Record::of(properties);
    match change(desk, &zone_of(properties), "DELETE", &record).await {
        // Route 53's answer for a set of records that is not there.
        Err(refusal) if refusal.code == "InvalidChangeBatch" => Ok(()),
        other => other,
    }
}
