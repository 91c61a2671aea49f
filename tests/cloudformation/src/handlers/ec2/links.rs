//! What connects two things and has no life of its own: routes, a gateway's attachment, a subnet's route table.

use serde_json::{Map, Value};

use super::{Form, call, put_all};
use crate::handlers::{Desk, Failure, Made, Properties};
use crate::services::{Refusal, xml_one};
use crate::template::parameters::text;

pub(super) const ROUTE: [&str; 4] = [
    "DestinationCidrBlock",
    "GatewayId",
    "NatGatewayId",
    "RouteTableId",
];
pub(super) const ATTACHMENT: [&str; 2] = ["InternetGatewayId", "VpcId"];
pub(super) const ASSOCIATION: [&str; 2] = ["RouteTableId", "SubnetId"];

/// The parameters have the properties' names.
fn form(properties: &Properties, names: &[&str]) -> Form {
    let mut form = Form::new();
    for name in names {
        put_all(&mut form, properties, &[(*name, *name)]);
    }
    form
}

fn made(physical: String) -> Made {
    Made {
        physical,
        attributes: Map::new(),
    }
}

pub(super) async fn route(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    call(desk, "CreateRoute", &form(properties, &ROUTE)).await?;
    let part = |name: &str| properties.get(name).map(text).unwrap_or_default();
    let physical = format!("{}|{}", part("RouteTableId"), part("DestinationCidrBlock"));
    Ok(made(physical))
}

pub(super) async fn reroute(
    desk: &Desk,
    physical: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    call(desk, "ReplaceRoute", &form(properties, &ROUTE)).await?;
    Ok(made(physical.to_owned()))
}

pub(super) async fn unroute(desk: &Desk, properties: &Properties) -> Result<(), Refusal> {
    let names = ["RouteTableId", "DestinationCidrBlock"];
    let gone = call(desk, "DeleteRoute", &form(properties, &names)).await;
    gone.map(drop)
}

pub(super) async fn attach(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    call(
        desk,
        "AttachInternetGateway",
        &form(properties, &ATTACHMENT),
    )
    .await?;
    let network = properties.get("VpcId").map(text).unwrap_or_default();
    Ok(made(format!("IGW|{network}")))
}

pub(super) async fn detach(desk: &Desk, properties: &Properties) -> Result<(), Refusal> {
    let form = form(properties, &ATTACHMENT);
    match call(desk, "DetachInternetGateway", &form).await {
        Err(refusal) if refusal.code == "Gateway.NotAttached" => Ok(()),
        other => other.map(drop),
    }
}

pub(super) async fn associate(desk: &Desk, properties: &Properties) -> Result<Made, Failure> {
    let answer = call(desk, "AssociateRouteTable", &form(properties, &ASSOCIATION)).await?;
    let id = xml_one(&answer, "associationId").unwrap_or_default();
    let mut made = made(id.clone());
    made.attributes.insert("Id".to_owned(), Value::from(id));
    Ok(made)
}

pub(super) async fn dissociate(desk: &Desk, physical: &str) -> Result<(), Refusal> {
    let form = vec![("AssociationId".to_owned(), physical.to_owned())];
    call(desk, "DisassociateRouteTable", &form).await.map(drop)
}
