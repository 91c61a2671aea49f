//! The operations of the API. The others are refused by name.

mod change_sets;
mod drift;
mod events;
mod execute;
mod nested;
mod read;
mod stacks;
mod templates;
mod validate;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};

use crate::error::{Answer, ApiError};
use crate::ids;
use crate::run::Work;
use crate::services::Session;
use crate::state::{Region, Stack};
use crate::{Call, Inner};

/// One call, and where it is made.
pub(crate) struct Scope<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) session: &'a Arc<dyn Session>,
    pub(crate) input: &'a Value,
}

pub(crate) async fn dispatch(
    inner: &Arc<Inner>,
    call: &Call<'_>,
    operation: &str,
    input: Value,
) -> Answer {
    let scope = Scope {
        inner,
        account: call.account,
        region: call.region,
        session: &call.session,
        input: &input,
    };
    match operation {
        "CreateChangeSet" => change_sets::create(&scope).await,
        "DescribeChangeSet" => change_sets::describe(&scope),
        "ListChangeSets" => change_sets::list(&scope),
        "DeleteChangeSet" => change_sets::delete(&scope),
        "ExecuteChangeSet" => execute::execute(&scope).await,
        "DescribeStacks" => read::stacks(&scope),
        "ListStacks" => read::list(&scope),
        "ListStackResources" => read::resources(&scope),
        "DescribeStackResource" => read::resource(&scope),
        "DescribeStackResources" => read::described_resources(&scope),
        "ListExports" => read::exports(&scope),
        "DescribeStackEvents" => events::of_stack(&scope),
        "DescribeEvents" => events::of_operations(&scope),
        "GetTemplate" => templates::get(&scope),
        "GetTemplateSummary" => templates::summary(&scope).await,
        "ValidateTemplate" => templates::validate(&scope).await,
        "UpdateTerminationProtection" => stacks::protect(&scope),
        "SetStackPolicy" => stacks::set_policy(&scope),
        "GetStackPolicy" => stacks::get_policy(&scope),
        "DeleteStack" => stacks::delete(&scope).await,
        "CancelUpdateStack" => stacks::cancel(&scope),
        "RollbackStack" => stacks::roll_back(&scope).await,
        "ContinueUpdateRollback" => stacks::continue_rollback(&scope).await,
        "DetectStackDrift" => drift::detect(&scope).await,
        "DescribeStackDriftDetectionStatus" => drift::status(&scope),
        "DescribeStackResourceDrifts" => drift::resources(&scope),
        other => Err(ApiError::missing(other)),
    }
}

impl Scope<'_> {
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.input[member].as_str()
    }

    pub(crate) fn need(&self, member: &str) -> &str {
        self.text(member).unwrap_or_default()
    }

    pub(crate) fn flag(&self, member: &str) -> bool {
        self.input[member].as_bool().unwrap_or(false)
    }

    pub(crate) fn list(&self, member: &str) -> &[Value] {
        self.input[member]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(crate) fn texts(&self, member: &str) -> Vec<String> {
        let items = self.list(member).iter();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    }

    /// Refuses members that this stand-in does not act on.
    pub(crate) fn refuse(&self, members: &[&str]) -> Result<(), ApiError> {
        let given = members.iter().find(|member| {
            let value = &self.input[**member];
            !value.is_null() && *value != Value::Bool(false) && *value != json!([])
        });
        given.map_or(Ok(()), |member| Err(ApiError::missing(member)))
    }

    /// Reads or changes the account's stacks in the region.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Region) -> T) -> T {
        let mut world = self.inner.world();
        work(world.region(self.account, self.region))
    }

    /// Reads or changes the stack that the call names.
    pub(crate) fn stack<T>(
        &self,
        work: impl FnOnce(&mut Stack) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let named = self.need("StackName");
        self.with(|region| match region.find_mut(named) {
            Some(stack) => work(stack),
            None => Err(ApiError::validation(format!(
                "Stack [{named}] does not exist"
            ))),
        })
    }

    /// An operation on a stack, with the permissions of the role, if the stack has one.
    pub(crate) async fn work(
        &self,
        stack: (String, String),
        role: Option<String>,
        token: Option<String>,
    ) -> Result<Work, ApiError> {
        let session = match role {
            None => Arc::clone(self.session),
            Some(role) => {
                let assumed = self.session.assume(role.clone()).await;
                assumed.map_err(|_| {
                    ApiError::validation(format!("Role {role} is invalid or cannot be assumed"))
                })?
            }
        };
        Ok(Work {
            inner: Arc::clone(self.inner),
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            stack: stack.0,
            name: stack.1,
            session,
            operation: ids::uuid(),
            token,
            failed: Arc::new(AtomicBool::new(false)),
            keep_failed: false,
        })
    }

    /// One page of a list, with the token of the next one under `NextToken`.
    pub(crate) fn page(
        &self,
        member: &str,
        items: Vec<Value>,
    ) -> Result<Map<String, Value>, ApiError> {
        let start: usize = match self.text("NextToken") {
            None => 0,
            Some(token) => token
                .parse()
                .map_err(|_| ApiError::validation("NextToken is invalid"))?,
        };
        let end = items.len().min(start + self.inner.timings.page);
        let mut found = Map::new();
        if end < items.len() {
            found.insert("NextToken".to_owned(), Value::from(end.to_string()));
        }
        let items: Vec<Value> = items
            .into_iter()
            .skip(start)
            .take(end.saturating_sub(start))
            .collect();
        found.insert(member.to_owned(), Value::Array(items));
        Ok(found)
    }
}

/// Removes members that are null or empty lists where the answer leaves them out.
pub(crate) fn present(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(name, member)| (name, present(member)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(present).collect()),
        other => other,
    }
}

/// Tags as pairs.
pub(crate) fn tags(listed: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    listed
        .iter()
        .map(|tag| (text(&tag["Key"]), text(&tag["Value"])))
        .collect()
}

pub(crate) fn tag_list(tags: &[(String, String)]) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}
