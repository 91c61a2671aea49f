//! How a plan differs from a plain one: its values, and the part of the infrastructure it is about.

use super::args::{Options, Values};
use crate::hash::{salted, sha256};
use kit::env::Env;
use kit::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

impl Values {
    /// As arguments of the tool.
    ///
    /// # Errors
    /// A file that is not there (exit 2).
    pub(crate) fn arguments(&self, directory: &Path) -> Result<Vec<String>> {
        for file in &self.var_file {
            let path = directory.join(file);
            if !path.is_file() {
                return Err(
                    Error::usage(format!("--var-file: {} is not a file", path.display())).hint(
                        "give its path from the folder of the infrastructure code, as Terraform takes it",
                    ),
                );
            }
        }
        let files = self.var_file.iter();
        Ok(files.map(|file| format!("-var-file={file}")).collect())
    }

    /// Each file's salted hash: what is in it may be secret.
    fn hashed(&self, salt: &str, directory: &Path) -> Result<BTreeMap<String, String>> {
        let mut hashes = BTreeMap::new();
        for (at, file) in self.var_file.iter().enumerate() {
            let path = directory.join(file);
            let bytes = std::fs::read(&path).map_err(|error| {
                Error::failed(format!("cannot read {}", path.display())).because(error)
            })?;
            // A later file replaces values of an earlier one, so their order counts.
            let name = format!("{}. {file}", at + 1);
            hashes.insert(name, salted(salt, file, &sha256(&bytes)));
        }
        Ok(hashes)
    }
}

impl Options {
    /// As arguments of the tool.
    ///
    /// # Errors
    /// A file of values that is not there (exit 2).
    pub(crate) fn arguments(&self, directory: &Path) -> Result<Vec<String>> {
        let mut arguments = self.values.arguments(directory)?;
        arguments.extend(self.words());
        Ok(arguments)
    }

    fn words(&self) -> Vec<String> {
        let named = |name: &str, addresses: &[String]| -> Vec<String> {
            let each = addresses.iter();
            each.map(|address| format!("-{name}={address}")).collect()
        };
        let mut words = named("target", &self.target);
        words.extend(named("replace", &self.replace));
        words.extend(self.destroy.then(|| "-destroy".to_owned()));
        words.extend(self.refresh_only.then(|| "-refresh-only".to_owned()));
        words
    }

    /// The options as the plan's envelope records them.
    ///
    /// # Errors
    /// A file of values cannot be read.
    pub(crate) fn chosen(&self, salt: &str, directory: &Path) -> Result<Chosen> {
        Ok(Chosen {
            words: self.words(),
            var_files: self.values.hashed(salt, directory)?,
        })
    }
}

/// Returns true if arguments, or those that the environment adds to them, choose a part of the
/// infrastructure. OpenTofu and Terraform before 1.8 do not say so in the plan.
pub(super) fn narrowed(arguments: &[&str], env: &Env) -> bool {
    let added = ["TF_CLI_ARGS", "TF_CLI_ARGS_plan"];
    let added = added.into_iter().filter_map(|name| env.get(name));
    let words = arguments.iter().copied();
    words
        .chain(added.flat_map(str::split_whitespace))
        .any(|word| {
            let word = word.trim_start_matches(['"', '\'']).trim_start_matches('-');
            ["target", "exclude"].iter().any(|name| {
                word.strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['=', '-']))
            })
        })
}

/// The options of a plan, as its envelope keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// As arguments of the tool.
    pub(crate) words: Vec<String>,
    /// Salted SHA-256 of each file of values, by its place and name.
    pub(crate) var_files: BTreeMap<String, String>,
}

impl Chosen {
    /// For people; nothing where nothing was chosen.
    pub(crate) fn shown(&self) -> Option<String> {
        let files = self.var_files.keys();
        let files = files.map(|name| name.split_once(". ").map_or(name.as_str(), |it| it.1));
        let mut parts: Vec<String> = files.map(|file| format!("--var-file {file}")).collect();
        parts.extend(self.words.iter().map(|word| {
            let word = word.trim_start_matches('-');
            format!("--{}", word.replacen('=', " ", 1))
        }));
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_tools_own_and_are_shown_as_ours() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prod.tfvars"), "a = 1").unwrap();
        let mut options = Options {
            values: Values {
                var_file: vec!["prod.tfvars".into()],
            },
            target: vec!["a.b[\"x, y\"]".into()],
            replace: vec!["a.c".into()],
            ..Options::default()
        };
        assert_eq!(
            options.arguments(folder.path()).unwrap(),
            [
                "-var-file=prod.tfvars",
                "-target=a.b[\"x, y\"]",
                "-replace=a.c"
            ]
        );
        let chosen = options.chosen("s", folder.path()).unwrap();
        assert_eq!(
            chosen.shown().unwrap(),
            "--var-file prod.tfvars --target a.b[\"x, y\"] --replace a.c"
        );
        std::fs::write(folder.path().join("prod.tfvars"), "a = 2").unwrap();
        assert_ne!(options.chosen("s", folder.path()).unwrap(), chosen);
        options.values.var_file = vec!["none.tfvars".into()];
        let error = options.arguments(folder.path()).unwrap_err();
        assert!(
            error.message.ends_with("none.tfvars is not a file"),
            "{error}"
        );
        assert_eq!(Chosen::default().shown(), None);
    }

    #[test]
    fn a_part_of_the_infrastructure_is_seen_however_it_was_chosen() {
        let none = Env::default();
        assert!(narrowed(&["-out=p", "-target=a.b"], &none));
        assert!(!narrowed(
            &["-out=target", "-var-file=target.tfvars"],
            &none
        ));
        for (name, words, wanted) in [
            ("TF_CLI_ARGS_plan", "-no-color --target a.b", true),
            ("TF_CLI_ARGS", "\"-exclude=a.b\"", true),
            ("TF_CLI_ARGS_plan", "-target-file=t", true),
            ("TF_CLI_ARGS_apply", "-target=a.b", false),
        ] {
            assert_eq!(
                narrowed(&[], &Env::from([(name, words)])),
                wanted,
                "{words}"
            );
        }
    }
}
