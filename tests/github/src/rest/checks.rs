//! Check runs, those of workflow jobs among them, and the combined commit status.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Call;
use crate::http::{Answer, Outcome, Page, invalid, unprocessable};
use crate::state::{ACTIONS_APP_ID, CheckRun, Repo, State, Status};
use crate::view::{HTML, View, object};

pub(super) fn check_runs(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let sha = resolve(call, repo)?;
    let latest = match call.request.query("filter") {
        None | Some("latest") => true,
        Some("all") => false,
        Some(_) => {
            return Err(invalid(
                "CheckRun",
                "filter",
                "invalid",
                "filter is latest or all",
            ));
        }
    };
    let mut runs = of_commit(state, repo, &sha);
    if latest {
        // The newest of each suite: a workflow run is one, with all its attempts.
        let newest: BTreeMap<(u64, String), CheckRun> = runs
            .into_iter()
            .map(|run| ((run.suite, run.name.clone()), run))
            .collect();
        runs = newest.into_values().collect();
    }
    let wanted = |run: &CheckRun| {
        call.request
            .query("check_name")
            .is_none_or(|name| run.name == name)
            && call
                .request
                .query("status")
                .is_none_or(|status| run.status == status)
            && call
                .request
                .query("app_id")
                .is_none_or(|id| run.app_id.to_string() == id)
    };
    runs.retain(wanted);
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    let page = Page::of(call.request);
    let shown: Vec<Value> = page
        .slice(&runs)
        .iter()
        .map(|run| check_run(&call.view(state), repo, run))
        .collect();
    Ok(call.linked(
        Answer::ok(json!({"total_count": runs.len(), "check_runs": shown})),
        page,
        runs.len(),
    ))
}

fn resolve(call: &Call<'_>, repo: &Repo) -> Result<String, Box<Answer>> {
    let name = call.param("ref");
    repo.git
        .resolve(name)
        .ok_or_else(|| unprocessable(&format!("No commit found for SHA: {name}")))
}

/// All check runs of a commit, oldest first. Every job of a workflow run is one, by the app behind Actions.
pub(super) fn of_commit(state: &State, repo: &Repo, sha: &str) -> Vec<CheckRun> {
    let mut all: Vec<CheckRun> = repo
        .check_runs
        .iter()
        .filter(|run| run.sha == sha)
        .cloned()
        .collect();
    for run in state
        .runs
        .values()
        .filter(|run| run.head_sha == sha && run.repository.eq_ignore_ascii_case(&repo.full_name()))
    {
        for attempt in run.earlier.iter().chain([run]) {
            all.extend(attempt.jobs.iter().map(|job| {
                CheckRun {
                    id: job.id,
                    suite: run.id,
                    sha: sha.to_owned(),
                    name: job.name.clone(),
                    app_id: ACTIONS_APP_ID,
                    app_slug: "github-actions".into(),
                    status: job.status.to_owned(),
                    conclusion: job.conclusion.clone(),
                    started_at: job
                        .started_at
                        .clone()
                        .unwrap_or_else(|| attempt.started_at.clone()),
                    completed_at: job.completed_at.clone(),
                }
            }));
        }
    }
    all.sort_by_key(|run| run.id);
    all
}

fn check_run(view: &View<'_>, repo: &Repo, run: &CheckRun) -> Value {
    let url = format!("{}/check-runs/{}", view.repo_url(repo), run.id);
    let html = format!("{HTML}/{}/runs/{}", repo.full_name(), run.id);
    json!({
        "id": run.id,
        "name": run.name,
        "node_id": format!("CR_{}", run.id),
        "head_sha": run.sha,
        "external_id": "",
        "url": url,
        "html_url": html,
        "details_url": html,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "output": {"title": null, "summary": null, "text": null, "annotations_count": 0, "annotations_url": format!("{url}/annotations")},
        "check_suite": {"id": run.suite},
        "app": view.app(run.app_id, &run.app_slug),
        "pull_requests": [],
    })
}

/// The newest status of each context.
pub(super) fn latest_statuses<'a>(repo: &'a Repo, sha: &str) -> Vec<&'a Status> {
    let newest: BTreeMap<&str, &Status> = repo
        .statuses
        .iter()
        .filter(|status| status.sha == sha)
        .map(|status| (status.context.as_str(), status))
        .collect();
    newest.into_values().collect()
}

pub(super) fn combined_status(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let sha = resolve(call, repo)?;
    let statuses = latest_statuses(repo, &sha);
    let combined = if statuses
        .iter()
        .any(|status| matches!(status.state.as_str(), "error" | "failure"))
    {
        "failure"
    } else if statuses.is_empty() || statuses.iter().any(|status| status.state == "pending") {
        "pending"
    } else {
        "success"
    };
    let view = call.view(state);
    let url = view.repo_url(repo);
    let page = Page::of(call.request);
    let shown: Vec<Value> = page
        .slice(&statuses)
        .iter()
        .map(|status| render_status(&url, status))
        .collect();
    let body = json!({
        "state": combined,
        "statuses": shown,
        "sha": sha,
        "total_count": statuses.len(),
        "repository": view.minimal_repo(repo),
        "commit_url": format!("{url}/commits/{sha}"),
        "url": format!("{url}/commits/{sha}/status"),
    });
    Ok(call.linked(
        Answer::ok(Value::Object(object(body))),
        page,
        statuses.len(),
    ))
}

fn render_status(url: &str, status: &Status) -> Value {
    json!({
        "id": status.id,
        "node_id": format!("SC_{}", status.id),
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "avatar_url": "https://avatars.githubusercontent.com/u/0?v=4",
        "url": format!("{url}/statuses/{}", status.sha),
        "created_at": status.created_at,
        "updated_at": status.created_at,
    })
}
