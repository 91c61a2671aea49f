//! The sandbox's own interface, under `/_sandbox`: accounts, sessions of services, the record, faults, latency,
//! what scans find, how builds are, which resources of stacks fail, whether change calendars are open.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::Gateway;
use crate::builds;
use crate::calendars;
use crate::direct::Setting;
use crate::faults::Fault;
use crate::record::Filter;
use crate::scans::Script;

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/_sandbox/health", get(|| async { "ok" }))
        .route("/_sandbox/accounts", post(accounts))
        .route("/_sandbox/sessions", post(sessions))
        .route("/_sandbox/invocations", post(crate::invocations::authorize))
        .route("/_sandbox/expire", post(expire))
        .route("/_sandbox/registry", post(registry))
        .route("/_sandbox/direct", post(direct))
        .route("/_sandbox/calls", get(calls))
        .route("/_sandbox/violations", get(violations))
        .route(
            "/_sandbox/faults",
            post(faults).get(waiting_faults).delete(clear_faults),
        )
        .route("/_sandbox/latency", post(latency))
        .route("/_sandbox/scans", post(scans))
        .route("/_sandbox/builds", post(builds))
        .route("/_sandbox/stacks", post(stacks))
        .route("/_sandbox/calendars", post(calendars))
}

fn refused(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({"error": message.into()}))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccounts {
    world: String,
    accounts: Vec<String>,
}

/// `{"world", "accounts": [ID…]}` makes accounts and answers the credentials of each one's first administrator.
/// Asked again, it answers the same ones.
async fn accounts(
    State(gateway): State<Arc<Gateway>>,
    Json(wanted): Json<NewAccounts>,
) -> Response {
    let wrong = wanted
        .accounts
        .iter()
        .find(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()));
    if let Some(id) = wrong {
        return refused(
            StatusCode::BAD_REQUEST,
            format!("an account ID has 12 digits: {id}"),
        );
    }
    let mut made = Vec::new();
    for id in &wanted.accounts {
        match gateway
            .accounts
            .create(id, &wanted.world, &gateway.identities)
        {
            Ok(credentials) => made.push(credentials),
            Err(world) => {
                return refused(
                    StatusCode::CONFLICT,
                    format!("account {id} belongs to world {world}"),
                );
            }
        }
    }
    let made: Vec<_> = made
        .iter()
        .map(crate::identity::Credentials::handout)
        .collect();
    Json(json!({"world": wanted.world, "accounts": made})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSession {
    role_arn: String,
    session_name: String,
    service: String,
    duration_seconds: Option<i64>,
}

/// `{"role_arn", "session_name", "service": "codebuild.amazonaws.com"}`: what an AWS service gets when it assumes
/// the role it was given, if the role trusts it.
async fn sessions(State(gateway): State<Arc<Gateway>>, Json(wanted): Json<NewSession>) -> Response {
    let seconds = wanted.duration_seconds.unwrap_or(3600);
    match crate::sts::for_service(
        &gateway,
        &wanted.role_arn,
        &wanted.session_name,
        &wanted.service,
        seconds,
    )
    .await
    {
        Ok(credentials) => Json(credentials.handout()).into_response(),
        Err(error) => refused(error.status, format!("{}: {}", error.code, error.message)),
    }
}

/// Answers of the backends that did not fit their vendor's description, each once.
async fn violations(State(gateway): State<Arc<Gateway>>) -> Response {
    let backends = gateway.config.backends.values();
    let found: std::collections::BTreeSet<String> = backends
        .flat_map(|backend| backend.violations())
        .chain(gateway.stacks.violations())
        .collect();
    Json(json!(found)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expire {
    access_key_id: Option<String>,
    registry_token: Option<String>,
}

/// Makes an access key or a registry token expired now.
async fn expire(State(gateway): State<Arc<Gateway>>, Json(request): Json<Expire>) -> Response {
    let key = request
        .access_key_id
        .is_some_and(|key| gateway.identities.expire(&key));
    let token = request
        .registry_token
        .is_some_and(|token| gateway.fronts.expire(&token));
    if key || token {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refused(StatusCode::NOT_FOUND, "nothing of that name is known")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryOf {
    account: String,
    region: String,
}

/// `{"account", "region"}`: the `HOST:PORT` of that registry, started where it was not yet needed.
async fn registry(State(gateway): State<Arc<Gateway>>, Json(wanted): Json<RegistryOf>) -> Response {
    if !gateway.accounts.knows(&wanted.account) {
        return refused(
            StatusCode::NOT_FOUND,
            format!("there is no account {}", wanted.account),
        );
    }
    match crate::front::address(&gateway, &wanted.account, &wanted.region).await {
        Ok(host) => Json(json!({"host": host})).into_response(),
        Err(error) => refused(error.status, error.message),
    }
}

/// `{"account", "registry": {"url", "user", "password"} | null}`: a registry that the account's clients are sent to in
/// the front's place.
async fn direct(State(gateway): State<Arc<Gateway>>, Json(setting): Json<Setting>) -> Response {
    gateway.direct.set(setting);
    Json(json!({})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    since: Option<u64>,
    world: Option<String>,
    account: Option<String>,
    service: Option<String>,
}

/// The calls after number `since`, in the order in which they ended, the newest number of all as `last`, and how many
/// calls are being done in the world that is named as `open`.
async fn calls(State(gateway): State<Arc<Gateway>>, Query(which): Query<Which>) -> Response {
    // Asked first: what ends in between is among the calls.
    let open = which.world.as_deref().map(|it| gateway.recorder.open(it));
    let filter = Filter {
        since: which.since.unwrap_or(0),
        world: which.world,
        account: which.account,
        service: which.service,
    };
    let (last, calls) = gateway.recorder.read(&filter);
    Json(json!({"last": last, "calls": calls, "open": open})).into_response()
}

/// `{"service", "operation"?, "account"?, "times"?, "fault": {"kind": KIND, …}}`, of which KIND is `status`, `delay`, `late_answer`,
/// `cut`, `lost_answer` or `unconditional`.
async fn faults(State(gateway): State<Arc<Gateway>>, Json(fault): Json<Fault>) -> Response {
    gateway.faults.add(fault);
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichFaults {
    account: Option<String>,
}

/// The faults that no call has met yet: an account's, or all.
async fn waiting_faults(
    State(gateway): State<Arc<Gateway>>,
    Query(which): Query<WhichFaults>,
) -> Response {
    Json(gateway.faults.waiting(which.account.as_deref())).into_response()
}

/// Takes back the waiting faults: an account's, or all.
async fn clear_faults(
    State(gateway): State<Arc<Gateway>>,
    Query(which): Query<WhichFaults>,
) -> Response {
    gateway.faults.clear(which.account.as_deref());
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    service: Option<String>,
    millis: u64,
}

/// `{"service"?, "millis"}`: every call of the service (of all, where none is named) takes that much longer.
async fn latency(State(gateway): State<Arc<Gateway>>, Json(wanted): Json<Latency>) -> Response {
    gateway.faults.set_latency(
        wanted.service.as_deref().unwrap_or("*"),
        Duration::from_millis(wanted.millis),
    );
    StatusCode::NO_CONTENT.into_response()
}

/// `{"account", "region", "repository", "digest", "looks"?: [{"status", "findings"?, …}], "start"?, "after_start"?}`: what
/// ECR's scan of an image finds.
async fn scans(State(gateway): State<Arc<Gateway>>, Json(script): Json<Script>) -> Response {
    gateway.scans.set(script);
    StatusCode::NO_CONTENT.into_response()
}

/// `{"account", "region", "build": {"id", …}}`: CodeBuild's answer about a build from now on. A build that AWS's model
/// does not allow is refused.
async fn builds(
    State(gateway): State<Arc<Gateway>>,
    Json(setting): Json<builds::Setting>,
) -> Response {
    match gateway.builds.set(&gateway.codebuild, setting) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => refused(StatusCode::BAD_REQUEST, why),
    }
}

/// `{"account", "region", "name", "state": "OPEN"|"CLOSED", "next"?}`: what a change calendar says from now on.
async fn calendars(
    State(gateway): State<Arc<Gateway>>,
    Json(setting): Json<calendars::Setting>,
) -> Response {
    match gateway.calendars.set(&gateway.ssm, setting) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => refused(StatusCode::BAD_REQUEST, why),
    }
}

/// `{"account", "stack", "resource", "operation": "create"|"update"|"delete"|"rollback", "reason"?, "delay"?, "times"?}`: what
/// happens to an operation on a resource of a stack. Without a reason it only takes longer, by `delay` milliseconds.
async fn stacks(
    State(gateway): State<Arc<Gateway>>,
    Json(fault): Json<standin_cloudformation::Fault>,
) -> Response {
    match gateway.stacks.inject(fault) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => refused(StatusCode::BAD_REQUEST, why.to_string()),
    }
}
