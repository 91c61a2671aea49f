//! `AWS::ApiGatewayV2::Api`, `Integration`, `Route` and `Stage`: HTTP APIs in front of functions.
//! Source: AWS CloudFormation User Guide, "Amazon API Gateway V2 resource type reference".

use http::Method;
use serde_json::{Map, Value, json};

use super::{Desk, Failure, Made, Properties, copied};
use crate::services::{Refusal, encode};
use crate::template::parameters::text;

const API: [&str; 3] = ["Description", "Name", "ProtocolType"];
const INTEGRATION: [&str; 6] = [
    "ApiId",
    "Description",
    "IntegrationType",
    "IntegrationUri",
    "PayloadFormatVersion",
    "TimeoutInMillis",
];
const ROUTE: [&str; 4] = ["ApiId", "AuthorizationType", "RouteKey", "Target"];
const STAGE: [&str; 6] = [
    "AccessLogSettings",
    "ApiId",
    "AutoDeploy",
    "DefaultRouteSettings",
    "Description",
    "StageName",
];

pub(super) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::ApiGatewayV2::Api" => &API,
        "AWS::ApiGatewayV2::Integration" => &INTEGRATION,
        "AWS::ApiGatewayV2::Route" => &ROUTE,
        _ => &STAGE,
    }
}

async fn call(
    desk: &Desk,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Value, Refusal> {
    let services = &desk.services;
    services.rest("apigateway", method, path, "", body).await
}

/// The path of the resources of a type, and the member that is the resource's own ID.
fn place(kind: &str, properties: &Properties) -> (String, &'static str) {
    let api = properties.get("ApiId").map(text).unwrap_or_default();
    let of = |rest: &str| format!("/v2/apis/{}/{rest}", encode(&api));
    match kind {
        "AWS::ApiGatewayV2::Api" => ("/v2/apis".to_owned(), "apiId"),
        "AWS::ApiGatewayV2::Integration" => (of("integrations"), "integrationId"),
        "AWS::ApiGatewayV2::Route" => (of("routes"), "routeId"),
        _ => (of("stages"), "stageName"),
    }
}

/// The properties as members of the API, which begin with a small letter.
fn input(kind: &str, properties: &Properties) -> Value {
    let mut named = copied(properties, self::properties(kind));
    named.remove("ApiId");
    super::ecs::lowered(&Value::Object(named))
}

fn made(desk: &Desk, kind: &str, physical: &str, answer: &Value) -> Made {
    let mut attributes = Map::new();
    match kind {
        "AWS::ApiGatewayV2::Api" => {
            let arn = desk.arn("execute-api", physical);
            attributes.insert("ApiEndpoint".to_owned(), answer["apiEndpoint"].clone());
            attributes.insert("ApiId".to_owned(), json!(physical));
            attributes.insert("ExecuteApiArn".to_owned(), json!(arn));
        }
        "AWS::ApiGatewayV2::Integration" => {
            attributes.insert("IntegrationId".to_owned(), json!(physical));
        }
        "AWS::ApiGatewayV2::Route" => {
            attributes.insert("RouteId".to_owned(), json!(physical));
        }
        _ => {}
    }
    Made {
        physical: physical.to_owned(),
        attributes,
    }
}

pub(super) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    let (path, id) = place(kind, properties);
    let input = input(kind, properties);
    let answer = call(desk, Method::POST, &path, Some(input)).await?;
    Ok(made(desk, kind, &text(&answer[id]), &answer))
}

pub(super) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    let gone = old.keys().find(|name| !new.contains_key(*name));
    if let Some(name) = gone {
        return Err(Failure::new(
            "InvalidRequest",
            format!("the sandbox's CloudFormation does not take {name} off a {kind}"),
        ));
    }
    let (path, _) = place(kind, new);
    let mut input = input(kind, new);
    if let Some(members) = input.as_object_mut() {
        // They name the resource, and replace it where they change.
        members.remove("protocolType");
        members.remove("stageName");
    }
    let path = format!("{path}/{}", encode(physical));
    let answer = call(desk, Method::PATCH, &path, Some(input)).await?;
    Ok(made(desk, kind, physical, &answer))
}

pub(super) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Refusal> {
    let (path, _) = place(kind, properties);
    let path = format!("{path}/{}", encode(physical));
    call(desk, Method::DELETE, &path, None).await.map(drop)
}
