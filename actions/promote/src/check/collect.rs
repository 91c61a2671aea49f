//! Collects the commits of a promotion and the pull requests that brought them, in as few round trips as
//! their dependencies allow: commits, their pull requests, those pull requests in full, and what is to be
//! compared. Calls that do not depend on each other are made at the same time.

use super::change::Change;
use super::fact::{Fact, Unknown};
use super::merge::updates;
use super::people::{Contributors, contributors};
use super::pushes::Pushes;
use super::range::{Base, PullRequestsOfCommits, Range};
use super::sides::{COMMITS, DirectoryKey, Sides};
use crate::requests::members;
use crate::setting::Setting;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use github::{GitHub, HISTORY_LIMIT, Pull, PullCommit, Repository, User};
use kit::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// Pull requests whose details are read at the same time. Each makes a few calls; how many of those wait for GitHub at once is the
/// client's to limit, so this is as many as can keep it busy.
const PARALLEL: usize = 80;
/// The most files of one merge whose content is read.
const FILES: usize = 50;
/// The most directories of one merge that are read, in each of its commits.
const DIRECTORIES: usize = 1000;
/// The most directories that are read before it is known that they are needed.
const AT_ONCE: usize = 10;
/// The most merges of the branch into one pull request that are compared. The author of any further one counts as a contributor.
const UPDATES: usize = 10;
/// The most versions from which on it is asked who contributed to a later one. Mostly the first of them is the one.
const BASES: usize = 10;
/// The most times that commits which no pull request explained are looked up.
const ROUNDS: usize = 3;

/// The commits from the base to the promoted one.
pub(super) async fn range(github: &GitHub, base: Base, commit: &str) -> Fact<Range> {
    let Some(from) = base.commit().map(str::to_owned) else {
        return from_the_first(github, commit).await;
    };
    let found = github.range(&from, commit).await;
    let found = found.map_err(|unknown| {
        Unknown::or_too_many(unknown, "promote a commit in between first, then this one")
    })?;
    if found.status != "ahead" {
        return alone(github, base, &found.status, commit).await;
    }
    Ok(Range::new(base, "ahead", found.commits, Vec::new()))
}

/// The promoted commit alone, beside some of those before it.
async fn alone(github: &GitHub, base: Base, status: &str, commit: &str) -> Fact<Range> {
    let mut ancestry = github.ancestry(commit).await?;
    let Some(at) = ancestry.iter().position(|one| one.sha == commit) else {
        return Err(Unknown::new(
            format!("GitHub's history of {commit} leaves it out"),
            "run this again",
        ));
    };
    let tip = ancestry.remove(at);
    Ok(Range::new(base, status, vec![tip], ancestry))
}

/// Everybody who wrote, committed or pushed what `commit` has and the first of `bases` that it follows does not. Without such a base, that
/// is everything up to the commit, which need not be on the branch.
///
/// # Errors
/// The commits, the pull requests or an author are unknown.
pub(super) async fn contributors_since(
    github: &GitHub,
    setting: &Setting,
    bases: &[&str],
    commit: &str,
) -> Fact<Contributors> {
    let mut range = None;
    for base in bases.iter().take(BASES) {
        let found = github.range(base, commit).await?;
        // A commit that was examined before the base brings nothing that is newer.
        if !found.commits.is_empty() {
            let commits = found.commits;
            range = Some(Range::new(
                Base::Nothing,
                &found.status,
                commits,
                Vec::new(),
            ));
            break;
        }
    }
    let range = match range {
        Some(range) => range,
        None => from_the_first(github, commit).await?,
    };
    let changes = changes(github, setting, &range, commit).await?;
    let brought = range.brought(changes.iter().map(|change| &change.pull));
    let persons = setting.persons();
    let mut all = Contributors::default();
    // Also of a pull request that somebody merged by hand: its commits are in the range, and nothing else tells who opened it.
    for change in &changes {
        all.add_all(contributors(change, &persons)?);
    }
    let rest = range.unexplained(&brought).into_iter();
    let rest: Vec<String> = rest.map(|commit| commit.sha.clone()).collect();
    for commit in &github.commits(&rest).await? {
        all.add_commit(&persons, commit)?;
    }
    Ok(all)
}

/// The commits from the branch's first one to the promoted one.
async fn from_the_first(github: &GitHub, commit: &str) -> Fact<Range> {
    let history = github.history(commit).await?;
    if !history.whole {
        let tip = history.commits.iter().find(|one| one.sha == commit);
        let before = tip.and_then(|tip| tip.parents.first());
        let example = before.map_or("COMMIT", String::as_str);
        return Err(Unknown::new(
            format!(
                "nothing was healthy here before, and there are more than {HISTORY_LIMIT} commits to examine"
            ),
            format!(
                "say in the gate where to begin, by a pull request: `since: \"{example}\"` leaves what is up to that commit unexamined"
            ),
        ));
    }
    Range::from_the_first(history.commits, commit).ok_or_else(|| {
        Unknown::new(
            format!("GitHub's history of {commit} leaves it out"),
            "run this again",
        )
    })
}

/// The pull requests that brought the commits, in full.
pub(super) async fn changes(
    github: &GitHub,
    setting: &Setting,
    range: &Range,
    tip: &str,
) -> Fact<Vec<Change>> {
    let mut pulls: BTreeMap<u64, Pull> = BTreeMap::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut wanted = range.first_parents(tip);
    let mut brought = PullRequestsOfCommits::default();
    for _ in 0..ROUNDS {
        wanted.retain(|sha| asked.insert(sha.clone()));
        if wanted.is_empty() {
            break;
        }
        let merged = github.merged_with(&wanted, setting.base()).await?;
        let numbers: BTreeSet<u64> = merged.into_values().flatten().collect();
        let new = numbers
            .into_iter()
            .filter(|number| !pulls.contains_key(number));
        let new: Vec<u64> = new.collect();
        for pull in github.pulls(&new).await? {
            pulls.insert(pull.number, pull);
        }
        brought = range.brought(pulls.values());
        let rest = range.unexplained(&brought);
        wanted = rest.into_iter().map(|commit| commit.sha.clone()).collect();
    }
    Ok(detailed(github, setting, pulls.into_values(), &brought).await)
}

/// The pull requests with the facts about them that are not part of them.
pub(super) async fn detailed(
    github: &GitHub,
    setting: &Setting,
    pulls: impl IntoIterator<Item = Pull>,
    brought: &PullRequestsOfCommits,
) -> Vec<Change> {
    let details = pulls
        .into_iter()
        .map(|pull| detail(github, setting, pull, brought));
    let details = stream::iter(details).buffered(PARALLEL);
    let (members, mut changes) = tokio::join!(
        members(Some(github), setting.reviewer_teams()),
        details.collect::<Vec<Change>>()
    );
    for change in &mut changes {
        change.team_reviewers.clone_from(&members);
    }
    changes
}

/// The commits that come with the promotion although no review stands behind them, in full: those that the
/// contract accepts, merges with more than their heads among them, and the branch's first one. All others
/// refuse the promotion. Only the approvals of a promotion rest on who wrote them.
pub(super) async fn accepted(
    github: &GitHub,
    setting: &Setting,
    range: &Range,
) -> Fact<Vec<PullCommit>> {
    if setting.gate.approve.is_none() {
        return Ok(Vec::new());
    }
    let first = match &range.base {
        Base::First(first) => Some(first.clone()),
        Base::Record { .. } | Base::Since(_) | Base::Nothing => None,
    };
    let commits = range.commits.iter().map(|commit| commit.sha.clone());
    let listed = commits.filter(|sha| setting.gate.accepted_commits.contains(sha));
    let all: BTreeSet<String> = first.into_iter().chain(listed).collect();
    let all: Vec<String> = all.into_iter().collect();
    Ok(github.commits(&all).await?)
}

/// Collects the facts about a pull request that are not part of it.
async fn detail(
    github: &GitHub,
    setting: &Setting,
    pull: Pull,
    brought: &PullRequestsOfCommits,
) -> Change {
    let landing = brought.landings.get(&pull.number);
    let merge = async {
        match landing.filter(|landing| !landing.up_to_date) {
            None => Ok(None),
            Some(landing) => sides(github, &landing.parent, &landing.head, &landing.merge)
                .await
                .map(Some),
        }
    };
    let checks = async {
        match setting.gate.checks.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(github.check_runs(&pull.head).await?),
        }
    };
    let updates = async {
        // An opener contributed anyway.
        let opener = pull.author.as_ref().map(|user| user.id);
        let by_another = |author: Option<&User>| author.map(|user| user.id) != opener;
        let all = updates(&pull).into_iter();
        let compared = all.filter(|update| by_another(update.author.account.as_ref()));
        let compared = compared.take(UPDATES).filter_map(|update| {
            let [own, merged] = update.parents.as_slice() else {
                return None;
            };
            let sha = &update.sha;
            Some(async move { (sha.clone(), sides(github, own, merged, sha).await) })
        });
        join_all(compared).await.into_iter().collect()
    };
    let (pushes, checks, merge, updates) =
        tokio::join!(pushes(github, &pull), checks, merge, updates);
    Change {
        pushes,
        checks,
        team_reviewers: Ok(Vec::new()),
        merge,
        updates,
        pull,
    }
}

/// Both sides of a merge of `theirs` into `ours`: the directories and files that decide.
async fn sides(github: &GitHub, ours: &str, theirs: &str, made: &str) -> Fact<Sides> {
    let changes = github.changes(ours, theirs).await?;
    let commits = [changes.base.as_str(), ours, theirs, made];
    let mut sides = Sides::default();
    let mut likely = likely_directories(&changes.paths);
    loop {
        let judged = sides.judge();
        let mut wanted: BTreeSet<DirectoryKey> = judged.directories;
        let Some((_, some)) = wanted.first().cloned() else {
            break;
        };
        wanted.append(&mut likely);
        if sides.directories.len() + wanted.len() > DIRECTORIES {
            return Err(too_many_changes(made, DIRECTORIES, "directories"));
        }
        let wanted: Vec<DirectoryKey> = wanted.into_iter().collect();
        let names = wanted
            .iter()
            .map(|(commit, path)| (commits[*commit].to_owned(), path.clone()));
        let found = github.directories(&names.collect::<Vec<_>>()).await?;
        let before = sides.directories.len();
        for (key, entries) in wanted.into_iter().zip(found) {
            if let Some(entries) = entries {
                sides.directories.insert(key, entries);
            }
        }
        if sides.directories.len() == before {
            return Err(Unknown::new(
                format!("GitHub does not show the directory `{some}` of {made} or of its parents"),
                format!(
                    "have {made} reviewed, and list it under `accepted-commits` of the gate by a pull request"
                ),
            ));
        }
    }
    let paths: Vec<String> = sides.judge().files.into_iter().collect();
    if paths.len() > FILES {
        return Err(too_many_changes(made, FILES, "files"));
    }
    let files: Vec<(String, String)> = paths
        .iter()
        .flat_map(|path| commits.map(|commit| (commit.to_owned(), path.clone())))
        .collect();
    let mut contents = github.contents(&files).await?.into_iter();
    for path in paths {
        if let (Some(base), Some(ours), Some(theirs), Some(made)) = (
            contents.next(),
            contents.next(),
            contents.next(),
            contents.next(),
        ) {
            sides.contents.insert(path, [base, ours, theirs, made]);
        }
    }
    Ok(sides)
}

fn too_many_changes(made: &str, limit: usize, noun: &str) -> Unknown {
    Unknown::new(
        format!("both sides of {made} changed more than the {limit} {noun} that are compared"),
        "revert it by a pull request, and merge it again from an updated branch",
    )
}

/// The directories that a merge of these files is likely to lead into. They are read together with the
/// root, if they are few, instead of one level after the other.
fn likely_directories(paths: &[String]) -> BTreeSet<DirectoryKey> {
    let folders = |path: &'_ str| -> Vec<String> {
        let ends = path.match_indices('/').map(|(end, _)| end);
        ends.map(|end| path[..end].to_owned()).collect()
    };
    let all: BTreeSet<String> = paths.iter().flat_map(|path| folders(path)).collect();
    if all.len() > AT_ONCE {
        return BTreeSet::new();
    }
    let keys = all
        .into_iter()
        .flat_map(|path| (0..COMMITS).map(move |commit| (commit, path.clone())));
    keys.collect()
}

async fn pushes(github: &GitHub, pull: &Pull) -> Fact<Pushes> {
    let fork = pull.head_repository.as_deref();
    let Some(source) = fork.and_then(Repository::parse) else {
        return Ok(Pushes::Unseen("a push to the deleted fork".to_owned()));
    };
    match github.activity(&source, &pull.head_branch).await {
        Ok(activity) => Ok(Pushes::Seen(activity)),
        // A job's token sees only public forks, and no permission changes that.
        Err(unknown)
            if pull.from_fork
                && matches!(unknown.failure(), Failure::Denied | Failure::Missing) =>
        {
            Ok(Pushes::Unseen(format!("a push to {source}")))
        }
        Err(unknown) => Err(unknown.into()),
    }
}
