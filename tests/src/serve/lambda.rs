//! Lambda and the HTTP APIs of API Gateway behind the gateway. Its containers carry the sandbox's label, so they go with those of ECS.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateway::{Backend, BackendAnswer, BackendCall};
use serde_json::json;
use standin_lambda::{Authorize, Config, Credentials, Denied, Lambda, Scope, Signed, Timings};

use super::{ecs, models};
use crate::fault::{Context, Result};
use crate::instance::{Instance, port};
use crate::parts::engine;
use crate::world::aws::Keys;
use crate::world::{World, control, http_client};

/// The service that acts as the roles of functions.
const SERVICE: &str = "lambda.amazonaws.com";

/// The functions of all accounts.
pub(super) struct Functions(Lambda);

impl Functions {
    pub(super) fn start(instance: &Instance) -> Result<Self> {
        let config = Config {
            models_dir: models(instance)?,
            docker_socket: engine::SOCKET.into(),
            ip: instance.ip,
            registry: format!(":{}", port::REGISTRY),
            label: instance.id.clone(),
            upstream: ecs::upstream(instance, http_client()?, SERVICE),
            puller: World::LAMBDA,
            credentials: credentials(instance)?,
            endpoint: instance.url(port::GATEWAY),
            authorize: authorize(instance)?,
            timings: Timings::default(),
        };
        Lambda::start(config).context("starting Lambda").map(Self)
    }

    async fn answer(&self, call: BackendCall) -> BackendAnswer {
        let scope = Scope {
            account: call.account,
            region: call.region,
        };
        let input = serde_json::from_slice(&call.body).unwrap_or_default();
        let operation = &call.operation;
        let answer = match call.service.as_str() {
            "apigateway" => self.0.handle_api(&scope, operation, input).await,
            _ => self.0.handle(&scope, operation, input).await,
        };
        let (parts, body) = answer.into_parts();
        BackendAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

impl Backend for Functions {
    fn handle(
        &self,
        call: BackendCall,
    ) -> Pin<Box<dyn Future<Output = BackendAnswer> + Send + '_>> {
        Box::pin(self.answer(call))
    }

    fn violations(&self) -> Vec<String> {
        self.0.violations()
    }
}

/// A function calls AWS in a session of its role, which trusts Lambda.
fn credentials(instance: &Instance) -> Result<Credentials> {
    let (instance, http) = (instance.clone(), http_client()?);
    Ok(Arc::new(move |role: String| {
        let (instance, http) = (instance.clone(), http.clone());
        Box::pin(async move {
            let wanted = json!({
                "role_arn": role, "session_name": "function", "service": SERVICE,
            });
            let opened = control::<Keys>(&http, &instance, "sessions", &wanted).await;
            let keys = opened.map_err(|fault| {
                format!("The role defined for the function cannot be assumed by Lambda. ({fault})")
            })?;
            Ok(keys.variables().into_iter().collect())
        })
    }))
}

/// The gateway knows whose credentials a request is signed with.
fn authorize(instance: &Instance) -> Result<Authorize> {
    let (url, http) = (instance.url(port::GATEWAY), http_client()?);
    Ok(Arc::new(move |signed: Signed| {
        let (url, http) = (url.clone(), http.clone());
        Box::pin(async move {
            let denied = |message: &str| Denied(message.to_owned());
            let headers: Vec<(&str, &str)> = signed
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let asked = json!({
                "method": signed.method, "path": signed.path, "query": signed.query, "headers": headers,
                "body": STANDARD.encode(&signed.body), "resource": signed.resource,
            });
            let request = http
                .post(format!("{url}/_sandbox/invocations"))
                .json(&asked);
            let answer = request.send().await.map_err(|_| denied("Forbidden"))?;
            if !answer.status().is_success() {
                return Err(denied("Forbidden"));
            }
            answer.json().await.map_err(|_| denied("Forbidden"))
        })
    }))
}
