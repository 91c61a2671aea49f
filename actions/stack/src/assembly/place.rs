//! The account and the region of a stack, which placeholders in an assembly stand for. Pure.

use kit::aws::{AccountId, Region};
use kit::error::{Error, Result};
use std::fmt;

/// The account and the region that a stack is deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

impl Place {
    /// A text with its placeholders replaced (aws-cdk, `EnvironmentPlaceholders`).
    ///
    /// # Errors
    /// It has another placeholder (exit 2).
    pub(crate) fn fill(&self, text: &str) -> Result<String> {
        let filled = text
            .replace("${AWS::AccountId}", self.account.as_ref())
            .replace("${AWS::Region}", self.region.as_ref())
            .replace("${AWS::Partition}", self.region.partition().name());
        match filled.contains("${") {
            false => Ok(filled),
            true => Err(Error::usage(format!(
                "`{text}` has a placeholder that this step does not know"
            ))
            .hint("use ${AWS::AccountId}, ${AWS::Region} and ${AWS::Partition} in the app's synthesizer")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}, region {}", self.account, self.region)
    }
}

/// The environment that the app gives a stack: an account and a region, each only if the app fixes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    account: Option<String>,
    region: Option<String>,
}

impl Environment {
    /// Reads `aws://ACCOUNT/REGION`; `None` if it is something else (cloud-assembly-api, `EnvironmentUtils`).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (account, region) = text.strip_prefix("aws://")?.split_once('/')?;
        let fixed = |text: &str, unknown: &str| (text != unknown).then(|| text.to_owned());
        let is_whole = !account.is_empty() && !region.is_empty() && !region.contains('/');
        is_whole.then(|| Self {
            account: fixed(account, "unknown-account"),
            region: fixed(region, "unknown-region"),
        })
    }

    /// Returns true if a stack of this environment can be deployed there.
    pub(crate) fn is(&self, place: &Place) -> bool {
        let same =
            |fixed: &Option<String>, text: &str| fixed.as_deref().is_none_or(|it| it == text);
        same(&self.account, place.account.as_ref()) && same(&self.region, place.region.as_ref())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.account.as_deref().unwrap_or("of the credentials");
        let region = self.region.as_deref().unwrap_or("of the credentials");
        write!(f, "account {account}, region {region}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            account: "111111111111".parse().unwrap(),
            region: "ca-central-1".parse().unwrap(),
        }
    }

    #[test]
    fn placeholders_stand_for_the_place_and_others_are_refused() {
        let text = "a-${AWS::AccountId}-${AWS::Region}-${AWS::Partition}";
        let filled = "a-111111111111-ca-central-1-aws";
        assert_eq!(place().fill(text).unwrap(), filled);
        let error = place().fill("a-${Qualifier}").unwrap_err();
        assert!(error.message.contains("`a-${Qualifier}`"), "{error}");
    }

    #[test]
    fn what_the_app_leaves_open_is_any_place() {
        for (text, wanted) in [
            ("aws://unknown-account/unknown-region", Some(true)),
            ("aws://111111111111/unknown-region", Some(true)),
            ("aws://111111111111/ca-central-1", Some(true)),
            ("aws://111111111111/eu-west-1", Some(false)),
            ("aws://222222222222/unknown-region", Some(false)),
            ("aws://111111111111", None),
            ("aws:///ca-central-1", None),
            ("aws://111111111111/ca-central-1/x", None),
            ("", None),
        ] {
            let found = Environment::parse(text).map(|it| it.is(&place()));
            assert_eq!(found, wanted, "{text}");
        }
    }
}
