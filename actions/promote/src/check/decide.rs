//! The rules: they turn facts into pass, fail, unknown or not asked, each with the fact behind it. Pure.

use super::Subject;
use super::answer::{Decision, Finding, Rule, fail, not_asked, not_examined, pass, unknown};
use super::approvals::{Approvals, approvals};
use super::facts::{Change, Fact, Facts, RunKind};
use super::people::{names, short};
use crate::setting::Setting;
use github::{CheckRun, Pull};
use ledger::Verdict;

/// Whether the environment has no gate: it follows no other, and the gate is off.
pub(crate) fn asks_nothing(setting: &Setting) -> bool {
    setting.follows.is_none() && !setting.gate.required
}

/// A rule's name and its function.
type NamedRule<'a> = (&'static str, fn(&Context<'a>) -> Finding);

/// Applies every rule.
pub(crate) fn decide<'a>(setting: &'a Setting, subject: &'a Subject, facts: &'a Facts) -> Decision {
    let context = Context {
        setting,
        subject,
        facts,
    };
    let rules: [NamedRule<'a>; 8] = [
        ("digest", Context::digest),
        ("branch", Context::branch),
        ("pull request", Context::pull_request),
        ("approvals", Context::approvals),
        ("checks", Context::checks),
        ("promoter", Context::promoter),
        ("separation", Context::separation),
        ("run", Context::run),
    ];
    let rules = rules.map(|(name, rule)| {
        let finding = if asks_nothing(setting) {
            not_asked(format!("{} has no gate", setting.environment))
        } else {
            rule(&context)
        };
        Rule {
            rule: name,
            answer: finding.answer,
            fact: finding.fact,
            next: finding.next,
            permission: finding.permission,
        }
    });
    Decision {
        rules: rules.into(),
    }
}

/// The pull requests that brought `commit` into the branch: they were merged there, and the commit
/// is their merge commit or their final head. A commit in the middle was never approved as such.
pub(super) fn brought_in<'a>(
    pulls: &'a [Pull],
    repository: &str,
    branch: &str,
    commit: &str,
) -> Vec<&'a Pull> {
    pulls
        .iter()
        .filter(|pull| {
            pull.merged_at.is_some()
                && pull.base.branch == branch
                && pull.base.repo.full_name.eq_ignore_ascii_case(repository)
                && (pull.merge_commit_sha.as_deref() == Some(commit) || pull.head.sha == commit)
        })
        .collect()
}

struct Context<'a> {
    setting: &'a Setting,
    subject: &'a Subject,
    facts: &'a Facts,
}

impl Context<'_> {
    fn digest(&self) -> Finding {
        let Some(before) = &self.setting.follows else {
            return not_asked(format!(
                "{} follows no environment",
                self.setting.environment
            ));
        };
        let deploy_first =
            format!("deploy it to {before} first and wait until it is healthy there");
        match &self.subject.evidence {
            None => fail(
                format!("no record of this digest in {before}"),
                deploy_first,
            ),
            Some(record) if record.verdict == Verdict::Healthy => pass(format!(
                "healthy in {before} since {} (record {})",
                record.at, record.seq
            )),
            Some(record) => fail(
                format!(
                    "its newest record in {before} is {}, from {} (record {})",
                    record.verdict, record.at, record.seq
                ),
                deploy_first,
            ),
        }
    }

    fn branch(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        match &self.facts.standing {
            Err(reason) => unknown(reason),
            Ok(standing) if matches!(standing.as_str(), "ahead" | "identical") => {
                pass(format!("{} is on {branch}", short(commit.as_str())))
            }
            Ok(standing) => fail(
                format!("{} is not on {branch} ({standing})", short(commit.as_str())),
                format!("merge it into {branch}"),
            ),
        }
    }

    fn pull_request(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        if let Err(reason) = &self.facts.pulls {
            return unknown(reason);
        }
        if self.facts.changes.is_empty() {
            return fail(
                format!(
                    "no pull request merged into {branch} ended in {}",
                    short(commit.as_str())
                ),
                format!("merge the change into {branch} with a pull request"),
            );
        }
        let merged: Vec<String> = self
            .facts
            .changes
            .iter()
            .map(|change| format!("#{} merged into {branch}", change.pull.number))
            .collect();
        pass(merged.join("; "))
    }

    fn approvals(&self) -> Finding {
        let needed = self.setting.gate.approvals;
        if needed == 0 {
            return not_asked("the contract requires no approvals");
        }
        self.each_change(|change| match approvals(change) {
            Err(reason) => unknown(&reason),
            Ok(found) => approved(change, &found, needed),
        })
    }

    fn checks(&self) -> Finding {
        if self.setting.gate.checks.is_empty() {
            return not_asked("the contract names no checks");
        }
        self.each_change(|change| match &change.checks {
            Err(reason) => unknown(reason),
            Ok(runs) => worst(
                self.setting
                    .gate
                    .checks
                    .iter()
                    .map(|wanted| check(wanted, runs, &change.pull.head.sha)),
            ),
        })
    }

    /// Whether this is a merge that deploys to the first environment, which has no promoter.
    fn by_merge(&self) -> bool {
        self.setting.follows.is_none()
            && matches!(&self.facts.run, RunKind::GitHub(Ok(run)) if run.event == "push")
    }

    fn promoter(&self) -> Finding {
        if self.by_merge() {
            return not_asked("deployed by a merge, so there is no promoter");
        }
        match &self.facts.promoter {
            Err(reason) => unknown(reason),
            Ok(promoter) => match promoter.accounts.iter().find(|user| !user.is_person()) {
                Some(bot) => fail(
                    format!("{} is not a person ({})", bot.login, promoter.source),
                    "have a person start the promotion",
                ),
                None => pass(format!(
                    "{}, {}",
                    names(&promoter.accounts),
                    promoter.source
                )),
            },
        }
    }

    /// At least two people are involved: an approver, and a promoter who is somebody else.
    fn separation(&self) -> Finding {
        if self.setting.gate.approvals == 0 {
            return not_asked("the contract requires no approvals");
        }
        if self.by_merge() {
            return not_asked("deployed by a merge, so there is no promoter");
        }
        let promoter = match &self.facts.promoter {
            Ok(promoter) => promoter,
            Err(_) => return not_examined("the promoter is unknown"),
        };
        self.each_change(|change| {
            let number = change.pull.number;
            let valid = match approvals(change) {
                Ok(found) => found.valid,
                Err(_) => return not_examined("the approvers are unknown"),
            };
            if valid.is_empty() {
                return not_examined("no approval counts");
            }
            let others: Vec<_> = valid
                .iter()
                .filter(|user| promoter.accounts.iter().all(|other| other.id != user.id))
                .collect();
            if others.is_empty() {
                fail(
                    format!(
                        "{} promotes #{number} and is its only approver",
                        names(&valid)
                    ),
                    format!(
                        "have another person promote it, or have another person approve #{number}"
                    ),
                )
            } else {
                pass(format!(
                    "{} approved #{number} and does not promote it",
                    names(others)
                ))
            }
        })
    }

    fn run(&self) -> Finding {
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

    /// Asks the rule of every pull request that brought the commit in; the worst answer counts.
    fn each_change(&self, rule: impl Fn(&Change) -> Finding) -> Finding {
        if self.facts.changes.is_empty() {
            return not_examined("there is no pull request to examine");
        }
        worst(self.facts.changes.iter().map(rule))
    }
}

fn worst(answers: impl Iterator<Item = Finding>) -> Finding {
    answers
        .reduce(|one, other| {
            let (worse, better) = if other.answer > one.answer {
                (other, one)
            } else {
                (one, other)
            };
            Finding {
                fact: if worse.answer == better.answer {
                    format!("{}; {}", worse.fact, better.fact)
                } else {
                    worse.fact
                },
                ..worse
            }
        })
        .unwrap_or_else(|| not_examined("there is nothing to examine"))
}

fn approved(change: &Change, found: &Approvals, needed: u32) -> Finding {
    let number = change.pull.number;
    let head = short(&change.pull.head.sha);
    if !found.objections.is_empty() {
        return fail(
            format!("#{number}: {} requested changes", names(&found.objections)),
            format!("resolve the requested changes in #{number}"),
        );
    }
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let missing = needed.saturating_sub(found.valid.len());
    if let Some(reason) = found.unknown.first()
        && missing <= found.unknown.len()
    {
        return unknown(reason);
    }
    if missing == 0 {
        return pass(format!(
            "#{number} at its final head {head}: approved by {}",
            names(&found.valid)
        ));
    }
    let mut fact = format!("#{number} has {} of {needed} approvals", found.valid.len());
    if !found.ignored.is_empty() {
        fact.push_str(&format!(" ({})", found.ignored.join("; ")));
    }
    let people = if missing == 1 {
        "1 more person"
    } else {
        &format!("{missing} more people")
    };
    fail(
        fact,
        format!(
            "have {people} with write access, who did not contribute to it, approve #{number} at {head}"
        ),
    )
}

/// Judges one check that the contract names, `name` or `name@app-id`. Without an app ID, every run
/// of that name must have succeeded, from any app.
fn check(wanted: &str, runs: &[CheckRun], head: &str) -> Finding {
    let (name, app) = match wanted.rsplit_once('@') {
        Some((name, id)) if id.parse::<u64>().is_ok() => (name, id.parse().ok()),
        _ => (wanted, None::<u64>),
    };
    let named: Vec<&CheckRun> = runs.iter().filter(|run| run.name == name).collect();
    let expected: Vec<&CheckRun> = named
        .iter()
        .copied()
        .filter(|run| app.is_none() || run.app.as_ref().map(|found| found.id) == app)
        .collect();
    let again = format!("make `{name}` succeed on {}", short(head));
    if expected.is_empty() {
        let fact = match (named.first(), app) {
            (Some(other), Some(app)) => {
                let id = other
                    .app
                    .as_ref()
                    .map_or("none".to_owned(), |app| app.id.to_string());
                format!("`{name}` comes from app {id}, not {app}")
            }
            _ => format!("`{name}` did not run on {}", short(head)),
        };
        return fail(fact, again);
    }
    match expected
        .iter()
        .find(|run| run.conclusion.as_deref() != Some("success"))
    {
        Some(run) => fail(
            format!(
                "the result of `{name}` on {} is {}",
                short(head),
                run.conclusion.as_deref().unwrap_or(&run.status)
            ),
            again,
        ),
        None => pass(format!("`{name}` succeeded on {}", short(head))),
    }
}

/// The people whose approval of a change counts, for the report.
pub(super) fn approvers(change: &Change) -> Fact<Vec<String>> {
    Ok(approvals(change)?
        .valid
        .into_iter()
        .map(|user| user.login)
        .collect())
}
