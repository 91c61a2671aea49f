//! Which lock to hold around a command: Terraform's own, which keeps everybody out, or one beside
//! it. Holding Terraform's own blocks Terraform itself where it locks another key, or locks despite
//! `-lock=false` (a workspace that does not exist yet, hashicorp/terraform#36088). Pure.

use crate::args::Hold;

/// What is known of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The workspace that is selected, unless it is the default one.
    pub(crate) workspace: Option<String>,
    /// What has a state for each of several stacks, if something does.
    pub(crate) stacks: Option<String>,
    /// Nobody can tell beforehand in which folder or workspace it works.
    pub(crate) astray: bool,
    /// Another state, which a saved plan among the arguments is for.
    pub(crate) planned: Option<String>,
}

impl Known {
    /// Why the lock of one key would not cover what the command changes, if it would not.
    fn uncovered(&self) -> Option<String> {
        if let Some(workspace) = &self.workspace {
            return Some(format!("workspace `{workspace}` has a state of its own"));
        }
        if let Some(stacks) = &self.stacks {
            return Some(format!("{stacks} has a state for each stack"));
        }
        if let Some(planned) = &self.planned {
            return Some(format!("the saved plan is for {planned}"));
        }
        self.astray.then(|| {
            "nobody can tell beforehand in which folder or workspace the command works".to_owned()
        })
    }
}

/// The lock to hold, and why.
pub(crate) fn choose(wanted: Option<Hold>, known: &Known) -> Result<(Hold, String), String> {
    match (wanted, known.uncovered()) {
        (Some(Hold::Native), Some(why)) => Err(format!("{why}, which this lock would not cover")),
        (Some(Hold::Native), None) => Ok((Hold::Native, "Terraform's own lock, as asked".into())),
        (Some(Hold::Beside), _) => {
            Ok((Hold::Beside, "Terraform locks for itself, as asked".into()))
        }
        (None, Some(why)) => Ok((
            Hold::Beside,
            format!("Terraform locks for itself, since {why}"),
        )),
        (None, None) => Ok((
            Hold::Native,
            "Terraform's own lock, so it is told not to lock".into(),
        )),
    }
}

/// The words of a command, a script's among them.
pub(crate) fn words(command: &[String]) -> impl Iterator<Item = &str> {
    command
        .iter()
        .flat_map(|argument| argument.split(|c: char| c.is_whitespace() || ";|&()".contains(c)))
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty())
}

/// The tool of a command that has a state for each of several stacks.
pub(crate) fn stacks(command: &[String]) -> Option<&'static str> {
    let program = command.first().map_or("", |program| base(program));
    if let Some(tool) = ["cdktf", "cdktn"].into_iter().find(|tool| *tool == program) {
        return Some(tool);
    }
    let mut terragrunt = words(command).skip_while(|word| base(word) != "terragrunt");
    terragrunt
        .any(|word| matches!(word, "run-all" | "--all" | "stack"))
        .then_some("terragrunt")
}

/// Whether the command chooses a workspace by itself, whose state has another key.
pub(crate) fn chooses_workspace(command: &[String]) -> bool {
    let mut words = words(command).peekable();
    while let Some(word) = words.next() {
        let set = word.starts_with("TF_WORKSPACE=");
        if set || word == "workspace" && matches!(words.peek(), Some(&("select" | "new"))) {
            return true;
        }
    }
    false
}

/// Where `-chdir` leads: nowhere else, to a folder, or to one that only the shell knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    Here,
    To(&'a str),
    Astray,
}

pub(crate) fn way(command: &[String]) -> Way<'_> {
    let mut way = Way::Here;
    for word in words(command) {
        let Some(folder) = word.strip_prefix("-chdir=") else {
            continue;
        };
        let folder = folder.trim_matches(['"', '\'']);
        let known = !folder.is_empty() && !folder.contains(['$', '`', '*', '?', '{', '~']);
        match way {
            Way::Here if known => way = Way::To(folder),
            Way::To(before) if before == folder => {}
            _ => return Way::Astray,
        }
    }
    way
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_command_that_chooses_a_workspace_by_itself_is_seen() {
        for chosen in [
            &[
                "bash",
                "-c",
                "terraform init; terraform workspace select -or-create blue",
            ][..],
            &["terraform", "workspace", "new", "blue"],
            &["sh", "-c", "TF_WORKSPACE=blue terraform apply"],
            &["sh", "-c", "export TF_WORKSPACE=\"$X\" && terraform apply"],
        ] {
            assert!(chooses_workspace(&command(chosen)), "{chosen:?}");
        }
        for plain in [
            &["terraform", "workspace", "list"][..],
            &["sh", "-c", "cd workspace; terraform apply"],
        ] {
            assert!(!chooses_workspace(&command(plain)), "{plain:?}");
        }
    }

    #[test]
    fn terraforms_own_lock_is_held_only_where_it_covers_what_the_command_changes() {
        let plain = Known::default();
        assert_eq!(choose(None, &plain).unwrap().0, Hold::Native);
        let workspace = Known {
            workspace: Some("blue".into()),
            ..plain.clone()
        };
        let stacks = Known {
            stacks: Some("cdktn".into()),
            ..plain.clone()
        };
        let astray = Known {
            astray: true,
            ..plain.clone()
        };
        let planned = Known {
            planned: Some("states/other".into()),
            ..plain
        };
        for known in [workspace, stacks, astray, planned] {
            let (hold, why) = choose(None, &known).unwrap();
            assert_eq!(hold, Hold::Beside);
            assert!(why.contains("locks for itself"), "{why}");
            let native = choose(Some(Hold::Native), &known).unwrap_err();
            assert!(native.contains("not cover"), "{native}");
            assert_eq!(choose(Some(Hold::Beside), &known).unwrap().0, Hold::Beside);
        }
    }

    #[test]
    fn tools_with_a_state_for_each_stack_are_known_by_their_words() {
        for (words, wanted) in [
            (&["/usr/bin/cdktn", "deploy"][..], Some("cdktn")),
            (&["terragrunt", "run-all", "apply"], Some("terragrunt")),
            (&["terragrunt", "run", "--all", "apply"], Some("terragrunt")),
            (
                &["bash", "-c", "cd live\nterragrunt run-all apply;"],
                Some("terragrunt"),
            ),
            (&["terragrunt", "apply"], None),
            (&["terraform", "apply", "-var", "run-all"], None),
            (&[], None),
        ] {
            assert_eq!(stacks(&command(words)), wanted, "{words:?}");
        }
    }

    #[test]
    fn the_folder_is_where_the_command_is_led_to() {
        for (words, wanted) in [
            (&["terraform", "apply"][..], Way::Here),
            (&["terraform", "-chdir=live", "apply"], Way::To("live")),
            (
                &[
                    "bash",
                    "-c",
                    "terraform -chdir=\"live\" init && terraform -chdir=live apply",
                ],
                Way::To("live"),
            ),
            (
                &[
                    "bash",
                    "-c",
                    "terraform -chdir=a apply; terraform -chdir=b apply",
                ],
                Way::Astray,
            ),
            (&["bash", "-c", "terraform -chdir=$DIR apply"], Way::Astray),
        ] {
            assert_eq!(way(&command(words)), wanted, "{words:?}");
        }
    }
}
