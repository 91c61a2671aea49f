//! The two wire protocols, and the check of every request and answer against the service model.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::Value;

use crate::api::{self, Caller};
use crate::check::{self, Fault, Problem, Wire};
use crate::elb::scope::Scope;
use crate::error::{Answer, ApiError};
use crate::model::{Model, ModelError, Operation, load};
use crate::{CALLER_HEADER, Inner, elb, ids, logs, query, run};

/// Code of the answer to a call whose real answer did not fit the model.
const VIOLATION: &str = "StandInContractViolation";

/// Errors that AWS services answer besides those that an operation's model lists.
const COMMON_ERRORS: [&str; 9] = [
    "AccessDeniedException",
    "InternalFailure",
    "InvalidAction",
    "InvalidParameterException",
    "SerializationException",
    "ServerException",
    "StandInNotImplemented",
    "UnknownOperationException",
    "ValidationError",
];

/// The services that this crate stands for.
pub(crate) struct Services {
    ecs: Model,
    elb: Model,
    logs: Model,
}

impl Services {
    pub(crate) fn load(models: &Path) -> Result<Self, ModelError> {
        Ok(Self {
            ecs: load(models, "ecs")?,
            elb: load(models, "elbv2")?,
            logs: load(models, "logs")?,
        })
    }

    fn of(&self, service: &str) -> &Model {
        match service {
            "elasticloadbalancing" => &self.elb,
            "logs" => &self.logs,
            _ => &self.ecs,
        }
    }
}

/// Prefix and operation of `X-Amz-Target`.
pub(crate) fn target(headers: &HeaderMap) -> Option<(&str, Option<&str>)> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    Some(
        target
            .split_once('.')
            .map_or((target, None), |(prefix, operation)| {
                (prefix, Some(operation))
            }),
    )
}

struct Call<'a> {
    service: &'a str,
    account: &'a str,
    region: &'a str,
    model: &'a Model,
    wire: Wire,
    operation: String,
}

pub(crate) async fn handle(
    inner: &Arc<Inner>,
    service: &str,
    account: &str,
    region: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Bytes> {
    let wire = if service == "elasticloadbalancing" {
        Wire::Query
    } else {
        Wire::Json
    };
    let model = inner.services.of(service);
    let mut call = Call {
        service,
        account,
        region,
        model,
        wire,
        operation: String::new(),
    };
    let input = match call.input(headers, body) {
        Ok(input) => input,
        Err(error) => return call.error(&error),
    };
    let caller = headers
        .get(CALLER_HEADER)
        .and_then(|arn| arn.to_str().ok())
        .map(str::to_owned);
    let caller = Caller {
        arn: caller.unwrap_or_else(|| format!("arn:aws:iam::{account}:root")),
    };
    let answer = call.dispatch(inner, &caller, &input).await;
    match call.checked(answer) {
        Ok(response) => response,
        Err(violation) => {
            inner.violations().push(violation.clone());
            let error = ApiError {
                code: VIOLATION.to_owned(),
                message: violation,
                status: 500,
            };
            call.error(&error)
        }
    }
}

impl Call<'_> {
    fn described(&self) -> Option<&Operation> {
        self.model.operations.get(&self.operation)
    }

    /// Reads the operation and its input, and refuses what the model does not know.
    fn input(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
        let unknown = || ApiError::new("UnknownOperationException", "");
        let (operation, raw) = if self.wire == Wire::Query {
            let mut pairs = query::pairs(&String::from_utf8_lossy(body));
            let action = pairs
                .iter()
                .find(|(name, _)| name == "Action")
                .map(|(_, action)| action.clone());
            let action = action
                .ok_or_else(|| ApiError::new("InvalidAction", "Missing the parameter Action"))?;
            pairs.retain(|(name, _)| name != "Action" && name != "Version");
            (action, Err(pairs))
        } else {
            let (prefix, operation) = target(headers).ok_or_else(unknown)?;
            if self.model.metadata.target_prefix.as_deref() != Some(prefix) {
                return Err(unknown());
            }
            let input = if body.is_empty() { b"{}" } else { body };
            let input = serde_json::from_slice::<Value>(input)
                .map_err(|error| ApiError::new("SerializationException", error.to_string()))?;
            (operation.unwrap_or_default().to_owned(), Ok(input))
        };
        self.operation = operation;
        let described = self.described().ok_or_else(|| match self.wire {
            Wire::Json => unknown(),
            Wire::Query => ApiError::new(
                "InvalidAction",
                format!("Could not find operation {}", self.operation),
            ),
        })?;
        let Some(shape) = described.input.as_ref().map(|input| input.shape.clone()) else {
            return Ok(Value::Object(serde_json::Map::new()));
        };
        let mut input = match raw {
            Ok(input) => input,
            Err(pairs) => query::input(self.model, &shape, &pairs).map_err(|name| {
                ApiError::new(
                    "ValidationError",
                    format!("Unknown or misplaced parameter: {name}"),
                )
            })?,
        };
        check::drop_null_members(&mut input);
        match check::faults(self.model, &shape, &input, self.wire).first() {
            Some(fault) => Err(self.refusal(fault)),
            None => Ok(input),
        }
    }

    fn refusal(&self, fault: &Fault) -> ApiError {
        let code = match (self.wire, fault.problem) {
            (Wire::Query, _) => "ValidationError",
            (Wire::Json, Problem::UnknownMember | Problem::WrongType) => "SerializationException",
            (Wire::Json, Problem::MissingMember | Problem::NotInEnum | Problem::OutOfRange) => {
                "InvalidParameterException"
            }
        };
        ApiError::new(code, fault.to_string())
    }

    async fn dispatch(&self, inner: &Arc<Inner>, caller: &Caller, input: &Value) -> Answer {
        let answer = match self.service {
            "elasticloadbalancing" => {
                let scope = Scope {
                    inner,
                    account: self.account,
                    region: self.region,
                };
                elb::api::dispatch(&scope, &self.operation, input)
            }
            "logs" => {
                logs::dispatch(inner, self.account, self.region, &self.operation, input).await
            }
            _ => {
                let answer = {
                    let mut world = inner.world();
                    let region = world.region(self.account, self.region);
                    api::dispatch(
                        region,
                        caller,
                        &inner.config.registry,
                        &self.operation,
                        input,
                    )
                };
                if self.operation == "RunTask"
                    && let Some(Ok(started)) = &answer
                {
                    self.drive(inner, started);
                }
                answer
            }
        };
        answer.unwrap_or_else(|| {
            Err(ApiError::new(
                "StandInNotImplemented",
                format!("this stand-in has no {}", self.operation),
            ))
        })
    }

    fn drive(&self, inner: &Arc<Inner>, started: &Value) {
        for task in crate::value::list(started, "tasks") {
            let id = api::short(crate::value::need(task, "taskArn")).to_owned();
            let key = run::Key {
                account: self.account.to_owned(),
                region: self.region.to_owned(),
                id,
            };
            tokio::spawn(run::run(inner.clone(), key));
        }
    }

    /// The response, or how the answer breaks the model.
    fn checked(&self, answer: Answer) -> Result<Response<Bytes>, String> {
        let described = self
            .described()
            .ok_or_else(|| format!("{}: not in the model", self.operation))?;
        let value = match answer {
            Ok(value) => value,
            Err(error) => {
                let listed = described
                    .errors
                    .iter()
                    .any(|one| self.code_of(&one.shape) == error.code);
                if !listed && !COMMON_ERRORS.contains(&error.code.as_str()) {
                    return Err(format!(
                        "{}: error {} is not one of this operation's",
                        self.operation, error.code
                    ));
                }
                return Ok(self.error(&error));
            }
        };
        let Some(output) = &described.output else {
            return Ok(self.respond(200, String::new(), &ids::hex32()));
        };
        let faults = check::faults(self.model, &output.shape, &value, self.wire);
        if !faults.is_empty() {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return Err(format!("{}: {}", self.operation, all.join("; ")));
        }
        let id = ids::hex32();
        let text = match self.wire {
            Wire::Json => value.to_string(),
            Wire::Query => {
                let wrapper = output
                    .result_wrapper
                    .clone()
                    .unwrap_or_else(|| format!("{}Result", self.operation));
                query::answer(self.namespace(), &self.operation, &wrapper, &value, &id)
            }
        };
        Ok(self.respond(200, text, &id))
    }

    /// An error shape's code on the wire.
    fn code_of<'a>(&'a self, shape: &'a str) -> &'a str {
        let code = self
            .model
            .shapes
            .get(shape)
            .and_then(|shape| shape.error.as_ref()?.code.as_deref());
        code.unwrap_or(shape)
    }

    fn namespace(&self) -> &str {
        self.model
            .metadata
            .xml_namespace
            .as_deref()
            .unwrap_or_default()
    }

    fn error(&self, error: &ApiError) -> Response<Bytes> {
        let id = ids::hex32();
        let listed = self
            .model
            .shapes
            .iter()
            .find(|(name, _)| self.code_of(name) == error.code);
        let status = listed
            .and_then(|(_, shape)| shape.error.as_ref()?.http_status_code)
            .unwrap_or(error.status);
        let text = match self.wire {
            Wire::Json => {
                serde_json::json!({"__type": error.code, "message": error.message}).to_string()
            }
            Wire::Query => query::error(self.namespace(), status, &error.code, &error.message, &id),
        };
        self.respond(status, text, &id)
    }

    fn respond(&self, status: u16, text: String, id: &str) -> Response<Bytes> {
        let kind = if self.wire == Wire::Query {
            "text/xml"
        } else {
            "application/x-amz-json-1.1"
        };
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() =
            http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(kind),
        );
        if let Ok(id) = http::HeaderValue::from_str(id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}
