//! Change sets: made, described, listed and deleted.
//! Source: AWS CloudFormation API Reference, `CreateChangeSet` and `DescribeChangeSet`.

use serde_json::{Map, Value, json};

use super::validate::{self, Draft};
use super::{Scope, present, tag_list, tags};
use crate::change::{Change, Detail};
use crate::error::{Answer, ApiError};
use crate::ids;
use crate::state::{ChangeSet, Operation, Region, Stack};
use crate::template::Template;
use crate::template::parameters::{Given, HIDDEN};

/// Members that change what is deployed and that this stand-in does not act on.
const NOT_IMPLEMENTED: [&str; 5] = [
    "ImportExistingResources",
    "DeploymentMode",
    "RollbackConfiguration",
    "ResourceTypes",
    "NotificationARNs",
];

pub(super) async fn create(scope: &Scope<'_>) -> Answer {
    scope.refuse(&NOT_IMPLEMENTED)?;
    let kind = scope.text("ChangeSetType").unwrap_or("UPDATE");
    let named = scope.need("StackName");
    let name = scope.need("ChangeSetName");
    pattern(
        "stackName",
        named.rsplit_once("stack/").map_or(named, |_| "arn"),
    )?;
    pattern("changeSetName", name)?;
    if let Some(same) = repeated(scope, named, name)? {
        return Ok(same);
    }
    let stack = scope.with(|region| ready(region, named, kind, name))?;
    let previous = stack.as_ref().and_then(|stack| stack.template.clone());
    let template = validate::template(scope, previous.as_ref()).await?;
    validate::known(scope.inner, &template)?;
    let before = stack
        .as_ref()
        .map(|stack| stack.parameters.clone())
        .unwrap_or_default();
    let mut parameters =
        crate::template::parameters::assign(&template, scope.list("Parameters"), &before)
            .map_err(ApiError::validation)?;
    validate::read_parameters(scope, &template, &mut parameters).await?;
    validate::capable(&template, &scope.texts("Capabilities"))?;
    if let Some(role) = scope.text("RoleARN") {
        // The role is assumed at once, so that a role that does not trust CloudFormation is refused here.
        scope
            .work(Default::default(), Some(role.to_owned()), None)
            .await?;
    }
    let imports = imports(scope, kind, &template, stack.as_ref())?;
    let mut set = new(scope, kind, template, parameters, stack.as_ref());
    set.imports = imports;
    let (stack_id, id) = scope.with(|region| add(scope, region, stack, set));
    compute(scope, &stack_id, &id);
    Ok(json!({"Id": id, "StackId": stack_id}))
}

/// The resources that the call takes over, each with its physical ID.
/// Source: AWS CloudFormation User Guide, "Import AWS resources into a CloudFormation stack".
fn imports(
    scope: &Scope<'_>,
    kind: &str,
    template: &Template,
    stack: Option<&Stack>,
) -> Result<Vec<(String, String)>, ApiError> {
    let given = scope.list("ResourcesToImport");
    if (kind == "IMPORT") == given.is_empty() {
        return Err(ApiError::validation(
            "ResourcesToImport is required for change sets of type IMPORT, and only for those",
        ));
    }
    let mut found = Vec::new();
    for one in given {
        let id = one["LogicalResourceId"].as_str().unwrap_or_default();
        let kind = one["ResourceType"].as_str().unwrap_or_default();
        let declared = template.resource(id).filter(|it| it.kind == kind);
        let declared = declared.ok_or_else(|| {
            ApiError::validation(format!(
                "ResourcesToImport [{id}] of type {kind} is not in the template"
            ))
        })?;
        if declared.deletion_policy.is_none() {
            return Err(ApiError::validation(format!(
                "Resources [{id}] is missing DeletionPolicy attribute in template"
            )));
        }
        if stack.is_some_and(|stack| stack.resource(id).is_some()) {
            return Err(ApiError::validation(format!(
                "Resources [{id}] already exist in the stack"
            )));
        }
        let schema = scope.inner.schemas.get(kind);
        let names = schema
            .map(|schema| schema.identifiers())
            .unwrap_or_default();
        let values = names
            .iter()
            .map(|name| one["ResourceIdentifier"][*name].as_str());
        let values: Option<Vec<&str>> = values.collect();
        match values {
            Some(values) if !values.is_empty() => found.push((id.to_owned(), values.join("|"))),
            _ => {
                return Err(ApiError::validation(format!(
                    "Resource identifier of {id} needs [{}]",
                    names.join(", ")
                )));
            }
        }
    }
    Ok(found)
}

fn pattern(member: &str, name: &str) -> Result<(), ApiError> {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = name
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if first && rest && name.len() <= 128 {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
    )))
}

/// The change set that an earlier call with the same client token made; a name that another call took is refused.
fn repeated(scope: &Scope<'_>, named: &str, name: &str) -> Result<Option<Value>, ApiError> {
    scope.with(|region| {
        let Some(stack) = region.find(named) else {
            return Ok(None);
        };
        let Some(set) = stack.change_sets.iter().find(|set| set.name == name) else {
            return Ok(None);
        };
        let token = scope.text("ClientToken");
        if token.is_some() && set.token.as_deref() == token && set.asked == *scope.input {
            return Ok(Some(json!({"Id": set.id, "StackId": stack.id})));
        }
        Err(ApiError::new(
            "AlreadyExistsException",
            format!("ChangeSet {name} already exists"),
        ))
    })
}

/// The stack as it is, if a change set of this kind can be made for it.
fn ready(region: &Region, named: &str, kind: &str, name: &str) -> Result<Option<Stack>, ApiError> {
    let found = region.find(named).filter(|stack| stack.deleted.is_none());
    let refused = |message: String| Err(ApiError::validation(message));
    match (found, kind) {
        (None, "CREATE" | "IMPORT") if named.starts_with("arn:") => {
            refused(format!("Stack [{named}] does not exist"))
        }
        (None, "CREATE" | "IMPORT") => Ok(None),
        (Some(stack), "IMPORT") if stack.status == "REVIEW_IN_PROGRESS" => Ok(Some(stack.clone())),
        (None, _) => refused(format!("Stack [{named}] does not exist")),
        (Some(stack), "CREATE") if stack.status != "REVIEW_IN_PROGRESS" => refused(format!(
            "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
            stack.name
        )),
        (Some(stack), "CREATE") => Ok(Some(stack.clone())),
        (Some(stack), _) => match updatable(stack.status) {
            true => Ok(Some(stack.clone())),
            false => refused(format!(
                "Stack:{} is in {} state and can not be updated.",
                stack.id, stack.status
            )),
        },
    }
}

/// Returns true if an update can begin in this status.
/// Source: AWS CloudFormation User Guide, "Stack status codes".
pub(super) fn updatable(status: &str) -> bool {
    const READY: [&str; 7] = [
        "CREATE_COMPLETE",
        "CREATE_FAILED",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
    ];
    READY.contains(&status)
}

fn new(
    scope: &Scope<'_>,
    kind: &str,
    template: Template,
    parameters: Vec<Given>,
    stack: Option<&Stack>,
) -> ChangeSet {
    let name = scope.need("ChangeSetName");
    let (region, account) = (scope.region, scope.account);
    let given = scope.input.get("Tags").map(|_| tags(scope.list("Tags")));
    let before = stack.map(|stack| stack.tags.clone()).unwrap_or_default();
    ChangeSet {
        id: format!(
            "arn:aws:cloudformation:{region}:{account}:changeSet/{name}/{}",
            ids::uuid()
        ),
        name: name.to_owned(),
        kind: kind.to_owned(),
        created: ids::now(),
        description: scope.text("Description").map(str::to_owned),
        status: "CREATE_PENDING",
        reason: None,
        execution: "UNAVAILABLE",
        template,
        parameters,
        // A call without tags keeps the stack's.
        tags: given.unwrap_or(before),
        capabilities: scope.texts("Capabilities"),
        notification_arns: scope.texts("NotificationARNs"),
        role: scope
            .text("RoleARN")
            .map(str::to_owned)
            .or_else(|| stack.and_then(|stack| stack.role.clone())),
        on_failure: scope.text("OnStackFailure").map(str::to_owned),
        nested: scope.flag("IncludeNestedStacks"),
        owner: None,
        changes: Vec::new(),
        imports: Vec::new(),
        operation: ids::uuid(),
        invalid: Vec::new(),
        token: scope.text("ClientToken").map(str::to_owned),
        asked: scope.input.clone(),
    }
}

/// Puts the change set to its stack, which a first change set makes.
fn add(
    scope: &Scope<'_>,
    region: &mut Region,
    stack: Option<Stack>,
    set: ChangeSet,
) -> (String, String) {
    let id = set.id.clone();
    let operation = Operation {
        id: set.operation.clone(),
        kind: "CREATE_CHANGESET",
    };
    let stack_id = match stack {
        Some(stack) => stack.id,
        None => {
            let stack = review(scope, &set);
            let id = stack.id.clone();
            region.stacks.push(stack);
            id
        }
    };
    if let Some(stack) = region.find_mut(&stack_id) {
        stack.operations.push(operation);
        stack.change_sets.push(set);
    }
    (stack_id, id)
}

/// A stack that has a change set and nothing else.
fn review(scope: &Scope<'_>, set: &ChangeSet) -> Stack {
    let (name, region, account) = (scope.need("StackName"), scope.region, scope.account);
    let id = format!(
        "arn:aws:cloudformation:{region}:{account}:stack/{name}/{}",
        ids::uuid()
    );
    let mut stack = Stack::of(name, &id);
    stack.description.clone_from(&set.template.description);
    let reason = Some("User Initiated".to_owned());
    stack.become_status("REVIEW_IN_PROGRESS", reason, &set.operation, None);
    stack
}

/// Computes the changes, which takes a moment.
fn compute(scope: &Scope<'_>, stack: &str, id: &str) {
    let draft = Draft {
        inner: std::sync::Arc::clone(scope.inner),
        account: scope.account.to_owned(),
        region: scope.region.to_owned(),
        stack: stack.to_owned(),
        id: id.to_owned(),
        session: std::sync::Arc::clone(scope.session),
    };
    tokio::spawn(draft.compute());
}

/// Runs something on the change set that a call names: by its ARN, or by its name and its stack.
pub(super) fn named<T>(
    scope: &Scope<'_>,
    region: &mut Region,
    work: impl FnOnce(&mut Stack, usize) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let name = scope.need("ChangeSetName");
    let missing = || {
        ApiError::new(
            "ChangeSetNotFound",
            format!("ChangeSet [{name}] does not exist"),
        )
    };
    let stack = match (name.starts_with("arn:"), scope.text("StackName")) {
        (true, _) => {
            let mut stacks = region.stacks.iter_mut();
            stacks.find(|stack| stack.change_set(name).is_some())
        }
        (false, Some(stack)) => {
            let found = region.find_mut(stack);
            if found.is_none() {
                return Err(ApiError::validation(format!(
                    "Stack [{stack}] does not exist"
                )));
            }
            found
        }
        (false, None) => {
            return Err(ApiError::validation(
                "StackName must be specified if ChangeSetName is not specified as an ARN.",
            ));
        }
    };
    let stack = stack.ok_or_else(missing)?;
    let at = stack
        .change_sets
        .iter()
        .position(|set| set.id == name || set.name == name)
        .ok_or_else(missing)?;
    work(stack, at)
}

pub(super) fn describe(scope: &Scope<'_>) -> Answer {
    let (stack, set) = scope.with(|region| {
        named(scope, region, |stack, at| {
            Ok((stack.clone(), stack.change_sets[at].clone()))
        })
    })?;
    let values = scope.flag("IncludePropertyValues");
    let changes = set.changes.iter().map(|it| change(it, values)).collect();
    let mut answer = scope.page("Changes", changes)?;
    let rest = json!({
        "ChangeSetName": set.name,
        "ChangeSetId": set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": set.description,
        "Parameters": parameters(&set.template, &set.parameters),
        "CreationTime": ids::text(set.created),
        "ExecutionStatus": set.execution,
        "Status": set.status,
        "StatusReason": set.reason,
        "NotificationARNs": set.notification_arns,
        "RollbackConfiguration": {},
        "Capabilities": set.capabilities,
        "Tags": tag_list(&set.tags),
        "IncludeNestedStacks": set.nested,
        "OnStackFailure": set.on_failure,
        "ParentChangeSetId": set.owner.as_ref().map(|it| &it.set),
        "RootChangeSetId": set.owner.as_ref().map(|it| &it.root),
    });
    if let Value::Object(rest) = present(rest) {
        answer.extend(rest);
    }
    Ok(Value::Object(answer))
}

/// The parameters as answers show them.
pub(super) fn parameters(template: &Template, given: &[Given]) -> Value {
    given
        .iter()
        .map(|given| {
            let hidden = template.parameter(&given.name).is_some_and(|it| it.no_echo);
            let shown = if hidden { HIDDEN } else { &given.value };
            let mut parameter = json!({"ParameterKey": given.name, "ParameterValue": shown});
            if let Some(resolved) = &given.resolved {
                parameter["ResolvedValue"] = json!(resolved);
            }
            parameter
        })
        .collect()
}

fn change(change: &Change, values: bool) -> Value {
    let mut scope: Vec<&str> = Vec::new();
    for detail in &change.details {
        if !scope.contains(&detail.attribute) {
            scope.push(detail.attribute);
        }
    }
    let details: Vec<Value> = change.details.iter().map(|it| detail(it, values)).collect();
    let text = |context: &Option<Value>| {
        let context = context.as_ref().filter(|_| values);
        context.map(ToString::to_string)
    };
    present(json!({
        "Type": "Resource",
        "ResourceChange": {
            "PolicyAction": change.policy_action,
            "Action": change.action,
            "LogicalResourceId": change.id,
            "PhysicalResourceId": change.physical,
            "ResourceType": change.kind,
            "Replacement": change.replacement,
            "Scope": scope,
            "Details": details,
            "ChangeSetId": change.change_set,
            "BeforeContext": text(&change.before),
            "AfterContext": text(&change.after),
        },
    }))
}

fn detail(detail: &Detail, values: bool) -> Value {
    let mut target = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            target.insert(name.to_owned(), Value::from(value));
        }
    };
    set("Attribute", Some(detail.attribute.to_owned()));
    set("Name", detail.name.clone());
    set(
        "RequiresRecreation",
        Some(detail.recreation.name().to_owned()),
    );
    if values {
        let path = match &detail.name {
            Some(name) => format!("/{}/{name}", detail.attribute),
            None if detail.attribute == "Tags" => "/Properties/Tags".to_owned(),
            None => format!("/{}", detail.attribute),
        };
        let kind = match (&detail.before, &detail.after) {
            (None, _) => "Add",
            (_, None) => "Remove",
            _ => "Modify",
        };
        set("Path", Some(path));
        set("BeforeValue", detail.before.clone());
        set("AfterValue", detail.after.clone());
        set("AttributeChangeType", Some(kind.to_owned()));
    }
    present(json!({
        "Target": target,
        "Evaluation": if detail.dynamic { "Dynamic" } else { "Static" },
        "ChangeSource": detail.source,
        "CausingEntity": detail.cause,
    }))
}

pub(super) fn list(scope: &Scope<'_>) -> Answer {
    let sets = scope.stack(|stack| {
        let summary = |set: &ChangeSet| {
            present(json!({
                "StackId": stack.id,
                "StackName": stack.name,
                "ChangeSetId": set.id,
                "ChangeSetName": set.name,
                "ExecutionStatus": set.execution,
                "Status": set.status,
                "StatusReason": set.reason,
                "CreationTime": ids::text(set.created),
                "Description": set.description,
                "IncludeNestedStacks": set.nested,
                "ParentChangeSetId": set.owner.as_ref().map(|it| &it.set),
                "RootChangeSetId": set.owner.as_ref().map(|it| &it.root),
            }))
        };
        Ok(stack.change_sets.iter().map(summary).collect())
    })?;
    scope.page("Summaries", sets).map(Value::Object)
}

pub(super) fn delete(scope: &Scope<'_>) -> Answer {
    let deleted: Result<(), ApiError> = scope.with(|region| {
        let deleted = named(scope, region, |stack, at| {
            let set = &stack.change_sets[at];
            if set.owner.is_some() {
                return Err(ApiError::validation(format!(
                    "ChangeSet [{}] is nested; delete its root change set",
                    set.id
                )));
            }
            if set.execution == "EXECUTE_IN_PROGRESS" || set.status == "CREATE_IN_PROGRESS" {
                return Err(ApiError::new(
                    "InvalidChangeSetStatus",
                    format!(
                        "ChangeSet [{}] cannot be deleted in its current status",
                        set.id
                    ),
                ));
            }
            Ok(stack.change_sets.remove(at).id)
        })?;
        region.forget_nested(&deleted);
        Ok(())
    });
    match deleted {
        // Deleting a change set that is not there succeeds.
        Err(error) if error.code == "ChangeSetNotFound" => Ok(json!({})),
        Err(error) => Err(error),
        Ok(()) => Ok(json!({})),
    }
}
