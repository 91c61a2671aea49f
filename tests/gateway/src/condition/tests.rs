//! Each operator, on keys that are there and keys that are not.

use super::*;
use serde_json::json;

/// Returns true if a statement that allows something holds.
fn hold(conditions: &Value, context: &Context) -> bool {
    let (variables, unknown) = (true, false);
    super::hold(
        conditions,
        Reading {
            context,
            variables,
            unknown,
        },
    )
}

fn context(pairs: &[(&str, &[&str])]) -> Context {
    let mut context = Context::default();
    for (key, values) in pairs {
        context.set(
            key,
            values.iter().map(|value| (*value).to_owned()).collect(),
        );
    }
    context
}

#[track_caller]
fn check(operator: &str, wanted: Value, seen: &[&str], expected: bool) {
    let held = hold(&json!({operator: {"K": wanted}}), &context(&[("k", seen)]));
    assert_eq!(held, expected, "{operator} {wanted} {seen:?}");
}

#[track_caller]
fn absent(operator: &str, expected: bool) {
    assert_eq!(
        hold(&json!({operator: {"k": "1"}}), &Context::default()),
        expected,
        "{operator} without the key"
    );
}

#[test]
fn string_equals() {
    check("StringEquals", json!("a"), &["a"], true);
    check("StringEquals", json!(["b", "a"]), &["a"], true);
    check("StringEquals", json!("a*"), &["ab"], false);
    check("StringEquals", json!("A"), &["a"], false);
    absent("StringEquals", false);
}

#[test]
fn string_not_equals() {
    check("StringNotEquals", json!("a"), &["a"], false);
    check("StringNotEquals", json!(["a", "b"]), &["b"], false);
    check("StringNotEquals", json!("a"), &["b"], true);
    absent("StringNotEquals", true);
}

#[test]
fn string_equals_ignore_case() {
    check("StringEqualsIgnoreCase", json!("Main"), &["mAIN"], true);
    check("StringEqualsIgnoreCase", json!("Main"), &["maine"], false);
    check("StringNotEqualsIgnoreCase", json!("Main"), &["mAIN"], false);
}

#[test]
fn string_like() {
    check(
        "StringLike",
        json!("repo:acme/shop:*"),
        &["repo:acme/shop:ref:refs/heads/main"],
        true,
    );
    check(
        "StringLike",
        json!("repo:acme/shop:*"),
        &["repo:acme/shop2:ref:refs/heads/main"],
        false,
    );
    absent("StringLike", false);
}

#[test]
fn string_not_like() {
    check("StringNotLike", json!("repo:*"), &["repo:x"], false);
    check("StringNotLike", json!("repo:*"), &["x"], true);
    absent("StringNotLike", true);
}

#[test]
fn arn_operators_match_part_by_part() {
    for operator in ["ArnLike", "ArnEquals"] {
        check(
            operator,
            json!("arn:aws:iam::*:role/ci-*"),
            &["arn:aws:iam::1:role/ci-a"],
            true,
        );
        check(
            operator,
            json!("arn:aws:*:role/ci"),
            &["arn:aws:iam::1:role/ci"],
            false,
        );
    }
    check(
        "ArnNotLike",
        json!("arn:aws:iam::1:role/*"),
        &["arn:aws:iam::1:role/a"],
        false,
    );
    check(
        "ArnNotEquals",
        json!("arn:aws:iam::1:role/*"),
        &["arn:aws:iam::2:role/a"],
        true,
    );
}

#[test]
fn bool_and_null() {
    check("Bool", json!("true"), &["true"], true);
    check("Bool", json!(true), &["false"], false);
    absent("Bool", false);
    check("Null", json!("true"), &["x"], false);
    check("Null", json!("false"), &["x"], true);
    assert!(hold(&json!({"Null": {"k": "true"}}), &Context::default()));
}

#[test]
fn numeric_operators() {
    check("NumericEquals", json!("5"), &["5.0"], true);
    check("NumericNotEquals", json!("5"), &["5.0"], false);
    check("NumericLessThan", json!("5"), &["4"], true);
    check("NumericLessThan", json!("5"), &["5"], false);
    check("NumericLessThanEquals", json!(5), &["5"], true);
    check("NumericGreaterThan", json!("5"), &["6"], true);
    check("NumericGreaterThanEquals", json!("5"), &["4"], false);
    check("NumericEquals", json!("x"), &["x"], false);
}

#[test]
fn date_operators() {
    let day = "2026-01-01T00:00:00Z";
    check("DateEquals", json!(day), &["1767225600"], true);
    check("DateNotEquals", json!(day), &["1767225600"], false);
    check("DateLessThan", json!(day), &["2025-12-31T00:00:00Z"], true);
    check("DateLessThanEquals", json!(day), &[day], true);
    check("DateGreaterThan", json!(day), &[day], false);
    check("DateGreaterThanEquals", json!(day), &[day], true);
}

#[test]
fn ip_address() {
    check("IpAddress", json!("10.0.0.0/8"), &["10.1.2.3"], true);
    check("IpAddress", json!("10.0.0.0/8"), &["11.1.2.3"], false);
    check("IpAddress", json!("10.0.0.1"), &["10.0.0.2"], false);
    check("NotIpAddress", json!("10.0.0.0/8"), &["11.1.2.3"], true);
}

#[test]
fn if_exists_lets_an_absent_key_pass() {
    absent("StringEqualsIfExists", true);
    absent("ForAnyValue:StringEqualsIfExists", true);
    check("StringEqualsIfExists", json!("a"), &["b"], false);
}

#[test]
fn for_any_value_needs_one() {
    check(
        "ForAnyValue:StringEquals",
        json!(["a", "b"]),
        &["x", "b"],
        true,
    );
    check(
        "ForAnyValue:StringEquals",
        json!(["a", "b"]),
        &["x", "y"],
        false,
    );
    check(
        "ForAnyValue:StringLike",
        json!("sts.*"),
        &["sts.amazonaws.com"],
        true,
    );
    absent("ForAnyValue:StringEquals", false);
}

#[test]
fn for_all_values_needs_all_and_passes_an_absent_key() {
    check(
        "ForAllValues:StringEquals",
        json!(["a", "b"]),
        &["a", "b"],
        true,
    );
    check(
        "ForAllValues:StringEquals",
        json!(["a", "b"]),
        &["a", "c"],
        false,
    );
    absent("ForAllValues:StringEquals", true);
}

#[test]
fn an_unknown_operator_or_quantifier_never_holds() {
    check("StringMatches", json!("a"), &["a"], false);
    check("ForSomeValues:StringEquals", json!("a"), &["a"], false);
    assert!(!hold(&json!("yes"), &Context::default()));
}

#[test]
fn every_operator_and_every_key_must_hold() {
    let seen = context(&[("sub", &["s"]), ("aud", &["a"])]);
    assert!(hold(
        &json!({"StringEquals": {"sub": "s", "aud": "a"}}),
        &seen
    ));
    assert!(!hold(
        &json!({"StringEquals": {"sub": "s", "aud": "b"}}),
        &seen
    ));
    assert!(!hold(
        &json!({"StringEquals": {"sub": "s"}, "StringLike": {"aud": "b*"}}),
        &seen
    ));
}

#[test]
fn variables_are_replaced_and_an_absent_one_matches_nothing() {
    let seen = context(&[("tag", &["team-a"]), ("k", &["x/team-a"])]);
    assert!(hold(&json!({"StringEquals": {"k": "x/${tag}"}}), &seen));
    assert!(!hold(&json!({"StringEquals": {"k": "x/${other}"}}), &seen));
}

#[test]
fn a_variable_stands_for_its_value_and_never_for_a_wildcard() {
    let seen = context(&[("tag", &["a*"]), ("k", &["abc"]), ("l", &["a*c"])]);
    assert!(!hold(&json!({"StringLike": {"k": "${tag}c"}}), &seen));
    assert!(hold(&json!({"StringLike": {"l": "${tag}c"}}), &seen));
    assert!(hold(&json!({"StringLike": {"l": "a${*}c"}}), &seen));
    assert!(!hold(&json!({"StringLike": {"k": "a${*}c"}}), &seen));
    assert!(hold(
        &json!({"StringEquals": {"k": "${none, 'abc'}"}}),
        &seen
    ));
}

#[test]
fn nobody_knows_whether_something_differs_from_a_variable_without_a_value() {
    let seen = context(&[("k", &["a"])]);
    for conditions in [
        json!({"StringNotEquals": {"k": "${none}"}}),
        json!({"BinaryEquals": {"k": "a"}}),
        json!({"StringEquals": "k"}),
        json!([]),
    ] {
        for unknown in [false, true] {
            let reading = Reading {
                context: &seen,
                variables: true,
                unknown,
            };
            assert_eq!(super::hold(&conditions, reading), unknown, "{conditions}");
        }
    }
}

#[test]
fn older_documents_have_no_variables() {
    let seen = context(&[("tag", &["a"]), ("k", &["${tag}"])]);
    let reading = Reading {
        context: &seen,
        variables: false,
        unknown: false,
    };
    let conditions = json!({"StringEquals": {"k": "${tag}"}});
    assert!(super::hold(&conditions, reading));
    assert!(!hold(&conditions, &seen));
}
