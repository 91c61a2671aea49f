//! The report of `status`.

use crate::cause::Causes;
use crate::hidden::parameter;
use crate::seen::{Event, ListedChangeSet, Stack};
use kit::Report;
use kit::markdown;
use kit::report::{markdown_table, text_table};
use net::Account;
use serde_json::json;
use std::collections::BTreeMap;

const HEADS: [&str; 3] = ["change set", "status", "made"];

/// The stack as observed.
pub(crate) struct Status<'a> {
    pub(crate) account: &'a Account,
    pub(crate) stack: Stack,
    /// The events of the last operation, the oldest first.
    pub(crate) operation: Vec<Event>,
    pub(crate) why: Causes,
    pub(crate) policy: Option<String>,
    pub(crate) open: Vec<ListedChangeSet>,
}

pub(crate) fn report(status: &Status<'_>) -> Report {
    let stack = &status.stack;
    let facts = facts(status);
    let outputs: Vec<Vec<String>> = stack
        .outputs
        .iter()
        .map(|(name, value)| vec![name.clone(), value.clone()])
        .collect();
    let open: Vec<Vec<String>> = status
        .open
        .iter()
        .map(|set| {
            vec![
                set.name.clone(),
                format!("{}, {}", set.status, set.execution),
                set.created.clone(),
            ]
        })
        .collect();
    let mut text = text_table(&["stack", &stack.name], &facts);
    let mut summary = format!(
        "### Stack {}: {}\n\n{}",
        stack.name,
        markdown::code(&stack.status),
        markdown_table(&["what", "value"], &facts)
    );
    for (heads, rows) in [
        (["output", "value"].as_slice(), &outputs),
        (HEADS.as_slice(), &open),
    ] {
        if !rows.is_empty() {
            text.push_str(&format!("\n{}", text_table(heads, rows)));
            summary.push_str(&format!("\n{}", markdown_table(heads, rows)));
        }
    }
    Report {
        summary,
        text,
        json: json(status),
        ..Report::default()
    }
    .output("stack-id", &stack.id)
    .output("outputs", json!(stack.outputs).to_string())
}

fn facts(status: &Status<'_>) -> Vec<Vec<String>> {
    let stack = &status.stack;
    let protected = if stack.termination_protection {
        "on"
    } else {
        "off"
    };
    let mut facts = vec![("status", stack.status.clone())];
    if let Some(reason) = &stack.reason {
        facts.push(("reason", reason.clone()));
    }
    if let Some(root) = &status.why.root {
        facts.push(("root cause", root.clone()));
    }
    facts.extend(
        status
            .why
            .others
            .iter()
            .map(|line| ("also failed", line.clone())),
    );
    facts.extend(
        status
            .why
            .rollback
            .iter()
            .map(|line| ("not rolled back", line.clone())),
    );
    facts.push((
        "account",
        format!("{} in {}", status.account.id, status.account.region),
    ));
    facts.push(("stack ID", stack.id.clone()));
    if let Some(first) = status.operation.first() {
        facts.push(("last operation", first.at.clone()));
    }
    facts.push(("termination protection", protected.to_owned()));
    facts.push((
        "stack policy",
        if status.policy.is_some() {
            "set"
        } else {
            "none"
        }
        .to_owned(),
    ));
    if let Some(role) = &stack.role {
        facts.push(("role", role.clone()));
    }
    if let Some((drift, at)) = &stack.drift {
        let at = at.as_deref().unwrap_or("an unknown time");
        facts.push(("drift", format!("{drift} at {at}")));
    }
    facts
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect()
}

fn json(status: &Status<'_>) -> serde_json::Value {
    let stack = &status.stack;
    json!({
        "stack": stack.name,
        "stack_id": stack.id,
        "account": status.account.id,
        "region": status.account.region,
        "status": stack.status,
        "reason": stack.reason,
        "root_cause": status.why.root,
        "also": status.why.others,
        "not_rolled_back": status.why.rollback,
        "created": stack.created,
        "updated": stack.updated,
        "termination_protection": stack.termination_protection,
        "policy": status.policy.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()),
        "role": stack.role,
        "parameters": stack.parameters.iter().map(|(name, value)| (name, parameter(name, value))).collect::<BTreeMap<_, _>>(),
        "tags": stack.tags,
        "capabilities": stack.capabilities,
        "outputs": stack.outputs,
        "drift": stack.drift.as_ref().map(|(drift, at)| json!({"status": drift, "at": at})),
        "change_sets": status.open.iter().map(|set| json!({
            "name": set.name, "id": set.id, "status": set.status, "execution": set.execution, "created": set.created,
        })).collect::<Vec<_>>(),
    })
}
