//! Who had a hand in a version that a review is about: whoever wrote, committed or pushed it does not clear it by a review of their own.

use crate::check::Subject;
use crate::check::approved::Hands;
use crate::check::collect;
use crate::check::fact::{Fact, Unknown};
use crate::setting::Setting;
use crate::standing::EnvironmentHistory;
use github::GitHub;
use ledger::Actor;
use std::collections::BTreeMap;

/// Everybody with a hand in a version, by its commit.
pub(crate) type HandsByCommit = BTreeMap<String, Fact<Vec<Actor>>>;

/// Asks GitHub for each version with a review that would clear it.
pub(in crate::check) async fn hands(
    github: Option<&GitHub>,
    setting: &Setting,
    standing: &EnvironmentHistory,
    subject: &Subject,
) -> HandsByCommit {
    let mut all = HandsByCommit::new();
    for commit in reviewed(setting, standing, subject) {
        if all.contains_key(&commit) {
            continue;
        }
        let since = setting.gate.since.as_deref();
        let base = standing.examined_before(&commit).or(since);
        let found = match github {
            Some(github) => collect::contributors_since(github, setting, base, &commit).await,
            None => Err(Unknown::new(
                format!("GitHub cannot be asked who wrote {commit}"),
                "give a token: the input `github-token`, or GITHUB_TOKEN",
            )),
        };
        all.insert(commit, found.map(|found| Hands::of(found).authors));
    }
    all
}

/// The commits of the versions that a review may clear.
fn reviewed(setting: &Setting, standing: &EnvironmentHistory, subject: &Subject) -> Vec<String> {
    let persons = setting.persons();
    let debts = standing.debts.iter();
    let debts = debts.filter(|debt| !debt.is_open(persons));
    let mut commits: Vec<String> = debts.map(|debt| debt.record.commit.to_string()).collect();
    let mut refused = standing.refused.iter();
    let refused = refused.any(|it| it.digest == subject.digest && !it.reviewers.is_empty());
    commits.extend(
        subject
            .commit
            .iter()
            .filter(|_| refused)
            .map(ToString::to_string),
    );
    commits
}
