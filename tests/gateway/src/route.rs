//! The way of a call through the gateway: attribute, let faults strike, permit, answer, record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::DATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::answer::{Answer, Content, cut};
use crate::call::Call;
use crate::error::AwsError;
use crate::faults::Kind;
use crate::identity::{Credentials, Refusal};
use crate::record::Entry;
use crate::sigv4::{self, Signed};
use crate::{BackendCall, Gateway};

/// Bodies that are read whole; AWS's own limits of JSON and query APIs are far below.
const LARGEST: usize = 64 << 20;

/// The gateway's server.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    crate::control::router().fallback(entry).with_state(gateway)
}

async fn entry(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if path.starts_with("/moto-api") {
        return (StatusCode::NOT_FOUND, "moto's own interface is not AWS's").into_response();
    }
    let signed = sigv4::read(&parts.headers, &query);
    let (bytes, stream) = if streams(&parts.headers, signed.as_ref()) {
        (Bytes::new(), Some(body))
    } else {
        match to_bytes(body, LARGEST).await {
            Ok(bytes) => (bytes, None),
            Err(_) => {
                return (StatusCode::PAYLOAD_TOO_LARGE, "the body could not be read")
                    .into_response();
            }
        }
    };
    // The signature covers the path before a virtual host's bucket moves into it.
    let mut call = Call::read(
        parts.method,
        path.clone(),
        query,
        parts.headers,
        bytes,
        signed,
    );
    let caller = crate::authenticated::caller(&gateway, &call, &path, stream.is_some());
    let mut record = record(&gateway, &call, &caller);
    let account = record.account.clone();
    gateway.faults.linger(&call.service).await;
    let struck = gateway
        .faults
        .strike(&call.service, &call.operation, account.as_deref());
    let instead = instead(struck.as_ref(), &mut call).await;
    let request_id = call.request_id.clone();
    let answer = match instead {
        Some(answer) => {
            recorded(&gateway, record, answer.as_ref(), started);
            answer
        }
        // AWS goes on with a call also where the caller is gone.
        None => {
            let done = tokio::spawn(async move {
                let _open = gateway.recorder.begin(&mut record);
                let outcome = dispatch(&gateway, &call, caller, stream).await;
                let answer =
                    outcome.unwrap_or_else(|error| error.answer(call.protocol, &call.request_id));
                recorded(&gateway, record, Some(&answer), started);
                answer
            });
            done.await.ok()
        }
    };
    if let Some(Kind::LateAnswer { millis }) = struck {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let lost = matches!(struck, Some(Kind::LostAnswer));
    match answer {
        Some(mut answer) if !lost => {
            if let Some(Kind::Date { seconds }) = struck {
                let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
                answer.headers.insert(DATE, http_date(time));
            }
            answer.into_response(&request_id)
        }
        _ => cut(),
    }
}

/// The answer in place of the service's, where a fault struck the call; `Some(None)` cuts the connection.
async fn instead(struck: Option<&Kind>, call: &mut Call) -> Option<Option<Answer>> {
    match struck {
        Some(Kind::Cut) => Some(None),
        Some(Kind::Status {
            status,
            code,
            message,
        }) => {
            let message = message.as_deref().unwrap_or("a fault was asked for");
            let error = AwsError::new(*status, code, message.to_owned());
            Some(Some(error.answer(call.protocol, &call.request_id)))
        }
        Some(Kind::Delay { millis }) => {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
            None
        }
        Some(Kind::Unconditional) => {
            call.take_off_conditions();
            None
        }
        Some(Kind::LateAnswer { .. } | Kind::LostAnswer | Kind::Date { .. }) | None => None,
    }
}

/// A time as the header `Date` says it (RFC 9110, 5.6.7).
fn http_date(time: OffsetDateTime) -> HeaderValue {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = time.format(form).unwrap_or_default();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Keeps the record of a call with its end.
fn recorded(gateway: &Gateway, mut record: Entry, answer: Option<&Answer>, started: Instant) {
    if let Some(answer) = answer {
        record.status = answer.status.as_u16();
        record.error.clone_from(&answer.error);
    }
    gateway.recorder.add(record, started.elapsed());
}

/// Makes a call of a service that acts with a caller's permissions, and keeps its record.
fn on_behalf(
    gateway: Arc<Gateway>,
    call: Call,
    caller: Credentials,
    body: Body,
) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async move { recorded_call(&gateway, call, caller, body).await })
}

async fn recorded_call(
    gateway: &Arc<Gateway>,
    mut call: Call,
    caller: Credentials,
    body: Body,
) -> Answer {
    let started = Instant::now();
    let account = caller.principal.account.clone();
    let caller = Ok(Some(caller));
    let mut record = record(gateway, &call, &caller);
    record.via = "cloudformation";
    let _open = gateway.recorder.begin(&mut record);
    let struck = gateway
        .faults
        .strike(&call.service, &call.operation, Some(&account));
    let answer = match instead(struck.as_ref(), &mut call).await {
        Some(Some(answer)) => Ok(answer),
        // To a service that calls another one, a broken connection is a failure of that service.
        Some(None) => Err(AwsError::upstream("connection", "cut by a fault")),
        None => dispatch(gateway, &call, caller, Some(body)).await,
    };
    let answer = match answer {
        Ok(answer) => answer.read().await,
        Err(error) => Err(error),
    };
    let answer = answer.unwrap_or_else(|error| error.answer(call.protocol, &call.request_id));
    recorded(gateway, record, Some(&answer), started);
    answer
}

/// Returns true if the body is passed on as it arrives: S3's, and those of calls that are neither JSON nor forms.
fn streams(headers: &HeaderMap, signed: Option<&Signed>) -> bool {
    let json = headers.contains_key("x-amz-target");
    let form = headers.get("content-type").is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    match signed {
        Some(signed) => signed.service == "s3",
        None => !json && !form,
    }
}

/// The record of a call, up to its answer.
fn record(gateway: &Gateway, call: &Call, caller: &Result<Option<Credentials>, Refusal>) -> Entry {
    let mut record = Entry::new(
        &call.service,
        &call.operation,
        &call.region,
        &call.request_id,
        "api",
    );
    record.resource.clone_from(&call.resource);
    match caller {
        Ok(Some(caller)) => {
            let account = &caller.principal.account;
            record.by(&caller.principal);
            record.world = gateway.accounts.world(account);
            if call.service == "dynamodb" {
                record.leading = gateway.tables.leading(account, &call.region, &call.json());
            }
            if call.operation == "UpdateService" {
                let asked = call.json()["taskDefinition"].as_str().map(str::to_owned);
                record.task_definition = asked;
            }
        }
        // A web identity has no account yet; the role it asks for has one.
        Ok(None) => {
            let role = call.resource.as_deref();
            record.account = role
                .and_then(|role| role.split(':').nth(4))
                .map(str::to_owned);
            let account = record.account.as_deref();
            record.world = account.and_then(|account| gateway.accounts.world(account));
        }
        Err(_) => {}
    }
    record
}

async fn dispatch(
    gateway: &Arc<Gateway>,
    call: &Call,
    caller: Result<Option<Credentials>, Refusal>,
    stream: Option<Body>,
) -> Result<Answer, AwsError> {
    let caller = caller.map_err(|refusal| refusal.error(call.protocol))?;
    if call.service == "sts" {
        return crate::sts::handle(gateway, call, caller.as_ref()).await;
    }
    let caller = caller.ok_or_else(|| Refusal::Missing.error(call.protocol))?;
    let principal = &caller.principal;
    crate::access::permit::permit(gateway, principal, call).await?;
    if let Some(backend) = gateway.config.backends.get(&call.service) {
        let answer = backend
            .handle(BackendCall {
                service: call.service.clone(),
                operation: call.operation.clone(),
                account: principal.account.clone(),
                region: call.region.clone(),
                principal: principal.arn.clone(),
                headers: call.headers.clone(),
                body: match &call.input {
                    Some(input) => input.to_string().into(),
                    None => call.body.clone(),
                },
            })
            .await;
        let error = (!answer.status.is_success())
            .then(|| crate::moto::error_code(&answer.body))
            .flatten();
        return Ok(Answer {
            status: answer.status,
            headers: answer.headers,
            body: Content::Whole(answer.body),
            error,
        });
    }
    match call.service.as_str() {
        "dynamodb" => crate::dynamodb::handle(gateway, call, principal).await,
        "ecr" => crate::ecr::handle(gateway, call, principal).await,
        "kms" => crate::kms::handle(gateway, call, principal).await,
        "codebuild" if call.operation == "BatchGetBuilds" => {
            let (account, input) = (&principal.account, call.json());
            let (builds, model) = (&gateway.builds, &gateway.codebuild);
            builds.answer(model, account, &call.region, input)
        }
        "ssm" if call.operation == "GetCalendarState" => {
            let (account, input) = (&principal.account, call.json());
            let (calendars, model) = (&gateway.calendars, &gateway.ssm);
            calendars.answer(model, account, &call.region, input)
        }
        "cloudformation" => crate::stacks::handle(gateway, call, &caller, on_behalf).await,
        "s3" => crate::s3::handle(gateway, call, principal, stream.unwrap_or_default()).await,
        "iam" => {
            let answer = crate::moto::forward(gateway, call, &principal.account).await?;
            crate::iam::observe(gateway, call, &principal.account, &answer);
            Ok(answer)
        }
        _ => crate::moto::forward(gateway, call, &principal.account).await,
    }
}
