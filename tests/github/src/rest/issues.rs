//! Issues; every pull request is an issue too.

use serde_json::{Value, json};

use super::{Call, Identity};
use crate::http::{Answer, Outcome, error, invalid, not_found};
use crate::state::{ACTIONS_APP_ID, Issue, Pull, Repo, State, now};
use crate::view::{HTML, View, object};

pub(super) fn list(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let query =
        |name: &str, default: &'static str| call.request.query(name).unwrap_or(default).to_owned();
    let (wanted, since) = (query("state", "open"), query("since", ""));
    let view = call.view(state);
    let issues = repo.issues.iter().map(|it| issue(&view, repo, it));
    let pulls = repo.pulls.iter().map(|it| pull(&view, repo, it));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Times are compared as they are written: both sides in UTC with whole seconds.
    let mut all: Vec<Value> = issues
        .chain(pulls)
        .filter(|it| wanted == "all" || it["state"] == wanted.as_str())
        .filter(|it| text(&it["updated_at"]) >= since)
        .collect();
    all.sort_by_key(|it| it["number"].as_u64());
    if query("direction", "desc") == "desc" {
        all.reverse();
    }
    call.page(&all, Value::clone)
}

pub(super) fn create(call: &Call<'_>, state: &mut State) -> Outcome {
    let title = call.body["title"].as_str().unwrap_or_default();
    if title.trim().is_empty() {
        return Err(invalid(
            "Issue",
            "title",
            "missing_field",
            "title can't be blank",
        ));
    }
    fits(call)?;
    let (id, at) = (state.id(), now());
    let repo = state.repo_mut(&call.full_name()).ok_or_else(not_found)?;
    let new = Issue {
        id,
        number: repo.next_number(),
        user: call.caller.login().to_owned(),
        title: title.to_owned(),
        body: call.body["body"].as_str().map(str::to_owned),
        reason: None,
        created_at: at.clone(),
        updated_at: at,
        closed_at: None,
        by_actions: call.caller.is_run(),
    };
    repo.issues.push(new.clone());
    let (view, repo) = (call.view(state), call.repo(state)?);
    Ok(Answer::json(201, issue(&view, repo, &new)))
}

/// Source: GitHub's own refusal of a longer one.
fn fits(call: &Call<'_>) -> Result<(), Box<Answer>> {
    let long = call.body["body"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .count()
        > 65_536;
    match long {
        true => Err(invalid(
            "Issue",
            "body",
            "custom",
            "body is too long (maximum is 65536 characters)",
        )),
        false => Ok(()),
    }
}

/// Anyone may edit their own issue, writers also those of others.
pub(super) fn update(call: &Call<'_>, state: &mut State) -> Outcome {
    let number = call.number("issue_number")?;
    fits(call)?;
    let repo = call.repo(state)?;
    let known = repo.issues.iter().find(|it| it.number == number);
    let known = known.ok_or_else(not_found)?;
    if let Identity::User(login) = call.caller
        && !known.user.eq_ignore_ascii_case(login)
        && !matches!(repo.role(login), "triage" | "write" | "maintain" | "admin")
    {
        return Err(error(403, "Must have admin rights to Repository."));
    }
    let repo = state.repo_mut(&call.full_name()).ok_or_else(not_found)?;
    let mut found = repo.issues.iter_mut();
    let changed = found.find(|it| it.number == number).ok_or_else(not_found)?;
    if let Some(title) = call.body["title"].as_str() {
        title.clone_into(&mut changed.title);
    }
    if let Some(body) = call.body["body"].as_str() {
        changed.body = Some(body.to_owned());
    }
    match call.body["state"].as_str() {
        Some("closed") => {
            changed.closed_at.get_or_insert_with(now);
            let reason = call.body["state_reason"].as_str().unwrap_or("completed");
            changed.reason = Some(reason.to_owned());
        }
        Some("open") if changed.closed_at.take().is_some() => {
            changed.reason = Some("reopened".to_owned());
        }
        _ => {}
    }
    changed.updated_at = now();
    let changed = changed.clone();
    let (view, repo) = (call.view(state), call.repo(state)?);
    Ok(Answer::ok(issue(&view, repo, &changed)))
}

fn issue(view: &View<'_>, repo: &Repo, issue: &Issue) -> Value {
    let number = issue.number;
    let mut fields = json!({
        "id": issue.id,
        "node_id": format!("I_{}", issue.id),
        "html_url": format!("{HTML}/{}/issues/{number}", repo.full_name()),
        "title": issue.title,
        "body": issue.body,
        "user": view.user(&issue.user),
        "state": if issue.closed_at.is_some() { "closed" } else { "open" },
        "state_reason": issue.reason,
        "created_at": issue.created_at,
        "updated_at": issue.updated_at,
        "closed_at": issue.closed_at,
        "author_association": view.association(repo, &issue.user),
        "performed_via_github_app": if issue.by_actions { view.app(ACTIONS_APP_ID, "github-actions") } else { Value::Null },
    });
    shared(view, repo, number, &mut fields);
    fields
}

fn pull(view: &View<'_>, repo: &Repo, pull: &Pull) -> Value {
    let number = pull.number;
    let html = format!("{HTML}/{}/pull/{number}", repo.full_name());
    let mut fields = json!({
        "id": pull.id,
        "node_id": format!("PR_{}", pull.id),
        "html_url": html,
        "title": pull.title,
        "body": pull.body,
        "user": view.user(&pull.user),
        "state": if pull.closed_at.is_some() { "closed" } else { "open" },
        "state_reason": null,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "author_association": view.association(repo, &pull.user),
        "draft": pull.draft,
        "pull_request": {
            "url": format!("{}/pulls/{number}", view.repo_url(repo)),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "merged_at": pull.merged.as_ref().map(|merge| &merge.at),
        },
    });
    shared(view, repo, number, &mut fields);
    fields
}

/// The fields that issues and pull requests share.
fn shared(view: &View<'_>, repo: &Repo, number: u64, fields: &mut Value) {
    let base = view.repo_url(repo);
    let url = format!("{base}/issues/{number}");
    let comments = repo.comments.iter().filter(|it| it.issue == number).count();
    let more = object(json!({
        "url": url,
        "number": number,
        "repository_url": base,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "labels": [],
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "locked": false,
        "active_lock_reason": null,
        "comments": comments,
    }));
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(more);
    }
}
