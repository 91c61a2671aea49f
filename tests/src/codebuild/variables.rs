//! The environment variables of a build: whose value wins, and which go on to the next stage.

use std::collections::BTreeMap;

use crate::fault::{Fault, Result};
use crate::world::runner::Variables;

/// Where a variable's value comes from (CodeBuild API Reference, EnvironmentVariable, `type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// PLAINTEXT: the value itself.
    Plain(String),
    /// PARAMETER_STORE: the parameter's name.
    Parameter(String),
    /// SECRETS_MANAGER: `SECRET[:JSON-KEY[:VERSION-STAGE[:VERSION-ID]]]`.
    Secret(String),
}

/// Variables by name, as a buildspec, a project or a call gives them.
pub type Given = BTreeMap<String, Variable>;

/// Plain values as given variables.
pub(super) fn plain(variables: Variables) -> Given {
    variables
        .into_iter()
        .map(|(name, value)| (name, Variable::Plain(value)))
        .collect()
}

/// The variables of a build. The call that starts it wins over the project, and that over the buildspec.
pub(super) fn layered(buildspec: &Given, project: &Given, start: &Given) -> Result<Given> {
    let mut all = Given::new();
    for layer in [buildspec, project, start] {
        for (name, variable) in layer {
            check_name(name)?;
            all.insert(name.clone(), variable.clone());
        }
    }
    Ok(all)
}

/// Refuses what a shell could not take, and the prefix that CodeBuild keeps to itself.
pub(super) fn check_name(name: &str) -> Result<()> {
    if !is_name(name) {
        return Err(Fault::new(format!("{name:?} is not a variable's name")));
    }
    if name.starts_with("CODEBUILD_") {
        return Err(Fault::new(format!(
            "{name}: names that start with CODEBUILD_ are CodeBuild's own"
        )));
    }
    Ok(())
}

/// Returns true if a shell can have a variable of this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The variables that go on to the next stage, and the listed ones that do not, with the reason: those whose name starts with
/// AWS_, those from the Parameter Store or Secrets Manager, and those that the build never set.
pub(super) fn exported<'n>(
    listed: &'n [String],
    given: &Given,
    environment: &Variables,
) -> (BTreeMap<String, String>, Vec<(&'n str, &'static str)>) {
    let mut exported = BTreeMap::new();
    let mut skipped = Vec::new();
    for name in listed {
        let stored = matches!(
            given.get(name),
            Some(Variable::Parameter(_) | Variable::Secret(_))
        );
        match environment.get(name) {
            _ if name.starts_with("AWS_") => {
                skipped.push((name.as_str(), "its name starts with AWS_"))
            }
            _ if stored => skipped.push((name.as_str(), "it is a stored secret")),
            None => skipped.push((name.as_str(), "the build did not set it")),
            Some(value) => {
                exported.insert(name.clone(), value.clone());
            }
        }
    }
    (exported, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Variable::Plain((*value).to_owned())))
            .collect()
    }

    #[test]
    fn the_call_wins_over_the_project_and_the_project_over_the_buildspec() {
        let buildspec = given(&[("A", "buildspec"), ("B", "buildspec"), ("C", "buildspec")]);
        let project = given(&[("B", "project"), ("C", "project")]);
        let start = given(&[("C", "start")]);
        let all = layered(&buildspec, &project, &start).unwrap();
        assert_eq!(
            all,
            given(&[("A", "buildspec"), ("B", "project"), ("C", "start")])
        );
    }

    #[test]
    fn a_stored_variable_gives_way_as_a_plain_one_does() {
        let buildspec = Given::from([("A".to_owned(), Variable::Secret("s".to_owned()))]);
        let all = layered(&buildspec, &Given::new(), &given(&[("A", "plain")])).unwrap();
        assert_eq!(all, given(&[("A", "plain")]));
    }

    #[test]
    fn nobody_sets_codebuilds_own_variables() {
        let start = given(&[("CODEBUILD_INITIATOR", "somebody-else")]);
        let fault = layered(&Given::new(), &Given::new(), &start).unwrap_err();
        assert!(fault.to_string().contains("CODEBUILD_INITIATOR"));
    }

    #[test]
    fn secrets_and_aws_variables_are_not_exported() {
        let mut given = given(&[("PLAIN", "x")]);
        given.insert("PARAMETER".to_owned(), Variable::Parameter("/p".to_owned()));
        given.insert("SECRET".to_owned(), Variable::Secret("s".to_owned()));
        let environment: Variables = [
            ("PLAIN", "1"),
            ("PARAMETER", "2"),
            ("SECRET", "3"),
            ("AWS_X", "4"),
            ("MADE", "5"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let listed = ["PLAIN", "PARAMETER", "SECRET", "AWS_X", "MADE", "NEVER"].map(str::to_owned);
        let (exported, skipped) = exported(&listed, &given, &environment);
        assert_eq!(
            exported,
            BTreeMap::from([("PLAIN".into(), "1".into()), ("MADE".into(), "5".into())])
        );
        let skipped: Vec<&str> = skipped.into_iter().map(|(name, _)| name).collect();
        assert_eq!(skipped, ["PARAMETER", "SECRET", "AWS_X", "NEVER"]);
    }
}
