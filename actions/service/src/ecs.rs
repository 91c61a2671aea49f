//! The calls to ECS that read and write task definitions and services; raw bodies where a typed
//! model would lose something.

use crate::definition::{Definition, Registration};
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::TaskDefinitionField;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use kit::error::{Error, Result};
use net::AwsContext;
use std::sync::{Arc, Mutex};

/// Keeps the body of the last answer.
#[derive(Debug, Clone, Default)]
struct Body(Arc<Mutex<Vec<u8>>>);

impl Body {
    fn take(&self) -> Vec<u8> {
        self.0
            .lock()
            .map(|mut body| std::mem::take(&mut *body))
            .unwrap_or_default()
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    // The body is in memory only once the SDK has read it to parse it.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(bytes), Ok(mut body)) = (context.response().body().bytes(), self.0.lock()) {
            *body = bytes.to_vec();
        }
        Ok(())
    }
}

/// A task definition by ARN, `family:revision` or family (its newest active revision), as ECS
/// sent it.
///
/// # Errors
/// ECS does not answer with one.
pub(crate) async fn definition(ecs: &Client, name: &str) -> Result<Definition> {
    let body = Body::default();
    ecs.describe_task_definition()
        .task_definition(name)
        .include(TaskDefinitionField::Tags)
        .customize()
        .interceptor(body.clone())
        .send()
        .await
        .cannot(format!("read task definition {name}"))?;
    Definition::parse(&body.take())
}

/// Registers exactly `registration` and reads back that ECS keeps exactly that; returns its ARN.
///
/// # Errors
/// ECS refuses it, or keeps something else (the paths that differ are named). The service is
/// untouched then.
pub(crate) async fn register(ecs: &Client, registration: &Registration) -> Result<String> {
    let body = registration.body.clone();
    let answer = ecs
        .register_task_definition()
        .family(&registration.family)
        .customize()
        .mutate_request(move |request| {
            *request.body_mut() = SdkBody::from(body.as_str());
            request
                .headers_mut()
                .insert("content-length", body.len().to_string());
        })
        .send()
        .await
        .cannot(format!("register a revision of {}", registration.family))?;
    let arn = answer
        .task_definition
        .and_then(|definition| definition.task_definition_arn)
        .ok_or_else(|| Error::failed("ECS registered a task definition without naming it"))?;
    let differences = registration.differences(&definition(ecs, &arn).await?);
    if differences.is_empty() {
        return Ok(arn);
    }
    let mut error = Error::failed(format!(
        "ECS keeps {arn} otherwise than it was asked to; the service was not changed"
    ));
    error.causes = differences
        .into_iter()
        .map(|path| format!("different: {path}"))
        .collect();
    Err(error.hint(format!(
        "compare: aws ecs describe-task-definition --task-definition {arn}"
    )))
}
