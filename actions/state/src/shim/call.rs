//! One call of Terraform or OpenTofu: its subcommand, and every word that reaches it. Pure.
//! Sources: terraform `main.go` (`-chdir`, `TF_CLI_ARGS`), hashicorp/cli `processArgs`.

use super::words::{self, LockFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A call as the shim reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The arguments, without the program's name.
    pub(crate) arguments: Vec<String>,
    /// Variables that decide about the state: `TF_*`, and those of `AWS_*` that choose an endpoint
    /// or the credentials. No secret is among them.
    pub(crate) variables: BTreeMap<String, String>,
    /// Why the call cannot be read, if it cannot: words or variables that are not UTF-8.
    pub(crate) unreadable: Option<String>,
}

/// The kinds of subcommands, as far as locks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Configures the backend. It locks only what it migrates.
    Init,
    /// Locks the state, unless told otherwise.
    Locking,
    /// Anything else.
    Other,
}

/// Subcommands that have others below them.
const PARENTS: [&str; 5] = ["state", "workspace", "env", "providers", "metadata"];

/// Subcommands that lock the state of the selected workspace (`terraform COMMAND -help` of 1.11
/// lists `-lock`).
const LOCKING: [&str; 11] = [
    "plan",
    "apply",
    "destroy",
    "refresh",
    "import",
    "taint",
    "untaint",
    "state mv",
    "state rm",
    "state push",
    "state replace-provider",
];

/// Subcommands that lock nothing, whatever they are told.
const LOCK_FREE: [&str; 18] = [
    "",
    "console",
    "fmt",
    "get",
    "graph",
    "login",
    "logout",
    "modules",
    "output",
    "providers",
    "providers schema",
    "show",
    "state list",
    "state pull",
    "state show",
    "validate",
    "version",
    "workspace list",
];

/// Flags of these subcommands that take the next word as their value, if they have no `=`.
const VALUED: [&str; 16] = [
    "var",
    "var-file",
    "target",
    "target-file",
    "exclude",
    "exclude-file",
    "replace",
    "state",
    "state-out",
    "backup",
    "parallelism",
    "lock-timeout",
    "out",
    "generate-config-out",
    "config",
    "provider",
];

/// A variable whose words cannot be read as Terraform reads them, by its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable {0} cannot be read as Terraform reads it")]
pub(crate) struct UnreadableVariable(String);

impl Call {
    /// The index of the subcommand among the arguments, and its number of words.
    fn subcommand_span(&self) -> Option<(usize, usize)> {
        let at = self
            .arguments
            .iter()
            .position(|word| !word.starts_with('-') && !word.is_empty())?;
        let below = self
            .arguments
            .get(at + 1)
            .is_some_and(|next| !next.starts_with('-') && !next.is_empty());
        let nested = PARENTS.contains(&self.arguments[at].as_str()) && below;
        Some((at, if nested { 2 } else { 1 }))
    }

    /// The subcommand, e.g. `apply` or `state mv`.
    pub(crate) fn subcommand(&self) -> String {
        self.subcommand_span()
            .map_or_else(String::new, |(at, length)| {
                self.arguments[at..at + length].join(" ")
            })
    }

    /// The arguments with `further` ones directly after the subcommand, where its flags stand.
    pub(crate) fn with(&self, further: &[String]) -> Vec<String> {
        let at = self.subcommand_span().map_or(0, |(at, length)| at + length);
        let (before, after) = self.arguments.split_at(at);
        [before, further, after].concat()
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.subcommand().as_str() {
            "init" => Kind::Init,
            locking if LOCKING.contains(&locking) => Kind::Locking,
            _ => Kind::Other,
        }
    }

    /// Returns true if it locks nothing, whatever its words and variables say.
    pub(super) fn is_lock_free(&self) -> bool {
        LOCK_FREE.contains(&self.subcommand().as_str())
    }

    /// Returns true if it uses the providers and modules that were installed, and may change something by them.
    pub(super) fn uses_installed(&self) -> bool {
        self.kind() == Kind::Locking || self.subcommand() == "test"
    }

    /// Returns true if it may create something that a state which cannot be written would lack. The others change
    /// the state alone, and where that fails nothing has happened.
    pub(super) fn creates(&self) -> bool {
        let helps = |word: &String| {
            matches!(word.trim_start_matches('-'), "h" | "help") && word.starts_with('-')
        };
        matches!(self.subcommand().as_str(), "apply" | "destroy")
            && !self.arguments.iter().any(helps)
    }

    /// The folder that `-chdir` names. Terraform looks for it only in front of the subcommand.
    pub(crate) fn chdir(&self) -> Option<&str> {
        self.arguments
            .iter()
            .take_while(|word| word.starts_with('-'))
            .filter_map(|word| word.strip_prefix("-chdir="))
            .last()
            .filter(|folder| !folder.is_empty())
    }

    /// Every word that reaches the subcommand, in the order in which Terraform reads them.
    ///
    /// # Errors
    /// A variable cannot be read as Terraform reads it.
    pub(crate) fn words(&self) -> Result<Vec<String>, UnreadableVariable> {
        let subcommand = self.subcommand().replace(['-', ' '], "_");
        let mut words = Vec::new();
        for name in [
            format!("TF_CLI_ARGS_{subcommand}"),
            "TF_CLI_ARGS".to_owned(),
        ] {
            if let Some(value) = self.variables.get(&name) {
                words.extend(words::split(value).ok_or(UnreadableVariable(name))?);
            }
        }
        let at = self.subcommand_span().map_or(0, |(at, length)| at + length);
        words.extend_from_slice(&self.arguments[at..]);
        Ok(words)
    }

    /// The locking flags among the words, including those before the subcommand.
    pub(super) fn lock_flags(&self, words: &[String]) -> LockFlags {
        words::lock_flags(words.iter().chain(&self.arguments).map(String::as_str))
    }

    /// How long the call is to wait for a lock.
    pub(super) fn lock_timeout(words: &[String]) -> Duration {
        values(words, "lock-timeout")
            .next_back()
            .and_then(words::duration)
            .unwrap_or_default()
    }

    /// The first word that is neither a flag nor a flag's value: the saved plan of `apply`.
    pub(crate) fn operand(words: &[String]) -> Option<&str> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match words::flag(word) {
                None if word == "--" => return words.next().map(String::as_str),
                None => return Some(word),
                Some((name, None)) if VALUED.contains(&name) => {
                    words.next();
                }
                Some(_) => {}
            }
        }
        None
    }
}

/// The values of a flag that takes one, with `=` or as the next word.
pub(crate) fn values<'a>(
    words: &'a [String],
    name: &'a str,
) -> impl DoubleEndedIterator<Item = &'a str> {
    words
        .iter()
        .enumerate()
        .filter_map(move |(at, word)| match words::flag(word) {
            Some((found, Some(value))) if found == name => Some(value),
            Some((found, None)) if found == name => words.get(at + 1).map(String::as_str),
            _ => None,
        })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::shim) fn call(words: &str, variables: &[(&str, &str)]) -> Call {
        Call {
            arguments: words.split_whitespace().map(str::to_owned).collect(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            unreadable: None,
        }
    }

    #[test]
    fn the_subcommand_is_found_behind_the_options_and_a_flag_goes_after_it() {
        let flag = ["-lock=false".to_owned()];
        for (words, subcommand, kind, with) in [
            ("apply x", "apply", Kind::Locking, "apply -lock=false x"),
            (
                "-chdir=a state mv -dry-run b c",
                "state mv",
                Kind::Locking,
                "-chdir=a state mv -lock=false -dry-run b c",
            ),
            (
                "state -lock=false mv",
                "state",
                Kind::Other,
                "state -lock=false -lock=false mv",
            ),
            (
                "state replace-provider a b",
                "state replace-provider",
                Kind::Locking,
                "state replace-provider -lock=false a b",
            ),
            (
                "workspace select w",
                "workspace select",
                Kind::Other,
                "workspace select -lock=false w",
            ),
            (
                "-chdir=a init",
                "init",
                Kind::Init,
                "-chdir=a init -lock=false",
            ),
            ("-version", "", Kind::Other, "-lock=false -version"),
            ("output", "output", Kind::Other, "output -lock=false"),
        ] {
            let call = call(words, &[]);
            assert_eq!(call.subcommand(), subcommand, "{words}");
            assert_eq!(call.kind(), kind, "{words}");
            assert_eq!(call.with(&flag).join(" "), with);
        }
    }

    #[test]
    fn only_what_creates_something_can_lose_it_with_a_state() {
        for (words, wanted) in [
            ("apply -auto-approve", true),
            ("-chdir=a destroy", true),
            ("apply plan", true),
            ("plan", false),
            ("state rm a", false),
            ("import a b", false),
            ("untaint a", false),
            ("apply -help", false),
            ("apply --help", false),
            ("destroy -h", false),
        ] {
            assert_eq!(call(words, &[]).creates(), wanted, "{words}");
        }
    }

    #[test]
    fn the_last_chdir_in_front_of_the_subcommand_counts() {
        for (words, wanted) in [
            ("-chdir=a -chdir=b apply", Some("b")),
            ("apply -chdir=a", None),
            ("--chdir=a apply", None),
            ("-chdir= apply", None),
        ] {
            assert_eq!(call(words, &[]).chdir(), wanted, "{words}");
        }
    }

    #[test]
    fn words_of_variables_come_first_and_an_unreadable_one_is_named() {
        let variables = [
            ("TF_CLI_ARGS", "-no-color"),
            ("TF_CLI_ARGS_state_mv", "-lock-timeout=5s"),
            ("TF_CLI_ARGS_apply", "-lock=false & x"),
        ];
        let words = call("state mv -lock-timeout 7s a b", &variables)
            .words()
            .unwrap();
        assert_eq!(
            words.join(" "),
            "-lock-timeout=5s -no-color -lock-timeout 7s a b"
        );
        assert_eq!(Call::lock_timeout(&words), Duration::from_secs(7));
        let unreadable = call("apply", &variables).words();
        let wanted = UnreadableVariable("TF_CLI_ARGS_apply".to_owned());
        assert_eq!(unreadable, Err(wanted));
    }

    #[test]
    fn the_operand_is_what_no_flag_takes() {
        for (words, wanted) in [
            ("apply -var-file a.tfvars -auto-approve plan", Some("plan")),
            ("apply -var-file=a.tfvars", None),
            ("apply -var a=b -target x", None),
            ("apply -- plan", Some("plan")),
            ("apply -auto-approve plan -no-color", Some("plan")),
        ] {
            let words = call(words, &[]).words().unwrap();
            assert_eq!(Call::operand(&words), wanted);
        }
    }
}
