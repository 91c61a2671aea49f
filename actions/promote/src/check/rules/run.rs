//! The rules on the run: the pinned workflow of the protected branch, started in the right way, and by the
//! rules of the branch as it is now. Pure.

use super::Context;
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::fact::RunKind;
use crate::check::people::short;
use crate::check::policy::CommitPosition;

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
        if run.is_over() {
            let fact = format!("run {} is over, so this is not part of it", run.id);
            return fail(fact, start);
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
        let branch = &self.setting.gate.branch;
        let policy = match &self.facts.policy {
            None => return not_asked("this run is of no commit"),
            Some(Err(reason)) => return unknown(reason),
            Some(Ok(policy)) => policy,
        };
        let (commit, tip) = (short(&policy.commit), short(&policy.tip));
        let again = format!("start a new run on {branch}: running this one again changes nothing");
        match &policy.standing {
            CommitPosition::Newest => pass(format!("{commit} is the newest commit of {branch}")),
            CommitPosition::Same(files) => pass(format!(
                "{} the same in {commit} and in {tip}, the newest commit of {branch}",
                with_verb(files, "is", "are")
            )),
            CommitPosition::Differs(files) => fail(
                format!(
                    "{} between {commit} and {tip}, the newest commit of {branch}",
                    with_verb(files, "differs", "differ")
                ),
                again,
            ),
            CommitPosition::Elsewhere => fail(
                format!("this run is of {commit}, which is not on the branch {branch}"),
                again,
            ),
        }
    }
}

/// The files and the verb that fits their number.
fn with_verb(files: &[String], one: &str, several: &str) -> String {
    let verb = if files.len() == 1 { one } else { several };
    format!("{} {verb}", files.join(" and "))
}
