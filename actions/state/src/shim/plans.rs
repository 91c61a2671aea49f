//! The check of a call for a gate with `plan: true`: only a permitted plan changes a state or infrastructure. Pure.
//! Sources: terraform and OpenTofu, `commands.go` (their subcommands) and `internal/command/init.go`.

use super::call::{Call, Kind};
use super::ours::Ours;
use super::verdict::{Verdict, refused};
use super::words;

/// Subcommands that change nothing, or only what is beside state and infrastructure: the folder, the selected workspace, a
/// lock. All others are refused, so that one which is not known yet is.
const HARMLESS: [&str; 10] = [
    "force-unlock",
    "metadata functions",
    "plan",
    "providers lock",
    "providers mirror",
    "workspace",
    "workspace new",
    "workspace select",
    "workspace show",
    "state",
];

/// The refusal of a call that would change something outside of a permitted plan.
pub(super) fn forbidden(ours: &Ours, call: &Call) -> Option<Verdict> {
    let environment = ours.plans.as_ref()?;
    let subcommand = call.subcommand();
    let allowed = match (call.kind(), subcommand.as_str()) {
        (Kind::Init, _) | (_, "workspace new") => {
            // A call that moves a state writes it: by a flag, or by an answer to the question that `init` asks when it
            // finds a state in another backend. `workspace new -state` takes one from a file.
            call.words().is_ok_and(|all| {
                let mut flags = all.iter().filter_map(|word| words::flag(word));
                !flags.any(|(name, value)| match name {
                    "migrate-state" | "force-copy" | "state" => true,
                    "input" => value != Some("false"),
                    _ => false,
                })
            })
        }
        // A rescued state goes back into its own place.
        (_, "state push") => !ours.to_repair.is_empty(),
        (_, subcommand) => call.is_lock_free() || HARMLESS.contains(&subcommand),
    };
    (!allowed).then(|| {
        refused(
            format!(
                "`{subcommand}` may change a state or infrastructure, and the gate of {environment} says `plan: true`"
            ),
            format!(
                "apply a permitted plan: slipway-state plan, slipway-promote grant --environment {environment} --digest DIGEST --plan ID, slipway-state apply --environment {environment} --plan ID --permit NUMBER"
            ),
        )
    })
}

/// The verdict on `init`, which then asks no question that a script could answer.
pub(super) fn without_questions(ours: &Ours, call: &Call, verdict: Verdict) -> Verdict {
    if ours.plans.is_none() || call.kind() != Kind::Init {
        return verdict;
    }
    let further = "-input=false".to_owned();
    match verdict {
        Verdict::Unchanged(None) => Verdict::With(vec![further]),
        Verdict::With(mut arguments) => {
            arguments.push(further);
            Verdict::With(arguments)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Locking;
    use crate::shim::call::tests::call;
    use crate::shim::judge::tests::ours;

    fn is_refused(words: &str, variables: &[(&str, &str)], to_repair: &[&str]) -> bool {
        let mut ours = ours(Locking::Dynamodb);
        ours.plans = Some("production".to_owned());
        ours.to_repair = to_repair.iter().map(|&state| state.to_owned()).collect();
        match forbidden(&ours, &call(words, variables)) {
            None => false,
            Some(Verdict::Refused { why, hint }) => {
                assert!(
                    why.contains("the gate of production says `plan: true`"),
                    "{why}"
                );
                assert!(hint.contains("--permit NUMBER"), "{hint}");
                true
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_that_change_a_state_or_infrastructure_are_refused() {
        for words in [
            "apply",
            "apply -auto-approve",
            "apply plan",
            "-chdir=infra apply",
            "destroy -auto-approve",
            "refresh",
            "import a b",
            "taint a",
            "untaint a",
            "state mv a b",
            "state rm a",
            "state push errored.tfstate",
            "state replace-provider a b",
            "workspace delete -force blue",
            "workspace new -state=old.tfstate blue",
            "init -migrate-state",
            "init -force-copy",
            "init -input=true",
            "init -input",
            "test",
            "stacks apply",
            "something-new",
        ] {
            assert!(is_refused(words, &[], &[]), "{words}");
        }
        assert!(is_refused(
            "init",
            &[("TF_CLI_ARGS_init", "-force-copy")],
            &[]
        ));
        // Words that cannot be read as Terraform reads them.
        assert!(is_refused("init", &[("TF_CLI_ARGS", "-a; -b")], &[]));
    }

    #[test]
    fn read_only_commands_and_the_repair_of_a_rescued_state_are_not_refused() {
        for words in [
            "init",
            "init -input=false -reconfigure",
            "plan -out=plan",
            "plan -destroy",
            "show -json plan",
            "output",
            "state list",
            "state pull",
            "validate",
            "fmt -check",
            "-version",
            "version",
            "workspace select blue",
            "workspace new blue",
            "force-unlock 1",
        ] {
            assert!(!is_refused(words, &[], &[]), "{words}");
        }
        let push = "state push errored.tfstate";
        assert!(!is_refused(push, &[], &["bucket/key"]));
        assert!(is_refused("apply", &[], &["bucket/key"]));
        let mut asked = ours(Locking::Dynamodb);
        asked.plans = Some("production".to_owned());
        for (words, verdict, wanted) in [
            ("init", Verdict::Unchanged(None), Some(vec!["-input=false"])),
            (
                "init",
                Verdict::With(vec!["-backend-config=key=k".to_owned()]),
                Some(vec!["-backend-config=key=k", "-input=false"]),
            ),
            ("plan", Verdict::Unchanged(None), None),
        ] {
            let found = match without_questions(&asked, &call(words, &[]), verdict) {
                Verdict::With(arguments) => Some(arguments),
                _ => None,
            };
            let wanted = wanted.map(|all| all.iter().map(|&it| it.to_owned()).collect());
            assert_eq!(found, wanted, "{words}");
        }
        let mut free = ours(Locking::Dynamodb);
        free.plans = None;
        assert_eq!(forbidden(&free, &call("apply", &[])), None);
        let unasked = without_questions(&free, &call("init", &[]), Verdict::Unchanged(None));
        assert_eq!(unasked, Verdict::Unchanged(None));
    }
}
