//! Changes in JSON and the lines that they are shown as.

use super::*;
use expect_test::{Expect, expect};
use serde_json::json;

#[track_caller]
fn check(change: Value, wanted: Expect) {
    let plan = json!({"resource_changes": [{"change": change}]});
    let hidden = Hidden::of(&plan);
    let change = &plan["resource_changes"][0]["change"];
    wanted.assert_eq(&lines(change, &hidden).join("\n"));
}

#[test]
fn a_new_resource_shows_its_attributes_at_any_depth() {
    check(
        json!({
            "actions": ["create"],
            "before": null,
            "after": {
                "name": "web", "none": null, "list": [],
                "ingress": [{"cidr_blocks": ["0.0.0.0/0"], "port": 22, "key": "hush-hush-1"}],
                "tags": {"a b": "x", "n\n+   fake": {"deep": {"deeper": {"deepest": [[1]]}}}},
            },
            "after_unknown": {"arn": true, "id": true, "ingress": [{"cidr_blocks": [false]}], "nested": [{"id": true}]},
            "before_sensitive": false,
            "after_sensitive": {"ingress": [{"cidr_blocks": [false], "key": true}], "secret": {"at": true}},
        }),
        expect![[r#"
                ingress[0].cidr_blocks[0]: "0.0.0.0/0"
                ingress[0].key: (sensitive value)
                ingress[0].port: 22
                list: []
                name: "web"
                tags["a b"]: "x"
                tags["n\n+   fake"].deep.deeper.deepest[0][0]: 1
                known after apply: arn, id, nested[0].id"#]],
    );
}

#[test]
fn a_destroyed_resource_shows_what_goes() {
    check(
        json!({"actions": ["delete"], "before": {"bucket": "logs", "key": "hush-hush"}, "after": null, "before_sensitive": {"key": true}}),
        expect![[r#"
                bucket: "logs"
                key: (sensitive value)"#]],
    );
}

#[test]
fn a_change_shows_both_sides() {
    check(
        json!({
            "actions": ["update"],
            "before": {"a": 1, "was": {"x": 1}, "list": ["a"], "same": [1, {"b": 2}], "gone": "g"},
            "after": {"a": 2, "was": ["y"], "list": ["a", "b"], "same": [1, {"b": 2}]},
            "after_unknown": {"later": {"id": true}},
        }),
        expect![[r#"
                a: 1 → 2
                gone: "g" → null
                later.id: null → (known after apply)
                list[1]: null → "b"
                was.x: 1 → null
                was[0]: null → "y""#]],
    );
}

#[test]
fn a_document_in_a_text_is_taken_apart() {
    let policy = |principal: &str| {
        json!({"Statement": [{"Action": "s3:*", "Principal": principal}]}).to_string()
    };
    check(
        json!({"actions": ["update"], "before": {"policy": policy("me")}, "after": {"policy": policy("*")}}),
        expect![[r#"policy.Statement[0].Principal: "me" → "*""#]],
    );
    // Reading it would lose the first of the two, or hide that there is a change at all.
    check(
        json!({"actions": ["create"], "before": null, "after": {"policy": r#"{"P":"*","P":"me"}"#}}),
        expect![[r#"policy: "{\"P\":\"*\",\"P\":\"me\"}""#]],
    );
    check(
        json!({"actions": ["update"], "before": {"p": "{}"}, "after": {"p": "{ }"}}),
        expect![[r#"p: "{}" → "{ }""#]],
    );
}

#[test]
fn long_texts_show_where_they_differ_and_how_much_was_cut() {
    let text = |middle: &str| format!("{}{middle}{}", "a".repeat(300), "z".repeat(300));
    check(
        json!({"actions": ["update"], "before": {"t": text("10.0.0.0/8")}, "after": {"t": text("0.0.0.0/0")}}),
        expect![[
            r#"t: …"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa10.0.0.0/8zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"… → …"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0.0.0.0/0zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"…"#
        ]],
    );
    let plan = json!({});
    let long = json!({"actions": ["create"], "before": null, "after": {"t": "x".repeat(3000)}});
    let lines = lines(&long, &Hidden::of(&plan));
    assert!(lines[0].ends_with("… (1002 more characters)"), "{lines:?}");
}

#[test]
fn the_order_in_which_a_line_is_read_cannot_be_changed() {
    check(
        json!({"actions": ["create"], "before": null, "after": {"t": "a\u{202e}b\u{200b}c"}}),
        expect![[r#"t: "a\u202eb\u200bc""#]],
    );
}
