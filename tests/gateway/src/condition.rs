//! The `Condition` element of a policy: its operators, on the keys of one request.
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators".

use std::collections::HashMap;

use crate::text::strings;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::text::Pattern;

/// The request's condition keys. Names are case-insensitive; a key may have several values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(HashMap<String, Vec<String>>);

impl Context {
    pub(crate) fn set(&mut self, key: &str, values: Vec<String>) {
        self.0.insert(key.to_ascii_lowercase(), values);
    }

    /// Sets a key to one value, if there is one.
    pub(crate) fn set_some(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.set(key, vec![value]);
        }
    }

    fn get(&self, key: &str) -> Option<&Vec<String>> {
        self.0.get(&key.to_ascii_lowercase())
    }

    /// A policy's value with its variables filled in; `None` where one is absent, for then nothing matches.
    /// Source: IAM User Guide, "IAM policy elements: Variables and tags".
    fn fill(&self, text: &str) -> Option<Pattern> {
        let (mut filled, mut rest) = (Pattern::default(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let (variable, after) = after.split_once('}')?;
            filled.push(before);
            let (key, default) = match variable.split_once(',') {
                Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\''))),
                None => (variable, None),
            };
            let seen = self.get(key).and_then(|values| values.first());
            filled.push_literal(match key {
                "*" | "?" | "$" => key,
                _ => seen.map(String::as_str).or(default)?,
            });
            rest = after;
        }
        filled.push(rest);
        Some(filled)
    }
}

/// How a statement is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// The request's keys.
    pub(crate) context: &'a Context,
    /// True if `${…}` is a variable: in documents of the version 2012-10-17.
    pub(crate) variables: bool,
    /// The result where it cannot be known: a denial applies, an allowance does not.
    pub(crate) unknown: bool,
}

impl Reading<'_> {
    /// A value of the policy as a pattern; `None` where a variable has no value.
    pub(crate) fn pattern(self, text: &str) -> Option<Pattern> {
        if self.variables {
            return self.context.fill(text);
        }
        let mut plain = Pattern::default();
        plain.push(text);
        Some(plain)
    }
}

/// Returns true if every operator holds for every one of its keys.
pub(crate) fn hold(conditions: &Value, reading: Reading<'_>) -> bool {
    let Some(operators) = conditions.as_object() else {
        return reading.unknown;
    };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().map_or(reading.unknown, |keys| {
            keys.iter()
                .all(|(key, wanted)| one(operator, key, &strings(wanted), reading))
        })
    })
}

fn one(operator: &str, key: &str, wanted: &[String], reading: Reading<'_>) -> bool {
    let seen = reading.context.get(key);
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
        return reading.unknown;
    };
    let read = wanted.len();
    let wanted: Vec<Pattern> = wanted
        .iter()
        .filter_map(|text| reading.pattern(text))
        .collect();
    // An unknown value equals nothing; whether another value differs from it is unknown.
    if negated && wanted.len() < read {
        return reading.unknown;
    }
    let matches = |value: &String| wanted.iter().any(|wanted| compare(wanted, value)) != negated;
    match (quantifier, seen) {
        (Some("ForAllValues"), None) => true,
        (Some("ForAllValues"), Some(values)) => values.iter().all(matches),
        (Some("ForAnyValue"), None) => if_exists,
        (Some("ForAnyValue"), Some(values)) => values.iter().any(matches),
        (Some(_), _) => reading.unknown,
        (None, None) => negated || if_exists,
        (None, Some(values)) if negated => values.iter().all(matches),
        (None, Some(values)) => values.iter().any(matches),
    }
}

type Compare = fn(&Pattern, &str) -> bool;

/// The operator's negation, and its comparison of the policy's value with the request's.
fn comparison(operator: &str) -> Option<(bool, Compare)> {
    let equals: Compare = |wanted, seen| wanted.text() == seen;
    let ignoring_case: Compare = |wanted, seen| wanted.text().to_lowercase() == seen.to_lowercase();
    Some(match operator {
        "StringEquals" => (false, equals),
        "StringNotEquals" => (true, equals),
        "StringEqualsIgnoreCase" => (false, ignoring_case),
        "StringNotEqualsIgnoreCase" => (true, ignoring_case),
        "StringLike" => (false, Pattern::matches),
        "StringNotLike" => (true, Pattern::matches),
        "ArnEquals" | "ArnLike" => (false, Pattern::matches_arn),
        "ArnNotEquals" | "ArnNotLike" => (true, Pattern::matches_arn),
        "Bool" => (false, ignoring_case),
        "NumericEquals" => (false, |w, s| numbers(w, s, |w, s| s == w)),
        "NumericNotEquals" => (true, |w, s| numbers(w, s, |w, s| s == w)),
        "NumericLessThan" => (false, |w, s| numbers(w, s, |w, s| s < w)),
        "NumericLessThanEquals" => (false, |w, s| numbers(w, s, |w, s| s <= w)),
        "NumericGreaterThan" => (false, |w, s| numbers(w, s, |w, s| s > w)),
        "NumericGreaterThanEquals" => (false, |w, s| numbers(w, s, |w, s| s >= w)),
        "DateEquals" => (false, |w, s| dates(w, s, |w, s| s == w)),
        "DateNotEquals" => (true, |w, s| dates(w, s, |w, s| s == w)),
        "DateLessThan" => (false, |w, s| dates(w, s, |w, s| s < w)),
        "DateLessThanEquals" => (false, |w, s| dates(w, s, |w, s| s <= w)),
        "DateGreaterThan" => (false, |w, s| dates(w, s, |w, s| s > w)),
        "DateGreaterThanEquals" => (false, |w, s| dates(w, s, |w, s| s >= w)),
        "IpAddress" => (false, in_network),
        "NotIpAddress" => (true, in_network),
        _ => return None,
    })
}

fn numbers(wanted: &Pattern, seen: &str, holds: fn(f64, f64) -> bool) -> bool {
    matches!((wanted.text().parse(), seen.parse()), (Ok(wanted), Ok(seen)) if holds(wanted, seen))
}

fn dates(wanted: &Pattern, seen: &str, holds: fn(OffsetDateTime, OffsetDateTime) -> bool) -> bool {
    let read = |text: &str| {
        OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
            text.parse()
                .ok()
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        })
    };
    matches!((read(&wanted.text()), read(seen)), (Some(wanted), Some(seen)) if holds(wanted, seen))
}

fn in_network(wanted: &Pattern, seen: &str) -> bool {
    let wanted = wanted.text();
    let (network, bits) = wanted.split_once('/').unwrap_or((&wanted, "32"));
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
mod tests;
