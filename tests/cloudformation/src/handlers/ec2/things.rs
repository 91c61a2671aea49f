//! What has an ID of its own and can be tagged: networks, subnets, route tables, gateways, endpoints.

use serde_json::{Map, Value};

use super::{Form, call, put_all, put_specification, retag};
use crate::handlers::{Desk, Failure, Made, Properties, unknown};
use crate::services::{Refusal, xml_one};

/// How one type is made and deleted.
struct Thing {
    properties: &'static [&'static str],
    create: &'static str,
    delete: &'static str,
    /// The parameter that names it when it is deleted.
    named: &'static str,
    /// The element of the answer that has its ID.
    id: &'static str,
    /// The attribute with its ID.
    attribute: &'static str,
    /// The kind of resource that its tags are for.
    tagged: &'static str,
    /// The properties that its creation takes, and their parameters.
    parameters: &'static [(&'static str, &'static str)],
}

const VPC: Thing = Thing {
    properties: &[
        "CidrBlock",
        "EnableDnsHostnames",
        "EnableDnsSupport",
        "InstanceTenancy",
        "Tags",
    ],
    create: "CreateVpc",
    delete: "DeleteVpc",
    named: "VpcId",
    id: "vpcId",
    attribute: "VpcId",
    tagged: "vpc",
    parameters: &[
        ("CidrBlock", "CidrBlock"),
        ("InstanceTenancy", "InstanceTenancy"),
    ],
};
const SUBNET: Thing = Thing {
    properties: &["AvailabilityZone", "CidrBlock", "Tags", "VpcId"],
    create: "CreateSubnet",
    delete: "DeleteSubnet",
    named: "SubnetId",
    id: "subnetId",
    attribute: "SubnetId",
    tagged: "subnet",
    parameters: &[
        ("AvailabilityZone", "AvailabilityZone"),
        ("CidrBlock", "CidrBlock"),
        ("VpcId", "VpcId"),
    ],
};
const ROUTE_TABLE: Thing = Thing {
    properties: &["Tags", "VpcId"],
    create: "CreateRouteTable",
    delete: "DeleteRouteTable",
    named: "RouteTableId",
    id: "routeTableId",
    attribute: "RouteTableId",
    tagged: "route-table",
    parameters: &[("VpcId", "VpcId")],
};
const INTERNET_GATEWAY: Thing = Thing {
    properties: &["Tags"],
    create: "CreateInternetGateway",
    delete: "DeleteInternetGateway",
    named: "InternetGatewayId",
    id: "internetGatewayId",
    attribute: "InternetGatewayId",
    tagged: "internet-gateway",
    parameters: &[],
};
const ENDPOINT: Thing = Thing {
    properties: &[
        "PolicyDocument",
        "PrivateDnsEnabled",
        "RouteTableIds",
        "SecurityGroupIds",
        "ServiceName",
        "SubnetIds",
        "Tags",
        "VpcEndpointType",
        "VpcId",
    ],
    create: "CreateVpcEndpoint",
    delete: "DeleteVpcEndpoints",
    named: "VpcEndpointId.1",
    id: "vpcEndpointId",
    attribute: "Id",
    tagged: "vpc-endpoint",
    parameters: &[
        ("PolicyDocument", "PolicyDocument"),
        ("PrivateDnsEnabled", "PrivateDnsEnabled"),
        ("RouteTableIds", "RouteTableId"),
        ("SecurityGroupIds", "SecurityGroupId"),
        ("ServiceName", "ServiceName"),
        ("SubnetIds", "SubnetId"),
        ("VpcEndpointType", "VpcEndpointType"),
        ("VpcId", "VpcId"),
    ],
};

/// A network's switches, which have a call each.
const SWITCHES: [&str; 2] = ["EnableDnsSupport", "EnableDnsHostnames"];

fn thing(kind: &str) -> Option<&'static Thing> {
    Some(match kind {
        "AWS::EC2::InternetGateway" => &INTERNET_GATEWAY,
        "AWS::EC2::RouteTable" => &ROUTE_TABLE,
        "AWS::EC2::Subnet" => &SUBNET,
        "AWS::EC2::VPC" => &VPC,
        "AWS::EC2::VPCEndpoint" => &ENDPOINT,
        _ => return None,
    })
}

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    thing(kind).map_or(&[], |thing| thing.properties)
}

fn made(thing: &Thing, id: &str, properties: &Properties) -> Made {
    let mut attributes = Map::from_iter([(thing.attribute.to_owned(), Value::from(id))]);
    if let Some(range) = properties.get("CidrBlock") {
        attributes.insert("CidrBlock".to_owned(), range.clone());
    }
    Made {
        physical: id.to_owned(),
        attributes,
    }
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    let thing = thing(kind).ok_or_else(|| unknown(kind))?;
    let mut form = Form::new();
    put_all(&mut form, properties, thing.parameters);
    put_specification(&mut form, thing.tagged, properties.get("Tags"));
    let answer = call(desk, thing.create, &form).await?;
    let id = xml_one(&answer, thing.id).unwrap_or_default();
    switch(desk, &id, &Map::new(), properties).await?;
    Ok(made(thing, &id, properties))
}

async fn switch(
    desk: &Desk,
    network: &str,
    old: &Properties,
    new: &Properties,
) -> Result<(), Refusal> {
    for name in SWITCHES {
        let Some(value) = new.get(name).filter(|value| old.get(name) != Some(value)) else {
            continue;
        };
        let form = vec![
            ("VpcId".to_owned(), network.to_owned()),
            (format!("{name}.Value"), value.to_string()),
        ];
        call(desk, "ModifyVpcAttribute", &form).await?;
    }
    Ok(())
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let thing = thing(kind).ok_or_else(|| unknown(kind))?;
    let fixed = |name: &&&str| **name != "Tags" && !SWITCHES.contains(name);
    let mut names = thing.properties.iter().filter(fixed);
    if let Some(name) = names.find(|name| old.get(**name) != new.get(**name)) {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not change the {name} of {kind}"),
        ));
    }
    switch(desk, physical, old, new).await?;
    retag(desk, physical, old, new).await?;
    Ok(made(thing, physical, new))
}

pub(super) async fn delete(desk: &Desk, kind: &str, physical: &str) -> Result<(), Refusal> {
    let Some(thing) = thing(kind) else {
        return Ok(());
    };
    let form = vec![(thing.named.to_owned(), physical.to_owned())];
    call(desk, thing.delete, &form).await.map(drop)
}
