//! The address of an API: a request takes a route, is authorized, and is answered by a function.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::allowed::allowed;
use super::event::{Request, event};
use super::{Kind, answer, matching};
use crate::invoke;
use crate::runtime::Outcome;
use crate::{Inner, Scope};

/// API Gateway's own limit of a payload.
const LARGEST: usize = 10 << 20;

/// A request to a route that authorizes with IAM.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The method.
    pub method: String,
    /// The path as on the wire.
    pub path: String,
    /// The query as on the wire.
    pub query: String,
    /// The headers, the signature among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the caller has to be permitted to invoke.
    pub resource: String,
}

/// Why a request is not authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied(pub String);

type Authorized = Pin<Box<dyn Future<Output = Result<Value, Denied>> + Send>>;

/// Checks signature and permission of a request, and answers the caller as events name it.
pub type Authorize = Arc<dyn Fn(Signed) -> Authorized + Send + Sync>;

#[derive(Clone)]
struct Address {
    inner: Arc<Inner>,
    scope: Scope,
    api: String,
}

/// Begins to serve an API; answers its address.
pub(super) async fn start(
    inner: &Arc<Inner>,
    scope: &Scope,
    api: &str,
) -> std::io::Result<(String, AbortHandle)> {
    let listener = TcpListener::bind((inner.config.ip, 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let address = Address {
        inner: Arc::clone(inner),
        scope: scope.clone(),
        api: api.to_owned(),
    };
    let router = Router::new().fallback(entry).with_state(address);
    let serving = tokio::spawn(async move {
        // It serves until the API is deleted.
        let _ = axum::serve(listener, router).await;
    });
    Ok((endpoint, serving.abort_handle()))
}

async fn entry(State(address): State<Address>, request: HttpRequest) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answered = match to_bytes(body, LARGEST).await {
        Ok(body) => address.answer(&parts, body).await,
        Err(_) => answer::own(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"),
    };
    answered.map(Body::from)
}

/// The route of a request.
struct Taken {
    stage: String,
    key: String,
    iam: bool,
    /// The ARN of the function.
    function: String,
    parameters: Map<String, Value>,
}

impl Address {
    async fn answer(&self, parts: &http::request::Parts, body: Bytes) -> Response<Bytes> {
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        let Some(taken) = self.taken(method, path) else {
            return answer::own(StatusCode::NOT_FOUND, "Not Found");
        };
        let Scope { account, region } = &self.scope;
        let (api, stage) = (&self.api, &taken.stage);
        let place = format!("arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}");
        let mut caller = None;
        if taken.iam {
            let signed = Signed {
                method: method.to_owned(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers: parts.headers.clone(),
                body: body.clone(),
                resource: format!("{place}{path}"),
            };
            match (self.inner.config.authorize)(signed).await {
                Ok(found) => caller = Some(found),
                Err(Denied(message)) => return answer::own(StatusCode::FORBIDDEN, &message),
            }
        }
        // The source is the route, whose parameters are stars (Developer Guide, "Lambda integration permissions").
        let route = taken.key.split_once(' ').map_or("/", |(_, path)| path);
        let event = event(&Request {
            account,
            api,
            stage,
            route: &taken.key,
            parameters: &taken.parameters,
            method,
            path,
            query,
            headers: &parts.headers,
            body: &body,
            caller,
            now: OffsetDateTime::now_utc(),
        });
        self.invoke(&taken.function, &format!("{place}{route}"), &event)
            .await
            .unwrap_or_else(answer::failed)
    }

    /// The route of a request in the stage `$default`, whose name is not a part of the path.
    fn taken(&self, method: &str, path: &str) -> Option<Taken> {
        let all = self.inner.apis.all();
        let api = all.get(&(self.scope.clone(), self.api.clone()))?;
        let text = |members: &Map<String, Value>, name: &str| {
            let found = members.get(name).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let stage = "$default".to_owned();
        api.parts.get(&(Kind::Stage, stage.clone()))?;
        let routes = api.of(Kind::Route);
        let routes = routes.filter_map(|route| Some((route.get("RouteKey")?.as_str()?, route)));
        let (key, route, fit) = matching::best(routes, method, path)?;
        let target = text(route, "Target");
        let id = target.strip_prefix("integrations/")?.to_owned();
        let integration = api.parts.get(&(Kind::Integration, id))?;
        let function = text(integration, "IntegrationUri");
        // The other form of it: arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations.
        let arn = function.split_once("/functions/").map(|(_, rest)| rest);
        let arn = arn.and_then(|rest| rest.strip_suffix("/invocations"));
        Some(Taken {
            stage,
            key: key.to_owned(),
            iam: text(route, "AuthorizationType") == "AWS_IAM",
            function: arn.map_or(function.clone(), str::to_owned),
            parameters: fit.parameters,
        })
    }

    /// The function's answer, if the API may invoke it and it does answer.
    async fn invoke(&self, arn: &str, source: &str, event: &Value) -> Option<Response<Bytes>> {
        let (_, named) = arn.split_once(":function:")?;
        let (name, qualifier) = named.split_once(':').unwrap_or((named, ""));
        let may = {
            let mut world = self.inner.world();
            let function = world.place(&self.scope).get(name)?;
            let statements = function.policies.get(qualifier);
            allowed(statements.map_or(&[][..], Vec::as_slice), source)
        };
        if !may {
            return None;
        }
        let input = json!({"FunctionName": arn, "Payload": event.to_string()});
        let invoked = invoke::invoke(&self.inner, &self.scope, &input)
            .await
            .ok()?;
        match invoked.outcome() {
            Outcome::Answer(body) => Some(answer::of_function(&body)),
            Outcome::Error(_) => None,
        }
    }
}
