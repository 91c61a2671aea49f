//! Plans in JSON and the changes that are read from them.

use super::*;
use serde_json::json;

fn change(address: &str, actions: &[&str], rest: Value) -> Value {
    let mut change = rest;
    change["actions"] = json!(actions);
    json!({"address": address, "mode": "managed", "change": change})
}

#[test]
fn destructive_changes_come_first_and_none_is_omitted() {
    let plan = json!({"resource_changes": [
        change("a.new", &["create"], json!({})),
        change("a.same", &["no-op"], json!({})),
        change("a.other", &["update"], json!({"before": {"x": 1}, "after": {"x": 2}})),
        change("a.gone", &["delete"], json!({})),
        change("a.swap", &["create", "delete"], json!({"before": {"k": "a"}, "after": {"k": "b"}, "replace_paths": [["k"]]})),
        change("a.left", &["forget"], json!({})),
        {"address": "a.moved", "previous_address": "a.was", "mode": "managed", "change": {"actions": ["no-op"]}},
        {"address": "data.x", "mode": "data", "change": {"actions": ["read"]}},
    ], "output_changes": {"o": {"actions": ["update"]}, "same": {"actions": ["no-op"]}}});
    let changes = Changes::of(&plan, true);
    let seen: Vec<(Kind, &str)> = changes
        .resources
        .iter()
        .map(|it| (it.kind, it.address.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (Kind::Replace, "a.swap"),
            (Kind::Destroy, "a.gone"),
            (Kind::Forget, "a.left"),
            (Kind::Change, "a.other"),
            (Kind::Move, "a.moved"),
            (Kind::Create, "a.new"),
        ]
    );
    assert_eq!(
        changes.resources[0].lines,
        [r#"k: "a" → "b"  # forces replacement"#]
    );
    assert_eq!(
        (changes.outputs[0].name.as_str(), changes.outputs[0].action),
        ("o", "changed")
    );
    assert_eq!(
        changes.counts(),
        "1 to replace, 1 to destroy, 1 to forget, 1 to change, 1 to move, 1 to add"
    );
    assert_eq!(Changes::default().counts(), "no changes");
    assert!(!Changes::default().any());
}

#[test]
fn a_sensitive_value_is_hidden_where_the_tool_forgot_that_it_is() {
    let plan = json!({
        "variables": {"token": {"value": "hush-hush-1"}, "pin": {"value": "7"}},
        "configuration": {"root_module": {"variables": {"token": {"sensitive": true}, "pin": {"sensitive": true}}}},
        "resource_changes": [change("a.s[\"hush-hush-1\"]", &["update"], json!({
            "before": {"input": "hush-hush-1", "output": "hush-hush-1", "url": "https://u:hush-hush-1@h", "n": {"pin": 7, "other": 17}, "list": ["a"], "key": "k1"},
            "after": {"input": "hush-hush-2", "url": "https://u:hush-hush-2@h", "n": {"pin": 8, "other": 18}, "list": ["a", "b"], "key": "k2"},
            "after_unknown": {"output": true},
            "before_sensitive": {"input": true, "n": {}},
            "after_sensitive": {"input": true, "key": true},
        }))],
    });
    let changes = Changes::of(&plan, true);
    let lines = changes.resources[0].lines.join("\n");
    assert_eq!(
        lines,
        "input: (sensitive value) → (sensitive value)\n\
         key: (sensitive value) → (sensitive value)\n\
         list[1]: null → \"b\"\n\
         n.other: 17 → 18\n\
         n.pin: (sensitive value) → 8\n\
         output: (sensitive value) → (known after apply)\n\
         url: (sensitive value) → (sensitive value)"
    );
    assert!(!changes.resources[0].address.contains("hush"));
}

#[test]
fn a_plan_says_what_fails_and_what_it_leaves_out() {
    let check = |kind: &str, name: &str, status: &str, problems: Value| {
        let address = json!({"kind": kind, "to_display": name});
        json!({"address": address, "status": status, "instances": [{"address": address, "problems": problems}]})
    };
    let checks = json!([
        check("check", "check.fine", "pass", json!([])),
        check(
            "check",
            "check.health",
            "fail",
            json!([{"message": "is down"}])
        ),
        check("check", "check.odd", "error", json!([])),
        check("check", "check.later", "unknown", json!([])),
        check("resource", "a.b", "unknown", json!([])),
    ]);
    let changes = Changes::of(&json!({"checks": checks, "complete": false}), false);
    let failed: Vec<String> = changes
        .failed
        .iter()
        .map(|it| format!("{}: {}", it.address, it.message))
        .collect();
    assert_eq!(
        failed,
        [
            "check.health: is down",
            "check.odd: the tool gives no reason"
        ]
    );
    assert_eq!(changes.undecided, ["check.later"]);
    assert_eq!(
        changes.headline(),
        "no changes, 2 checks failed (incomplete: targeted)"
    );
    let deferred = json!({"reason": "provider_config_unknown", "resource_change": change("a.b", &["create"], json!({"before": null, "after": {"x": 1}}))});
    let changes = Changes::of(
        &json!({"deferred_changes": [deferred], "complete": false}),
        false,
    );
    assert_eq!(
        changes.headline(),
        "1 to do something else (incomplete: 1 change deferred)"
    );
    assert_eq!(
        changes.resources[0].lines,
        ["deferred to a later plan: provider_config_unknown", "x: 1"]
    );
}

#[test]
fn a_plan_that_only_refreshes_says_so() {
    let drift = change(
        "a.b",
        &["update"],
        json!({"before": {"x": 1}, "after": {"x": 2}}),
    );
    let plan = json!({"resource_drift": [drift]});
    let changes = Changes::of(&plan, true);
    assert!(changes.any());
    assert_eq!(changes.headline(), "1 resource to refresh in the state");
}
