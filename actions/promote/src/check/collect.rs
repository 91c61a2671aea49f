//! Collects the commits of a promotion and the pull requests that brought them, in as few round trips as
//! their dependencies allow: commits, their pull requests, those pull requests in full, and what is to be
//! compared. Calls that do not depend on each other are made at the same time.

use super::facts::{Change, Fact, Unknown};
use super::merge::{Sides, Versions, names, updates};
use super::pushes::Pushes;
use super::range::{Base, Brought, Range};
use crate::setting::Setting;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use github::{Changes, FileChange, GitHub, HISTORY_LIMIT, Pull, Repository, User};
use kit::Failure;
use std::collections::{BTreeMap, BTreeSet};

/// Pull requests whose details are read at the same time.
const PARALLEL: usize = 16;
/// The most files of one merge whose content is read.
const FILES: usize = 50;
/// The most merges of the branch into one pull request that are compared. Whoever made another one
/// counts as a contributor.
const UPDATES: usize = 10;
/// The most times that commits which no pull request explained are looked up.
const ROUNDS: usize = 3;

/// The commits from the base to the promoted one.
pub(super) async fn range(github: &GitHub, base: Base, commit: &str) -> Fact<Range> {
    let alone = async |base: Base, status: &str| -> Fact<Range> {
        let mut ancestry = github.ancestry(commit).await?;
        let Some(at) = ancestry.iter().position(|one| one.sha == commit) else {
            return Err(Unknown::new(
                format!("GitHub's history of {commit} leaves it out"),
                "run this again",
            ));
        };
        let tip = ancestry.remove(at);
        Ok(Range::new(base, status, vec![tip], ancestry))
    };
    let Some(from) = base.commit().map(str::to_owned) else {
        return from_the_first(github, commit).await;
    };
    let found = github.range(&from, commit).await;
    let found = found.map_err(|unknown| {
        Unknown::or_too_many(unknown, "promote a commit in between first, then this one")
    })?;
    if found.status != "ahead" {
        return alone(base, &found.status).await;
    }
    Ok(Range::new(base, "ahead", found.commits, Vec::new()))
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
    let mut brought = Brought::default();
    for _ in 0..ROUNDS {
        wanted.retain(|sha| asked.insert(sha.clone()));
        if wanted.is_empty() {
            break;
        }
        let merged = github.merged_with(&wanted, &setting.gate.branch).await?;
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
    let details = pulls
        .into_values()
        .map(|pull| detail(github, setting, pull, &brought));
    Ok(stream::iter(details).buffered(PARALLEL).collect().await)
}

/// What is known of a pull request elsewhere than in itself.
async fn detail(github: &GitHub, setting: &Setting, pull: Pull, brought: &Brought) -> Change {
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
        merge,
        updates,
        pull,
    }
}

/// Both sides of a merge of `theirs` into `ours`, and the content of the files that decide.
async fn sides(github: &GitHub, ours: &str, theirs: &str, made: &str) -> Fact<Sides> {
    let (wanted, own, result) = tokio::join!(
        github.changes(ours, theirs),
        github.changes(theirs, ours),
        github.changes(ours, made)
    );
    let (wanted, own, result) = (wanted?, own?, result?);
    let base = wanted.base.clone();
    let reviewed = format!(
        "have {made} reviewed, and list it under `accepted-commits` of the gate by a pull request"
    );
    let whole = |changes: Changes| {
        let files = changes.whole();
        files.map_err(|unknown| Unknown::or_too_many(unknown, &reviewed))
    };
    let wanted = whole(wanted)?;
    let own = match own.files {
        Some(files) if own.base == base => names(&files).map(str::to_owned).collect(),
        // The branch went far ahead of the pull request, or they met more than once.
        _ => changed(github, [&base, ours, theirs], &wanted).await?,
    };
    let mut sides = Sides {
        wanted,
        made: whole(result)?,
        own,
        contents: BTreeMap::new(),
    };
    let paths: Vec<String> = sides.in_question().into_iter().map(str::to_owned).collect();
    if paths.len() > FILES {
        return Err(Unknown::new(
            format!(
                "both sides of {made} changed {} files, more than the {FILES} that are compared",
                paths.len()
            ),
            "revert it by a pull request, and merge it again from an updated branch",
        ));
    }
    let versions = [base.as_str(), ours, theirs, made];
    let files: Vec<(String, String)> = paths
        .iter()
        .flat_map(|path| versions.map(|commit| (commit.to_owned(), path.clone())))
        .collect();
    let mut contents = github.contents(&files).await?.into_iter();
    for path in paths {
        if let (Some(base), Some(ours), Some(theirs), Some(made)) = (
            contents.next(),
            contents.next(),
            contents.next(),
            contents.next(),
        ) {
            let versions = Versions {
                base,
                ours,
                theirs,
                made,
            };
            sides.contents.insert(path, versions);
        }
    }
    if let Some(path) = sides.unseen() {
        return Err(Unknown::new(
            format!(
                "GitHub does not show `{path}` of {made}: it is a submodule, or its name is not UTF-8"
            ),
            reviewed,
        ));
    }
    Ok(sides)
}

/// The names of `theirs`' files under which `ours` has another object than the merge base. A name
/// that GitHub shows in none of them counts as changed, since it is hidden.
async fn changed(
    github: &GitHub,
    [base, ours, theirs]: [&str; 3],
    files: &[FileChange],
) -> Fact<BTreeSet<String>> {
    let names: BTreeSet<&str> = names(files).collect();
    let versions = names.iter().flat_map(|name| {
        [base, ours, theirs].map(|commit| (commit.to_owned(), (*name).to_owned()))
    });
    let versions: Vec<(String, String)> = versions.collect();
    let oids = github.oids(&versions, "read the files of a merge").await?;
    let differs = |oids: &[Option<String>]| match oids {
        [None, None, None] => true,
        [base, ours, _] => base != ours,
        _ => true,
    };
    let all = names.into_iter().zip(oids.chunks(3));
    let changed = all.filter(|(_, oids)| differs(oids));
    Ok(changed.map(|(name, _)| name.to_owned()).collect())
}

async fn pushes(github: &GitHub, pull: &Pull) -> Fact<Pushes> {
    let fork = pull.head_repository.as_deref();
    let Some(source) = fork.and_then(Repository::parse) else {
        return Ok(Pushes::Unseen(
            "whoever pushed to the deleted fork".to_owned(),
        ));
    };
    match github.activity(&source, &pull.head_branch).await {
        Ok(activity) => Ok(Pushes::Seen(activity)),
        // A job's token sees only public forks, and no permission changes that.
        Err(unknown)
            if pull.from_fork
                && matches!(unknown.failure(), Failure::Denied | Failure::Missing) =>
        {
            Ok(Pushes::Unseen(format!("whoever pushed to {source}")))
        }
        Err(unknown) => Err(unknown.into()),
    }
}
