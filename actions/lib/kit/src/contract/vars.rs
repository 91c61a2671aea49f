//! Where `var:NAME` leads: GitHub's repository variables, handed over as one JSON object, or the
//! process environment.

use crate::env::Env;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// The variable that holds `${{ toJSON(vars) }}`.
const HANDED_OVER: &str = "SLIPWAY_VARS";

/// Repository variables and the process environment.
pub(super) struct Vars<'a> {
    repository: Option<BTreeMap<String, String>>,
    env: &'a Env,
}

impl<'a> Vars<'a> {
    /// # Errors
    /// `SLIPWAY_VARS` is there and is not a JSON object of texts (exit 2).
    pub(super) fn of(env: &'a Env) -> Result<Self> {
        let repository = env
            .get(HANDED_OVER)
            .map(serde_json::from_str::<Option<BTreeMap<String, String>>>)
            .transpose()
            .map_err(|error| {
                Error::usage(format!("{HANDED_OVER} is not a JSON object of texts"))
                    .because(error)
                    .hint("in a workflow: `SLIPWAY_VARS: ${{ toJSON(vars) }}`")
            })?
            .flatten();
        Ok(Self { repository, env })
    }

    /// The value of `name`: first as `NAME_ENVIRONMENT`, then as it is, each first among the
    /// repository variables. An empty value counts as none.
    pub(super) fn get(&self, name: &str, environment: Option<&str>) -> Option<String> {
        names(name, environment).iter().find_map(|name| {
            let handed_over = self.repository.as_ref().and_then(|all| all.get(name));
            handed_over
                .map(String::as_str)
                .filter(|value| !value.is_empty())
                .or_else(|| self.env.get(name))
                .map(str::to_owned)
        })
    }

    /// The hint about a variable that is not set.
    pub(super) fn hint(&self, name: &str, environment: Option<&str>) -> String {
        if self.repository.is_none() && self.env.get("GITHUB_ACTIONS") == Some("true") {
            return format!(
                "hand the repository's variables over: `{HANDED_OVER}: ${{{{ toJSON(vars) }}}}` under the step's `env`"
            );
        }
        format!(
            "set it as a repository variable or in the environment: {}",
            names(name, environment).join(" or ")
        )
    }
}

/// The names a variable may have, the more particular first. Repository variables are the same
/// for all environments, while a bucket's name is not.
fn names(name: &str, environment: Option<&str>) -> Vec<String> {
    environment
        .map(|environment| format!("{name}_{}", environment.to_uppercase().replace('-', "_")))
        .into_iter()
        .chain([name.to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_particular_name_wins_and_repository_variables_come_first() {
        let env = Env::from([
            (
                "SLIPWAY_VARS",
                r#"{"A":"repo","B_PRE_PROD":"repo-pre","D":""}"#,
            ),
            ("A", "process"),
            ("A_DEV", "process-dev"),
            ("B", "process"),
            ("C", "process"),
            ("D", "process"),
        ]);
        let vars = Vars::of(&env).unwrap();
        let get = |name, environment| vars.get(name, Some(environment)).unwrap_or_default();
        assert_eq!(get("A", "staging"), "repo");
        assert_eq!(get("A", "dev"), "process-dev");
        assert_eq!(get("B", "pre-prod"), "repo-pre");
        assert_eq!(get("C", "dev"), "process");
        assert_eq!(get("D", "dev"), "process");
        assert_eq!(vars.get("A_DEV", None).unwrap_or_default(), "process-dev");
        assert_eq!(vars.get("E", Some("dev")), None);
    }

    #[test]
    fn slipway_vars_must_be_a_json_object_of_strings() {
        assert!(Vars::of(&Env::from([("SLIPWAY_VARS", "null")])).is_ok());
        for wrong in ["{", "[]", r#"{"A":1}"#, "A=1"] {
            let error = Vars::of(&Env::from([("SLIPWAY_VARS", wrong)]))
                .map(drop)
                .unwrap_err();
            assert_eq!(error.exit(), crate::Exit::Usage, "{wrong}");
        }
    }
}
