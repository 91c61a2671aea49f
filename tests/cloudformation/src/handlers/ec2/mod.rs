//! `AWS::EC2::…`: a network and what is in it. Nothing here takes time, so nothing is waited for.
//! Source: Amazon EC2 API Reference, under the name of each call.

mod groups;
mod links;
mod things;

use serde_json::Value;

use super::{Desk, Failure, Made, Properties};
use crate::services::Refusal;

/// The properties that the provider of a type acts on.
pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::EC2::Route" => &links::ROUTE,
        "AWS::EC2::SecurityGroup" => &groups::GROUP,
        "AWS::EC2::SecurityGroupEgress" => &groups::EGRESS,
        "AWS::EC2::SecurityGroupIngress" => &groups::INGRESS,
        "AWS::EC2::SubnetRouteTableAssociation" => &links::ASSOCIATION,
        "AWS::EC2::VPCGatewayAttachment" => &links::ATTACHMENT,
        _ => things::properties(kind),
    }
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::EC2::Route" => links::route(desk, properties).await,
        "AWS::EC2::SecurityGroup" => groups::create(desk, properties).await,
        "AWS::EC2::SecurityGroupEgress" => groups::add(desk, "egress", properties).await,
        "AWS::EC2::SecurityGroupIngress" => groups::add(desk, "ingress", properties).await,
        "AWS::EC2::SubnetRouteTableAssociation" => links::associate(desk, properties).await,
        "AWS::EC2::VPCGatewayAttachment" => links::attach(desk, properties).await,
        _ => things::create(desk, kind, properties).await,
    }
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    match kind {
        "AWS::EC2::Route" => links::reroute(desk, physical, new).await,
        "AWS::EC2::SecurityGroup" => groups::update(desk, physical, old, new).await,
        _ => things::update(desk, kind, physical, old, new).await,
    }
}

pub(super) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    match kind {
        "AWS::EC2::Route" => links::unroute(desk, properties).await,
        "AWS::EC2::SecurityGroup" => groups::delete(desk, physical).await,
        "AWS::EC2::SecurityGroupEgress" => groups::remove(desk, "egress", properties).await,
        "AWS::EC2::SecurityGroupIngress" => groups::remove(desk, "ingress", properties).await,
        "AWS::EC2::SubnetRouteTableAssociation" => links::dissociate(desk, physical).await,
        "AWS::EC2::VPCGatewayAttachment" => links::detach(desk, properties).await,
        _ => things::delete(desk, kind, physical).await,
    }
}

/// The parameters of a call to EC2.
type Form = Vec<(String, String)>;

/// A call to EC2; answers XML.
async fn call(desk: &Desk, action: &str, form: &Form) -> Result<String, Refusal> {
    desk.services.query("ec2", "2016-11-15", action, form).await
}

/// Adds a value under a name: what a list holds under `NAME.1` and so on.
fn put(form: &mut Form, name: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                put(form, &format!("{name}.{}", index + 1), item);
            }
        }
        other => form.push((name.to_owned(), crate::template::parameters::text(other))),
    }
}

/// Adds the properties that are there, each under the name of its parameter.
fn put_all(form: &mut Form, properties: &Properties, names: &[(&str, &str)]) {
    for (property, parameter) in names {
        if let Some(value) = properties.get(*property) {
            put(form, parameter, value);
        }
    }
}

/// Adds tags under `NAME.1.Key` and so on.
fn put_tags(form: &mut Form, name: &str, tags: Option<&Value>) {
    for (index, (key, value)) in crate::tags::pairs(tags).into_iter().enumerate() {
        let at = format!("{name}.{}", index + 1);
        form.push((format!("{at}.Key"), key));
        form.push((format!("{at}.Value"), value));
    }
}

/// Adds the tags of something that is being made.
fn put_specification(form: &mut Form, resource: &str, tags: Option<&Value>) {
    if crate::tags::pairs(tags).is_empty() {
        return;
    }
    form.push((
        "TagSpecification.1.ResourceType".to_owned(),
        resource.to_owned(),
    ));
    put_tags(form, "TagSpecification.1.Tag", tags);
}

/// Brings the tags of something that is there to the new ones.
async fn retag(
    desk: &Desk,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    let (old, new) = (old.get("Tags"), new.get("Tags"));
    let resource = ("ResourceId.1".to_owned(), physical.to_owned());
    let gone = crate::tags::gone(old, new);
    if !gone.is_empty() {
        let mut form = vec![resource.clone()];
        let keys = gone.into_iter().enumerate();
        form.extend(keys.map(|(index, key)| (format!("Tag.{}.Key", index + 1), key)));
        call(desk, "DeleteTags", &form).await?;
    }
    if old != new && !crate::tags::pairs(new).is_empty() {
        let mut form = vec![resource];
        put_tags(&mut form, "Tag", new);
        call(desk, "CreateTags", &form).await?;
    }
    Ok(())
}
