//! The rules: from facts to pass, fail or unknown, each with the fact it rests on. Pure.

use super::Subject;
use super::approvals::{Approvals, approvals};
use super::facts::{Change, Fact, Facts, RunPlace, Unknown};
use super::people::{names, short};
use crate::setting::Setting;
use github::{CheckRun, Pull};
use ledger::Verdict;
use serde::Serialize;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Answer {
    /// The rule does not apply here.
    #[serde(rename = "not asked")]
    NotAsked,
    #[serde(rename = "pass")]
    Pass,
    /// Could not be seen; denies.
    #[serde(rename = "unknown")]
    Unknown,
    #[serde(rename = "fail")]
    Fail,
}

impl Answer {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Answer::NotAsked => "not asked",
            Answer::Pass => "pass",
            Answer::Unknown => "unknown",
            Answer::Fail => "fail",
        }
    }
}

/// One rule's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rule {
    pub(crate) rule: &'static str,
    pub(crate) answer: Answer,
    /// What it rests on.
    pub(crate) fact: String,
    /// What would turn it into a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// The token's permission that is missing, where that is why it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permission: Option<String>,
}

/// All rules' answers.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) rules: Vec<Rule>,
}

impl Decision {
    /// Whether nothing fails and nothing is unknown.
    pub(crate) fn allowed(&self) -> bool {
        self.rules
            .iter()
            .all(|rule| matches!(rule.answer, Answer::Pass | Answer::NotAsked))
    }

    /// The rule that most stands in the way: the first that fails, else the first unknown.
    pub(crate) fn obstacle(&self) -> Option<&Rule> {
        let first = |answer| self.rules.iter().find(move |rule| rule.answer == answer);
        first(Answer::Fail).or_else(|| first(Answer::Unknown))
    }

    /// What to do about the obstacle; of missing permissions all are named at once.
    pub(crate) fn next(&self) -> Option<String> {
        let obstacle = self.obstacle()?;
        let mut permissions: Vec<&str> = Vec::new();
        for rule in &self.rules {
            if let Some(permission) = &rule.permission
                && !permissions.contains(&permission.as_str())
            {
                permissions.push(permission);
            }
        }
        if obstacle.permission.is_some() {
            return Some(format!(
                "give the job `permissions: {{{}}}`",
                permissions.join(", ")
            ));
        }
        obstacle.next.clone()
    }
}

/// Whether the environment lets anything in: it follows none and its gate is off.
pub(crate) fn asks_nothing(setting: &Setting) -> bool {
    setting.follows.is_none() && !setting.gate.required
}

/// A rule's name and what it makes of the facts.
type NamedRule<'a> = (&'static str, fn(&Context<'a>) -> Said);

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
        let said = if asks_nothing(setting) {
            not_asked(format!("{} lets anything in", setting.environment))
        } else {
            rule(&context)
        };
        Rule {
            rule: name,
            answer: said.answer,
            fact: said.fact,
            next: said.next,
            permission: said.permission,
        }
    });
    Decision {
        rules: rules.into(),
    }
}

struct Said {
    answer: Answer,
    fact: String,
    next: Option<String>,
    permission: Option<String>,
}

fn said(answer: Answer, fact: impl Into<String>) -> Said {
    Said {
        answer,
        fact: fact.into(),
        next: None,
        permission: None,
    }
}

fn not_asked(fact: impl Into<String>) -> Said {
    said(Answer::NotAsked, fact)
}

fn pass(fact: impl Into<String>) -> Said {
    said(Answer::Pass, fact)
}

fn fail(fact: impl Into<String>, next: impl Into<String>) -> Said {
    Said {
        next: Some(next.into()),
        ..said(Answer::Fail, fact)
    }
}

fn unknown(unknown: &Unknown) -> Said {
    Said {
        next: Some(unknown.next.clone()),
        permission: unknown.permission.clone(),
        ..said(Answer::Unknown, unknown.why.clone())
    }
}

/// A rule that has nothing to look at because another one already denies.
fn nothing_to_see(what: &str) -> Said {
    said(Answer::Unknown, what)
}

/// The pull requests that brought `commit` into the branch: merged there, and the commit is the
/// one their merge made or their final head. A commit from their middle was never approved as
/// such.
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
    fn digest(&self) -> Said {
        let Some(before) = &self.setting.follows else {
            return not_asked(format!(
                "{} follows no environment",
                self.setting.environment
            ));
        };
        let deploy_first = format!("bring it to {before} first, until it is healthy there");
        match &self.subject.evidence {
            None => fail(
                format!("no record of this digest in {before}"),
                deploy_first,
            ),
            Some(record) if record.verdict == Verdict::Healthy => pass(format!(
                "healthy in {before} at {}, record {}",
                record.at, record.seq
            )),
            Some(record) => fail(
                format!(
                    "its last record in {before} says {} at {}, record {}",
                    record.verdict, record.at, record.seq
                ),
                deploy_first,
            ),
        }
    }

    fn branch(&self) -> Said {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return nothing_to_see("no commit is known for this digest");
        };
        match &self.facts.standing {
            Err(reason) => unknown(reason),
            Ok(standing) if matches!(standing.as_str(), "ahead" | "identical") => {
                pass(format!("{} is on {branch}", short(commit)))
            }
            Ok(standing) => fail(
                format!("{} is not on {branch} ({standing})", short(commit)),
                format!("merge it into {branch}"),
            ),
        }
    }

    fn pull_request(&self) -> Said {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return nothing_to_see("no commit is known for this digest");
        };
        if let Err(reason) = &self.facts.pulls {
            return unknown(reason);
        }
        if self.facts.changes.is_empty() {
            return fail(
                format!(
                    "no pull request merged into {branch} ended in {}",
                    short(commit)
                ),
                format!("bring the change in by a pull request into {branch}"),
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

    fn approvals(&self) -> Said {
        let needed = self.setting.gate.approvals;
        if needed == 0 {
            return not_asked("the contract asks for no approvals");
        }
        self.each_change(|change| match approvals(change) {
            Err(reason) => unknown(&reason),
            Ok(found) => approved(change, &found, needed),
        })
    }

    fn checks(&self) -> Said {
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

    /// A merge that deploys to the first environment is the decision of nobody else.
    fn by_merge(&self) -> bool {
        self.setting.follows.is_none()
            && matches!(&self.facts.place, RunPlace::GitHub(Ok(run)) if run.event == "push")
    }

    fn promoter(&self) -> Said {
        if self.by_merge() {
            return not_asked("a merge brings it here, nobody promotes");
        }
        match &self.facts.promoter {
            Err(reason) => unknown(reason),
            Ok(promoter) => match promoter.accounts.iter().find(|user| !user.is_person()) {
                Some(bot) => fail(
                    format!("{} is no person ({})", bot.login, promoter.source),
                    "let a person start the promotion",
                ),
                None => pass(format!(
                    "{}, {}",
                    names(&promoter.accounts),
                    promoter.source
                )),
            },
        }
    }

    /// Two people at least: an approver who is not whoever promotes.
    fn separation(&self) -> Said {
        if self.setting.gate.approvals == 0 {
            return not_asked("the contract asks for no approvals");
        }
        if self.by_merge() {
            return not_asked("a merge brings it here, nobody promotes");
        }
        let promoter = match &self.facts.promoter {
            Ok(promoter) => promoter,
            Err(_) => return nothing_to_see("who promotes is unknown"),
        };
        self.each_change(|change| {
            let number = change.pull.number;
            let valid = match approvals(change) {
                Ok(found) => found.valid,
                Err(_) => return nothing_to_see("who approved is unknown"),
            };
            if valid.is_empty() {
                return nothing_to_see("there is no approval that counts");
            }
            let others: Vec<_> = valid
                .iter()
                .filter(|user| promoter.accounts.iter().all(|other| other.id != user.id))
                .collect();
            if others.is_empty() {
                fail(
                    format!("{} promotes #{number} and alone approved it", names(&valid)),
                    format!(
                        "let somebody else promote it, or somebody else approve #{number} as well"
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

    fn run(&self) -> Said {
        let gate = &self.setting.gate;
        let run = match &self.facts.place {
            RunPlace::CodeBuild(build) => {
                return not_asked(format!(
                    "{build} is no workflow; its project pins what it runs"
                ));
            }
            RunPlace::Terminal => {
                return match &gate.workflow {
                    None => not_asked("the contract pins no workflow, and this is none"),
                    Some(workflow) => fail(
                        "this is a terminal, no run of a workflow",
                        format!("start {workflow} on {}", gate.branch),
                    ),
                };
            }
            RunPlace::GitHub(Err(reason)) => return unknown(reason),
            RunPlace::GitHub(Ok(run)) => run,
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
            Some(wanted) if run.file() != wanted => {
                fail(format!("the workflow is {}", run.file()), start)
            }
            _ => pass(format!(
                "{} on {}, by {}",
                run.file(),
                gate.branch,
                run.event
            )),
        }
    }

    /// The same question to every pull request that brought the commit in; the worst answer counts.
    fn each_change(&self, rule: impl Fn(&Change) -> Said) -> Said {
        if self.facts.changes.is_empty() {
            return nothing_to_see("there is no pull request to look at");
        }
        worst(self.facts.changes.iter().map(rule))
    }
}

fn worst(answers: impl Iterator<Item = Said>) -> Said {
    answers
        .reduce(|one, other| {
            let (worse, better) = if other.answer > one.answer {
                (other, one)
            } else {
                (one, other)
            };
            Said {
                fact: if worse.answer == better.answer {
                    format!("{}; {}", worse.fact, better.fact)
                } else {
                    worse.fact
                },
                ..worse
            }
        })
        .unwrap_or_else(|| nothing_to_see("there is nothing to look at"))
}

fn approved(change: &Change, found: &Approvals, needed: u32) -> Said {
    let number = change.pull.number;
    let head = short(&change.pull.head.sha);
    if !found.objections.is_empty() {
        return fail(
            format!("#{number}: {} asks for changes", names(&found.objections)),
            format!("settle the changes asked for in #{number}"),
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
            "#{number} at its final head {head}: {}",
            names(&found.valid)
        ));
    }
    let mut fact = format!("#{number} has {} of {needed}", found.valid.len());
    if !found.ignored.is_empty() {
        fact.push_str(&format!(" ({})", found.ignored.join("; ")));
    }
    fail(
        fact,
        format!(
            "let {missing} more with write access, who had no hand in it, approve #{number} at {head}"
        ),
    )
}

/// One check the contract names, `name` or `name@app-id`. Where no app is named every run of that
/// name must have succeeded, whoever reported it.
fn check(wanted: &str, runs: &[CheckRun], head: &str) -> Said {
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
    let again = format!("get `{name}` to succeed on {}", short(head));
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
                "`{name}` ended as {} on {}",
                run.conclusion.as_deref().unwrap_or(&run.status),
                short(head)
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
