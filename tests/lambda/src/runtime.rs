//! Containers that run functions, each with a Runtime API of its own at which it asks for events.
//! Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::error::ApiError;
use crate::{Inner, Scope};

/// How long a container may take until it asks for its first event, where AWS gives 10 s: this machine is busy.
const START: Duration = Duration::from_secs(60);

/// The end of an invocation.
pub(crate) enum Outcome {
    Answer(Bytes),
    /// The function failed; with the error as the runtime reported it.
    Error(Bytes),
}

/// The revision that is to run.
pub(crate) struct Wanted {
    /// Names the container: one revision runs in one.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) arn: String,
    pub(crate) image: String,
    pub(crate) settings: Map<String, Value>,
}

/// The containers that run, by revision.
#[derive(Default)]
pub(crate) struct Running(tokio::sync::Mutex<HashMap<String, mpsc::Sender<Event>>>);

/// One event, and where its outcome is awaited.
struct Event {
    payload: String,
    done: oneshot::Sender<Outcome>,
}

/// One container's Runtime API.
struct Api {
    arn: String,
    timeout: Duration,
    events: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    awaited: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

/// Runs one event to its end. Events of one revision run one after another.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    scope: &Scope,
    wanted: Wanted,
    payload: String,
) -> Result<Outcome, ApiError> {
    let timeout = wanted.settings.get("Timeout").and_then(Value::as_u64);
    let timeout = Duration::from_secs(timeout.unwrap_or(3));
    let events = {
        let mut running = inner.running.0.lock().await;
        match running
            .get(&wanted.key)
            .filter(|events| !events.is_closed())
        {
            Some(events) => events.clone(),
            None => {
                let events = start(inner, scope, &wanted, timeout).await?;
                running.insert(wanted.key.clone(), events.clone());
                events
            }
        }
    };
    let (done, outcome) = oneshot::channel();
    let failed = |message: &str| {
        let body = json!({"errorType": "Runtime.ExitError", "errorMessage": message});
        Ok(Outcome::Error(body.to_string().into()))
    };
    if events.send(Event { payload, done }).await.is_err() {
        return failed("RequestId: the runtime exited");
    }
    match tokio::time::timeout(timeout + START, outcome).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_)) => failed("RequestId: the runtime exited"),
        Err(_) => failed("Task timed out"),
    }
}

/// Starts the container and its Runtime API.
async fn start(
    inner: &Arc<Inner>,
    scope: &Scope,
    wanted: &Wanted,
    timeout: Duration,
) -> Result<mpsc::Sender<Event>, ApiError> {
    let failed = |why: String| ApiError::new("ServiceException", why);
    let listener = TcpListener::bind((inner.config.ip, 0)).await;
    let listener = listener.map_err(|error| failed(error.to_string()))?;
    let address = listener
        .local_addr()
        .map_err(|error| failed(error.to_string()))?;
    let (events, receiver) = mpsc::channel(64);
    let api = Arc::new(Api {
        arn: wanted.arn.clone(),
        timeout,
        events: tokio::sync::Mutex::new(receiver),
        awaited: Mutex::default(),
    });
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(answered),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(erred))
        .route("/2018-06-01/runtime/init/error", post(not_started))
        .with_state(api);
    tokio::spawn(async move {
        // It serves until the process ends; the container may come back at any time.
        let _ = axum::serve(listener, router).await;
    });
    let role = wanted.settings.get("Role").and_then(Value::as_str);
    let role = role.unwrap_or_default().to_owned();
    let credentials = (inner.config.credentials)(role).await;
    let credentials = credentials.map_err(failed)?;
    let mut body = container(inner, scope, wanted, &address.to_string());
    let endpoint = ("AWS_ENDPOINT_URL".to_owned(), inner.config.endpoint.clone());
    if let Some(environment) = body["Env"].as_array_mut() {
        let all = credentials.into_iter().chain([endpoint]);
        environment.extend(all.map(|(name, value)| Value::from(format!("{name}={value}"))));
    }
    let name = format!(
        "{}-lambda-{}",
        inner.config.label,
        uuid::Uuid::new_v4().simple()
    );
    let docker = &inner.docker;
    let id = docker.create(&name, &body).await;
    let id = id.map_err(|error| failed(error.to_string()))?;
    let started = docker.start(&id).await;
    started.map_err(|error| failed(error.to_string()))?;
    Ok(events)
}

/// The body of the engine's `POST /containers/create`. The container has the network of the host, because the Runtime API is
/// on it; Lambda's has one of its own.
fn container(inner: &Inner, scope: &Scope, wanted: &Wanted, api: &str) -> Value {
    let own = wanted.settings.get("Environment");
    let own = own.and_then(|own| own["Variables"].as_object());
    let number = |name: &str, usual: u64| {
        wanted
            .settings
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or(usual)
    };
    let memory = number("MemorySize", 128);
    let mut environment: Vec<String> = own
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    for (name, value) in [
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_FUNCTION_NAME", &wanted.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &wanted.version),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory.to_string()),
        ("AWS_REGION", &scope.region),
        ("AWS_DEFAULT_REGION", &scope.region),
    ] {
        environment.push(format!("{name}={value}"));
    }
    let mut body = json!({
        "Image": wanted.image,
        "Env": environment,
        "Labels": {"slipway.sandbox": inner.config.label},
        "HostConfig": {"NetworkMode": "host", "Memory": memory.max(128) * 1024 * 1024},
    });
    let config = wanted.settings.get("ImageConfigResponse");
    let config = config.map(|config| &config["ImageConfig"]);
    for (ours, theirs) in [
        ("Command", "Cmd"),
        ("EntryPoint", "Entrypoint"),
        ("WorkingDirectory", "WorkingDir"),
    ] {
        if let Some(value) = config.and_then(|config| config.get(ours)) {
            body[theirs] = value.clone();
        }
    }
    body
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = uuid::Uuid::new_v4().to_string();
    let mut awaited = api.awaited.lock().unwrap_or_else(PoisonError::into_inner);
    awaited.insert(id.clone(), event.done);
    let deadline = OffsetDateTime::now_utc() + api.timeout;
    let deadline = deadline.unix_timestamp_nanos() / 1_000_000;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", api.arn.clone()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.payload).into_response()
}

async fn answered(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    end(&api, &id, Outcome::Answer(body))
}

async fn erred(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    end(&api, &id, Outcome::Error(body))
}

/// A runtime that cannot start reports why; the event that waits for it fails with that.
async fn not_started(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    let waiting = api.events.lock().await.try_recv();
    if let Ok(event) = waiting {
        // The caller may be gone.
        let _ = event.done.send(Outcome::Error(body));
    }
    StatusCode::ACCEPTED
}

fn end(api: &Api, id: &str, outcome: Outcome) -> StatusCode {
    let mut awaited = api.awaited.lock().unwrap_or_else(PoisonError::into_inner);
    match awaited.remove(id) {
        Some(done) => {
            // The caller may be gone.
            let _ = done.send(outcome);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}
