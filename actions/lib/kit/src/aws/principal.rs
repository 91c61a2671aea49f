//! A principal of AWS: a session of a role, or a user, by account and name.

use super::{AccountId, Arn, Partition};
use crate::id::{Invalid, parsed_text};
use std::str::FromStr;

/// The ARN of a session, `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or of a user,
/// `arn:PARTITION:iam::ACCOUNT:user/NAME`, as `aws sts get-caller-identity` prints it. A user's path
/// is left out, because CodeBuild leaves it out; no two users of an account differ by their paths
/// alone (IAM User Guide, "IAM identifiers").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    text: String,
}

parsed_text!(Principal, text);

impl Principal {
    /// A session of a role. The role's name is without its path, as STS writes it.
    ///
    /// # Errors
    /// Names that AWS does not give.
    pub fn session(
        partition: Partition,
        account: &AccountId,
        role: &str,
        session: &str,
    ) -> Result<Self, Invalid> {
        format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}").parse()
    }

    /// A user.
    ///
    /// # Errors
    /// A name that AWS does not give.
    pub fn user(partition: Partition, account: &AccountId, name: &str) -> Result<Self, Invalid> {
        format!("arn:{partition}:iam::{account}:user/{name}").parse()
    }
}

impl FromStr for Principal {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_name = |name: &str, least: usize| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
            (least..=64).contains(&name.len()) && name.bytes().all(known)
        };
        let parse = || {
            let arn: Arn = text.parse().ok()?;
            let (partition, account) = (arn.partition, arn.account?);
            if arn.region.is_some() {
                return None;
            }
            let (kind, rest) = arn.resource.split_once('/')?;
            match (arn.service.as_str(), kind) {
                ("sts", "assumed-role") => {
                    let (role, session) = rest.split_once('/')?;
                    (is_name(role, 1) && is_name(session, 2)).then_some(arn.text)
                }
                ("iam", "user") => {
                    let name = rest.rsplit('/').next().filter(|name| is_name(name, 1))?;
                    Some(format!("arn:{partition}:iam::{account}:user/{name}"))
                }
                _ => None,
            }
        };
        let text = parse().ok_or_else(|| {
            Invalid::new(
                format!("`{text}` is not a principal in AWS"),
                &["a session's ARN looks like arn:aws:sts::123456789012:assumed-role/ROLE/SESSION"],
            )
        })?;
        Ok(Self { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_and_a_user_are_known_by_account_and_name() {
        let account: AccountId = "012345678901".parse().unwrap();
        let sso = "AWSReservedSSO_Release_0123456789abcdef";
        let session = Principal::session(Partition::Aws, &account, sso, "ada@acme.example");
        let text = format!("arn:aws:sts::012345678901:assumed-role/{sso}/ada@acme.example");
        assert_eq!(session.unwrap(), text.as_str());
        let user = Principal::user(Partition::China, &account, "ada").unwrap();
        assert_eq!(user, "arn:aws-cn:iam::012345678901:user/ada");
        let with_a_path: Principal = "arn:aws-cn:iam::012345678901:user/team/ada"
            .parse()
            .unwrap();
        assert_eq!(with_a_path, user);
        for wrong in [
            "",
            "ada@acme.example",
            "Operators/ada@acme.example",
            "arn:aws:sts::012345678901:assumed-role/Operators",
            "arn:aws:sts::012345678901:assumed-role/Operators/a",
            "arn:aws:sts::012345678901:assumed-role//ada",
            "arn:aws:sts::012345678901:assumed-role/team/Operators/ada",
            "arn:aws:sts::012345678901:federated-user/ada",
            "arn:aws:sts:us-east-1:012345678901:assumed-role/Operators/ada",
            "arn:aws:iam::012345678901:role/Operators",
            "arn:aws:iam::012345678901:root",
            "arn:aws:iam::012345678901:user/",
            "arn:aws:iam:::user/ada",
            "arn:aws-mars:iam::012345678901:user/ada",
        ] {
            assert!(wrong.parse::<Principal>().is_err(), "{wrong}");
        }
    }
}
