//! CloudFormation behind the gateway: its calls to other services take the way of everybody's, with the permissions of
//! the caller or of the role that the caller passed.
//! Source: IAM User Guide, "Forward access sessions"; AWS CloudFormation User Guide, "CloudFormation service role".

use std::sync::Arc;

use axum::body::Body;
use standin_cloudformation::{Pending, ServiceAnswer, ServiceCall, Session};

use crate::Gateway;
use crate::answer::{Answer, Content};
use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Credentials;

/// The service as policies and trust policies name it.
const PRINCIPAL: &str = "cloudformation.amazonaws.com";

/// How a call is made with a caller's permissions: the way of all calls, which leads here as well.
pub(crate) type OnBehalf = fn(Arc<Gateway>, Call, Credentials, Body) -> Pending<Answer>;

/// Answers one call.
pub(crate) async fn handle(
    gateway: &Arc<Gateway>,
    call: &Call,
    caller: &Credentials,
    on_behalf: OnBehalf,
) -> Result<Answer, AwsError> {
    let body = String::from_utf8_lossy(&call.body).into_owned();
    let session = Deployer {
        gateway: Arc::clone(gateway),
        credentials: caller.clone(),
        via: Some(PRINCIPAL),
        on_behalf,
    };
    let answer = gateway
        .stacks
        .handle(standin_cloudformation::Call {
            account: &caller.principal.account,
            region: &call.region,
            body: &body,
            session: Arc::new(session),
        })
        .await;
    let (parts, body) = answer.into_parts();
    let error = (!parts.status.is_success())
        .then(|| crate::moto::error_code(&body))
        .flatten();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: Content::Whole(body),
        error,
    })
}

/// The caller whose permissions an operation on a stack has.
struct Deployer {
    gateway: Arc<Gateway>,
    credentials: Credentials,
    /// The service that calls with its caller's permissions; none where it has a role of its own.
    via: Option<&'static str>,
    on_behalf: OnBehalf,
}

impl Session for Deployer {
    fn call(&self, call: ServiceCall) -> Pending<ServiceAnswer> {
        let (gateway, caller) = (Arc::clone(&self.gateway), self.credentials.clone());
        let (via, on_behalf) = (self.via, self.on_behalf);
        Box::pin(async move {
            let body = call.body.clone();
            let call = Call::from_service(call, via);
            let answer = on_behalf(gateway, call, caller, Body::from(body)).await;
            ServiceAnswer {
                status: answer.status,
                body: answer.text().into(),
                headers: answer.headers,
            }
        })
    }

    fn assume(&self, role: String) -> Pending<Result<Arc<dyn Session>, String>> {
        let gateway = Arc::clone(&self.gateway);
        let on_behalf = self.on_behalf;
        Box::pin(async move {
            let opened =
                crate::sts::for_service(&gateway, &role, "AWSCloudFormation", PRINCIPAL, 3600)
                    .await;
            let credentials = opened.map_err(|error| error.message)?;
            Ok(Arc::new(Deployer {
                gateway,
                credentials,
                via: None,
                on_behalf,
            }) as Arc<dyn Session>)
        })
    }
}
