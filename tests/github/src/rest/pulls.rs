//! Pull requests, their commits and reviews, and which pull request brought a commit.

use serde_json::{Value, json};

use super::Call;
use super::commits::broken;
use crate::git::{Commit, GitError};
use crate::http::{Answer, Outcome, invalid, not_found, unprocessable};
use crate::state::{Pull, Repo, Review, State};
use crate::view::{HTML, View, object};

/// Commits of a pull request that GitHub lists, however many there are.
const COMMITS: usize = 250;

/// The commits a pull request brings: those of its head that its base did not have when it was last compared.
pub(crate) fn pull_commits(repo: &Repo, pull: &Pull) -> Result<Vec<Commit>, GitError> {
    let head = repo.pull_head(pull);
    repo.git.range(&pull_base(repo, pull, &head), &head)
}

fn pull_base(repo: &Repo, pull: &Pull, head: &str) -> String {
    if pull.closed_at.is_some() {
        return pull.merge_base.clone();
    }
    let base = repo
        .git
        .branch(&pull.base)
        .unwrap_or_else(|| pull.base_sha.clone());
    repo.git.merge_base(&base, head).unwrap_or(base)
}

fn wanted<'s>(call: &Call<'_>, repo: &'s Repo) -> Result<&'s Pull, Box<Answer>> {
    let number = call.number("pull_number")?;
    repo.pull(number).ok_or_else(not_found)
}

pub(super) fn list(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let state_wanted = call.request.query("state").unwrap_or("open");
    if !matches!(state_wanted, "open" | "closed" | "all") {
        return Err(invalid(
            "PullRequest",
            "state",
            "invalid",
            "state is open, closed or all",
        ));
    }
    let head = call
        .request
        .query("head")
        .map(|head| head.split_once(':').map_or(head, |(_, branch)| branch));
    let matches = |pull: &&Pull| {
        (state_wanted == "all" || (state_wanted == "open") == pull.closed_at.is_none())
            && head.is_none_or(|head| pull.head == head)
            && call
                .request
                .query("base")
                .is_none_or(|base| pull.base == base)
    };
    let pulls: Vec<&Pull> = repo.pulls.iter().rev().filter(matches).collect();
    call.page(&pulls, |pull| simple(&call.view(state), repo, pull))
}

pub(super) fn pull(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let pull = wanted(call, repo)?;
    let head = repo.pull_head(pull);
    let commits = pull_commits(repo, pull).map_err(broken)?;
    let changes = repo
        .git
        .changes(&pull_base(repo, pull, &head), &head)
        .map_err(broken)?;
    let view = call.view(state);
    let mut body = object(simple(&view, repo, pull));
    let open = pull.closed_at.is_none();
    let clean = open.then(|| {
        repo.git
            .branch(&pull.base)
            .is_some_and(|base| repo.git.merge_tree(&base, &head).is_ok())
    });
    body.extend(object(json!({
        "merged": pull.merged.is_some(),
        "mergeable": clean,
        "rebaseable": clean,
        "mergeable_state": match clean { Some(true) => "clean", Some(false) => "dirty", None => "unknown" },
        "merged_by": pull.merged.as_ref().map(|merge| view.user(&merge.by)),
        "comments": repo.comments.iter().filter(|comment| comment.issue == pull.number).count(),
        "review_comments": 0,
        "maintainer_can_modify": false,
        "commits": commits.len(),
        "additions": changes.iter().map(|one| one.additions).sum::<u64>(),
        "deletions": changes.iter().map(|one| one.deletions).sum::<u64>(),
        "changed_files": changes.len(),
    })));
    Ok(Answer::ok(Value::Object(body)))
}

pub(super) fn commits(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let mut commits = pull_commits(repo, wanted(call, repo)?).map_err(broken)?;
    commits.truncate(COMMITS);
    call.page(&commits, |commit| {
        Value::Object(call.view(state).commit(repo, commit))
    })
}

pub(super) fn reviews(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let pull = wanted(call, repo)?;
    call.page(&pull.reviews, |review| {
        render_review(&call.view(state), repo, pull, review)
    })
}

/// The merged pull request that introduced a commit of the default branch; for any other commit, or a branch's name,
/// the open and merged ones that hold it.
pub(super) fn of_commit(call: &Call<'_>, state: &mut State) -> Outcome {
    let (repo, name) = (call.repo(state)?, call.param("commit_sha"));
    let by_branch = repo.git.branch(name).is_some();
    let sha = repo
        .git
        .resolve(name)
        .ok_or_else(|| unprocessable(&format!("No commit found for SHA: {name}")))?;
    let on_default = repo
        .git
        .branch(&repo.default_branch)
        .is_some_and(|tip| repo.git.is_ancestor(&sha, &tip));
    let holds = |pull: &Pull| {
        pull.merged
            .as_ref()
            .is_some_and(|merge| merge.commit == sha)
            || pull_commits(repo, pull)
                .is_ok_and(|commits| commits.iter().any(|commit| commit.sha == sha))
    };
    let matches = |pull: &&Pull| match (by_branch, on_default) {
        (true, _) => pull.head == name,
        (false, true) => pull.merged.is_some() && holds(pull),
        (false, false) => (pull.merged.is_some() || pull.closed_at.is_none()) && holds(pull),
    };
    let pulls: Vec<&Pull> = repo.pulls.iter().filter(matches).collect();
    call.page(&pulls, |pull| simple(&call.view(state), repo, pull))
}

fn simple(view: &View<'_>, repo: &Repo, pull: &Pull) -> Value {
    let (base, number) = (view.repo_url(repo), pull.number);
    let url = format!("{base}/pulls/{number}");
    let issue = format!("{base}/issues/{number}");
    let html = format!("{HTML}/{}/pull/{number}", repo.full_name());
    let head_sha = repo.pull_head(pull);
    let side = |repo: &Repo, branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", repo.owner),
            "ref": branch,
            "sha": sha,
            "user": view.user(&repo.owner),
            "repo": view.repo(repo),
        })
    };
    let fork = pull.fork.as_deref().and_then(|name| view.state.repo(name));
    let base_sha = if pull.closed_at.is_some() {
        pull.base_sha.clone()
    } else {
        repo.git
            .branch(&pull.base)
            .unwrap_or_else(|| pull.base_sha.clone())
    };
    json!({
        "url": url,
        "id": pull.id,
        "node_id": format!("PR_{}", pull.id),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{base}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"),
        "statuses_url": format!("{base}/statuses/{head_sha}"),
        "number": number,
        "state": if pull.closed_at.is_some() { "closed" } else { "open" },
        "locked": false,
        "title": pull.title,
        "user": view.user(&pull.user),
        "body": pull.body,
        "labels": [],
        "milestone": null,
        "active_lock_reason": null,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged.as_ref().map(|merge| &merge.at),
        "merge_commit_sha": pull.merged.as_ref().map(|merge| &merge.commit),
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": side(fork.unwrap_or(repo), &pull.head, &head_sha),
        "base": side(repo, &pull.base, &base_sha),
        "_links": {
            "self": {"href": url},
            "html": {"href": html},
            "issue": {"href": issue},
            "comments": {"href": format!("{issue}/comments")},
            "review_comments": {"href": format!("{url}/comments")},
            "review_comment": {"href": format!("{base}/pulls/comments{{/number}}")},
            "commits": {"href": format!("{url}/commits")},
            "statuses": {"href": format!("{base}/statuses/{head_sha}")},
        },
        "author_association": view.association(repo, &pull.user),
        "auto_merge": null,
        "draft": pull.draft,
    })
}

fn render_review(view: &View<'_>, repo: &Repo, pull: &Pull, review: &Review) -> Value {
    let html = format!(
        "{HTML}/{}/pull/{}#pullrequestreview-{}",
        repo.full_name(),
        pull.number,
        review.id
    );
    let url = format!("{}/pulls/{}", view.repo_url(repo), pull.number);
    json!({
        "id": review.id,
        "node_id": format!("PRR_{}", review.id),
        "user": view.user(&review.user),
        "body": review.body,
        "state": review.state,
        "html_url": html,
        "pull_request_url": url,
        "author_association": view.association(repo, &review.user),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        "submitted_at": review.submitted_at,
        "commit_id": review.commit_id,
    })
}
