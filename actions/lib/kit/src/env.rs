//! The process environment, taken once, so that tests can hand in another.

use std::collections::BTreeMap;

/// A snapshot of environment variables. An empty value counts as absent, because GitHub passes
/// every input that was not given as an empty `INPUT_*`.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of this process; variables that are not UTF-8 are left out.
    pub fn process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`, unless it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The action input `name` (kebab-case): GitHub spells it `INPUT_A-B`, hand-written
    /// workflows `INPUT_A_B`.
    pub fn input(&self, name: &str) -> Option<&str> {
        let [hyphens, underscores] = input_names(name);
        self.get(&hyphens).or_else(|| self.get(&underscores))
    }

    /// The variables in which a runner hands over inputs, without those that are empty. It writes
    /// an input's name in capitals.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &String> {
        let given = |name: &str| {
            name.strip_prefix("INPUT_")
                .is_some_and(|rest| !rest.is_empty() && rest == rest.to_uppercase())
        };
        self.0
            .iter()
            .filter(move |(name, value)| given(name) && !value.is_empty())
            .map(|(name, _)| name)
    }

    /// The variables for a child process: without the action's own inputs, and without what would
    /// let the child be this job rather than do its work: ask for identity tokens, speak to the
    /// runner's services or to GitHub's API, or steer the steps that come after. All files of one step
    /// have names that differ in their beginnings alone, so the name of one is the name of each.
    pub fn for_child(&self) -> impl Iterator<Item = (&str, &str)> {
        const WITHHELD: [&str; 9] = [
            "GITHUB_ENV",
            "GITHUB_PATH",
            "GITHUB_STATE",
            "GITHUB_OUTPUT",
            "GITHUB_STEP_SUMMARY",
            "SLIPWAY_OUTPUT",
            "GITHUB_TOKEN",
            "SLIPWAY_GITHUB_TOKEN",
            "CONTRACT_TOKEN",
        ];
        const WITHHELD_PREFIXES: [&str; 5] = [
            "INPUT_",
            "STATE_",
            "ACTIONS_ID_TOKEN_REQUEST_",
            "ACTIONS_RUNTIME_",
            "AWS_CONTAINER_",
        ];
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| {
                !WITHHELD.contains(name)
                    && !WITHHELD_PREFIXES
                        .iter()
                        .any(|prefix| name.starts_with(prefix))
            })
    }
}

/// The two variables an action input may arrive in, GitHub's own spelling first.
pub(crate) fn input_names(name: &str) -> [String; 2] {
    let upper = name.to_uppercase();
    [
        format!("INPUT_{upper}"),
        format!("INPUT_{}", upper.replace('-', "_")),
    ]
}

impl std::fmt::Debug for Env {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(variables: [(&str, &str); N]) -> Self {
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_input_is_absent_and_both_spellings_work() {
        let env = Env::from([("INPUT_A-B", ""), ("INPUT_A_B", "x"), ("INPUT_C-D", "y")]);
        assert_eq!(env.input("a-b"), Some("x"));
        assert_eq!(env.input("c-d"), Some("y"));
        assert_eq!(env.input("e"), None);
    }

    #[test]
    fn debug_holds_no_value_and_children_get_no_inputs() {
        let env = Env::from([
            ("TOKEN", "hunter2"),
            ("INPUT_X", "1"),
            ("STATE_y", "2"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "3"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "4"),
            ("ACTIONS_RUNTIME_TOKEN", "5"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "6"),
            ("GITHUB_ENV", "7"),
            ("GITHUB_OUTPUT", "8"),
            ("GITHUB_STEP_SUMMARY", "9"),
            ("GITHUB_TOKEN", "10"),
            ("SLIPWAY_GITHUB_TOKEN", "11"),
            ("CONTRACT_TOKEN", "12"),
        ]);
        assert!(!format!("{env:?}").contains("hunter2"));
        assert_eq!(env.for_child().collect::<Vec<_>>(), [("TOKEN", "hunter2")]);
    }
}
