//! Which lock to hold around a command: Terraform's own, which keeps everybody out, or one beside
//! it. Holding Terraform's own blocks Terraform itself where it locks another key, or locks despite
//! `-lock=false` (a workspace that does not exist yet, hashicorp/terraform#36088). Pure.

use crate::args::Hold;

/// What is known of a command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// What `--hold` says.
    pub(crate) wanted: Option<Hold>,
    /// The workspace that is selected, unless it is the default one.
    pub(crate) workspace: Option<&'a str>,
    /// Whether the folder is an application of CDKTF or cdktn, by its `cdktf.json`.
    pub(crate) application: bool,
    /// The program that is run.
    pub(crate) program: &'a str,
}

/// What has a state for each of several stacks, if something does.
pub(crate) fn stacks(known: Known<'_>) -> Option<&str> {
    Some(base(known.program))
        .filter(|name| matches!(*name, "cdktf" | "cdktn"))
        .or(known
            .application
            .then_some("an application of cdktf or cdktn"))
}

/// The lock to hold, and why.
pub(crate) fn choose(known: Known<'_>) -> Result<(Hold, String), String> {
    let stacks = stacks(known);
    match (known.wanted, known.workspace, stacks) {
        (Some(Hold::Native), Some(workspace), _) => Err(format!(
            "the state of workspace `{workspace}` has another key, which this lock would not cover"
        )),
        (Some(Hold::Native), _, Some(tool)) => Err(format!(
            "{tool} has a state for each stack, which this lock would not cover"
        )),
        (Some(Hold::Native), None, None) => {
            Ok((Hold::Native, "Terraform's own lock, as asked".to_owned()))
        }
        (Some(Hold::Beside), _, _) => Ok((
            Hold::Beside,
            "Terraform locks for itself, as asked".to_owned(),
        )),
        (None, Some(workspace), _) => Ok((
            Hold::Beside,
            format!(
                "Terraform locks for itself, since workspace `{workspace}` has a state of its own"
            ),
        )),
        (None, None, Some(tool)) => Ok((
            Hold::Beside,
            format!("Terraform locks for itself, since {tool} has a state for each stack"),
        )),
        (None, None, None) => Ok((
            Hold::Native,
            "Terraform's own lock, so it is told not to lock".to_owned(),
        )),
    }
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terraforms_own_lock_is_held_only_where_it_covers_what_the_command_changes() {
        let plain = Known {
            program: "terraform",
            ..Known::default()
        };
        let workspace = Known {
            workspace: Some("blue"),
            ..plain
        };
        let tool = Known {
            application: true,
            ..plain
        };
        let program = Known {
            program: "/usr/bin/cdktn",
            ..Known::default()
        };
        assert_eq!(choose(plain).unwrap().0, Hold::Native);
        for known in [workspace, tool, program] {
            let (hold, why) = choose(known).unwrap();
            assert_eq!(hold, Hold::Beside);
            assert!(why.contains("locks for itself"), "{why}");
            let native = Known {
                wanted: Some(Hold::Native),
                ..known
            };
            assert!(choose(native).unwrap_err().contains("not cover"));
            let beside = Known {
                wanted: Some(Hold::Beside),
                ..known
            };
            assert_eq!(choose(beside).unwrap().0, Hold::Beside);
        }
    }
}
