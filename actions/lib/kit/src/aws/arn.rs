//! Amazon Resource Names, `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`
//! (AWS General Reference, "Amazon Resource Names").

use super::{AccountId, Partition, Region};
use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

/// An ARN, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    pub(super) text: String,
    /// The partition.
    pub partition: Partition,
    /// The service's name in ARNs, such as `iam`.
    pub service: String,
    /// The region; global resources have none.
    pub region: Option<Region>,
    /// The account; buckets, for example, have none.
    pub account: Option<AccountId>,
    /// Everything after the account, such as `role/NAME`.
    pub resource: String,
}

parsed_text!(Arn, text);

impl Arn {
    /// The ARN of what `resource` names.
    pub fn new(
        partition: Partition,
        service: &str,
        region: Option<&Region>,
        account: Option<&AccountId>,
        resource: &str,
    ) -> Self {
        let place = (
            region.map_or("", Region::as_str),
            account.map_or("", AccountId::as_str),
        );
        Self {
            text: format!(
                "arn:{partition}:{service}:{}:{}:{resource}",
                place.0, place.1
            ),
            partition,
            service: service.to_owned(),
            region: region.cloned(),
            account: account.cloned(),
            resource: resource.to_owned(),
        }
    }

    /// The role behind a session of STS, without the role's path, which STS leaves out: account and
    /// name of `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    pub fn session_role(&self) -> Option<(&AccountId, &str)> {
        if self.service != "sts" {
            return None;
        }
        let name = self.resource.strip_prefix("assumed-role/")?;
        let name = name.split('/').next().filter(|name| !name.is_empty())?;
        Some((self.account.as_ref()?, name))
    }
}

impl FromStr for Arn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let parts: Vec<&str> = text.splitn(6, ':').collect();
            let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
                return None;
            };
            if service.is_empty() || resource.is_empty() || text.contains(char::is_whitespace) {
                return None;
            }
            Some(Self {
                text: text.to_owned(),
                partition: partition.parse().ok()?,
                service: (*service).to_owned(),
                region: optional(region)?,
                account: optional(account)?,
                resource: (*resource).to_owned(),
            })
        };
        parse().ok_or_else(|| {
            Invalid::new(
                format!("`{text}` is not an ARN"),
                &["an ARN is arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"],
            )
        })
    }
}

/// `None` for text that does not parse, `Some(None)` for a part that is left empty.
fn optional<T: FromStr>(part: &str) -> Option<Option<T>> {
    match part {
        "" => Some(None),
        part => part.parse().ok().map(Some),
    }
}

/// The ARN of a role, `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME` (IAM User Guide, "IAM
/// identifiers").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    text: String,
    partition: Partition,
    account: AccountId,
}

parsed_text!(RoleArn, text);

impl RoleArn {
    /// The role `name`, which may have a path in front, in `account`.
    ///
    /// # Errors
    /// A name that no role can have.
    pub fn new(partition: Partition, account: &AccountId, name: &str) -> Result<Self, Invalid> {
        format!("arn:{partition}:iam::{account}:role/{name}").parse()
    }

    /// The partition it is in.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The account it is in.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its name without its path.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Returns whether `caller` is a session of this role. Two roles of one account cannot have the same
    /// name, whatever their paths.
    pub fn is_behind(&self, caller: &Arn) -> bool {
        caller.session_role() == Some((&self.account, self.name()))
    }
}

impl FromStr for RoleArn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_name = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
        };
        let parse = || {
            let arn: Arn = text.parse().ok()?;
            let name = arn.resource.strip_prefix("role/")?;
            (arn.service == "iam" && arn.region.is_none() && name.split('/').all(is_name))
                .then_some(Self {
                    text: arn.text,
                    partition: arn.partition,
                    account: arn.account?,
                })
        };
        parse().ok_or_else(|| {
            Invalid::new(
                format!("`{text}` is not the ARN of a role"),
                &["a role's ARN looks like arn:aws:iam::123456789012:role/NAME"],
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart_and_put_together_again() {
        for (text, region, account, resource) in [
            (
                "arn:aws:codebuild:eu-west-1:111111111111:build/deploy:6f-1",
                Some("eu-west-1"),
                Some("111111111111"),
                "build/deploy:6f-1",
            ),
            (
                "arn:aws-eusc:ecs:eusc-de-east-1:012345678901:service/a/b",
                Some("eusc-de-east-1"),
                Some("012345678901"),
                "service/a/b",
            ),
            ("arn:aws-cn:s3:::bucket/key", None, None, "bucket/key"),
        ] {
            let arn: Arn = text.parse().unwrap();
            assert_eq!(arn.region.as_ref().map(Region::as_str), region);
            assert_eq!(arn.account.as_ref().map(AccountId::as_str), account);
            assert_eq!((arn.resource.as_str(), arn.as_str()), (resource, text));
            let Arn {
                partition,
                service,
                region,
                account,
                ..
            } = &arn;
            let made = Arn::new(
                *partition,
                service,
                region.as_ref(),
                account.as_ref(),
                resource,
            );
            assert_eq!(made, arn);
        }
        for wrong in [
            "",
            "arn",
            "arn:aws:s3:::",
            "arn:aws-mars:s3:::b",
            "arn:aws:ecs:nowhere:111111111111:service/a",
            "arn:aws:ecs:eu-west-1:1:service/a",
            "arn:aws:s3:::a b",
        ] {
            assert!(wrong.parse::<Arn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_is_known_by_its_arn() {
        for (text, account, name) in [
            (
                "arn:aws:iam::111111111111:role/deploy",
                "111111111111",
                "deploy",
            ),
            (
                "arn:aws-cn:iam::111111111111:role/team/deploy",
                "111111111111",
                "deploy",
            ),
        ] {
            let role: RoleArn = text.parse().unwrap();
            assert_eq!((role.account().as_str(), role.name()), (account, name));
        }
        for wrong in [
            "",
            "deploy",
            "arn:aws:iam::1111:role/deploy",
            "arn:aws:iam::111111111111:user/deploy",
            "arn:aws:iam::111111111111:role/",
            "arn:aws:iam::111111111111:role/a//b",
            "arn:aws:iam::111111111111:role/deploy x",
            "arn:aws:sts::111111111111:assumed-role/deploy/session",
        ] {
            assert!(wrong.parse::<RoleArn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_is_matched_to_its_role_and_account() {
        let session: Arn = "arn:aws:sts::111111111111:assumed-role/deploy/gh-1"
            .parse()
            .unwrap();
        let user: Arn = "arn:aws:iam::111111111111:user/deploy".parse().unwrap();
        for (role, caller, behind) in [
            ("arn:aws:iam::111111111111:role/team/deploy", &session, true),
            ("arn:aws:iam::222222222222:role/deploy", &session, false),
            ("arn:aws:iam::111111111111:role/deployer", &session, false),
            ("arn:aws:iam::111111111111:role/deploy", &user, false),
        ] {
            let role: RoleArn = role.parse().unwrap();
            assert_eq!(role.is_behind(caller), behind, "{role} {caller}");
        }
    }
}
