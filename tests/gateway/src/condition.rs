//! The `Condition` element of a policy: its operators, on the keys of one request.
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators".

use std::collections::HashMap;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::policy::strings;
use crate::text::wildcard;

/// The request's condition keys. Names are case-insensitive; a key may have several values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(HashMap<String, Vec<String>>);

impl Context {
    pub(crate) fn set(&mut self, key: &str, values: Vec<String>) {
        self.0.insert(key.to_ascii_lowercase(), values);
    }

    fn get(&self, key: &str) -> Option<&Vec<String>> {
        self.0.get(&key.to_ascii_lowercase())
    }

    /// Replaces `${key}` in a policy's value; `None` where the key is absent, for then nothing matches.
    fn fill(&self, text: &str) -> Option<String> {
        let Some((before, rest)) = text.split_once("${") else {
            return Some(text.to_owned());
        };
        let (key, after) = rest.split_once('}')?;
        let value = match key {
            "*" | "?" | "$" => key.to_owned(),
            _ => self.get(key)?.first()?.clone(),
        };
        Some(format!("{before}{value}{}", self.fill(after)?))
    }
}

/// Whether every operator holds for every one of its keys.
pub(crate) fn hold(conditions: &Value, context: &Context) -> bool {
    conditions.as_object().is_some_and(|operators| {
        operators.iter().all(|(operator, keys)| {
            keys.as_object().is_some_and(|keys| {
                keys.iter()
                    .all(|(key, wanted)| one(operator, key, &strings(wanted), context))
            })
        })
    })
}

fn one(operator: &str, key: &str, wanted: &[String], context: &Context) -> bool {
    let seen = context.get(key);
    if operator == "Null" {
        return wanted.iter().any(|text| text.eq_ignore_ascii_case("true")) == seen.is_none();
    }
    let (quantifier, operator) = match operator.split_once(':') {
        Some((quantifier, rest)) => (Some(quantifier), rest),
        None => (None, operator),
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(rest) => (rest, true),
        None => (operator, false),
    };
    let Some((negated, compare)) = comparison(operator) else {
        return false;
    };
    let wanted: Vec<String> = wanted
        .iter()
        .filter_map(|text| context.fill(text))
        .collect();
    let matches = |value: &String| wanted.iter().any(|wanted| compare(wanted, value)) != negated;
    match (quantifier, seen) {
        (Some("ForAllValues"), None) => true,
        (Some("ForAllValues"), Some(values)) => values.iter().all(matches),
        (Some("ForAnyValue"), None) => if_exists,
        (Some("ForAnyValue"), Some(values)) => values.iter().any(matches),
        (Some(_), _) => false,
        (None, None) => negated || if_exists,
        (None, Some(values)) if negated => values.iter().all(matches),
        (None, Some(values)) => values.iter().any(matches),
    }
}

type Compare = fn(&str, &str) -> bool;

/// Whether the operator negates, and how it compares the policy's value with the request's.
fn comparison(operator: &str) -> Option<(bool, Compare)> {
    let equals: Compare = |wanted, seen| wanted == seen;
    let ignoring_case: Compare = |wanted, seen| wanted.to_lowercase() == seen.to_lowercase();
    Some(match operator {
        "StringEquals" => (false, equals),
        "StringNotEquals" => (true, equals),
        "StringEqualsIgnoreCase" => (false, ignoring_case),
        "StringNotEqualsIgnoreCase" => (true, ignoring_case),
        "StringLike" => (false, wildcard),
        "StringNotLike" => (true, wildcard),
        "ArnEquals" | "ArnLike" => (false, arn_like),
        "ArnNotEquals" | "ArnNotLike" => (true, arn_like),
        "Bool" => (false, ignoring_case),
        "NumericEquals" => (false, |wanted, seen| numbers(wanted, seen, |w, s| s == w)),
        "NumericNotEquals" => (true, |wanted, seen| numbers(wanted, seen, |w, s| s == w)),
        "NumericLessThan" => (false, |wanted, seen| numbers(wanted, seen, |w, s| s < w)),
        "NumericLessThanEquals" => (false, |wanted, seen| numbers(wanted, seen, |w, s| s <= w)),
        "NumericGreaterThan" => (false, |wanted, seen| numbers(wanted, seen, |w, s| s > w)),
        "NumericGreaterThanEquals" => (false, |wanted, seen| numbers(wanted, seen, |w, s| s >= w)),
        "DateEquals" => (false, |wanted, seen| dates(wanted, seen, |w, s| s == w)),
        "DateNotEquals" => (true, |wanted, seen| dates(wanted, seen, |w, s| s == w)),
        "DateLessThan" => (false, |wanted, seen| dates(wanted, seen, |w, s| s < w)),
        "DateLessThanEquals" => (false, |wanted, seen| dates(wanted, seen, |w, s| s <= w)),
        "DateGreaterThan" => (false, |wanted, seen| dates(wanted, seen, |w, s| s > w)),
        "DateGreaterThanEquals" => (false, |wanted, seen| dates(wanted, seen, |w, s| s >= w)),
        "IpAddress" => (false, in_network),
        "NotIpAddress" => (true, in_network),
        _ => return None,
    })
}

/// ARNs match part by part: a `*` does not reach over a colon, except in the last part.
fn arn_like(wanted: &str, seen: &str) -> bool {
    let (wanted, seen): (Vec<&str>, Vec<&str>) = (
        wanted.splitn(6, ':').collect(),
        seen.splitn(6, ':').collect(),
    );
    wanted.len() == seen.len()
        && wanted
            .iter()
            .zip(&seen)
            .all(|(wanted, seen)| wildcard(wanted, seen))
}

fn numbers(wanted: &str, seen: &str, holds: fn(f64, f64) -> bool) -> bool {
    matches!((wanted.parse(), seen.parse()), (Ok(wanted), Ok(seen)) if holds(wanted, seen))
}

fn dates(wanted: &str, seen: &str, holds: fn(OffsetDateTime, OffsetDateTime) -> bool) -> bool {
    let read = |text: &str| {
        OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
            text.parse()
                .ok()
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        })
    };
    matches!((read(wanted), read(seen)), (Some(wanted), Some(seen)) if holds(wanted, seen))
}

fn in_network(wanted: &str, seen: &str) -> bool {
    let (network, bits) = wanted.split_once('/').unwrap_or((wanted, "32"));
    let (Ok(network), Ok(bits), Ok(seen)) = (
        network.parse::<std::net::Ipv4Addr>(),
        bits.parse::<u32>(),
        seen.parse::<std::net::Ipv4Addr>(),
    ) else {
        return false;
    };
    let mask = u32::MAX
        .checked_shl(32u32.saturating_sub(bits))
        .unwrap_or(0);
    bits <= 32 && network.to_bits() & mask == seen.to_bits() & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
}
