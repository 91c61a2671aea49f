//! The AWS principal a run acts for, and which person the contract says that is.

use crate::check::{Fact, Unknown};
use crate::setting::Setting;
use kit::Cx;
use kit::host::Kind;
use net::{Net, Target};
use std::collections::BTreeMap;
use std::fmt;

/// A principal as AWS names it, if it does.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) name: Option<String>,
    /// What names it.
    source: &'static str,
}

impl Principal {
    /// Whom CodeBuild says started the build; at a terminal, who holds the credentials.
    pub(crate) async fn seen(cx: &Cx, net: &Net, setting: &Setting) -> Self {
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

    /// The GitHub login of the one person it is, by the contract's `people`.
    pub(crate) fn login(&self, people: &BTreeMap<String, Vec<String>>) -> Fact<String> {
        let Some(name) = &self.name else {
            return Err(Unknown::new(
                format!("{} does not say who started this", self.source),
                "start it as a person the contract's `people` names",
            ));
        };
        // CodeBuild's form for a person's session is ROLE/SESSION; a pipeline's is
        // codepipeline/NAME, and a pipeline named like a person is none.
        let session = match name.rsplit_once('/') {
            Some(("codepipeline", _)) => None,
            Some((_, session)) => Some(session),
            None => Some(name.as_str()),
        };
        let logins: Vec<&String> = people
            .iter()
            .filter(|(_, sessions)| sessions.iter().any(|known| Some(known.as_str()) == session))
            .map(|(login, _)| login)
            .collect();
        match logins.as_slice() {
            [login] => Ok((*login).clone()),
            [] => Err(Unknown::new(
                format!("{self} is nobody the contract knows"),
                "name the person under `people` in the contract",
            )),
            several => Err(Unknown::new(
                format!("{self} is {} people in the contract", several.len()),
                "give each person a session name of their own under `people`",
            )),
        }
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

    /// Alice, and two who share a session name.
    pub(crate) fn people() -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([
            ("alice".to_owned(), vec!["alice@acme".to_owned()]),
            (
                "bob".to_owned(),
                vec!["bob@acme".to_owned(), "both".to_owned()],
            ),
            ("carol".to_owned(), vec!["both".to_owned()]),
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
