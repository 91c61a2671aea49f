//! AWS's own names, parsed once where they come in: accounts, regions, partitions and ARNs.

mod arn;
mod ecs;
mod kms;
mod lambda;
mod partition;
mod principal;

pub use arn::{Arn, RoleArn};
pub use ecs::{ClusterName, ServiceName, TaskDefinitionArn};
pub use kms::KmsKey;
pub use lambda::{AliasName, FunctionName};
pub use partition::Partition;
pub use principal::Principal;

use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

/// A twelve-digit AWS account ID. Text, because it may begin with zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

parsed_text!(AccountId, 0);

impl FromStr for AccountId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not an account ID"),
            &["an account ID has twelve digits; leading zeros count"],
        ))
    }
}

/// The name of a region of a partition that AWS has, such as `ca-central-1` or `eusc-de-east-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    text: String,
    partition: Partition,
}

parsed_text!(Region, text);

impl Region {
    /// The partition it is in.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The host of a service's regional endpoint (AWS General Reference, "AWS service endpoints").
    pub fn endpoint(&self, service: &str) -> String {
        format!("{service}.{}.{}", self.text, self.partition.dns_suffix())
    }

    /// The host of `account`'s private image registry (Amazon ECR User Guide, "Private registry").
    pub fn registry(&self, account: &AccountId) -> String {
        format!("{account}.dkr.{}", self.endpoint("ecr"))
    }
}

impl FromStr for Region {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let partition = Partition::of_region(text).ok_or_else(|| {
            Invalid::new(
                format!("`{text}` is not a region"),
                &["a region's name looks like `ca-central-1`"],
            )
        })?;
        Ok(Self {
            text: text.to_owned(),
            partition,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_twelve_digits_and_keeps_its_zeros() {
        let account: AccountId = "012345678901".parse().unwrap();
        assert_eq!(account.to_string(), "012345678901");
        for wrong in ["", "12345678901", "1234567890123", "12345678901x", "١٢٣٤٥٦"] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_region_leads_to_the_hosts_of_its_partition() {
        let account: AccountId = "111111111111".parse().unwrap();
        for (region, codebuild, registry) in [
            (
                "ca-central-1",
                "codebuild.ca-central-1.amazonaws.com",
                "111111111111.dkr.ecr.ca-central-1.amazonaws.com",
            ),
            (
                "us-gov-west-1",
                "codebuild.us-gov-west-1.amazonaws.com",
                "111111111111.dkr.ecr.us-gov-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                "codebuild.cn-north-1.amazonaws.com.cn",
                "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn",
            ),
            (
                "eusc-de-east-1",
                "codebuild.eusc-de-east-1.amazonaws.eu",
                "111111111111.dkr.ecr.eusc-de-east-1.amazonaws.eu",
            ),
        ] {
            let region: Region = region.parse().unwrap();
            assert_eq!(region.endpoint("codebuild"), codebuild);
            assert_eq!(region.registry(&account), registry);
        }
    }
}
