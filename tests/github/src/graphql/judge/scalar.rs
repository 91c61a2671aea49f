//! The forms of GitHub's scalars.
//! Source: GraphQL Specification, October 2021, 3.5; of GitHub's own, the schema's descriptions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Why a value, in an answer or given for an argument, is none of this scalar.
pub(super) fn wrong(name: &str, value: &Value) -> Option<String> {
    let text = value.as_str();
    let fits = match name {
        "Boolean" => value.is_boolean(),
        "Int" => value.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
        "Float" => value.is_number(),
        "String" | "ID" | "HTML" => text.is_some(),
        "URI" => text.is_some_and(|it| it.parse::<http::Uri>().is_ok()),
        "DateTime" => text
            .and_then(time)
            .is_some_and(|it| it.offset() == UtcOffset::UTC),
        "GitTimestamp" => text.and_then(time).is_some(),
        "GitObjectID" => {
            text.is_some_and(|it| it.len() == 40 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
        }
        "Base64String" => text.is_some_and(|it| STANDARD.decode(it).is_ok()),
        "BigInt" => text.is_some_and(|number| {
            let digits = number.strip_prefix('-').unwrap_or(number);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        }),
        _ => return Some(format!("there is no rule for {name}")),
    };
    (!fits).then(|| format!("{value} is not of type {name}"))
}

fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_scalar_has_its_form() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        for (name, value) in [
            ("Int", json!(2_147_483_647)),
            ("ID", json!("R_1")),
            ("URI", json!("https://github.com/acme/storefront")),
            ("DateTime", json!("2025-01-01T00:00:00Z")),
            ("GitTimestamp", json!("2025-01-01T02:00:00+02:00")),
            ("GitObjectID", json!(sha)),
            ("BigInt", json!("9007199254740993")),
            ("Base64String", json!("cnVuLnNo")),
        ] {
            assert_eq!(wrong(name, &value), None);
        }
        for (name, value) in [
            ("Int", json!(2_147_483_648_i64)),
            ("Int", json!(1.5)),
            ("Int", json!("1")),
            ("Base64String", json!("run.sh")),
            ("Boolean", json!("true")),
            ("ID", json!(1)),
            ("String", json!(null)),
            ("URI", json!("no uri")),
            ("DateTime", json!("2025-01-01")),
            ("DateTime", json!("2025-01-01T02:00:00+02:00")),
            ("GitTimestamp", json!(1_735_689_600)),
            ("GitObjectID", json!(sha[..39])),
            ("GitObjectID", json!(sha.replace('a', "g"))),
            ("BigInt", json!(1)),
            ("BigInt", json!("1.0")),
            ("Unheard", json!("x")),
        ] {
            assert!(wrong(name, &value).is_some(), "{value} passes as {name}");
        }
    }
}
