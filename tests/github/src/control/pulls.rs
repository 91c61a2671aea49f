//! Opening, reviewing, merging and closing pull requests. A merge is a real commit in the registered repository.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{body, created, git_failed, known_user, repo};
use crate::git::{Git, GitError, MergeMethod, Signature};
use crate::http::{Answer, Outcome, Request, error, not_found, unprocessable};
use crate::state::{
    Activity, EventKind, Merge, Pull, PullEvent, Repo, Review, State, WEB_FLOW, now,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPull {
    user: String,
    head: String,
    /// The fork that `head` is a branch of.
    head_repository: Option<String>,
    base: Option<String>,
    title: String,
    body: Option<String>,
    #[serde(default)]
    draft: bool,
}

pub(super) fn open(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: NewPull = body(request)?;
    let user = known_user(state, &new.user)?;
    let id = state.id();
    let fork = match &new.head_repository {
        Some(fork) => Some(state.repo(fork).ok_or_else(not_found)?.git.clone()),
        None => None,
    };
    let repo = repo(state, name)?;
    let base = new.base.unwrap_or_else(|| repo.default_branch.clone());
    let tip = |branch: &str| {
        repo.git
            .branch(branch)
            .ok_or_else(|| unprocessable(&format!("git has no branch {branch}")))
    };
    let head_sha = match &fork {
        Some(fork) => repo.git.fetch(fork, &new.head).map_err(git_failed)?,
        None => tip(&new.head)?,
    };
    let base_sha = tip(&base)?;
    let merge_base = repo.git.merge_base(&base_sha, &head_sha).ok_or_else(|| {
        unprocessable(&format!(
            "{} has no history in common with {base}",
            new.head
        ))
    })?;
    if merge_base == head_sha {
        return Err(unprocessable(&format!(
            "No commits between {base} and {}",
            new.head
        )));
    }
    if repo
        .pulls
        .iter()
        .any(|pull| pull.closed_at.is_none() && pull.head == new.head && pull.base == base)
    {
        return Err(unprocessable(&format!(
            "A pull request already exists for {}:{}.",
            repo.owner, new.head
        )));
    }
    let number = repo.next_number();
    repo.pulls.push(Pull {
        id,
        number,
        user,
        title: new.title,
        body: new.body,
        draft: new.draft,
        head: new.head,
        base,
        head_sha: head_sha.clone(),
        base_sha,
        merge_base,
        created_at: now(),
        updated_at: now(),
        closed_at: None,
        merged: None,
        reviews: Vec::new(),
        fork: new.head_repository,
        events: Vec::new(),
    });
    created(json!({"number": number, "head_sha": head_sha}))
}

pub(super) fn act(
    state: &mut State,
    name: &str,
    number: &str,
    action: &[&str],
    request: &Request,
) -> Outcome {
    let number: u64 = number.parse().map_err(|_| not_found())?;
    let pull = repo(state, name)?
        .pull(number)
        .ok_or_else(not_found)?
        .clone();
    match action {
        ["reviews"] => review(state, name, &pull, request),
        ["reviews", id, "dismiss"] => dismiss(state, name, number, id, request),
        ["ready"] => {
            find(state, name, number)?.draft = false;
            Ok(Answer::ok(json!({})))
        }
        ["base"] => retarget(state, name, &pull, request),
        ["update-branch"] => update_branch(state, name, &pull, request),
        ["merge"] => merge(state, name, pull, request),
        ["close"] => {
            let (head_sha, at) = (repo(state, name)?.pull_head(&pull), now());
            let known = find(state, name, number)?;
            known.head_sha = head_sha;
            known.closed_at = Some(at);
            Ok(Answer::ok(json!({})))
        }
        _ => Err(not_found()),
    }
}

fn find<'s>(state: &'s mut State, name: &str, number: u64) -> Result<&'s mut Pull, Box<Answer>> {
    repo(state, name)?
        .pulls
        .iter_mut()
        .find(|pull| pull.number == number)
        .ok_or_else(not_found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReview {
    user: String,
    state: String,
    #[serde(default)]
    body: String,
    commit_id: Option<String>,
}

fn review(state: &mut State, name: &str, pull: &Pull, request: &Request) -> Outcome {
    let new: NewReview = body(request)?;
    let user = known_user(state, &new.user)?;
    if !matches!(
        new.state.as_str(),
        "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED"
    ) {
        return Err(unprocessable(
            "state is APPROVED, CHANGES_REQUESTED or COMMENTED",
        ));
    }
    if user == pull.user && new.state != "COMMENTED" {
        return Err(unprocessable(if new.state == "APPROVED" {
            "Can not approve your own pull request"
        } else {
            "Can not request changes on your own pull request"
        }));
    }
    let id = state.id();
    let head = repo(state, name)?.pull_head(pull);
    let review = Review {
        id,
        user,
        state: new.state,
        body: new.body,
        commit_id: new.commit_id.unwrap_or(head),
        submitted_at: now(),
    };
    find(state, name, pull.number)?.reviews.push(review);
    created(json!({"id": id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dismissal {
    user: Option<String>,
}

fn dismiss(state: &mut State, name: &str, number: u64, id: &str, request: &Request) -> Outcome {
    let new: Dismissal = body(request)?;
    let owner = repo(state, name)?.owner.clone();
    let actor = known_user(state, new.user.as_deref().unwrap_or(&owner))?;
    let event = state.id();
    let pull = find(state, name, number)?;
    let review = pull
        .reviews
        .iter_mut()
        .find(|review| review.id.to_string() == id)
        .ok_or_else(not_found)?;
    if review.state == "COMMENTED" {
        return Err(unprocessable(
            "Can not dismiss a commented pull request review",
        ));
    }
    let was = std::mem::replace(&mut review.state, "DISMISSED".to_owned());
    let kind = EventKind::Dismissed {
        review: review.id,
        was,
    };
    pull.events.push(PullEvent {
        id: event,
        at: now(),
        actor,
        kind,
    });
    Ok(Answer::ok(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBase {
    user: String,
    base: String,
}

/// Points an open pull request at another branch.
fn retarget(state: &mut State, name: &str, pull: &Pull, request: &Request) -> Outcome {
    let new: NewBase = body(request)?;
    let actor = known_user(state, &new.user)?;
    let id = state.id();
    let git = repo(state, name)?.git.clone();
    let missing = || unprocessable(&format!("git has no branch {}", new.base));
    let base_sha = git.branch(&new.base).ok_or_else(missing)?;
    let known = find(state, name, pull.number)?;
    let from = std::mem::replace(&mut known.base, new.base.clone());
    known.base_sha = base_sha;
    known.events.push(PullEvent {
        id,
        at: now(),
        actor,
        kind: EventKind::BaseChanged { from, to: new.base },
    });
    Ok(Answer::ok(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    user: String,
    /// Added by hand to what the merge gives.
    #[serde(default)]
    files: BTreeMap<String, Option<String>>,
}

/// The button "Update branch": merges the base into the head, in the name of the one who clicks.
fn update_branch(state: &mut State, name: &str, pull: &Pull, request: &Request) -> Outcome {
    let new: Update = body(request)?;
    let user = known_user(state, &new.user)?;
    let (author, id) = (state.signature(&user), state.id());
    let github = github(state);
    let repo = repo(state, name)?;
    let missing = || unprocessable("git has not both branches");
    let head = repo.git.branch(&pull.head).ok_or_else(missing)?;
    let base = repo.git.branch(&pull.base).ok_or_else(missing)?;
    let tree = repo.git.merge_tree(&head, &base).map_err(git_failed)?;
    let tree = repo
        .git
        .tree_with(Some(&tree), &new.files)
        .map_err(git_failed)?;
    let message = format!("Merge branch '{}' into {}", pull.base, pull.head);
    let parents = [head.as_str(), base.as_str()];
    let sha = repo
        .git
        .commit_tree(&tree, &parents, &author, &github, &message)
        .map_err(git_failed)?;
    repo.git.set_branch(&pull.head, &sha).map_err(git_failed)?;
    repo.activity.push(Activity {
        id,
        before: head,
        after: sha.clone(),
        reference: format!("refs/heads/{}", pull.head),
        at: now(),
        kind: "push",
        actor: user,
    });
    Ok(Answer::ok(json!({"sha": sha})))
}

/// How GitHub signs what it commits on the site.
fn github(state: &State) -> Signature {
    Signature {
        name: "GitHub".to_owned(),
        ..state.signature(WEB_FLOW)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMerge {
    user: String,
    #[serde(default = "merge_method")]
    method: MergeMethod,
    /// By the merge queue, which shows in the activity only.
    #[serde(default)]
    queue: bool,
    /// A merge made by hand and pushed, with these files beside what the merge gives.
    #[serde(default)]
    files: BTreeMap<String, Option<String>>,
    /// A merge made by hand and pushed, with this tree.
    tree: Option<String>,
    /// Other pull requests whose heads the same merge joins, which nothing but a merge by hand does.
    #[serde(default)]
    along: Vec<u64>,
}

fn merge_method() -> MergeMethod {
    MergeMethod::Merge
}

/// The message of a squashed pull request, which names every author but the opener as a co-author.
fn squashed(pull: &Pull, opener: &Signature, authors: impl Iterator<Item = Signature>) -> String {
    let mut message = format!("{} (#{})", pull.title, pull.number);
    let mut named = vec![opener.email.clone()];
    for author in authors {
        if !named.contains(&author.email) {
            let lead = if named.len() == 1 { "\n\n" } else { "\n" };
            let (name, email) = (&author.name, &author.email);
            message.push_str(&format!("{lead}Co-authored-by: {name} <{email}>"));
            named.push(author.email);
        }
    }
    message
}

/// Merges a pull request, moves its base branch, and remembers how.
fn merge(state: &mut State, name: &str, pull: Pull, request: &Request) -> Outcome {
    let new: NewMerge = body(request)?;
    let user = known_user(state, &new.user)?;
    if pull.closed_at.is_some() {
        return Err(error(405, "Pull Request is not mergeable"));
    }
    if pull.draft {
        return Err(error(405, "Pull Request is still a draft"));
    }
    let github = github(state);
    let (merger, opener) = (state.signature(&user), state.signature(&pull.user));
    let id = state.id();
    let along = new.along.iter();
    let along: Result<Vec<Pull>, _> = along
        .map(|number| find(state, name, *number).cloned())
        .collect();
    let along = along?;
    let repo = repo(state, name)?;
    let head = repo.pull_head(&pull);
    let heads: Vec<String> = along.iter().map(|pull| repo.pull_head(pull)).collect();
    let base = repo
        .git
        .branch(&pull.base)
        .ok_or_else(|| unprocessable(&format!("git has no branch {}", pull.base)))?;
    let merge_base = repo
        .git
        .merge_base(&base, &head)
        .ok_or_else(|| error(409, "no common history"))?;
    let by_hand = new.tree.is_some() || !new.files.is_empty() || !along.is_empty();
    let tree = merged_tree(repo, &new, &base, &head)?;
    let sides = Sides {
        base: &base,
        head: &head,
        along: &heads,
        merge_base: &merge_base,
        tree: &tree,
    };
    let people = [&merger, &opener, &github];
    let sha = commit(repo, &pull, new.method, &sides, people).map_err(git_failed)?;
    repo.git.set_branch(&pull.base, &sha).map_err(git_failed)?;
    let at = now();
    repo.activity.push(Activity {
        id,
        before: base.clone(),
        after: sha.clone(),
        reference: format!("refs/heads/{}", pull.base),
        at: at.clone(),
        kind: match (new.queue, by_hand) {
            (true, _) => "merge_queue_merge",
            (false, false) => "pr_merge",
            (false, true) => "push",
        },
        actor: user.clone(),
    });
    let merged = [(pull, head)]
        .into_iter()
        .chain(along.into_iter().zip(heads));
    for (pull, head) in merged {
        let known = find(state, name, pull.number)?;
        *known = Pull {
            head_sha: head,
            base_sha: base.clone(),
            merge_base: merge_base.clone(),
            updated_at: at.clone(),
            closed_at: Some(at.clone()),
            merged: Some(Merge {
                by: user.clone(),
                at: at.clone(),
                commit: sha.clone(),
            }),
            ..pull
        };
    }
    Ok(Answer::ok(json!({"sha": sha})))
}

/// The tree that a merge results in: the one that both sides give, or what the test asks for in its place.
fn merged_tree(repo: &Repo, new: &NewMerge, base: &str, head: &str) -> Result<String, Box<Answer>> {
    let tree = match &new.tree {
        Some(tree) => tree.clone(),
        None => repo
            .git
            .merge_tree(base, head)
            .map_err(|_| error(405, "Pull Request is not mergeable"))?,
    };
    match new.files.is_empty() {
        true => Ok(tree),
        false => repo
            .git
            .tree_with(Some(&tree), &new.files)
            .map_err(git_failed),
    }
}

/// The commits that a merge joins, and the tree that it results in.
struct Sides<'a> {
    base: &'a str,
    head: &'a str,
    /// The heads of other pull requests.
    along: &'a [String],
    merge_base: &'a str,
    tree: &'a str,
}

/// Commits the merge. The merging user is the commit's author, GitHub itself its committer; a squash keeps the pull
/// request's author and names the other authors as co-authors.
fn commit(
    repo: &Repo,
    pull: &Pull,
    method: MergeMethod,
    sides: &Sides<'_>,
    [merger, opener, github]: [&Signature; 3],
) -> Result<String, GitError> {
    let Sides {
        base,
        head,
        along,
        merge_base,
        tree,
    } = *sides;
    match method {
        MergeMethod::Merge => {
            let message = format!(
                "Merge pull request #{} from {}/{}\n\n{}",
                pull.number, repo.owner, pull.head, pull.title
            );
            let mut tree = tree.to_owned();
            let mut parents = vec![base, head];
            for other in along {
                let so_far = repo
                    .git
                    .commit_tree(&tree, &parents, merger, github, &message)?;
                tree = repo.git.merge_tree(&so_far, other)?;
                parents.push(other);
            }
            repo.git
                .commit_tree(&tree, &parents, merger, github, &message)
        }
        MergeMethod::Squash => {
            let commits = repo.git.range(merge_base, head)?;
            let authors = commits.into_iter().map(|commit| commit.author);
            let message = squashed(pull, opener, authors);
            repo.git
                .commit_tree(tree, &[base], opener, github, &message)
        }
        MergeMethod::Rebase => rebase(&repo.git, merge_base, base, head, github),
    }
}

/// Applies each commit again on the base, in its author's name and with its author's time.
fn rebase(
    git: &Git,
    merge_base: &str,
    base: &str,
    head: &str,
    github: &Signature,
) -> Result<String, GitError> {
    let mut onto = base.to_owned();
    for commit in git.range(merge_base, head)? {
        if commit.parents.len() != 1 {
            continue;
        }
        let tree = git.picked_tree(&onto, &commit)?;
        onto = git.commit_tree(&tree, &[&onto], &commit.author, github, &commit.message)?;
    }
    Ok(onto)
}
