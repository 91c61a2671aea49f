//! The AWS principal a run acts for, and the person that the contract maps it to.

use crate::check::{Fact, Unknown};
use crate::setting::Setting;
use kit::Cx;
use kit::contract::Person;
use kit::host::Kind;
use net::{Net, Target};
use std::collections::BTreeMap;
use std::fmt;

/// A principal under its AWS name, if it is known.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) name: Option<String>,
    /// The source of the name.
    source: &'static str,
}

impl Principal {
    /// In CodeBuild the initiator of the build; at a terminal the holder of the credentials.
    pub(crate) async fn of_run(cx: &Cx, net: &Net, setting: &Setting) -> Self {
        if cx.host.kind() == Kind::CodeBuild {
            return Self {
                name: cx.host.actor(),
                source: "CODEBUILD_INITIATOR",
            };
        }
        let account = net
            .account(&Target {
                region: setting.permit.region.clone(),
                allow_long_lived_keys: setting.permit.allow_long_lived_keys.clone(),
                ..Target::ambient()
            })
            .await
            .ok();
        Self {
            name: account
                .and_then(|account| account.arn.resource.rsplit('/').next().map(str::to_owned)),
            source: "STS",
        }
    }

    /// The GitHub login of the person that the contract's `people` maps the principal to.
    pub(crate) fn login(&self, people: &BTreeMap<String, Person>) -> Fact<String> {
        let Some(name) = &self.name else {
            return Err(Unknown::new(
                format!("{} does not name the person who started this", self.source),
                "start it as a person listed under `people` in the contract",
            ));
        };
        let session = session(name);
        let logins: Vec<&String> = people
            .iter()
            .filter(|(_, person)| {
                person
                    .aws
                    .iter()
                    .any(|known| Some(known.as_str()) == session)
            })
            .map(|(login, _)| login)
            .collect();
        match logins.as_slice() {
            [login] => Ok((*login).clone()),
            [] => Err(Unknown::new(
                format!("the contract does not list {self} under `people`"),
                "list the session name under `people` in the contract, at the person's GitHub login",
            )),
            several => Err(Unknown::new(
                format!("the contract lists {self} for {} people", several.len()),
                "give each person under `people` a session name of their own",
            )),
        }
    }
}

/// The session in the name of a principal. CodeBuild writes a person's session as ROLE/SESSION and a
/// pipeline as codepipeline/NAME. A pipeline with the name of a person's session is not that person.
pub(crate) fn session(name: &str) -> Option<&str> {
    match name.rsplit_once('/') {
        Some(("codepipeline", _)) => None,
        Some((_, session)) => Some(session),
        None => Some(name),
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("somebody");
        write!(f, "{name} ({})", self.source)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn principal(name: Option<&str>) -> Principal {
        Principal {
            name: name.map(str::to_owned),
            source: "STS",
        }
    }

    /// Alice, and two people who share a session name.
    pub(crate) fn people() -> BTreeMap<String, Person> {
        let named = |names: &[&str]| Person {
            aws: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Person::default()
        };
        BTreeMap::from([
            ("alice".to_owned(), named(&["alice@acme"])),
            ("bob".to_owned(), named(&["bob@acme", "both"])),
            ("carol".to_owned(), named(&["both"])),
        ])
    }

    #[test]
    fn a_principal_is_one_person_or_unknown() {
        let login = |name| principal(name).login(&people());
        assert_eq!(login(Some("alice@acme")).unwrap(), "alice");
        assert_eq!(login(Some("Operators/bob@acme")).unwrap(), "bob");
        for nobody in [
            None,
            Some("mallory"),
            Some("both"),
            Some("Operators/both"),
            Some("codepipeline/alice@acme"),
        ] {
            login(nobody).unwrap_err();
        }
    }
}
