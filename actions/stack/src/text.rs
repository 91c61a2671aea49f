//! Changes as a person reads them. Pure.

use crate::changes::{Effect, Planned};
use crate::hidden;
use crate::marks::marks;
use crate::seen::{Change, Detail};
use kit::misleading::is_misleading;
use serde_json::{Value, json};

/// More of a value than this is not shown in the log, unless the change is marked; `--json` has it whole.
const LONGEST: usize = 300;
/// CloudFormation's word for a value that a resource has only after it was made.
const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// One change in lines: what happens to which resource, then each property.
pub(crate) fn lines(planned: &Planned<'_>, secrets: &[String]) -> Vec<String> {
    let change = planned.change;
    let mut head = format!(
        "{} {} ({})",
        planned.effect.word(),
        planned.path,
        change.kind
    );
    if let Some(id) = &change.physical_id {
        head.push_str(&format!(" {id}"));
    }
    for flag in flags(planned) {
        head.push_str(&format!(" [{flag}]"));
    }
    let mut lines = vec![hidden::masked(&head, secrets)];
    // Parts that a reviewer must not overlook are never cut.
    let whole = !marks(change).is_empty();
    if planned.effect == Effect::Add {
        lines.extend(properties(change, secrets, whole));
    }
    let details = change.details.iter();
    lines.extend(details.map(|detail| detail_line(change, detail, secrets, whole)));
    lines.iter().map(|line| visible(line)).collect()
}

/// The text in one line, as it is: a value with line ends could look like further lines of the plan, and one that changes the
/// direction of the text like another value.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_misleading(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The warnings that a reviewer must not overlook.
pub(crate) fn flags(planned: &Planned<'_>) -> Vec<&'static str> {
    let mut flags = Vec::new();
    if planned.loses_data() {
        flags.push("LOSES DATA");
    }
    flags.extend(
        marks(planned.change)
            .into_iter()
            .map(crate::marks::Mark::word),
    );
    match planned.change.policy_action.as_deref() {
        Some("Retain") => flags.push("stays, outside of the stack"),
        Some("ReplaceAndRetain") => flags.push("the old one stays, outside of the stack"),
        Some("Snapshot" | "ReplaceAndSnapshot") => flags.push("a snapshot is taken"),
        _ => {}
    }
    flags
}

/// The properties of a resource that is added.
fn properties(change: &Change, secrets: &[String], whole: bool) -> Vec<String> {
    let after = change
        .after
        .as_deref()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(Value::Object(all)) =
        after.and_then(|mut value| value.get_mut("Properties").map(Value::take))
    else {
        return Vec::new();
    };
    all.into_iter()
        .map(|(name, value)| {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            format!(
                "    {name}: {}",
                value_text(
                    &change.kind,
                    &format!("/Properties/{name}"),
                    &text,
                    secrets,
                    whole
                )
            )
        })
        .collect()
}

fn detail_line(change: &Change, detail: &Detail, secrets: &[String], whole: bool) -> String {
    let path = path(detail);
    let value = |text: &Option<String>| {
        text.as_deref()
            .map(|text| value_text(&change.kind, &path, text, secrets, whole))
    };
    let mut line = format!("    {}", name(detail));
    match (value(&detail.before), value(&detail.after)) {
        (Some(before), Some(after)) if before == after => {
            line.push_str(&format!(": {before} → another value"))
        }
        (Some(before), Some(after)) => line.push_str(&format!(": {before} → {after}")),
        (None, Some(after)) => line.push_str(&format!(": {after} (new)")),
        (Some(before), None) if detail.change.as_deref() == Some("Remove") => {
            line.push_str(&format!(": {before} → gone"));
        }
        (Some(before), None) => line.push_str(&format!(": {before} → known after apply")),
        (None, None) => {}
    }
    match detail.recreation.as_deref() {
        Some("Always") => line.push_str("; requires replacement"),
        Some("Conditionally") => line.push_str("; may require replacement"),
        _ => {}
    }
    if let Some(cause) = &detail.cause {
        line.push_str(&format!("; from {cause}"));
    }
    line
}

/// A detail's place in the resource as a JSON pointer.
fn path(detail: &Detail) -> String {
    match (&detail.path, &detail.name) {
        (Some(path), _) if !path.is_empty() => path.clone(),
        (_, Some(name)) => format!("/{}/{name}", detail.attribute),
        _ => format!("/{}", detail.attribute),
    }
}

/// The same for people: without `Properties`, which is where almost everything is.
fn name(detail: &Detail) -> String {
    let path = path(detail);
    let inner = path
        .strip_prefix("/Properties/")
        .unwrap_or_else(|| path.trim_start_matches('/'));
    inner.replace('/', ".")
}

fn value_text(kind: &str, path: &str, text: &str, secrets: &[String], whole: bool) -> String {
    if text == UNKNOWN {
        return "known after apply".to_owned();
    }
    let shown = hidden::shown(kind, path, text, secrets);
    let length = shown.chars().count();
    if whole || length <= LONGEST {
        return shown;
    }
    let begin: String = shown.chars().take(LONGEST).collect();
    // Two long values that begin alike can be told by their hashes.
    let hash = ledger::sha256(shown.as_bytes());
    format!("{begin}… ({length} characters, SHA-256 {hash})")
}

/// One change for machines, with every value that is shown to anybody.
pub(crate) fn json(planned: &Planned<'_>, secrets: &[String]) -> Value {
    let change = planned.change;
    let value = |detail: &Detail, text: &Option<String>| {
        text.as_deref()
            .map(|text| hidden::shown(&change.kind, &path(detail), text, secrets))
    };
    let context = |text: &Option<String>| {
        let value = serde_json::from_str::<Value>(text.as_deref()?).ok()?;
        Some(hidden::cleaned(&change.kind, "", value, secrets))
    };
    json!({
        "logical_id": planned.path,
        "physical_id": change.physical_id,
        "type": change.kind,
        "effect": planned.effect.word(),
        "loses_data": planned.loses_data(),
        "marks": marks(change).into_iter().map(|mark| mark.word().to_lowercase()).collect::<Vec<_>>(),
        "policy_action": change.policy_action,
        "before": context(&change.before),
        "after": context(&change.after),
        "details": change.details.iter().map(|detail| json!({
            "path": path(detail),
            "before": value(detail, &detail.before),
            "after": value(detail, &detail.after),
            "requires_recreation": detail.recreation,
            "evaluation": detail.evaluation,
            "source": detail.source,
            "cause": detail.cause,
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::ordered;
    use crate::seen::ChangeSet;
    use expect_test::expect;

    fn detail(path: &str, before: Option<&str>, after: Option<&str>, recreation: &str) -> Detail {
        Detail {
            attribute: "Properties".to_owned(),
            path: Some(path.to_owned()),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            recreation: Some(recreation.to_owned()),
            ..Detail::default()
        }
    }

    #[test]
    fn changes_are_shown_property_by_property_and_secrets_are_not() {
        let set = ChangeSet {
            changes: vec![
                Change {
                    logical_id: "Table".to_owned(),
                    physical_id: Some("shop-orders".to_owned()),
                    kind: "AWS::DynamoDB::Table".to_owned(),
                    action: "Modify".to_owned(),
                    replacement: Some("True".to_owned()),
                    policy_action: Some("ReplaceAndRetain".to_owned()),
                    details: vec![
                        detail(
                            "/Properties/TableName",
                            Some("shop-orders"),
                            Some("orders"),
                            "Always",
                        ),
                        detail("/Properties/Tags/0/Value", None, Some("shop"), "Never"),
                        detail("/Properties/SSESpecification", Some("{}"), None, "Never"),
                        detail(
                            "/Properties/Owner",
                            Some("key-hunter2"),
                            Some(UNKNOWN),
                            "Conditionally",
                        ),
                    ],
                    ..Change::default()
                },
                Change {
                    logical_id: "Role".to_owned(),
                    kind: "AWS::IAM::Role".to_owned(),
                    action: "Add".to_owned(),
                    after: Some(
                        r#"{"Properties":{"RoleName":"r","Path":"/","Password":"p"}}"#.to_owned(),
                    ),
                    ..Change::default()
                },
                Change {
                    logical_id: "Old".to_owned(),
                    kind: "AWS::SQS::Queue".to_owned(),
                    action: "Remove".to_owned(),
                    policy_action: Some("Retain".to_owned()),
                    ..Change::default()
                },
            ],
            ..ChangeSet::default()
        };
        let secrets = ["hunter2".to_owned()];
        let all = ordered(&set);
        let text: Vec<String> = all
            .iter()
            .flat_map(|planned| lines(planned, &secrets))
            .collect();
        expect![[r#"
            replace Table (AWS::DynamoDB::Table) shop-orders [LOSES DATA] [the old one stays, outside of the stack]
                TableName: shop-orders → orders; requires replacement
                Tags.0.Value: shop (new)
                SSESpecification: {} → known after apply
                Owner: key-(hidden) → known after apply; may require replacement
            remove Old (AWS::SQS::Queue) [stays, outside of the stack]
            add Role (AWS::IAM::Role) [PERMISSIONS]
                RoleName: r
                Path: /
                Password: (hidden)"#]]
        .assert_eq(&text.join("\n"));
        let json = json(&all[2], &secrets);
        assert_eq!(json["after"]["Properties"]["Password"], "(hidden)");
        assert_eq!(json["marks"][0], "permissions");
    }

    #[test]
    fn a_long_value_is_cut_in_the_log() {
        let long = "é".repeat(LONGEST + 1);
        let text = |value: &str, whole: bool| value_text("T", "/Properties/A", value, &[], whole);
        let cut = text(&long, false);
        assert!(cut.contains("… (301 characters, SHA-256 "), "{cut}");
        let other = text(&format!("{}x", "é".repeat(LONGEST)), false);
        assert_ne!(cut, other);
        assert_eq!(text(&long, true), long);
    }

    #[test]
    fn a_value_does_not_look_like_another_line_or_another_value() {
        let set = ChangeSet {
            changes: vec![Change {
                logical_id: "Topic".to_owned(),
                physical_id: Some("a\u{202e}b".to_owned()),
                kind: "AWS::SNS::Topic".to_owned(),
                action: "Modify".to_owned(),
                replacement: Some("False".to_owned()),
                details: vec![detail(
                    "/Properties/DisplayName",
                    Some("one"),
                    Some("two\nadd Role (AWS::IAM::Role)"),
                    "Never",
                )],
                ..Change::default()
            }],
            ..ChangeSet::default()
        };
        let found = lines(&ordered(&set)[0], &[]);
        assert_eq!(
            found,
            [
                "modify Topic (AWS::SNS::Topic) a\\u{202e}b",
                "    DisplayName: one → two\\nadd Role (AWS::IAM::Role)",
            ]
        );
    }
}
