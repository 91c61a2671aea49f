//! Requests to HTTP APIs whose routes authorize with IAM: the API asks here whose they are, and whether they are permitted.
//! Source: Amazon API Gateway Developer Guide, "Control access to HTTP APIs with IAM authorization in API Gateway".

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::Gateway;
use crate::access::needs::{Need, account_of};
use crate::access::permit;
use crate::call::Call;

/// The service's name in credential scopes and actions.
const SERVICE: &str = "execute-api";

/// A request as it arrived at the API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    /// In Base64.
    body: String,
    /// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`.
    resource: String,
}

/// Answers the caller as the event of the function names it, or 403 with the message that the client gets.
pub(crate) async fn authorize(
    State(gateway): State<Arc<Gateway>>,
    Json(asked): Json<Asked>,
) -> Response {
    let refused = || (StatusCode::FORBIDDEN, Json(json!({"message": "Forbidden"}))).into_response();
    let Some(call) = read(&asked) else {
        return refused();
    };
    let region = asked.resource.split(':').nth(3).unwrap_or_default();
    let caller = match crate::authenticated::caller(&gateway, &call, &asked.path, false) {
        Ok(Some(caller)) if call.service == SERVICE && call.region == region => caller,
        _ => return refused(),
    };
    let principal = &caller.principal;
    let need = Need {
        action: format!("{SERVICE}:Invoke"),
        owner: account_of(&asked.resource).unwrap_or_default(),
        resource: asked.resource,
        keys: Vec::new(),
    };
    match permit::may(&gateway, principal, &need).await {
        Ok(true) => Json(json!({
            "accessKey": caller.access_key,
            "accountId": principal.account,
            "callerId": principal.user_id,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": principal.arn,
            "userId": principal.user_id,
        }))
        .into_response(),
        _ => refused(),
    }
}

fn read(asked: &Asked) -> Option<Call> {
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    let signed = crate::sigv4::read(&headers, &asked.query);
    Some(Call::read(
        Method::from_bytes(asked.method.as_bytes()).ok()?,
        asked.path.clone(),
        asked.query.clone(),
        headers,
        STANDARD.decode(&asked.body).ok()?.into(),
        signed,
    ))
}
