//! ECS and its load balancers behind the gateway, and the way from a task to the services it needs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use gateway::{Backend, BackendAnswer, BackendCall};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use standin_ecs::{
    AlarmQuery, Alarms, CALLER_HEADER, Config, Ecs, Timings, Upstream, UpstreamCall, UpstreamError,
};

use super::models;
use crate::fault::{Context, Result};
use crate::instance::{Instance, port};
use crate::parts::engine;
use crate::world::aws::{Aws, Keys};
use crate::world::{control, http_client};

/// The service that acts as the roles of tasks.
const TASKS: &str = "ecs-tasks.amazonaws.com";

/// moto's header for the account, which only the sandbox itself may set.
const MOTO_ACCOUNT: HeaderName = HeaderName::from_static("x-moto-account-id");

/// ECS, Elastic Load Balancing, and of CloudWatch Logs the part that tasks write; moto answers the rest of it.
pub(super) struct Services {
    ecs: Ecs,
    http: reqwest::Client,
    moto: String,
}

impl Services {
    pub(super) async fn start(instance: &Instance) -> Result<Self> {
        let http = http_client()?;
        let config = Config {
            models_dir: models(instance)?,
            docker_socket: engine::SOCKET.into(),
            ip: instance.ip,
            first_lb_port: port::BALANCERS,
            // Each account has a registry on an address of its own; they have the port in common.
            registry: format!(":{}", port::REGISTRY),
            label: instance.id.clone(),
            upstream: upstream(instance, http.clone(), TASKS),
            alarms: alarms(http.clone(), instance.url(port::MOTO)),
            timings: Timings::default(),
        };
        let ecs = Ecs::start(config).await.context("starting ECS")?;
        Ok(Self {
            ecs,
            http,
            moto: instance.url(port::MOTO),
        })
    }

    pub(super) async fn shutdown(&self) -> Result<()> {
        self.ecs.shutdown().await.context("ending ECS")
    }

    async fn answer(&self, mut call: BackendCall) -> BackendAnswer {
        if !Ecs::serves(&call.service, &call.headers) {
            return self
                .forward(&call)
                .await
                .unwrap_or_else(|error| unreachable_part(&error.to_string()));
        }
        if let Ok(caller) = HeaderValue::from_str(&call.principal) {
            call.headers.insert(CALLER_HEADER, caller);
        }
        let answer = self
            .ecs
            .handle(
                &call.service,
                &call.account,
                &call.region,
                &call.headers,
                &call.body,
            )
            .await;
        let (parts, body) = answer.into_parts();
        BackendAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn forward(&self, call: &BackendCall) -> reqwest::Result<BackendAnswer> {
        let mut request = self
            .http
            .post(format!("{}/", self.moto))
            .body(call.body.clone());
        for (name, value) in &call.headers {
            if !matches!(
                name.as_str(),
                "connection" | "content-length" | "transfer-encoding" | "x-moto-account-id"
            ) {
                request = request.header(name, value);
            }
        }
        let answer = request.header(MOTO_ACCOUNT, &call.account).send().await?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        for name in ["connection", "content-length", "transfer-encoding"] {
            headers.remove(name);
        }
        Ok(BackendAnswer {
            status,
            headers,
            body: answer.bytes().await?,
        })
    }
}

impl Backend for Services {
    fn handle(
        &self,
        call: BackendCall,
    ) -> Pin<Box<dyn Future<Output = BackendAnswer> + Send + '_>> {
        Box::pin(self.answer(call))
    }

    fn violations(&self) -> Vec<String> {
        self.ecs.violations()
    }
}

fn unreachable_part(message: &str) -> BackendAnswer {
    let body =
        json!({"__type": "InternalFailure", "message": format!("the part behind: {message}")});
    BackendAnswer {
        status: http::StatusCode::INTERNAL_SERVER_ERROR,
        headers: http::HeaderMap::new(),
        body: body.to_string().into(),
    }
}

/// Calls of a task or of a function go through the gateway like everybody's, as a session of its role, which trusts the
/// service.
pub(super) fn upstream(
    instance: &Instance,
    http: reqwest::Client,
    service: &'static str,
) -> Upstream {
    let instance = instance.clone();
    Arc::new(move |call: UpstreamCall| {
        let (instance, http) = (instance.clone(), http.clone());
        Box::pin(async move { forward(&instance, http, service, call).await })
    })
}

/// The alarms as moto has them, which ECS reads by its service-linked role. One that cannot be asked has none in ALARM.
fn alarms(http: reqwest::Client, moto: String) -> Alarms {
    Arc::new(move |query: AlarmQuery| {
        let (http, moto) = (http.clone(), moto.clone());
        Box::pin(async move {
            let answer = describe_alarms(&http, &moto, &query).await;
            let text = answer.unwrap_or_default();
            let named = text.split("<AlarmName>").skip(1);
            let named = named.filter_map(|rest| rest.split_once("</AlarmName>"));
            let named = named.map(|(name, _)| name.to_owned());
            named.filter(|name| query.names.contains(name)).collect()
        })
    })
}

async fn describe_alarms(
    http: &reqwest::Client,
    moto: &str,
    query: &AlarmQuery,
) -> reqwest::Result<String> {
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=ASIAECS/20260101/{}/monitoring/aws4_request, SignedHeaders=host, Signature=0",
        query.region
    );
    // moto ignores the state where names are given.
    let body = "Action=DescribeAlarms&Version=2010-08-01&StateValue=ALARM";
    let request = http
        .post(format!("{moto}/"))
        .header(http::header::AUTHORIZATION, scope)
        .header(MOTO_ACCOUNT, &query.account)
        .header(
            http::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded",
        )
        .body(body);
    request.send().await?.text().await
}

async fn forward(
    instance: &Instance,
    http: reqwest::Client,
    service: &str,
    call: UpstreamCall,
) -> std::result::Result<Value, UpstreamError> {
    let failed = |code: &str, message: String| UpstreamError {
        code: code.to_owned(),
        message,
    };
    let wanted = json!({
        "role_arn": call.role,
        "session_name": service.split('-').next().unwrap_or(service),
        "service": service,
    });
    let keys: Keys = control(&http, instance, "sessions", &wanted)
        .await
        .map_err(|fault| {
            failed(
                "AccessDenied",
                format!(
                    "{service} was unable to assume the role '{}': {fault}",
                    call.role
                ),
            )
        })?;
    let aws = Aws::new(http, &instance.url(port::GATEWAY), &call.region, keys);
    let answer = aws
        .json(call.service, call.target, &call.body)
        .await
        .map_err(|fault| failed("RequestError", fault.to_string()))?;
    answer.map_err(|refused| {
        let body: Value = serde_json::from_str(&refused.body).unwrap_or_default();
        let code = body["__type"]
            .as_str()
            .and_then(|code| code.rsplit('#').next())
            .unwrap_or("UnknownError");
        let message = body["message"]
            .as_str()
            .or(body["Message"].as_str())
            .unwrap_or(&refused.body);
        failed(code, message.to_owned())
    })
}
