//! The contributors to a version that a review is about. A review by one of them does not clear it.

use crate::check::Subject;
use crate::check::approved::NamedContributors;
use crate::check::collect;
use crate::check::fact::{Fact, Unknown};
use crate::check::people::Contributors;
use crate::environment_history::EnvironmentHistory;
use crate::setting::Setting;
use github::GitHub;
use kit::id::Digest;
use ledger::LOOK_BACK;
use std::collections::{BTreeMap, BTreeSet};

/// Everybody who contributed to a version, by its digest.
pub(crate) type ContributorsByDigest = BTreeMap<Digest, Fact<NamedContributors>>;

/// Asks GitHub for each version with a review that would clear it.
pub(in crate::check) async fn contributors_by_digest(
    github: Option<&GitHub>,
    setting: &Setting,
    history: &EnvironmentHistory,
    subject: &Subject,
) -> ContributorsByDigest {
    let mut all = ContributorsByDigest::new();
    for (digest, commits) in reviewed(setting, history, subject) {
        let found = of_version(github, setting, history, &digest, commits).await;
        all.insert(digest, found);
    }
    all
}

/// Asks GitHub for a version that the environment was rolled back from and that a review would clear; nothing if this is none.
pub(in crate::check) async fn contributors_to_rolled_back(
    github: &GitHub,
    setting: &Setting,
    history: &EnvironmentHistory,
    digest: &Digest,
) -> Option<Fact<NamedContributors>> {
    if !is_reviewed(history, digest) {
        return None;
    }
    let healthy = history.healthy_record(digest);
    let commits = healthy.map(|record| record.commit.to_string());
    let commits = commits.into_iter().collect();
    Some(of_version(Some(github), setting, history, digest, commits).await)
}

/// Everybody who contributed to what a digest brought when it first came to the environment, and to what each of these commits of it
/// brings.
async fn of_version(
    github: Option<&GitHub>,
    setting: &Setting,
    history: &EnvironmentHistory,
    digest: &Digest,
    mut commits: BTreeSet<String>,
) -> Fact<NamedContributors> {
    let github = github.ok_or_else(|| {
        Unknown::new(
            format!("GitHub cannot be asked who wrote {digest}"),
            "give a token: the input `github-token`, or GITHUB_TOKEN",
        )
    })?;
    let arrival = history.arrival(digest).ok_or_else(|| {
        Unknown::new(
            format!(
                "none of the newest {LOOK_BACK} records of {} says from which version {digest} came, so who contributed to it is unknown",
                setting.environment
            ),
            "promote another digest, by break-glass if need be",
        )
    })?;
    commits.extend(arrival.by.map(str::to_owned));
    let since = setting.gate.since.as_deref();
    let bases: Vec<&str> = arrival.after.into_iter().chain(since).collect();
    let mut all = Contributors::default();
    for commit in &commits {
        all.add_all(collect::contributors_since(github, setting, &bases, commit).await?);
    }
    Ok(NamedContributors::of(all))
}

/// The versions that a review may clear, each with the commits that it is recorded under.
fn reviewed(
    setting: &Setting,
    history: &EnvironmentHistory,
    subject: &Subject,
) -> BTreeMap<Digest, BTreeSet<String>> {
    let persons = setting.persons();
    let mut all: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
    let debts = history.debts.iter();
    for debt in debts.filter(|debt| !debt.is_open(persons)) {
        let commits = all.entry(debt.record.digest.clone()).or_default();
        commits.insert(debt.record.commit.to_string());
    }
    if is_reviewed(history, &subject.digest) {
        let commits = all.entry(subject.digest.clone()).or_default();
        commits.extend(subject.commit.iter().map(ToString::to_string));
    }
    all
}

/// Returns true if the environment was rolled back from this version and somebody reviewed it since.
fn is_reviewed(history: &EnvironmentHistory, digest: &Digest) -> bool {
    let mut refused = history.refused.iter();
    refused.any(|it| it.digest == *digest && !it.reviewers.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::range::Base;
    use crate::check::tests::setting;
    use crate::check::trail::Trail;
    use crate::environment_history::tests::{
        deployed, digest, forced, history, reviewed, rolled_back,
    };
    use ledger::Record;

    /// The versions whose contributors are asked for when `promoted` is, each with its commits.
    fn asked(records: &[Record], promoted: char) -> Vec<String> {
        let subject = Subject {
            digest: digest(promoted),
            commit: Some("f".repeat(40).parse().unwrap()),
            evidence: None,
            trail: Trail {
                rolled_back: None,
                healthy_since: None,
                not_before: None,
            },
            built_for: None,
            plan: None,
            base: Base::Nothing,
        };
        let all = super::reviewed(&setting(), &history(records), &subject);
        let first = |text: &str| text.trim_start_matches("sha256:")[..1].to_owned();
        let line = |(digest, commits): (&Digest, &BTreeSet<String>)| {
            let commits: Vec<String> = commits.iter().map(|it| first(it)).collect();
            format!("{} of {}", first(digest.as_str()), commits.join(" "))
        };
        all.iter().map(line).collect()
    }

    #[test]
    fn each_version_that_a_review_clears_is_asked_about() {
        let rolled = [deployed('a'), deployed('b'), rolled_back('a', 'b')];
        let broken = [deployed('a'), forced('b', "eve")];
        let then = |before: &[Record], by: &str| [before, &[reviewed('b', by)]].concat();
        for (records, promoted, wanted) in [
            (rolled.to_vec(), 'b', &[][..]),
            (then(&rolled, "ada"), 'b', &["b of f"]),
            (then(&rolled, "ada"), 'c', &[]),
            (broken.to_vec(), 'c', &[]),
            // Nobody reviews an own break-glass.
            (then(&broken, "eve"), 'c', &[]),
            (then(&broken, "ada"), 'c', &["b of b"]),
        ] {
            assert_eq!(asked(&records, promoted), wanted, "{records:?}");
        }
    }
}
