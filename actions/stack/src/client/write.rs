//! The calls that change something. Each can be made again after its answer was lost.

use super::{Client, is_code};
use crate::imports::Import;
use crate::standing::Kind;
use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, ResourceToImport, Tag};
use kit::Secret;
use kit::aws::RoleArn;
use kit::error::{Error, Result};
use std::collections::BTreeMap;

/// A value for a parameter.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Given(String),
    Secret(Secret),
    /// The value that the stack has.
    Kept,
}

/// Where CloudFormation finds a template.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In the request.
    Body(String),
    /// In a bucket.
    Url(String),
}

impl Source {
    pub(super) fn body(&self) -> Option<String> {
        match self {
            Self::Body(text) => Some(text.clone()),
            Self::Url(_) => None,
        }
    }

    pub(super) fn url(&self) -> Option<String> {
        match self {
            Self::Body(_) => None,
            Self::Url(url) => Some(url.clone()),
        }
    }
}

/// A change set that is to be made.
#[derive(Debug)]
pub(crate) struct Creation<'a> {
    pub(crate) stack: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    /// The resources that it takes over.
    pub(crate) imports: &'a [Import],
    pub(crate) template: &'a Source,
    pub(crate) parameters: &'a BTreeMap<String, Value>,
    /// Without any, the stack keeps its own.
    pub(crate) tags: &'a BTreeMap<String, String>,
    pub(crate) capabilities: &'a [&'static str],
    pub(crate) role: Option<&'a RoleArn>,
    pub(crate) description: &'a str,
}

/// The answer to the execution of a change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Executed {
    /// It was started.
    Started,
    /// It cannot be executed now: it was before, or the stack moved on.
    Not,
}

impl Client {
    /// Begins to make a change set; returns its ARN.
    pub(crate) async fn create(&self, wanted: &Creation<'_>) -> Result<String> {
        let parameters = wanted.parameters.iter().map(|(name, value)| {
            let parameter = Parameter::builder().parameter_key(name);
            match value {
                Value::Given(value) => parameter.parameter_value(value),
                Value::Secret(value) => parameter.parameter_value(value.expose()),
                Value::Kept => parameter.use_previous_value(true),
            }
            .build()
        });
        let parameters: Vec<Parameter> = parameters.collect();
        let tags = wanted
            .tags
            .iter()
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags: Vec<Tag> = tags.collect();
        let capabilities = wanted
            .capabilities
            .iter()
            .map(|name| Capability::from(*name));
        let capabilities: Vec<Capability> = capabilities.collect();
        let kind = match wanted.imports.is_empty() {
            true => wanted.kind.as_str(),
            false => "IMPORT",
        };
        let imports = wanted.imports.iter().map(|import| {
            ResourceToImport::builder()
                .resource_type(&import.kind)
                .logical_resource_id(&import.logical_id)
                .set_resource_identifier(Some(import.identifier.clone().into_iter().collect()))
                .build()
        });
        let imports: Vec<ResourceToImport> = imports.collect();
        let call = async || {
            self.api
                .create_change_set()
                .stack_name(wanted.stack)
                .change_set_name(wanted.name)
                .change_set_type(ChangeSetType::from(kind))
                .set_resources_to_import((!imports.is_empty()).then(|| imports.clone()))
                .set_template_body(wanted.template.body())
                .set_template_url(wanted.template.url())
                .set_parameters((!parameters.is_empty()).then(|| parameters.clone()))
                .set_tags((!tags.is_empty()).then(|| tags.clone()))
                .set_capabilities((!capabilities.is_empty()).then(|| capabilities.clone()))
                .set_role_arn(wanted.role.map(String::from))
                .description(wanted.description)
                // CloudFormation knows a repeated request by its token.
                .client_token(wanted.name)
                // A transform can make nested stacks that the template does not show as it is written.
                .include_nested_stacks(true)
                .send()
                .await
        };
        let action = format!("make a change set for the stack {}", wanted.stack);
        let answer = self.retried(&action, call).await?;
        answer.id.ok_or_else(|| {
            Error::failed("CloudFormation did not name the change set that it makes")
        })
    }

    /// Deletes a change set; one that is already gone is not an error.
    pub(crate) async fn delete(&self, change_set: &str) -> Result<()> {
        let call = async || {
            self.api
                .delete_change_set()
                .change_set_name(change_set)
                .send()
                .await
        };
        let action = format!("delete the change set {change_set}");
        match self.retried(&action, call).await {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, &["ChangeSetNotFound", "ChangeSetNotFoundException"]) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Begins to execute a change set. Its events can be told by the token.
    pub(crate) async fn execute(&self, change_set: &str, token: &str) -> Result<Executed> {
        let call = async || {
            let call = self.api.execute_change_set().change_set_name(change_set);
            call.client_request_token(token).send().await
        };
        let action = format!("execute the change set {change_set}");
        match self.retried(&action, call).await {
            Ok(_) => Ok(Executed::Started),
            Err(error)
                if is_code(
                    &error,
                    &[
                        "InvalidChangeSetStatus",
                        "InvalidChangeSetStatusException",
                        "TokenAlreadyExistsException",
                        "ChangeSetNotFound",
                        "ChangeSetNotFoundException",
                    ],
                ) =>
            {
                Ok(Executed::Not)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the rollback of an update go on. Its events can be told by the token.
    pub(crate) async fn continue_rollback(
        &self,
        stack: &str,
        skip: &[String],
        token: &str,
    ) -> Result<()> {
        let call = async || {
            let call = self.api.continue_update_rollback().stack_name(stack);
            call.set_resources_to_skip((!skip.is_empty()).then(|| skip.to_vec()))
                .client_request_token(token)
                .send()
                .await
        };
        let action = format!("let the rollback of the stack {stack} go on");
        match self.retried(&action, call).await {
            Ok(_) => Ok(()),
            // The first of two attempts was taken.
            Err(error) if is_code(&error, &["TokenAlreadyExistsException"]) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Switches the protection from deletion.
    pub(crate) async fn protect(&self, stack: &str, on: bool) -> Result<()> {
        let call = async || {
            let call = self.api.update_termination_protection().stack_name(stack);
            call.enable_termination_protection(on).send().await
        };
        let action = format!("set the termination protection of the stack {stack}");
        self.retried(&action, call).await.map(drop)
    }

    /// Sets the stack policy.
    pub(crate) async fn set_policy(&self, stack: &str, body: &str) -> Result<()> {
        let call = async || {
            let call = self.api.set_stack_policy().stack_name(stack);
            call.stack_policy_body(body).send().await
        };
        let action = format!("set the stack policy of {stack}");
        self.retried(&action, call).await.map(drop)
    }
}
