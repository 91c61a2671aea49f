//! Workflow runs, their attempts, jobs and deployment reviews.

use serde_json::{Value, json};

use super::Call;
use crate::actions::Job;
use crate::http::{Answer, Outcome, Page, invalid, not_found, percent_encode};
use crate::state::{Approval, Repo, Run, State, timestamp};
use crate::view::{HTML, View};

fn wanted<'s>(call: &Call<'_>, state: &'s State) -> Result<&'s Run, Box<Answer>> {
    let id = call.number("run_id")?;
    let full_name = call.repo(state)?.full_name();
    state
        .runs
        .get(&id)
        .filter(|run| run.repository.eq_ignore_ascii_case(&full_name))
        .ok_or_else(not_found)
}

pub(super) fn run(call: &Call<'_>, state: &mut State) -> Outcome {
    let run = wanted(call, state)?;
    Ok(Answer::ok(render(
        &call.view(state),
        call.repo(state)?,
        run,
    )))
}

pub(super) fn attempt(call: &Call<'_>, state: &mut State) -> Outcome {
    let run = wanted(call, state)?;
    let number = call.number("attempt_number")?;
    let attempt = run
        .earlier
        .iter()
        .chain([run])
        .find(|attempt| attempt.attempt == number)
        .ok_or_else(not_found)?;
    Ok(Answer::ok(render(
        &call.view(state),
        call.repo(state)?,
        attempt,
    )))
}

/// Reviews of the run's deployments; GitHub tells neither when they were given nor for which attempt.
pub(super) fn approvals(call: &Call<'_>, state: &mut State) -> Outcome {
    let (run, repo, view) = (wanted(call, state)?, call.repo(state)?, call.view(state));
    let render = |approval: &Approval| {
        let environments: Vec<Value> = approval
            .environments
            .iter()
            .filter_map(|name| repo.environment(name))
            .map(|environment| {
                json!({
                    "id": environment.id,
                    "node_id": format!("EN_{}", environment.id),
                    "name": environment.name,
                    "url": format!("{}/environments/{}", view.repo_url(repo), percent_encode(&environment.name)),
                    "html_url": format!("{HTML}/{}/deployments/activity_log?environments_filter={}", repo.full_name(), percent_encode(&environment.name)),
                    "created_at": environment.created_at,
                    "updated_at": environment.created_at,
                })
            })
            .collect();
        json!({"state": approval.state, "comment": approval.comment, "user": view.user(&approval.user), "environments": environments})
    };
    Ok(Answer::ok(run.approvals.iter().map(render).collect()))
}

pub(super) fn jobs(call: &Call<'_>, state: &mut State) -> Outcome {
    let (run, repo, view) = (wanted(call, state)?, call.repo(state)?, call.view(state));
    let jobs: Vec<(&Run, &Job)> = match call.request.query("filter") {
        None | Some("latest") => run.jobs.iter().map(|job| (run, job)).collect(),
        Some("all") => run
            .earlier
            .iter()
            .chain([run])
            .flat_map(|attempt| attempt.jobs.iter().map(move |job| (attempt, job)))
            .collect(),
        Some(_) => {
            return Err(invalid(
                "Job",
                "filter",
                "invalid",
                "filter is latest or all",
            ));
        }
    };
    let page = Page::of(call.request);
    let shown: Vec<Value> = page
        .slice(&jobs)
        .iter()
        .map(|(attempt, job)| render_job(&view, repo, attempt, job))
        .collect();
    Ok(call.linked(
        Answer::ok(json!({"total_count": jobs.len(), "jobs": shown})),
        page,
        jobs.len(),
    ))
}

fn render(view: &View<'_>, repo: &Repo, run: &Run) -> Value {
    let base = view.repo_url(repo);
    let url = format!("{base}/actions/runs/{}", run.id);
    let commit = repo.git.commit(&run.head_sha).ok();
    let head_commit = commit.as_ref().map(|commit| {
        json!({
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": timestamp(commit.committer.time),
            "author": {"name": commit.author.name, "email": commit.author.email},
            "committer": {"name": commit.committer.name, "email": commit.committer.email},
        })
    });
    let title = match (run.event.as_str(), &commit) {
        ("push", Some(commit)) => commit.message.lines().next().unwrap_or_default().to_owned(),
        _ => run.workflow_name.clone(),
    };
    json!({
        "id": run.id,
        "name": run.workflow_name,
        "node_id": format!("WFR_{}", run.id),
        "check_suite_id": run.id,
        "check_suite_node_id": format!("CS_{}", run.id),
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "path": run.path,
        "run_number": run.number,
        "run_attempt": run.attempt,
        "referenced_workflows": referenced(run),
        "event": run.event,
        "display_title": title,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": run.workflow_id,
        "url": url,
        "html_url": format!("{HTML}/{}/actions/runs/{}", repo.full_name(), run.id),
        "pull_requests": [],
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "run_started_at": run.started_at,
        "actor": view.user(&run.actor),
        "triggering_actor": view.user(&run.triggering_actor),
        "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("{base}/check-suites/{}", run.id),
        "artifacts_url": format!("{url}/artifacts"),
        "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"),
        "previous_attempt_url": (run.attempt > 1).then(|| format!("{url}/attempts/{}", run.attempt - 1)),
        "workflow_url": format!("{base}/actions/workflows/{}", run.workflow_id),
        "head_commit": head_commit,
        "repository": view.minimal_repo(repo),
        "head_repository": view.minimal_repo(repo),
    })
}

/// The called workflows, each once.
fn referenced(run: &Run) -> Vec<Value> {
    let mut seen = std::collections::BTreeMap::new();
    for job in &run.jobs {
        if let (Some(path), Some(sha)) = (&job.workflow_ref, &job.workflow_sha) {
            seen.insert(path.clone(), sha.clone());
        }
    }
    let render = |(path, sha): (String, String)| match path
        .split_once('@')
        .filter(|(_, reference)| reference.starts_with("refs/"))
    {
        Some((_, reference)) => json!({"path": path, "sha": sha, "ref": reference}),
        None => json!({"path": path, "sha": sha}),
    };
    seen.into_iter().map(render).collect()
}

fn render_job(view: &View<'_>, repo: &Repo, run: &Run, job: &Job) -> Value {
    let base = view.repo_url(repo);
    let started = job.started_at.is_some();
    json!({
        "id": job.id,
        "run_id": run.id,
        "run_url": format!("{base}/actions/runs/{}", run.id),
        "run_attempt": run.attempt,
        "node_id": format!("CR_{}", job.id),
        "head_sha": run.head_sha,
        "url": format!("{base}/actions/jobs/{}", job.id),
        "html_url": format!("{HTML}/{}/actions/runs/{}/job/{}", repo.full_name(), run.id, job.id),
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": run.started_at,
        "started_at": job.started_at.as_ref().unwrap_or(&run.started_at),
        "completed_at": job.completed_at,
        "name": job.name,
        "steps": [],
        "check_run_url": format!("{base}/check-runs/{}", job.id),
        "labels": job.labels,
        "runner_id": started.then_some(1),
        "runner_name": started.then_some("GitHub Actions 1"),
        "runner_group_id": started.then_some(0),
        "runner_group_name": started.then_some("GitHub Actions"),
        "workflow_name": run.workflow_name,
        "head_branch": run.head_branch,
    })
}
