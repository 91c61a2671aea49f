//! Pure: a template's text, JSON or YAML, as one value in which every intrinsic function has its long form.

use serde_json::{Map, Value};

/// Reads a template.
///
/// # Errors
/// CloudFormation's own message for a text that is neither, or that has an unknown tag.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            format!(
                "Template format error: JSON not well-formed. (line {}, column {})",
                error.line(),
                error.column()
            )
        });
    }
    let yaml: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| {
        let at = error.location().map_or_else(String::new, |at| {
            format!(" (line {}, column {})", at.line(), at.column())
        });
        format!("Template format error: YAML not well-formed.{at}")
    })?;
    convert(yaml)
}

fn convert(yaml: serde_yaml::Value) -> Result<Value, String> {
    Ok(match yaml {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(value) => Value::Bool(value),
        serde_yaml::Value::Number(number) => number_of(&number),
        serde_yaml::Value::String(text) => Value::String(text),
        serde_yaml::Value::Sequence(items) => {
            Value::Array(items.into_iter().map(convert).collect::<Result<_, _>>()?)
        }
        serde_yaml::Value::Mapping(entries) => {
            let mut members = Map::new();
            for (key, value) in entries {
                members.insert(key_of(&key)?, convert(value)?);
            }
            Value::Object(members)
        }
        serde_yaml::Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            function(tag.trim_start_matches('!'), convert(tagged.value)?)?
        }
    })
}

fn number_of(number: &serde_yaml::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        return Value::from(whole);
    }
    number.as_f64().map_or(Value::Null, Value::from)
}

/// Keys of mappings are texts in CloudFormation, also where YAML reads a number.
fn key_of(key: &serde_yaml::Value) -> Result<String, String> {
    match key {
        serde_yaml::Value::String(text) => Ok(text.clone()),
        serde_yaml::Value::Number(number) => Ok(number.to_string()),
        serde_yaml::Value::Bool(value) => Ok(value.to_string()),
        _ => Err("Template format error: unsupported structure.".to_owned()),
    }
}

/// The long form of `!Name value`.
fn function(name: &str, value: Value) -> Result<Value, String> {
    const SHORT: [&str; 16] = [
        "And",
        "Base64",
        "Cidr",
        "Equals",
        "FindInMap",
        "GetAZs",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
    ];
    let (name, value) = match name {
        "Ref" | "Condition" => (name.to_owned(), value),
        "GetAtt" => {
            let parts = match &value {
                Value::String(text) => text
                    .split_once('.')
                    .map(|(id, attribute)| Value::from(vec![id, attribute])),
                _ => None,
            };
            ("Fn::GetAtt".to_owned(), parts.unwrap_or(value))
        }
        known if SHORT.contains(&known) => (format!("Fn::{known}"), value),
        unknown => {
            return Err(format!(
                "Template format error: YAML not well-formed. unknown tag !{unknown}"
            ));
        }
    };
    Ok(Value::Object(Map::from_iter([(name, value)])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_forms_become_long_ones() {
        for (yaml, wanted) in [
            ("A: !Ref B", json!({"A": {"Ref": "B"}})),
            (
                "A: !GetAtt B.Endpoint.Port",
                json!({"A": {"Fn::GetAtt": ["B", "Endpoint.Port"]}}),
            ),
            (
                "A: !GetAtt [B, Arn]",
                json!({"A": {"Fn::GetAtt": ["B", "Arn"]}}),
            ),
            (
                "A: !Join [',', [!Ref B, c]]",
                json!({"A": {"Fn::Join": [",", [{"Ref": "B"}, "c"]]}}),
            ),
            (
                "A: !If [C, !Sub '${B}-x', !Ref 'AWS::NoValue']",
                json!({"A": {"Fn::If": ["C", {"Fn::Sub": "${B}-x"}, {"Ref": "AWS::NoValue"}]}}),
            ),
            (
                "Version: 2012-10-17\n'1': 010",
                json!({"Version": "2012-10-17", "1": "010"}),
            ),
        ] {
            assert_eq!(parse(yaml).as_ref(), Ok(&wanted), "{yaml}");
        }
    }

    #[test]
    fn invalid_templates_are_refused() {
        for (text, wanted) in [
            ("{\"A\": }", "JSON not well-formed. (line 1, column 7)"),
            ("A: [", "YAML not well-formed."),
            ("A: 1\nA: 2", "YAML not well-formed."),
            ("A: !Frobnicate x", "unknown tag !Frobnicate"),
        ] {
            let refused = parse(text).expect_err(text);
            assert!(refused.contains(wanted), "{refused}");
        }
    }
}
