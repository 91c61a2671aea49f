//! Keys of KMS (AWS KMS Developer Guide, "Key identifiers (KeyId)" and "Controlling access to aliases";
//! API reference, CreateAlias).

use super::{AccountId, Arn, Region};
use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

/// The longest name of an alias, with its prefix.
const LONGEST_ALIAS: usize = 256;

/// A key of KMS: `alias/NAME`, or the ARN of an alias or of a key. A key's bare ID is not accepted,
/// because it does not say that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKey {
    text: String,
    location: Option<(AccountId, Region)>,
}

parsed_text!(KmsKey, text);

impl KmsKey {
    /// The account and region in the ARN; an alias alone belongs to the caller's.
    pub fn location(&self) -> Option<(&AccountId, &Region)> {
        self.location
            .as_ref()
            .map(|(account, region)| (account, region))
    }
}

impl FromStr for KmsKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            if is_alias(text) {
                return Some(None);
            }
            let arn: Arn = text.parse().ok()?;
            let is_key = |name: &str| {
                name.strip_prefix("key/").is_some_and(|id| {
                    !id.is_empty()
                        && id
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
            };
            (arn.service == "kms" && (is_alias(&arn.resource) || is_key(&arn.resource)))
                .then_some(Some((arn.account?, arn.region?)))
        };
        match parse() {
            Some(location) => Ok(Self {
                text: text.to_owned(),
                location,
            }),
            None => Err(Invalid::new(
                format!("`{text}` is not the alias or ARN of a KMS key"),
                &["write alias/NAME, or the ARN; list them: aws kms list-aliases"],
            )),
        }
    }
}

/// AWS keeps `alias/aws/` for its own keys, with which nobody can sign.
fn is_alias(text: &str) -> bool {
    text.len() <= LONGEST_ALIAS
        && text.strip_prefix("alias/").is_some_and(|name| {
            !name.is_empty()
                && !name.starts_with("aws/")
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_alias_or_an_arn() {
        let alias: KmsKey = "alias/slipway-provenance".parse().unwrap();
        assert_eq!(alias.location(), None);
        for resource in [
            "alias/team/slipway",
            "key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "key/mrk-1234abcd12ab34cd56ef1234567890ab",
        ] {
            let key: KmsKey = format!("arn:aws:kms:eu-west-1:111111111111:{resource}")
                .parse()
                .unwrap();
            let (account, region) = key.location().unwrap();
            assert_eq!(
                (account.as_str(), region.as_str()),
                ("111111111111", "eu-west-1")
            );
        }
        for wrong in [
            "",
            "alias/",
            "alias/aws/ecr",
            "alias/a b",
            "slipway-provenance",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:111111111111:key/",
            "arn:aws:kms:eu-west-1:111111111111:grant/x",
            "arn:aws:kms::111111111111:key/1234abcd",
            "arn:aws:iam::111111111111:role/x",
        ] {
            assert!(wrong.parse::<KmsKey>().is_err(), "{wrong}");
        }
    }
}
