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

    /// All variables, for a child process; the action's own inputs are left out.
    pub fn for_child(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !name.starts_with("INPUT_") && !name.starts_with("STATE_"))
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
        let env = Env::from([("TOKEN", "hunter2"), ("INPUT_X", "1"), ("STATE_y", "2")]);
        assert_eq!(format!("{env:?}"), r#"{"INPUT_X", "STATE_y", "TOKEN"}"#);
        assert_eq!(env.for_child().collect::<Vec<_>>(), [("TOKEN", "hunter2")]);
    }
}
