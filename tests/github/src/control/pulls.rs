//! Opening, reviewing, merging and closing pull requests. A merge is a real commit in the registered repository.

use serde::Deserialize;
use serde_json::json;

use super::{body, created, git_failed, known_user, repo};
use crate::git::{MergeMethod, Signature};
use crate::http::{Answer, Outcome, Request, error, not_found, unprocessable};
use crate::state::{Activity, Merge, Pull, Review, State, WEB_FLOW, now};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPull {
    user: String,
    head: String,
    base: Option<String>,
    title: String,
    body: Option<String>,
}

pub(super) fn open(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: NewPull = body(request)?;
    let user = known_user(state, &new.user)?;
    let id = state.id();
    let repo = repo(state, name)?;
    let base = new.base.unwrap_or_else(|| repo.default_branch.clone());
    let tip = |branch: &str| {
        repo.git
            .branch(branch)
            .ok_or_else(|| unprocessable(&format!("git has no branch {branch}")))
    };
    let (head_sha, base_sha) = (tip(&new.head)?, tip(&base)?);
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
    let number = repo.pulls.last().map_or(1, |last| last.number + 1);
    repo.pulls.push(Pull {
        id,
        number,
        user,
        title: new.title,
        body: new.body,
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
        ["reviews", id, "dismiss"] => dismiss(state, name, number, id),
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

fn dismiss(state: &mut State, name: &str, number: u64, id: &str) -> Outcome {
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
    "DISMISSED".clone_into(&mut review.state);
    Ok(Answer::ok(json!({})))
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
}

fn merge_method() -> MergeMethod {
    MergeMethod::Merge
}

/// The merging user is the commit's author, GitHub itself its committer; a squash keeps the pull request's author and
/// names the other authors as co-authors.
fn merge(state: &mut State, name: &str, pull: Pull, request: &Request) -> Outcome {
    let new: NewMerge = body(request)?;
    let user = known_user(state, &new.user)?;
    if pull.closed_at.is_some() {
        return Err(error(405, "Pull Request is not mergeable"));
    }
    let github = Signature {
        name: "GitHub".to_owned(),
        ..state.signature(WEB_FLOW)
    };
    let (merger, opener) = (state.signature(&user), state.signature(&pull.user));
    let id = state.id();
    let repo = repo(state, name)?;
    let head = repo
        .git
        .branch(&pull.head)
        .ok_or_else(|| unprocessable(&format!("git has no branch {}", pull.head)))?;
    let base = repo
        .git
        .branch(&pull.base)
        .ok_or_else(|| unprocessable(&format!("git has no branch {}", pull.base)))?;
    let merge_base = repo
        .git
        .merge_base(&base, &head)
        .ok_or_else(|| error(409, "no common history"))?;
    let tree = repo
        .git
        .merge_tree(&base, &head)
        .map_err(|_| error(405, "Pull Request is not mergeable"))?;
    let sha = match new.method {
        MergeMethod::Merge => {
            let message = format!(
                "Merge pull request #{} from {}/{}\n\n{}",
                pull.number, repo.owner, pull.head, pull.title
            );
            repo.git
                .commit_tree(&tree, &[&base, &head], &merger, &github, &message)
        }
        MergeMethod::Squash => {
            let mut message = format!("{} (#{})", pull.title, pull.number);
            let mut named = vec![opener.email.clone()];
            for commit in repo.git.range(&merge_base, &head).map_err(git_failed)? {
                if !named.contains(&commit.author.email) {
                    let lead = if named.len() == 1 { "\n\n" } else { "\n" };
                    message.push_str(&format!(
                        "{lead}Co-authored-by: {} <{}>",
                        commit.author.name, commit.author.email
                    ));
                    named.push(commit.author.email);
                }
            }
            repo.git
                .commit_tree(&tree, &[&base], &opener, &github, &message)
        }
    }
    .map_err(git_failed)?;
    repo.git.set_branch(&pull.base, &sha).map_err(git_failed)?;
    let at = now();
    repo.activity.push(Activity {
        id,
        before: base.clone(),
        after: sha.clone(),
        reference: format!("refs/heads/{}", pull.base),
        at: at.clone(),
        kind: if new.queue {
            "merge_queue_merge"
        } else {
            "pr_merge"
        },
        actor: user.clone(),
    });
    let known = find(state, name, pull.number)?;
    *known = Pull {
        head_sha: head,
        base_sha: base,
        merge_base,
        updated_at: at.clone(),
        closed_at: Some(at.clone()),
        merged: Some(Merge {
            by: user,
            at,
            commit: sha.clone(),
        }),
        ..pull
    };
    Ok(Answer::ok(json!({"sha": sha})))
}
