//! Comments of pull requests, which GitHub keeps as comments of issues.

use serde_json::{Value, json};

use super::{Call, Identity};
use crate::http::{Answer, Outcome, error, not_found, unprocessable};
use crate::state::{ACTIONS_APP_ID, Comment, Repo, State, now};
use crate::view::{HTML, View};

pub(super) fn list(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let number = known_issue(call, repo)?;
    let all: Vec<&Comment> = repo
        .comments
        .iter()
        .filter(|comment| comment.issue == number)
        .collect();
    call.page(&all, |comment| render(&call.view(state), repo, comment))
}

fn known_issue(call: &Call<'_>, repo: &Repo) -> Result<u64, Box<Answer>> {
    let number = call.number("issue_number")?;
    repo.pull(number)
        .map(|pull| pull.number)
        .ok_or_else(not_found)
}

pub(super) fn comment(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let id = call.number("comment_id")?;
    let comment = repo
        .comments
        .iter()
        .find(|comment| comment.id == id)
        .ok_or_else(not_found)?;
    Ok(Answer::ok(render(&call.view(state), repo, comment)))
}

fn text(call: &Call<'_>) -> Result<String, Box<Answer>> {
    call.body["body"]
        .as_str()
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
        .ok_or_else(|| unprocessable("Body cannot be blank"))
}

pub(super) fn create(call: &Call<'_>, state: &mut State) -> Outcome {
    let body = text(call)?;
    let issue = known_issue(call, call.repo(state)?)?;
    let (id, at) = (state.id(), now());
    let comment = Comment {
        id,
        issue,
        user: call.caller.login().to_owned(),
        body,
        created_at: at.clone(),
        updated_at: at,
        by_actions: call.caller.is_run(),
    };
    state
        .repo_mut(&call.full_name())
        .ok_or_else(not_found)?
        .comments
        .push(comment.clone());
    Ok(Answer::json(
        201,
        render(&call.view(state), call.repo(state)?, &comment),
    ))
}

/// Anyone may edit their own comment, writers also those of others.
pub(super) fn update(call: &Call<'_>, state: &mut State) -> Outcome {
    let body = text(call)?;
    let id = call.number("comment_id")?;
    let repo = call.repo(state)?;
    let comment = repo
        .comments
        .iter()
        .find(|comment| comment.id == id)
        .ok_or_else(not_found)?;
    if let Identity::User(login) = call.caller
        && !comment.user.eq_ignore_ascii_case(login)
        && !matches!(repo.role(login), "write" | "maintain" | "admin")
    {
        return Err(error(403, "Must have admin rights to Repository."));
    }
    let repo = state.repo_mut(&call.full_name()).ok_or_else(not_found)?;
    let comment = repo
        .comments
        .iter_mut()
        .find(|comment| comment.id == id)
        .ok_or_else(not_found)?;
    comment.body = body;
    comment.updated_at = now();
    let comment = comment.clone();
    Ok(Answer::ok(render(
        &call.view(state),
        call.repo(state)?,
        &comment,
    )))
}

fn render(view: &View<'_>, repo: &Repo, comment: &Comment) -> Value {
    let base = view.repo_url(repo);
    json!({
        "id": comment.id,
        "node_id": format!("IC_{}", comment.id),
        "url": format!("{base}/issues/comments/{}", comment.id),
        "html_url": format!("{HTML}/{}/pull/{}#issuecomment-{}", repo.full_name(), comment.issue, comment.id),
        "issue_url": format!("{base}/issues/{}", comment.issue),
        "body": comment.body,
        "user": view.user(&comment.user),
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "author_association": view.association(repo, &comment.user),
        "performed_via_github_app": if comment.by_actions { view.app(ACTIONS_APP_ID, "github-actions") } else { Value::Null },
    })
}
