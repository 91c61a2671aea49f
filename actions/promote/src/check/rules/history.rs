//! The rules on the commits: the promoted one is on the branch, and each that comes with it came
//! through a pull request whose merge contains nothing else. Pure.

use super::{Context, worst};
use crate::check::answer::{Finding, fail, not_examined, pass, unknown};
use crate::check::merge::proven;
use crate::check::people::short;
use crate::check::range::{Base, PullRequestsOfCommits, Range, pulls};
use crate::setting::Setting;
use github::RangeCommit;
use kit::clock::rfc3339;
use kit::contract::Formerly;
use time::OffsetDateTime;

/// Commits that are named in a refusal; more are counted.
const NAMED: usize = 5;

/// Refuses a `formerly` whose last day is still to come: anybody could make a branch of that name, and what is merged into it until
/// then would count as merged into the gate's.
pub(in crate::check) fn not_renamed_yet(setting: &Setting, now: OffsetDateTime) -> Option<Finding> {
    let formerly = setting.gate.formerly.as_ref()?;
    let today = rfc3339(now);
    let Formerly { branch, until } = formerly;
    // Both begin with year, month and day.
    let ahead =
        !setting.asks_nothing() && today.get(..10).is_none_or(|today| until.as_str() > today);
    ahead.then(|| {
        fail(
            format!("`formerly` accepts what is merged into {branch} until {until}, which is still to come"),
            "name the day on which the branch was renamed, the last one of merges under its old name",
        )
    })
}

impl Context<'_> {
    pub(super) fn branch(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        match &self.facts.on_branch {
            Err(reason) => unknown(reason),
            Ok(status) if matches!(status.as_str(), "ahead" | "identical") => {
                self.is_not_set_back(pass(format!("{} is on {branch}", short(commit.as_str()))))
            }
            Ok(status) => fail(
                format!("{} is not on {branch} ({status})", short(commit.as_str())),
                format!("merge it into {branch}"),
            ),
        }
    }

    /// Refuses a branch without the commit that the newest permit was judged at: it was set back, and reviews, rules and commits of the
    /// time between are gone from it.
    fn is_not_set_back(&self, otherwise: Finding) -> Finding {
        let branch = &self.setting.gate.branch;
        match &self.facts.since_permit {
            None => otherwise,
            Some(Err(reason)) => unknown(reason),
            Some(Ok(since)) if matches!(since.status.as_str(), "ahead" | "identical") => otherwise,
            Some(Ok(since)) => {
                let then = short(&since.then);
                fail(
                    format!(
                        "{branch} was set back: it no longer contains {then}, its newest commit when permit {} was granted",
                        since.permit
                    ),
                    format!(
                        "put {} back on {branch}, or merge it; where it must not come back, promote once by break-glass",
                        since.then
                    ),
                )
            }
        }
    }

    pub(super) fn pull_request(&self) -> Finding {
        let branch = &self.setting.gate.branch;
        let Some(commit) = &self.subject.commit else {
            return not_examined("no commit is known for this digest");
        };
        let (_, brought) = match self.brought() {
            Ok(brought) => brought,
            Err(finding) => return finding,
        };
        let ended = brought.ended_in(commit.as_str());
        if ended.is_empty() {
            let why = match brought.refused.as_slice() {
                [] => String::new(),
                [(number, why), ..] => format!(" (#{number}: {why})"),
            };
            return fail(
                format!(
                    "no pull request merged into {branch} ended in {}{why}",
                    short(commit.as_str())
                ),
                format!("merge the change into {branch} with a pull request"),
            );
        }
        let merged = ended
            .iter()
            .map(|number| format!("#{number} merged into {branch}"));
        pass(merged.collect::<Vec<_>>().join("; "))
    }

    /// Every commit since the newest version of a regular promotion came through a pull request.
    pub(super) fn range(&self) -> Finding {
        let environment = &self.setting.environment;
        let branch = &self.setting.gate.branch;
        let (range, brought) = match self.brought() {
            Ok(brought) => brought,
            Err(finding) => return finding,
        };
        let tip = self
            .subject
            .commit
            .as_ref()
            .map_or("", |commit| commit.as_str());
        if let Some(refusal) = self.does_not_follow(range, tip) {
            return refusal;
        }
        let accepted = &self.setting.gate.accepted_commits;
        let mut unexplained = range.unexplained(&brought);
        unexplained.retain(|commit| !accepted.contains(&commit.sha));
        if !unexplained.is_empty() {
            return fail(
                format!(
                    "no pull request merged into {branch} brought {}",
                    listed(&unexplained)
                ),
                self.examined_later(range, &unexplained),
            );
        }
        pass(explained(range, &brought, environment, tip))
    }

    /// The refusal of a commit that does not follow the base.
    fn does_not_follow(&self, range: &Range, tip: &str) -> Option<Finding> {
        let environment = &self.setting.environment;
        let (base, status) = (range.base.commit()?, range.status.as_str());
        if !matches!(status, "behind" | "diverged") {
            return None;
        }
        let (tip, base) = (short(tip), short(base));
        let next = format!(
            "promote a commit that follows {base}, or go back on purpose: slipway-promote grant --environment {environment} --rollback --digest {}",
            self.subject.digest
        );
        match (&range.base, status) {
            (Base::Since(_), _) => Some(fail(
                format!("{tip} does not follow {base}, which `since` names"),
                "correct `since` in the contract's gate",
            )),
            // It came with a version that was examined whole, before a rollback. Whether it contains what runs now, `forward` says.
            (Base::Record { runs: false, .. }, "behind") => None,
            (
                Base::Record {
                    runs: false, seq, ..
                },
                _,
            ) => Some(fail(
                format!(
                    "{tip} does not follow {base} (record {seq} of {environment}), the newest version of a regular promotion"
                ),
                next,
            )),
            (_, "behind") => Some(fail(
                format!("{environment} runs {base}, which is newer than {tip}"),
                next,
            )),
            _ => Some(fail(
                format!("{environment} runs {base}, which {tip} does not follow"),
                next,
            )),
        }
    }

    /// The next step for commits that no pull request brought. A first promotion may begin later.
    fn examined_later(&self, range: &Range, unexplained: &[&RangeCommit]) -> String {
        let review =
            "have it reviewed, and list it under `accepted-commits` of the gate by a pull request";
        let newest = unexplained.iter().rev().find(|commit| {
            let tip = self.subject.commit.as_ref();
            tip.is_none_or(|tip| commit.sha != tip.as_str())
        });
        match (&range.base, newest) {
            (Base::First(_), Some(newest)) => format!(
                "if everything up to {0} may run in {1}, begin there: write `since: \"{0}\"` into the gate by a pull request; otherwise {review}",
                newest.sha, self.setting.environment
            ),
            _ => review.to_owned(),
        }
    }

    /// Each merge contains what merging the approved head gives.
    pub(super) fn merges(&self) -> Finding {
        let (range, brought) = match self.brought() {
            Ok(brought) => brought,
            Err(finding) => return finding,
        };
        let Ok(changes) = &self.facts.changes else {
            return not_examined("the pull requests are unknown");
        };
        let accepted = &self.setting.gate.accepted_commits;
        let examined: Vec<_> = changes
            .iter()
            .filter_map(|change| Some((change, brought.landings.get(&change.pull.number)?)))
            .filter(|(_, landing)| !accepted.contains(&landing.merge))
            .collect();
        let count = examined.len();
        let wrong = examined.into_iter().filter_map(|(change, landing)| {
            let sides = match &change.merge {
                Ok(sides) => sides.as_ref(),
                Err(reason) => return Some(unknown(reason)),
            };
            let why = proven(landing, &change.pull, &range.known, sides).err()?;
            let next = format!(
                "have {} reviewed, and list it under `accepted-commits` of the gate by a pull request",
                landing.merge
            );
            Some(fail(why.to_string(), next))
        });
        let wrong: Vec<Finding> = wrong.collect();
        if !wrong.is_empty() {
            return worst(wrong.into_iter());
        }
        match count {
            0 => not_examined("there is no pull request to examine"),
            1 => pass("the merge contains what was approved and nothing else"),
            _ => pass(format!(
                "the {count} merges contain what was approved and nothing else"
            )),
        }
    }

    /// The commits and the pull requests that brought them, or the answer that they are unknown.
    fn brought(&self) -> Result<(&Range, PullRequestsOfCommits), Finding> {
        let range = self.facts.range.as_ref().map_err(unknown)?;
        let changes = self.facts.changes.as_ref().map_err(unknown)?;
        Ok((range, range.brought(pulls(changes))))
    }
}

fn listed(commits: &[&RangeCommit]) -> String {
    let first = |commit: &RangeCommit| {
        let subject = commit.message.lines().next().unwrap_or_default();
        let subject: String = subject.chars().take(60).collect();
        format!("{} by {} ({subject})", short(&commit.sha), commit.author)
    };
    let named: Vec<String> = commits.iter().take(NAMED).map(|one| first(one)).collect();
    match commits.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more commits", named.join(", ")),
    }
}

fn explained(
    range: &Range,
    brought: &PullRequestsOfCommits,
    environment: &str,
    tip: &str,
) -> String {
    let commits = match range.commits.len() {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    let pulls = match brought.landings.len() {
        1 => "1 pull request".to_owned(),
        count => format!("{count} pull requests"),
    };
    match &range.base {
        Base::Record { commit, runs, .. } if commit == tip && *runs => {
            format!("{environment} runs {} already", short(tip))
        }
        Base::Record { commit, seq, .. } if commit == tip || range.status == "behind" => format!(
            "{} came with the regular promotion of {} before (record {seq} of {environment})",
            short(tip),
            short(commit)
        ),
        Base::Record { commit, seq, .. } => format!(
            "{commits} since {} (record {seq} of {environment}) came through {pulls}",
            short(commit)
        ),
        Base::Since(commit) => format!(
            "{commits} since {}, which the contract names, came through {pulls}",
            short(commit)
        ),
        Base::First(commit) => format!(
            "nothing was healthy in {environment} before: {commits} since the branch's first one, {}, came through {pulls}",
            short(commit)
        ),
        Base::Nothing => format!("nothing was healthy in {environment} before"),
    }
}
