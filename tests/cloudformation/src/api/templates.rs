//! Templates: as they were sent, and what they declare.

use serde_json::{Value, json};

use super::{Scope, change_sets, present, validate};
use crate::error::{Answer, ApiError};
use crate::template::Template;

pub(super) fn get(scope: &Scope<'_>) -> Answer {
    let text = scope.with(|region| {
        if scope.text("ChangeSetName").is_some() {
            return change_sets::named(scope, region, |stack, at| {
                Ok(Some(stack.change_sets[at].template.text.clone()))
            });
        }
        let named = scope.text("StackName").ok_or_else(|| {
            ApiError::validation("StackName is required if ChangeSetName is not specified.")
        })?;
        let stack = region
            .find(named)
            .ok_or_else(|| ApiError::validation(format!("Stack with id {named} does not exist")))?;
        // A stack in review has no template of its own yet.
        let template = stack.template.as_ref();
        Ok(template.map(|template| template.text.clone()))
    })?;
    Ok(present(
        json!({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}),
    ))
}

/// The template that a call is about: its own, or a stack's.
async fn named(scope: &Scope<'_>) -> Result<Template, ApiError> {
    let Some(named) = scope.text("StackName") else {
        return validate::template(scope, None).await;
    };
    scope.with(|region| {
        let stack = region
            .find(named)
            .ok_or_else(|| ApiError::validation(format!("Stack with id {named} does not exist")))?;
        stack
            .template
            .clone()
            .ok_or_else(|| ApiError::validation(format!("Stack [{named}] has no template yet")))
    })
}

pub(super) async fn summary(scope: &Scope<'_>) -> Answer {
    scope.refuse(&["StackSetName", "CallAs", "TemplateSummaryConfig"])?;
    let template = named(scope).await?;
    let mut kinds: Vec<&str> = Vec::new();
    let mut identifiers: Vec<Value> = Vec::new();
    for (_, declared) in &template.resources {
        let kind = declared.kind.as_str();
        if kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        if let Some(schema) = scope.inner.schemas.get(kind) {
            let ids = template.resources.iter().filter(|(_, it)| it.kind == kind);
            identifiers.push(json!({
                "ResourceType": kind,
                "LogicalResourceIds": ids.map(|(id, _)| id).collect::<Vec<_>>(),
                "ResourceIdentifiers": schema.identifiers(),
            }));
        }
    }
    let parameters = template.parameters.iter().map(|(name, declared)| {
        let allowed = (!declared.allowed.is_empty()).then_some(&declared.allowed);
        json!({
            "ParameterKey": name,
            "DefaultValue": declared.default,
            "ParameterType": declared.kind,
            "NoEcho": declared.no_echo,
            "Description": declared.description,
            "ParameterConstraints": {"AllowedValues": allowed},
        })
    });
    let capabilities = template.capabilities();
    Ok(present(json!({
        "Parameters": parameters.collect::<Vec<_>>(),
        "Description": template.description,
        "Capabilities": capabilities.as_ref().map(|(one, _)| json!([one])),
        "CapabilitiesReason": capabilities.map(|(_, why)| why),
        "ResourceTypes": kinds,
        "Version": template.version,
        "Metadata": template.metadata.as_ref().map(ToString::to_string),
        "ResourceIdentifierSummaries": identifiers,
    })))
}

pub(super) async fn validate(scope: &Scope<'_>) -> Answer {
    let template = validate::template(scope, None).await?;
    validate::known(scope.inner, &template)?;
    let parameters = template.parameters.iter().map(|(name, declared)| {
        json!({
            "ParameterKey": name,
            "DefaultValue": declared.default,
            "NoEcho": declared.no_echo,
            "Description": declared.description,
        })
    });
    let capabilities = template.capabilities();
    Ok(present(json!({
        "Parameters": parameters.collect::<Vec<_>>(),
        "Description": template.description,
        "Capabilities": capabilities.as_ref().map(|(one, _)| json!([one])),
        "CapabilitiesReason": capabilities.map(|(_, why)| why),
    })))
}
