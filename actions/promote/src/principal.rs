//! The AWS principal a run acts for, and the person that the contract maps it to.

use crate::check::{Fact, Unknown};
use crate::setting::Setting;
use kit::Cx;
use kit::aws;
use kit::contract::Person;
use kit::host::{Initiator, Kind};
use net::{Net, Target};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The identity behind this run, as AWS names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Principal {
    who: Who,
    /// The source of the name.
    source: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Who {
    Principal(aws::Principal),
    /// Something that is not a person, or cannot be told to be one.
    Other(String),
    Nobody,
}

impl Principal {
    /// In CodeBuild the initiator of the build; at a terminal the holder of the credentials.
    pub(crate) async fn of_run(cx: &Cx, net: &Net, setting: &Setting) -> Self {
        if cx.host.kind() == Kind::CodeBuild {
            return Self {
                who: match cx.host.initiator() {
                    Some(Initiator::Principal(principal)) => Who::Principal(principal),
                    Some(Initiator::Other(name)) => Who::Other(name),
                    None => Who::Nobody,
                },
                source: "CODEBUILD_INITIATOR".into(),
            };
        }
        let target = Target {
            region: setting.permit.region.clone(),
            allow_long_lived_keys: setting.permit.allow_long_lived_keys.clone(),
            ..Target::ambient()
        };
        let arn = net.account(&target).await.ok().map(|account| account.arn);
        Self {
            who: match arn.map(|arn| arn.as_str().parse().map_err(|_| arn)) {
                Some(Ok(principal)) => Who::Principal(principal),
                Some(Err(arn)) => Who::Other(arn.to_string()),
                None => Who::Nobody,
            },
            source: "STS".into(),
        }
    }

    /// The GitHub login of the person that the contract's `people` maps the principal to: by the whole
    /// of it, since a session of any role in any account can have any name.
    pub(crate) fn login(&self, people: &BTreeMap<String, Person>) -> Fact<String> {
        let principal = match &self.who {
            Who::Principal(principal) => principal,
            Who::Other(_) => {
                return Err(Unknown::new(
                    format!("{self} is not a person"),
                    "have a person start it: a pipeline, a rule or a webhook is not a person",
                ));
            }
            Who::Nobody => {
                return Err(Unknown::new(
                    format!("{} does not name the person who started this", self.source),
                    "start it as a person listed under `people` in the contract",
                ));
            }
        };
        let owns = |person: &Person| person.aws.contains(principal);
        let mut logins = people.iter().filter(|(_, person)| owns(person));
        match (logins.next(), logins.next()) {
            (Some((login, _)), None) => Ok(login.clone()),
            (None, _) => Err(Unknown::new(
                format!("the contract does not list {self} under `people`"),
                format!(
                    "write this in `people` of the contract, with the person's GitHub login: `LOGIN: [{principal}]`"
                ),
            )),
            (Some(_), Some(_)) => Err(Unknown::new(
                format!("the contract lists {self} for several people"),
                "give it to one of them",
            )),
        }
    }

    /// The name to put on record, which is never mistaken for a login.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.who {
            Who::Principal(principal) => Some(principal.to_string()),
            Who::Other(_) => Some(self.to_string()),
            Who::Nobody => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.source;
        match &self.who {
            Who::Principal(principal) => write!(f, "{principal} ({source})"),
            Who::Other(name) => write!(f, "{name} ({source})"),
            Who::Nobody => write!(f, "somebody ({source})"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The ARN of a session in the account of these tests.
    pub(crate) fn session(name: &str) -> String {
        format!("arn:aws:sts::012345678901:assumed-role/{name}")
    }

    pub(crate) fn principal(name: Option<&str>) -> Principal {
        Principal {
            who: match name.map(|name| name.parse().map_err(|_| name.to_owned())) {
                Some(Ok(principal)) => Who::Principal(principal),
                Some(Err(name)) => Who::Other(name),
                None => Who::Nobody,
            },
            source: "STS".into(),
        }
    }

    /// Alice and Bob, and two people who share a session.
    pub(crate) fn people() -> BTreeMap<String, Person> {
        let named = |names: &[&str]| Person {
            aws: names
                .iter()
                .map(|name| session(name).parse().unwrap())
                .collect(),
            ..Person::default()
        };
        let both = "Operators/both";
        BTreeMap::from([
            ("alice".to_owned(), named(&["Operators/alice@acme"])),
            ("bob".to_owned(), named(&["Operators/bob@acme", both])),
            ("carol".to_owned(), named(&[both])),
        ])
    }

    #[test]
    fn a_principal_is_one_person_or_unknown() {
        let login = |name: Option<&str>| principal(name).login(&people());
        let known = session("Operators/alice@acme");
        assert_eq!(login(Some(&known)).unwrap(), "alice");
        for nobody in [
            None,
            Some("alice@acme"),
            Some("Operators/alice@acme"),
            Some("codepipeline/alice@acme"),
            // The same name in another role, account or partition, or of another kind.
            Some(&*session("Builders/alice@acme")),
            Some("arn:aws:sts::999999999999:assumed-role/Operators/alice@acme"),
            Some("arn:aws-cn:sts::012345678901:assumed-role/Operators/alice@acme"),
            Some("arn:aws:iam::012345678901:user/alice@acme"),
            Some(&*session("Operators/both")),
        ] {
            login(nobody).unwrap_err();
        }
        let stranger = session("Builders/alice@acme");
        let unknown = login(Some(&stranger)).unwrap_err();
        assert!(unknown.why.contains(&stranger), "{}", unknown.why);
        let line = format!("LOGIN: [{stranger}]");
        assert!(unknown.next.contains(&line), "{}", unknown.next);
    }
}
