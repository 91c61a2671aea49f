//! Registries that an account's clients reach without the front between: for measuring, where the front's own work would
//! count as the client's. They know none of ECR's rules, and their password is the token.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;

use crate::{Distribution, lock};

/// The accounts that have one.
#[derive(Default)]
pub(crate) struct Direct(Mutex<HashMap<String, Distribution>>);

/// A setting from the control interface.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    account: String,
    /// None: the front is the account's registry again.
    registry: Option<Registry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    url: String,
    user: String,
    password: String,
}

impl Direct {
    pub(crate) fn set(&self, setting: Setting) {
        let mut accounts = lock(&self.0);
        match setting.registry {
            Some(Registry {
                url,
                user,
                password,
            }) => accounts.insert(
                setting.account,
                Distribution {
                    url,
                    user,
                    password,
                },
            ),
            None => accounts.remove(&setting.account),
        };
    }

    pub(crate) fn of(&self, account: &str) -> Option<Distribution> {
        lock(&self.0).get(account).cloned()
    }

    /// The registry of the account that a repository's path begins with, and the name that clients push it under.
    pub(crate) fn holding<'a>(&self, path: &'a str) -> Option<(Distribution, &'a str)> {
        let (account, rest) = path.split_once('/')?;
        let (_region, rest) = rest.split_once('/')?;
        let (name, _created) = rest.rsplit_once('/')?;
        Some((self.of(account)?, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_accounts_own_registry_under_the_plain_name() {
        let direct = Direct::default();
        let setting = |registry: serde_json::Value| {
            let json = serde_json::json!({"account": "111111111111", "registry": registry});
            serde_json::from_value(json).unwrap()
        };
        let path = "111111111111/ca-central-1/acme/web/20261121";
        assert!(direct.holding(path).is_none());
        direct.set(setting(
            serde_json::json!({"url": "http://127.0.0.1:1", "user": "AWS", "password": "p"}),
        ));
        let (registry, name) = direct.holding(path).unwrap();
        assert_eq!(
            (registry.url.as_str(), name),
            ("http://127.0.0.1:1", "acme/web")
        );
        assert!(direct.holding("222222222222/r/n/0").is_none());
        direct.set(setting(serde_json::Value::Null));
        assert!(direct.of("111111111111").is_none());
    }
}
