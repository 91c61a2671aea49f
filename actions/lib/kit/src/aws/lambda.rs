//! Names in Lambda: functions and aliases (AWS Lambda API Reference, "CreateFunction" and "CreateAlias").

use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The name of a function, without its account, region and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName(String);

parsed_text!(FunctionName, 0);

impl FromStr for FunctionName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_name(text, 64) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not the name of a Lambda function"),
            &[
                "a name has up to 64 letters, digits, hyphens and underscores, and is not an ARN; list them: aws lambda list-functions",
            ],
        ))
    }
}

/// The name of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasName(String);

parsed_text!(AliasName, 0);

impl FromStr for AliasName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // A number is a version.
        if is_name(text, 128) && !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not the name of an alias"),
            &[
                "a name has up to 128 letters, digits, hyphens and underscores, and not only digits; list them: aws lambda list-aliases --function-name NAME",
            ],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_aliases_go_by_name() {
        for (text, function, alias) in [
            ("storefront-dev_1", true, true),
            ("live", true, true),
            ("12", true, false),
            ("$LATEST", false, false),
            ("web:live", false, false),
            (
                "arn:aws:lambda:eu-west-1:111111111111:function:web",
                false,
                false,
            ),
            ("", false, false),
        ] {
            assert_eq!(text.parse::<FunctionName>().is_ok(), function, "{text}");
            assert_eq!(text.parse::<AliasName>().is_ok(), alias, "{text}");
        }
        assert!("x".repeat(65).parse::<FunctionName>().is_err());
    }
}
