//! The settings that a repository is to have, from arguments and contract, checked before any call is made.

use super::lifecycle::Policy;
use crate::args;
use crate::input::given;
use crate::primary::Primary;
use crate::tag_pattern;
use kit::aws::{AccountId, Arn, Region};
use kit::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The settings that were asked for. Others are neither read nor changed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    /// The accounts that are to pull, beside the repository's own.
    pub(crate) pull: BTreeSet<AccountId>,
    /// Patterns of the tags that may move; empty where nothing was asked.
    pub(crate) mutable_tags: Vec<String>,
    pub(crate) lifecycle: Option<Policy>,
    pub(crate) kms_key: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The page of the source, for the tag of a repository that is created.
    pub(crate) source: Option<String>,
}

impl Wanted {
    /// Reads the arguments.
    ///
    /// # Errors
    /// An argument is malformed (exit 2).
    pub(crate) fn new(
        settings: args::Settings,
        primary: &Primary,
        source: Option<String>,
    ) -> Result<Self> {
        Ok(Self {
            pull: accounts(settings.pull_account, primary)?,
            mutable_tags: tag_pattern::checked(given(settings.mutable_tag))?,
            lifecycle: settings
                .lifecycle_policy
                .as_deref()
                .map(lifecycle)
                .transpose()?,
            kms_key: settings
                .kms_key
                .map(|key| kms_key(key, primary.target.region.as_ref()))
                .transpose()?,
            tags: tags(given(settings.resource_tag))?,
            source,
        })
    }
}

impl Wanted {
    /// # Errors
    /// A destination in another region than the key's, where ECR could not encrypt with it (exit 2).
    pub(crate) fn has_key_for(&self, destinations: &[net::Target]) -> Result<()> {
        let Some(key) = &self.kms_key else {
            return Ok(());
        };
        let region = key.parse::<Arn>().ok().and_then(|key| key.region);
        for destination in destinations {
            if destination.region != region {
                return Err(Error::usage(format!(
                    "--kms-key is a key of {}, and --to names {}, where ECR cannot encrypt with it",
                    region.as_ref().map_or("no region", Region::as_str),
                    destination.region.as_ref().map_or("no region", Region::as_str),
                ))
                .hint("a repository gets its key when it is created: create each destination's with slipway-image repository --kms-key, and publish without --kms-key"));
            }
        }
        Ok(())
    }
}

fn accounts(named: Vec<String>, primary: &Primary) -> Result<BTreeSet<AccountId>> {
    let named = given(named)
        .iter()
        .map(|text| {
            text.parse::<AccountId>().map_err(|_| {
                Error::usage(format!("--pull-account `{text}` is not an account ID"))
                    .hint("an account ID has twelve digits; one per line")
            })
        })
        .collect::<Result<BTreeSet<_>>>()?;
    match named.is_empty() {
        true => primary.accounts(),
        false => Ok(named),
    }
}

fn lifecycle(file: &Path) -> Result<Policy> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::usage(format!(
            "cannot read the lifecycle policy {}",
            file.display()
        ))
        .because(error)
        .hint("--lifecycle-policy names a file; in a workflow, run actions/checkout first")
    })?;
    Policy::parse(&text, &file.display().to_string())
}

/// ECR answers the key's ARN whatever name it was given, so that any other name would look like another key.
fn kms_key(text: String, region: Option<&Region>) -> Result<String> {
    let is_key = |arn: &Arn| {
        arn.service == "kms"
            && arn.region.is_some()
            && arn.account.is_some()
            && arn
                .resource
                .strip_prefix("key/")
                .is_some_and(|id| !id.is_empty())
    };
    match text.parse::<Arn>() {
        Ok(arn) if is_key(&arn) => match (arn.region, region) {
            (Some(own), Some(region)) if own != *region => Err(Error::usage(format!(
                "--kms-key is a key of {own}, and the repository is in {region}"
            ))
            .hint("ECR encrypts with a key of its own region only")),
            _ => Ok(text),
        },
        _ => Err(
            Error::usage(format!("--kms-key `{text}` is not the ARN of a key"))
                .hint("arn:aws:kms:REGION:ACCOUNT:key/ID; of an alias: aws kms describe-key --key-id ALIAS --query KeyMetadata.Arn"),
        ),
    }
}

/// ECR API Reference, `Tag`; what begins with `aws:` is AWS's own.
fn tags(texts: Vec<String>) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for text in texts {
        let wrong = |why: &str| {
            Error::usage(format!("--resource-tag `{text}` {why}")).hint(
                "KEY=VALUE, a key of up to 128 and a value of up to 256 characters; one per line",
            )
        };
        let Some((key, value)) = text.split_once('=') else {
            return Err(wrong("is not KEY=VALUE"));
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(wrong("is not a tag that ECR accepts"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(wrong("begins with aws:, which is AWS's own"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(wrong("gives a key a second value"));
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_key_and_a_value() {
        let of = |texts: &[&str]| tags(texts.iter().map(|one| (*one).to_owned()).collect());
        let found = of(&["team=web", "cost centre = 4711", "empty=", "url=a=b"]).unwrap();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("cost centre", "4711"),
                ("empty", ""),
                ("team", "web"),
                ("url", "a=b")
            ]
        );
        for wrong in [
            &["team"][..],
            &["=x"],
            &["aws:x=y"],
            &["AWS:x=y"],
            &["a=1", "a=2"],
            &[&format!("{}=x", "k".repeat(129))],
            &[&format!("k={}", "v".repeat(257))],
        ] {
            assert_eq!(of(wrong).unwrap_err().exit(), kit::Exit::Usage, "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_one_regions() {
        let wanted = Wanted {
            kms_key: Some("arn:aws:kms:eu-west-1:111111111111:key/x".to_owned()),
            ..Wanted::default()
        };
        let target = |region: &str| net::Target {
            region: Some(region.parse().unwrap()),
            ..net::Target::ambient()
        };
        assert!(wanted.has_key_for(&[target("eu-west-1")]).is_ok());
        let targets = [target("eu-west-1"), target("eu-west-2")];
        let error = wanted.has_key_for(&targets).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert!(error.message.contains("eu-west-2"), "{error}");
        assert!(Wanted::default().has_key_for(&targets).is_ok());
    }

    #[test]
    fn only_a_keys_arn_can_be_compared() {
        let arn = "arn:aws:kms:ca-central-1:111111111111:key/1234";
        assert_eq!(kms_key(arn.to_owned(), None).unwrap(), arn);
        for wrong in [
            "",
            "1234",
            "alias/images",
            "arn:aws:kms:ca-central-1:111111111111:alias/images",
            "arn:aws:kms:ca-central-1:111111111111:key/",
            "arn:aws:iam:ca-central-1:111111111111:key/1234",
        ] {
            let error = kms_key(wrong.to_owned(), None).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{wrong}");
        }
    }
}
