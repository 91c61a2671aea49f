//! Everything that a change set is held against: its template, its parameters, its resources' properties.
//! Source: AWS CloudFormation User Guide, "Validate stack deployments".

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;

use super::Scope;
use crate::change::Change;
use crate::diff::{self, Wanted};
use crate::error::ApiError;
use crate::services::{Pending, Services, Session};
use crate::state::{ChangeSet, Invalid, STACK, Stack};
use crate::template::Template;
use crate::template::graph::{Reference, references};
use crate::template::parameters::{Declared, Given};
use crate::{Inner, handlers, ids, inputs};

/// The longest template in a call, and the longest in a bucket, in bytes.
const INLINE: usize = 51_200;
const IN_BUCKET: usize = 1 << 20;

/// The template that the call names: inline, in a bucket, or the stack's own.
pub(super) async fn template(
    scope: &Scope<'_>,
    previous: Option<&Template>,
) -> Result<Template, ApiError> {
    let again = scope.flag("UsePreviousTemplate");
    let text = match (scope.text("TemplateBody"), scope.text("TemplateURL"), again) {
        (Some(body), None, false) => {
            if body.len() > INLINE {
                return Err(ApiError::validation(format!(
                    "1 validation error detected: Value '{}…' at 'templateBody' failed to satisfy constraint: \
                     Member must have length less than or equal to {INLINE}",
                    body.chars().take(40).collect::<String>()
                )));
            }
            body.to_owned()
        }
        (None, Some(url), false) => {
            let services = Services {
                session: Arc::clone(scope.session),
                region: scope.region.to_owned(),
            };
            fetch(&services, url).await?
        }
        (None, None, true) => match previous {
            Some(template) => return Ok(template.clone()),
            None => {
                return Err(ApiError::validation(
                    "Unable to fetch parameters from template. UsePreviousTemplate needs a stack with a template.",
                ));
            }
        },
        _ => {
            return Err(ApiError::validation(
                "Either Template URL or Template Body must be specified.",
            ));
        }
    };
    Template::read(&text).map_err(refusal)
}

/// A template error; what only this stand-in does not do has another code.
pub(super) fn refusal(message: String) -> ApiError {
    match message.starts_with("the sandbox's") {
        true => ApiError::new("StandInNotImplemented", message),
        false => ApiError::validation(message),
    }
}

/// Reads a template from a bucket, with the caller's permissions. The host of the address does not matter here: the
/// sandbox has one for all regions.
pub(super) async fn fetch(services: &Services, url: &str) -> Result<String, ApiError> {
    let wrong = || {
        ApiError::validation(
            "S3 error: Domain name specified in the template URL is not a valid S3 domain",
        )
    };
    let (_, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let path = path.split('?').next().unwrap_or(path);
    let path = match host.split_once(".s3") {
        Some((bucket, _)) => format!("/{bucket}/{path}"),
        None => format!("/{path}"),
    };
    let get = http::Method::GET;
    let body = bytes::Bytes::new();
    let answer = services
        .send("s3", get, &path, "", HeaderMap::new(), body)
        .await
        .map_err(|refusal| ApiError::validation(format!("S3 error: {}", refusal.message)))?;
    if answer.body.len() > IN_BUCKET {
        return Err(ApiError::validation(
            "Template may not exceed 1000000 bytes in size.",
        ));
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Refuses types that CloudFormation does not know, and types, properties and attributes that this stand-in has no provider of.
pub(super) fn known(inner: &Inner, template: &Template) -> Result<(), ApiError> {
    let mut unknown = Vec::new();
    for (_, declared) in &template.resources {
        if !inner.schemas.knows(&declared.kind) {
            unknown.push(declared.kind.as_str());
        }
    }
    if !unknown.is_empty() {
        return Err(ApiError::validation(format!(
            "Template format error: Unrecognized resource types: [{}]",
            unknown.join(", ")
        )));
    }
    for (id, declared) in &template.resources {
        let kind = &declared.kind;
        if !handlers::KINDS.contains(&kind.as_str()) {
            return Err(ApiError::missing(format!(
                "resources of type {kind} ({id})"
            )));
        }
        if declared.creation_policy.is_some() || declared.update_policy.is_some() {
            return Err(ApiError::missing(format!(
                "CreationPolicy and UpdatePolicy ({id})"
            )));
        }
        let schema = inner.schemas.get(kind);
        for property in declared.properties.keys() {
            let real = schema.is_some_and(|schema| schema.has(property));
            if real && !handlers::properties(kind).contains(&property.as_str()) {
                return Err(ApiError::missing(format!(
                    "the property {property} of {kind} ({id})"
                )));
            }
        }
    }
    attributes(inner, template)
}

fn attributes(inner: &Inner, template: &Template) -> Result<(), ApiError> {
    let properties = template
        .resources
        .iter()
        .flat_map(|(_, it)| it.properties.values());
    let outputs = template.outputs.iter().map(|(_, output)| &output.value);
    for value in properties.chain(outputs) {
        for reference in references(value).map_err(ApiError::validation)? {
            let Reference::Attribute(id, attribute) = reference else {
                continue;
            };
            let kind = template.resource(&id).map_or("", |it| it.kind.as_str());
            let schema = inner.schemas.get(kind);
            if !(schema.is_some_and(|schema| schema.answers(&attribute))
                || (kind == STACK && attribute.starts_with("Outputs.")))
            {
                return Err(ApiError::validation(format!(
                    "Template error: resource {id} does not support attribute type {attribute} in Fn::GetAtt"
                )));
            }
        }
    }
    Ok(())
}

/// Refuses a template with IAM resources whose capability was not acknowledged.
pub(super) fn capable(template: &Template, given: &[String]) -> Result<(), ApiError> {
    let Some((needed, _)) = template.capabilities() else {
        return Ok(());
    };
    let named = "CAPABILITY_NAMED_IAM";
    if given.iter().any(|one| one == needed || one == named) {
        return Ok(());
    }
    Err(ApiError::new(
        "InsufficientCapabilitiesException",
        format!("Requires capabilities : [{needed}]"),
    ))
}

/// Reads the values of parameters that SSM has.
pub(super) async fn read_parameters(
    scope: &Scope<'_>,
    template: &Template,
    parameters: &mut [Given],
) -> Result<(), ApiError> {
    let services = Services {
        session: Arc::clone(scope.session),
        region: scope.region.to_owned(),
    };
    for given in parameters {
        if !template
            .parameter(&given.name)
            .is_some_and(Declared::in_ssm)
        {
            continue;
        }
        let input = json!({"Names": [given.value]});
        let answer = services.json("ssm", "AmazonSSM.GetParameters", input).await;
        let answer = answer.map_err(|refusal| ApiError::validation(refusal.sentence()))?;
        let value = answer["Parameters"][0]["Value"].as_str().ok_or_else(|| {
            ApiError::validation(format!(
                "Unable to fetch parameters [{}] from parameter store for this account.",
                given.value
            ))
        })?;
        given.resolved = Some(value.to_owned());
    }
    Ok(())
}

/// A change set whose changes are being computed.
pub(super) struct Draft {
    pub(super) inner: Arc<Inner>,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) stack: String,
    pub(super) id: String,
    pub(super) session: Arc<dyn Session>,
}

impl Draft {
    /// Computes the changes and ends the change set as `CREATE_COMPLETE` or `FAILED`.
    pub(super) fn compute(self) -> Pending<()> {
        Box::pin(self.computed())
    }

    async fn computed(self) {
        self.change(|set| set.status = "CREATE_IN_PROGRESS");
        tokio::time::sleep(self.inner.timings.change_set).await;
        let Some((stack, set, exports)) = self.read() else {
            return;
        };
        let inputs = inputs::of(&self.account, &self.region, &stack, &set, exports);
        let wanted = Wanted {
            template: &set.template,
            inputs: &inputs,
            tags: &set.tags,
        };
        let changes = match diff::changes(&stack, &wanted, &self.inner.schemas) {
            Ok(changes) => changes,
            Err(reason) => return self.fail(reason, Vec::new()),
        };
        let changes = match imported(&set, changes) {
            Ok(changes) => changes,
            Err(reason) => return self.fail(reason, Vec::new()),
        };
        let invalid = self.invalid(&changes).await;
        if let Some(first) = invalid.first() {
            let check = match first.name {
                "NAME_CONFLICT_VALIDATION" => "ResourceExistenceCheck",
                _ => "PropertyValidation",
            };
            let reason = format!(
                "The following hook(s)/validation failed: [AWS::EarlyValidation::{check}]. \
                 To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
            );
            return self.fail(reason, invalid);
        }
        if changes.is_empty() && !diff::beside_resources(&stack, &wanted) {
            let reason = "The submitted information didn't contain changes. Submit different information to create a change set.";
            return self.fail(reason.to_owned(), Vec::new());
        }
        let changes = match self.nest(&set, changes).await {
            Ok(changes) => changes,
            Err(reason) => return self.fail(reason, Vec::new()),
        };
        self.change(|set| {
            set.changes = changes;
            set.status = "CREATE_COMPLETE";
            set.execution = "AVAILABLE";
        });
    }

    fn read(&self) -> Option<(Stack, ChangeSet, BTreeMap<String, String>)> {
        let mut world = self.inner.world();
        let region = world.region(&self.account, &self.region);
        let exports = region.exports().into_iter();
        let exports = exports.map(|(name, (value, _))| (name, value)).collect();
        let mut stack = region.find(&self.stack)?.clone();
        // Resources that an earlier operation failed to make are yet to be added.
        stack
            .resources
            .retain(|(_, resource)| !resource.physical.is_empty());
        let set = stack.change_set(&self.id)?.clone();
        Some((stack, set, exports))
    }

    fn change(&self, work: impl FnOnce(&mut ChangeSet)) {
        let mut world = self.inner.world();
        let stack = world
            .region(&self.account, &self.region)
            .find_mut(&self.stack);
        let sets = stack.into_iter().flat_map(|stack| &mut stack.change_sets);
        if let Some(set) = sets.into_iter().find(|set| set.id == self.id) {
            work(set);
        }
    }

    fn fail(&self, reason: String, invalid: Vec<Invalid>) {
        self.change(|set| {
            set.status = "FAILED";
            set.reason = Some(reason);
            set.invalid = invalid;
        });
    }

    /// The findings of early validation: properties that a type does not have, and names that are taken.
    async fn invalid(&self, changes: &[Change]) -> Vec<Invalid> {
        let mut found = Vec::new();
        let finding = |change: &Change, name, reason: String, path: String| Invalid {
            id: ids::uuid(),
            time: ids::now(),
            logical: change.id.clone(),
            kind: change.kind.clone(),
            name,
            reason,
            path,
        };
        for change in changes {
            let after = change
                .after
                .as_ref()
                .and_then(|it| it["Properties"].as_object());
            let (Some(after), Some(schema)) = (after, self.inner.schemas.get(&change.kind)) else {
                continue;
            };
            for fault in schema.faults(after) {
                let path = format!("/Resources/{}/Properties{}", change.id, fault.path);
                found.push(finding(change, "PROPERTY_VALIDATION", fault.reason, path));
            }
        }
        if !found.is_empty() {
            return found;
        }
        for change in changes.iter().filter(|change| change.action == "Add") {
            let after = change
                .after
                .as_ref()
                .and_then(|it| it["Properties"].as_object());
            let Some(after) = after else { continue };
            let services = Services {
                session: Arc::clone(&self.session),
                region: self.region.clone(),
            };
            let taken = handlers::taken(&services, &self.account, &change.kind, after).await;
            if let Some(name) = taken {
                let reason = format!(
                    "Resource of type '{}' with identifier '{name}' already exists.",
                    change.kind
                );
                let path = format!("/Resources/{}", change.id);
                found.push(finding(change, "NAME_CONFLICT_VALIDATION", reason, path));
            }
        }
        found
    }
}

/// The changes of a change set that takes resources over: those are imported, and nothing else may change.
/// Source: AWS CloudFormation User Guide, "Import AWS resources into a CloudFormation stack".
fn imported(set: &ChangeSet, changes: Vec<Change>) -> Result<Vec<Change>, String> {
    if set.kind != "IMPORT" {
        return Ok(changes);
    }
    let taken = |id: &str| set.imports.iter().find(|(known, _)| known == id);
    let (ours, others): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|it| taken(&it.id).is_some());
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|it| it.id.as_str()).collect();
        return Err(format!(
            "You have modified resources [{}] in your template that are not being imported. Update, create or delete operations cannot be executed during import operations.",
            names.join(", ")
        ));
    }
    let import = |change: Change| Change {
        action: "Import",
        physical: taken(&change.id).map(|(_, physical)| physical.clone()),
        ..change
    };
    Ok(ours.into_iter().map(import).collect())
}
