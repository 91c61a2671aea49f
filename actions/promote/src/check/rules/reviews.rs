//! The rules on each pull request: its approvals and its checks. Pure.

use super::{Context, each_change, worst};
use crate::check::answer::{Finding, fail, not_asked, pass, unknown};
use crate::check::approvals::{Approvals, approvals};
use crate::check::change::Change;
use crate::check::fact::Fact;
use crate::check::people::{contributors, names, short};
use crate::check::persons::Key;
use crate::setting::Setting;
use github::CheckRun;
use kit::contract::Reviewers;

impl Context<'_> {
    pub(super) fn approvals(&self) -> Finding {
        judge_approvals(self.setting, &self.facts.changes)
    }

    pub(super) fn checks(&self) -> Finding {
        judge_checks(self.setting, &self.facts.changes)
    }
}

/// Judges whether each pull request has its approvals.
pub(in crate::check) fn judge_approvals(setting: &Setting, changes: &Fact<Vec<Change>>) -> Finding {
    let needed = setting.gate.approvals;
    if needed == 0 {
        return not_asked("the contract requires no approvals");
    }
    each_change(changes, |change| match approvals(change, setting) {
        Err(reason) => unknown(&reason),
        Ok(found) => approved(setting, change, &found, needed),
    })
}

/// Judges whether the checks that the contract names succeeded on the head of each pull request.
pub(in crate::check) fn judge_checks(setting: &Setting, changes: &Fact<Vec<Change>>) -> Finding {
    let wanted = &setting.gate.checks;
    if wanted.is_empty() {
        return not_asked("the contract names no checks");
    }
    each_change(changes, |change| match &change.checks {
        Err(reason) => unknown(reason),
        Ok(runs) => worst(
            wanted
                .iter()
                .map(|wanted| check(wanted, runs, &change.pull.head)),
        ),
    })
}

fn approved(setting: &Setting, change: &Change, found: &Approvals, needed: u32) -> Finding {
    let number = change.pull.number;
    let head = short(&change.pull.head);
    if !found.objections.is_empty() {
        return fail(
            format!("#{number}: {}", found.objections.join("; ")),
            format!(
                "resolve the requested changes in #{number}, and have the reviewer who requested them approve"
            ),
        );
    }
    let more = usize::from(!found.unattributed.is_empty());
    let needed = usize::try_from(needed)
        .unwrap_or(usize::MAX)
        .saturating_add(more);
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
    if !found.unattributed.is_empty() {
        fact.push_str(&format!(
            ", one of them because no person is known for {}",
            found.unattributed.join(", ")
        ));
    }
    if !found.ignored.is_empty() {
        fact.push_str(&format!(" ({})", found.ignored.join("; ")));
    }
    let more = match (&setting.gate.reviewers, missing) {
        (Some(named), _) => {
            let left = left(setting, named, change, found);
            if named.teams.is_empty() && left.people.len() < missing {
                return fail(
                    fact,
                    format!(
                        "too few of the gate's `reviewers` are left who did not contribute to #{number}: name more people there by a pull request"
                    ),
                );
            }
            format!("{missing} more of {left}")
        }
        (None, 1) => "1 more person".to_owned(),
        (None, _) => format!("{missing} more people"),
    };
    fail(
        fact,
        format!(
            "have {more} with write access, who did not contribute to it, approve #{number} at {head}"
        ),
    )
}

/// The named reviewers who can still approve a change: those who neither did so nor contributed to it.
fn left(setting: &Setting, named: &Reviewers, change: &Change, found: &Approvals) -> Reviewers {
    let persons = setting.persons();
    let contributors = contributors(change, &persons).unwrap_or_default();
    let approvers = found.keys(&persons);
    let can = |name: &&String| {
        let key = Key::Listed((*name).clone());
        !contributors.persons.contains_key(&key) && !approvers.contains(&key)
    };
    Reviewers {
        people: named.people.iter().filter(can).cloned().collect(),
        teams: named.teams.clone(),
    }
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
    let failed = |run: &&&CheckRun| run.conclusion.as_deref() != Some("success");
    let Some(run) = expected.iter().find(failed) else {
        return pass(format!("`{name}` succeeded on {}", short(head)));
    };
    // Workflows may have jobs of one name, so a success of one run says nothing about another one.
    let (one_of, again) = match expected.len() {
        1 => (String::new(), again),
        all => (
            format!(" in one of {all} runs"),
            format!("{again} in each run: run again the one that did not succeed"),
        ),
    };
    let result = run.conclusion.as_deref().unwrap_or(&run.status);
    let head = short(head);
    fail(
        format!("the result of `{name}` on {head} is {result}{one_of}"),
        again,
    )
}

/// Those who contributed to a change and those whose approval counts, for the report.
pub(in crate::check) fn people_of(change: &Change, setting: &Setting) -> People {
    let persons = setting.persons();
    let contributors = contributors(change, &persons).ok();
    let approvals = approvals(change, setting).ok();
    People {
        authors: contributors.map(|all| all.names().into_iter().map(str::to_owned).collect()),
        approvers: approvals.map(|found| found.valid.into_iter().map(|user| user.login).collect()),
    }
}

/// The people of a change; nothing where they are unknown.
#[derive(Debug)]
pub(in crate::check) struct People {
    pub(in crate::check) authors: Option<Vec<String>>,
    pub(in crate::check) approvers: Option<Vec<String>>,
}
