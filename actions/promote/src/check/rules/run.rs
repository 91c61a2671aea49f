//! The rules on the run: the pinned workflow of the protected branch, started in the right way, and by the
//! rules of the branch as it is now. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::{RunKind, Unknown};
use crate::check::people::short;
use crate::check::policy::{CommitPosition, Judging, Policy};

impl Context<'_> {
    pub(super) fn run(&self) -> Finding {
        let gate = &self.setting.gate;
        let run = match &self.facts.run {
            RunKind::CodeBuild(build) => {
                return not_asked(format!(
                    "{build} is not a workflow run; the CodeBuild project pins its commands"
                ));
            }
            RunKind::Terminal => {
                return match &gate.workflow {
                    None => not_asked("the contract pins no workflow, and this is a terminal"),
                    Some(workflow) => fail(
                        "started at a terminal, not by a workflow run",
                        format!("start {workflow} on {}", gate.branch),
                    ),
                };
            }
            RunKind::GitHub(Err(reason)) => return unknown(reason),
            RunKind::GitHub(Ok(run)) => run,
        };
        let workflow = gate.workflow.as_deref().unwrap_or("the promotion workflow");
        let start = format!("start {workflow} on {} by workflow_dispatch", gate.branch);
        // The run's number is a variable of this process, and a run of another person may have fitted. GitHub ends a run after
        // its last job.
        match run.is_over() {
            Some(false) => {}
            Some(true) => {
                let fact = format!("run {} is over, so this is not part of it", run.id);
                return fail(fact, start);
            }
            None => {
                return unknown(&Unknown::new(
                    format!("GitHub does not say whether run {} is over", run.id),
                    "run this step again",
                ));
            }
        }
        let first = self.setting.follows.is_none();
        let event_fits = run.event == "workflow_dispatch" || (first && run.event == "push");
        if !event_fits {
            return fail(format!("started by {}", run.event), start);
        }
        if run.head_branch.as_deref() != Some(gate.branch.as_str()) {
            let from = run.head_branch.as_deref().unwrap_or("no branch");
            return fail(format!("the workflow comes from {from}"), start);
        }
        match &gate.workflow {
            Some(wanted) if run.file() != wanted => fail(
                format!("the workflow is {}, not {wanted}", run.file()),
                start,
            ),
            _ => pass(format!(
                "{} on {}, by {}",
                run.file(),
                gate.branch,
                run.event
            )),
        }
    }

    /// The contract that judges, and the workflow that runs, are those of the branch's newest commit.
    pub(in crate::check) fn policy(&self) -> Finding {
        match &self.facts.policy {
            None => not_asked("no contract is read, and this run is of no commit"),
            Some(Err(reason)) => unknown(reason),
            Some(Ok(policy)) => judge_policy(policy, &self.setting.gate.branch),
        }
    }
}

/// Judges whether a commit, its workflow and the contract that judges are as the branch has them.
pub(in crate::check) fn judge_policy(policy: &Policy, branch: &str) -> Finding {
    let (commit, tip) = (short(&policy.commit), short(&policy.tip));
    let again = format!("start a new run on {branch}: running this one again changes nothing");
    let files = match &policy.position {
        CommitPosition::Newest => Vec::new(),
        CommitPosition::Same(files) => files.clone(),
        CommitPosition::Differs(files) => {
            return fail(
                format!(
                    "{} between {commit} and {tip}, the newest commit of {branch}",
                    with_verb(files, "differs", "differ")
                ),
                again,
            );
        }
        CommitPosition::Elsewhere => {
            return fail(
                format!("this run is of {commit}, which is not on the branch {branch}"),
                again,
            );
        }
    };
    let mut same: Vec<String> = Vec::new();
    if let Some(contract) = &policy.contract {
        if !contract.is_the_branchs() {
            return other_contract(contract, policy, branch);
        }
        same.push(contract.path.clone());
    }
    same.extend(files);
    let newest = policy.position == CommitPosition::Newest;
    pass(match (newest, same.as_slice()) {
        (true, []) => format!("{commit} is the newest commit of {branch}"),
        (true, _) => format!(
            "{commit} is the newest commit of {branch}, whose {} judged",
            same.join(" and ")
        ),
        (false, []) => format!("{commit} is on {branch}"),
        (false, _) => format!(
            "{} the same in this run of {commit} and in {tip}, the newest commit of {branch}",
            with_verb(&same, "is", "are")
        ),
    })
}

/// The refusal of a contract that the branch does not have.
fn other_contract(contract: &Judging, policy: &Policy, branch: &str) -> Finding {
    let Judging {
        path, own, newest, ..
    } = contract;
    if contract.converted {
        return fail(
            format!("{path} has other line endings here than in {branch}"),
            format!(
                "check it out as it is: git config --global core.autocrlf false, or `{path} -text` in .gitattributes"
            ),
        );
    }
    let (own, tip) = (short(own), short(&policy.tip));
    let (theirs, next) = match newest {
        Some(newest) if policy.commit == policy.tip => (
            format!(
                "is not the one in {tip}, the newest commit of {branch} (blob {})",
                short(newest)
            ),
            format!(
                "judge by the contract of {branch}: check that branch out, and leave {path} as it is there"
            ),
        ),
        Some(newest) => (
            format!(
                "is not the one in {tip}, the newest commit of {branch} (blob {})",
                short(newest)
            ),
            format!(
                "start a new run on {branch}, which checks out the newest commit and leaves {path} as it is there"
            ),
        ),
        None => (
            format!("is not in {tip}, the newest commit of {branch}"),
            format!("merge {path} into {branch}, and read it where that branch is checked out"),
        ),
    };
    fail(
        format!("{path}, as it judged here (blob {own}), {theirs}"),
        next,
    )
}

/// The files and the verb that fits their number.
fn with_verb(files: &[String], one: &str, several: &str) -> String {
    let verb = if files.len() == 1 { one } else { several };
    format!("{} {verb}", files.join(" and "))
}
