//! Pure: what a stack's policy lets an update do to a resource.
//! Source: AWS CloudFormation User Guide, "Prevent updates to stack resources".

use serde_json::Value;

/// The effect of an update on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Modify,
    Replace,
    Delete,
}

/// Checks that a text is a policy, or returns CloudFormation's message.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("Error validating stack policy: {why}"));
    let Ok(policy) = serde_json::from_str::<Value>(text) else {
        return wrong("Invalid stack policy");
    };
    let statements = statements(&policy);
    if statements.is_empty() {
        return wrong("stack policy must contain at least one statement");
    }
    for statement in statements {
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return wrong("Unknown value for the element Effect");
        }
        if statement["Principal"] != "*" && statement.get("NotPrincipal").is_none() {
            return wrong("Principal must be \"*\"");
        }
        let given =
            |one: &str, other: &str| statement.get(one).is_some() != statement.get(other).is_some();
        if !given("Action", "NotAction") || !given("Resource", "NotResource") {
            return wrong("each statement must have an action and a resource");
        }
    }
    Ok(())
}

/// Returns true if the policy allows the action on a resource. Without a policy everything is allowed; with one, what no
/// statement allows is denied.
pub(crate) fn allows(policy: Option<&str>, action: Action, id: &str, kind: &str) -> bool {
    let Some(policy) = policy else { return true };
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let mut allowed = false;
    for statement in statements(&policy) {
        if !applies(statement, action, id, kind) {
            continue;
        }
        if statement["Effect"] == "Deny" {
            return false;
        }
        allowed = true;
    }
    allowed
}

fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        one @ Value::Object(_) => vec![one],
        _ => Vec::new(),
    }
}

fn applies(statement: &Value, action: Action, id: &str, kind: &str) -> bool {
    let name = match action {
        Action::Modify => "Update:Modify",
        Action::Replace => "Update:Replace",
        Action::Delete => "Update:Delete",
    };
    let of = |member: &str, word: &str| {
        words(&statement[member])
            .iter()
            .any(|pattern| matches(&pattern.to_ascii_lowercase(), &word.to_ascii_lowercase()))
    };
    let action = match statement.get("NotAction") {
        Some(_) => !of("NotAction", name),
        None => of("Action", name),
    };
    let resource = format!("LogicalResourceId/{id}");
    let resource = match statement.get("NotResource") {
        Some(_) => !of("NotResource", &resource),
        None => of("Resource", &resource),
    };
    let condition = match statement.get("Condition") {
        None => true,
        Some(condition) => kinds(condition, kind),
    };
    action && resource && condition
}

/// The one condition that stack policies have is on `ResourceType`.
fn kinds(condition: &Value, kind: &str) -> bool {
    let listed = |operator: &str| words(&condition[operator]["ResourceType"]);
    let equal = listed("StringEquals").iter().any(|one| one == kind);
    let like = listed("StringLike").iter().any(|one| matches(one, kind));
    equal || like
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![word.clone()],
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

fn matches(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((start, rest)) => word.strip_prefix(start).is_some_and(|word| {
            (0..=word.len()).any(|at| word.is_char_boundary(at) && matches(rest, &word[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_denies_what_it_does_not_allow() {
        const ALL: &str =
            r#"{"Effect":"Allow","Principal":"*","Action":"Update:*","Resource":"*"}"#;
        let policy = |more: &str| format!(r#"{{"Statement":[{ALL}{more}]}}"#);
        let deny = |action: &str, rest: &str| {
            policy(&format!(
                r#",{{"Effect":"Deny","Principal":"*","Action":{action},{rest}}}"#
            ))
        };
        let bucket = r#""Resource":"*","Condition":{"StringLike":{"ResourceType":["AWS::S3::*"]}}"#;
        for (policy, action, wanted) in [
            (None, Action::Delete, true),
            (Some(policy("")), Action::Replace, true),
            (
                Some(deny(r#""Update:Replace""#, r#""Resource":"LogicalResourceId/Data""#)),
                Action::Replace,
                false,
            ),
            (
                Some(deny(r#""Update:Replace""#, r#""Resource":"LogicalResourceId/Data""#)),
                Action::Modify,
                true,
            ),
            (
                Some(deny(r#"["Update:Replace","Update:Delete"]"#, r#""NotResource":"LogicalResourceId/Log*""#)),
                Action::Delete,
                false,
            ),
            (Some(deny(r#""Update:*""#, bucket)), Action::Modify, false),
            (
                Some(r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"Update:Modify","Resource":"*"}]}"#.to_owned()),
                Action::Delete,
                false,
            ),
        ] {
            let found = allows(policy.as_deref(), action, "Data", "AWS::S3::Bucket");
            assert_eq!(found, wanted, "{policy:?} {action:?}");
        }
    }

    #[test]
    fn an_invalid_policy_is_refused() {
        for text in ["", "{}", r#"{"Statement":[{"Effect":"Maybe"}]}"#] {
            assert!(check(text).is_err(), "{text}");
        }
        let good = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"Update:*","Resource":"*"}]}"#;
        assert_eq!(check(good), Ok(()));
    }
}
