//! The operations of the control API.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{HttpApi, Kind, serve};
use crate::error::{Answer, ApiError};
use crate::{Inner, Scope};

fn missing(what: &str, id: &str) -> ApiError {
    ApiError::new(
        "NotFoundException",
        format!("Invalid {what} identifier specified {id}"),
    )
}

fn conflict(message: String) -> ApiError {
    ApiError::new("ConflictException", message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("BadRequestException", message)
}

/// A new ID of ten letters and digits, as API Gateway gives them.
fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..10].to_owned()
}

pub(super) async fn answer(
    inner: &Arc<Inner>,
    scope: &Scope,
    operation: &str,
    input: &Value,
) -> Answer {
    let (verb, what) = operation
        .find(|letter: char| letter.is_ascii_uppercase() && !operation.starts_with(letter))
        .map_or((operation, ""), |at| operation.split_at(at));
    let kind = match what {
        "Api" if verb == "Create" => return create_api(inner, scope, input).await,
        "Api" => return on_api(inner, scope, verb, input),
        "Integration" => Kind::Integration,
        "Route" => Kind::Route,
        "Stage" => Kind::Stage,
        _ => {
            return Err(invalid(format!("this stand-in has no {operation}")));
        }
    };
    let id = text(input, "ApiId");
    let mut all = inner.apis.all();
    let api = all.get_mut(&(scope.clone(), id.to_owned()));
    let api = api.ok_or_else(|| missing("API", id))?;
    on_part(api, kind, verb, input)
}

fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input[member].as_str().unwrap_or_default()
}

/// The members of a request that are answered again.
fn kept(input: &Value) -> Map<String, Value> {
    let mut members = input.as_object().cloned().unwrap_or_default();
    members.remove("ApiId");
    members
}

async fn create_api(inner: &Arc<Inner>, scope: &Scope, input: &Value) -> Answer {
    if text(input, "ProtocolType") != "HTTP" {
        return Err(invalid("this stand-in has HTTP APIs alone"));
    }
    let id = new_id();
    let (endpoint, serving) = serve::start(inner, scope, &id)
        .await
        .map_err(|error| invalid(format!("no address could be had: {error}")))?;
    let mut members = kept(input);
    for (name, value) in [
        ("ApiEndpoint", json!(endpoint)),
        ("ApiId", json!(id)),
        (
            "RouteSelectionExpression",
            json!("$request.method $request.path"),
        ),
    ] {
        members.insert(name.to_owned(), value);
    }
    let api = HttpApi {
        members: members.clone(),
        parts: Default::default(),
        serving,
    };
    inner.apis.all().insert((scope.clone(), id), api);
    Ok(Value::Object(members))
}

fn on_api(inner: &Inner, scope: &Scope, verb: &str, input: &Value) -> Answer {
    let id = text(input, "ApiId");
    let place = (scope.clone(), id.to_owned());
    let mut all = inner.apis.all();
    let api = all.get_mut(&place).ok_or_else(|| missing("API", id))?;
    match verb {
        "Update" => api.members.extend(kept(input)),
        "Delete" => {
            all.remove(&place);
            return Ok(Value::Null);
        }
        _ => {}
    }
    Ok(Value::Object(api.members.clone()))
}

fn on_part(api: &mut HttpApi, kind: Kind, verb: &str, input: &Value) -> Answer {
    let (what, member) = match kind {
        Kind::Integration => ("Integration", "IntegrationId"),
        Kind::Route => ("Route", "RouteId"),
        Kind::Stage => ("stage", "StageName"),
    };
    let mut wanted = kept(input);
    if verb == "Create" {
        let id = match kind {
            Kind::Stage => text(input, member).to_owned(),
            _ => new_id(),
        };
        wanted.insert(member.to_owned(), json!(id));
        fits(api, kind, &id, &wanted)?;
        if api.parts.contains_key(&(kind, id.clone())) {
            return Err(conflict(format!("{what} {id} already exists")));
        }
        api.parts.insert((kind, id), wanted.clone());
        return Ok(Value::Object(wanted));
    }
    let id = text(input, member).to_owned();
    let place = (kind, id.clone());
    let found = api.parts.get(&place).cloned();
    let mut found = found.ok_or_else(|| missing(what, &id))?;
    match verb {
        "Update" => {
            found.extend(wanted);
            fits(api, kind, &id, &found)?;
            api.parts.insert(place, found.clone());
        }
        "Delete" => {
            let target = json!(format!("integrations/{id}"));
            let used = |route: &Map<String, Value>| route.get("Target") == Some(&target);
            if kind == Kind::Integration && api.of(Kind::Route).any(used) {
                return Err(conflict(format!(
                    "Cannot delete Integration '{id}' due to existing Routes with that Integration."
                )));
            }
            api.parts.remove(&place);
            return Ok(Value::Null);
        }
        _ => {}
    }
    Ok(Value::Object(found))
}

/// Refuses a route that another one is, or whose integration is not there, and integrations of other kinds.
fn fits(api: &HttpApi, kind: Kind, id: &str, wanted: &Map<String, Value>) -> Result<(), ApiError> {
    let given = |member: &str| {
        wanted
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match kind {
        Kind::Integration => {
            if given("IntegrationType") != "AWS_PROXY" || given("PayloadFormatVersion") != "2.0" {
                return Err(invalid(
                    "this stand-in has the integration AWS_PROXY with payload format 2.0 alone",
                ));
            }
        }
        Kind::Route => {
            let other = |route: &Map<String, Value>| {
                route.get("RouteKey") == wanted.get("RouteKey")
                    && route.get("RouteId") != Some(&json!(id))
            };
            if api.of(Kind::Route).any(other) {
                let key = given("RouteKey");
                return Err(conflict(format!(
                    "Route with key {key} already exists for this API"
                )));
            }
            let target = given("Target");
            let integration = target.strip_prefix("integrations/").unwrap_or(target);
            let there = (Kind::Integration, integration.to_owned());
            if !target.is_empty() && !api.parts.contains_key(&there) {
                return Err(invalid(format!("Invalid integration identifier {target}")));
            }
            if !matches!(given("AuthorizationType"), "" | "NONE" | "AWS_IAM") {
                return Err(invalid("this stand-in authorizes with AWS_IAM alone"));
            }
        }
        Kind::Stage => {}
    }
    Ok(())
}
