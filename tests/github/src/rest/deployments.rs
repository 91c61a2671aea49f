//! Environments, deployments and their statuses, with the sequence GitHub documents for them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::commits::broken;
use super::{Call, access, checks};
use crate::git::Signature;
use crate::http::{Answer, Outcome, invalid, not_found, percent_encode, unprocessable};
use crate::state::{
    ACTIONS_APP_ID, Deployment, DeploymentStatus, Environment, Repo, State, WEB_FLOW, now, seconds,
};
use crate::view::{HTML, View};

/// A status text GitHub takes at most.
const DESCRIPTION: usize = 140;

pub(super) fn environment(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let environment = repo
        .environment(call.param("environment_name"))
        .ok_or_else(not_found)?;
    Ok(Answer::ok(render_environment(
        &call.view(state),
        repo,
        environment,
    )))
}

fn render_environment(view: &View<'_>, repo: &Repo, environment: &Environment) -> Value {
    let name = percent_encode(&environment.name);
    let rule = |offset: u64, kind: &str| json!({"id": environment.id + offset, "node_id": format!("GA_{}", environment.id + offset), "type": kind});
    let mut rules = Vec::new();
    if environment.wait_timer > 0 {
        let mut timer = rule(1, "wait_timer");
        timer["wait_timer"] = json!(environment.wait_timer);
        rules.push(timer);
    }
    if !environment.reviewers.is_empty() {
        let mut required = rule(2, "required_reviewers");
        required["prevent_self_review"] = json!(environment.prevent_self_review);
        required["reviewers"] = environment
            .reviewers
            .iter()
            .map(|login| json!({"type": "User", "reviewer": view.user(login)}))
            .collect();
        rules.push(required);
    }
    let custom = !environment.branch_patterns.is_empty();
    let restricted = custom || environment.protected_branches;
    if restricted {
        rules.push(rule(3, "branch_policy"));
    }
    json!({
        "id": environment.id,
        "node_id": format!("EN_{}", environment.id),
        "name": environment.name,
        "url": format!("{}/environments/{name}", view.repo_url(repo)),
        "html_url": format!("{HTML}/{}/deployments/activity_log?environments_filter={name}", repo.full_name()),
        "created_at": environment.created_at,
        "updated_at": environment.created_at,
        "protection_rules": rules,
        "deployment_branch_policy": restricted.then(|| json!({"protected_branches": environment.protected_branches, "custom_branch_policies": custom})),
    })
}

fn wanted<'s>(call: &Call<'_>, repo: &'s Repo) -> Result<&'s Deployment, Box<Answer>> {
    let id = call.number("deployment_id")?;
    repo.deployments
        .iter()
        .find(|one| one.id == id)
        .ok_or_else(not_found)
}

pub(super) fn list(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let is = |name: &str, value: &str| {
        call.request
            .query(name)
            .is_none_or(|wanted| wanted == "none" || wanted == value)
    };
    let matches = |deployment: &&Deployment| {
        is("sha", &deployment.sha)
            && is("ref", &deployment.reference)
            && is("task", &deployment.task)
            && is("environment", &deployment.environment)
    };
    let all: Vec<&Deployment> = repo.deployments.iter().rev().filter(matches).collect();
    call.page(&all, |deployment| {
        render(&call.view(state), repo, deployment)
    })
}

pub(super) fn deployment(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    Ok(Answer::ok(render(
        &call.view(state),
        repo,
        wanted(call, repo)?,
    )))
}

pub(super) fn statuses(call: &Call<'_>, state: &mut State) -> Outcome {
    let repo = call.repo(state)?;
    let deployment = wanted(call, repo)?;
    let all: Vec<&DeploymentStatus> = deployment.statuses.iter().rev().collect();
    call.page(&all, |status| {
        render_status(&call.view(state), repo, deployment, status)
    })
}

/// The body of "Create a deployment" with its documented defaults.
#[derive(Deserialize)]
struct New {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default = "deploy")]
    task: String,
    #[serde(default = "yes")]
    auto_merge: bool,
    required_contexts: Option<Vec<String>>,
    payload: Option<Value>,
    #[serde(default = "production")]
    environment: String,
    description: Option<String>,
    #[serde(default)]
    transient_environment: bool,
    production_environment: Option<bool>,
}

fn deploy() -> String {
    "deploy".to_owned()
}

fn production() -> String {
    "production".to_owned()
}

fn yes() -> bool {
    true
}

pub(super) fn create(call: &Call<'_>, state: &mut State) -> Outcome {
    let new: New = serde_json::from_value(call.body.clone())
        .map_err(|error| unprocessable(&error.to_string()))?;
    let repo = call.repo(state)?;
    let sha = repo
        .git
        .resolve(&new.reference)
        .ok_or_else(|| unprocessable(&format!("No ref found for: {}", new.reference)))?;
    if new.auto_merge {
        merge_default(call, state, &new.reference, &sha)?;
    }
    let repo = call.repo(state)?;
    contexts(state, repo, &new, &sha)?;
    let (id, environment_id, at) = (state.id(), state.id(), now());
    let creator = call.caller.login().to_owned();
    let repo = state.repo_mut(&call.full_name()).ok_or_else(not_found)?;
    let environment = access::ensure_environment(repo, &new.environment, environment_id, &at);
    repo.deployments.push(Deployment {
        id,
        sha,
        reference: new.reference,
        task: new.task,
        payload: new.payload.unwrap_or_else(|| json!({})),
        production: new
            .production_environment
            .unwrap_or(environment == "production"),
        environment,
        description: new.description,
        creator,
        created_at: at.clone(),
        updated_at: at,
        transient: new.transient_environment,
        statuses: Vec::new(),
        job: None,
    });
    let repo = call.repo(state)?;
    let made = repo.deployments.last().ok_or_else(not_found)?;
    Ok(Answer::json(201, render(&call.view(state), repo, made)))
}

/// With `auto_merge`, a ref behind the default branch is first brought up to date, and nothing is deployed by this call.
fn merge_default(
    call: &Call<'_>,
    state: &mut State,
    reference: &str,
    sha: &str,
) -> Result<(), Box<Answer>> {
    let repo = call.repo(state)?;
    let default = repo.default_branch.clone();
    let Some(tip) = repo
        .git
        .branch(&default)
        .filter(|tip| !repo.git.is_ancestor(tip, sha))
    else {
        return Ok(());
    };
    let conflict = || {
        Box::new(Answer::json(
            409,
            json!({"message": format!("Conflict merging {default} into {reference}.")}),
        ))
    };
    if repo.git.branch(reference).is_none() {
        return Err(conflict());
    }
    let tree = repo.git.merge_tree(sha, &tip).map_err(|_| conflict())?;
    let author = state.signature(call.caller.login());
    let committer = Signature {
        time: seconds(),
        ..state.signature(WEB_FLOW)
    };
    let message = format!("Merge branch '{default}' into {reference}");
    let merged = repo
        .git
        .commit_tree(&tree, &[sha, &tip], &author, &committer, &message)
        .map_err(broken)?;
    repo.git.set_branch(reference, &merged).map_err(broken)?;
    Err(Box::new(Answer::json(
        202,
        json!({"message": format!("Auto-merged {default} into {reference} on deployment.")}),
    )))
}

/// Every context must be green: those named, or without any named, all there are.
fn contexts(state: &State, repo: &Repo, new: &New, sha: &str) -> Result<(), Box<Answer>> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for status in checks::latest_statuses(repo, sha) {
        known.insert(status.context.clone(), status.state.clone());
    }
    for run in checks::of_commit(state, repo, sha) {
        // A job that deploys cannot wait for its own check run.
        if run.app_id == ACTIONS_APP_ID
            && run.status != "completed"
            && new.required_contexts.is_none()
        {
            continue;
        }
        let outcome = match run.conclusion.as_deref() {
            Some("success" | "neutral" | "skipped") => "success",
            Some(_) => "failure",
            None => "pending",
        };
        known.insert(run.name, outcome.to_owned());
    }
    let wanted: Vec<String> = new
        .required_contexts
        .clone()
        .unwrap_or_else(|| known.keys().cloned().collect());
    let open: Vec<Value> = wanted
        .iter()
        .filter(|context| known.get(*context).is_none_or(|outcome| outcome != "success"))
        .map(|context| json!({"context": context, "state": known.get(context).map_or("pending", String::as_str)}))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(Box::new(Answer::json(
        409,
        json!({
            "message": format!("Conflict: Commit status checks failed for {}.", new.reference),
            "errors": [{"contexts": open, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}],
            "documentation_url": "https://docs.github.com/rest/deployments/deployments#create-a-deployment",
            "status": "409",
        }),
    )))
}

/// The body of "Create a deployment status".
#[derive(Deserialize)]
struct NewStatus {
    state: String,
    #[serde(default)]
    target_url: String,
    #[serde(default)]
    log_url: String,
    #[serde(default)]
    description: String,
    environment: Option<String>,
    #[serde(default)]
    environment_url: String,
    #[serde(default = "yes")]
    auto_inactive: bool,
}

pub(super) fn create_status(call: &Call<'_>, state: &mut State) -> Outcome {
    let new: NewStatus = serde_json::from_value(call.body.clone())
        .map_err(|error| unprocessable(&error.to_string()))?;
    if new.description.chars().count() > DESCRIPTION {
        return Err(invalid(
            "DeploymentStatus",
            "description",
            "custom",
            "description is too long (maximum is 140 characters)",
        ));
    }
    for (field, url) in [
        ("target_url", &new.target_url),
        ("log_url", &new.log_url),
        ("environment_url", &new.environment_url),
    ] {
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(invalid(
                "DeploymentStatus",
                field,
                "custom",
                &format!("{field} must use http(s) scheme"),
            ));
        }
    }
    let id = wanted(call, call.repo(state)?)?.id;
    let (status_id, creator) = (state.id(), call.caller.login().to_owned());
    let older: Vec<(u64, u64)> = if new.state == "success" && new.auto_inactive {
        superseded(state, call, id)
    } else {
        Vec::new()
    };
    let repo = state.repo_mut(&call.full_name()).ok_or_else(not_found)?;
    let log_url = if new.log_url.is_empty() {
        new.target_url
    } else {
        new.log_url
    };
    push_status(
        repo,
        id,
        status_id,
        &new.state,
        new.description,
        new.environment,
        (new.environment_url, log_url),
        &creator,
    );
    for (deployment, status) in older {
        push_status(
            repo,
            deployment,
            status,
            "inactive",
            String::new(),
            None,
            Default::default(),
            &creator,
        );
    }
    let repo = call.repo(state)?;
    let deployment = wanted(call, repo)?;
    let status = deployment
        .statuses
        .iter()
        .find(|status| status.id == status_id)
        .ok_or_else(not_found)?;
    Ok(Answer::json(
        201,
        render_status(&call.view(state), repo, deployment, status),
    ))
}

/// Prior deployments of the same environment that succeeded and are neither transient nor production: those GitHub sets
/// inactive. Older production deployments stay active until somebody says otherwise.
fn superseded(state: &mut State, call: &Call<'_>, id: u64) -> Vec<(u64, u64)> {
    let Some(repo) = state.repo(&call.full_name()) else {
        return Vec::new();
    };
    let Some(environment) = repo
        .deployments
        .iter()
        .find(|one| one.id == id)
        .map(|one| one.environment.clone())
    else {
        return Vec::new();
    };
    let prior: Vec<u64> = repo
        .deployments
        .iter()
        .filter(|earlier| {
            earlier.id < id
                && earlier.environment == environment
                && !earlier.transient
                && !earlier.production
        })
        .filter(|earlier| {
            earlier
                .statuses
                .last()
                .is_some_and(|status| status.state == "success")
        })
        .map(|earlier| earlier.id)
        .collect();
    prior
        .into_iter()
        .map(|deployment| (deployment, state.id()))
        .collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "one status has this many facts, and two callers write them"
)]
fn push_status(
    repo: &mut Repo,
    deployment: u64,
    id: u64,
    state: &str,
    description: String,
    environment: Option<String>,
    (environment_url, log_url): (String, String),
    creator: &str,
) {
    let Some(deployment) = repo.deployments.iter_mut().find(|one| one.id == deployment) else {
        return;
    };
    let at = now();
    if let Some(environment) = environment {
        deployment.environment = environment;
    }
    deployment.updated_at.clone_from(&at);
    deployment.statuses.push(DeploymentStatus {
        id,
        state: state.to_owned(),
        description,
        environment: deployment.environment.clone(),
        environment_url,
        log_url,
        creator: creator.to_owned(),
        created_at: at,
    });
}

/// Ends the deployments GitHub made for a job, with the job.
pub(crate) fn finish_job(repo: &mut Repo, job: u64, id: u64, conclusion: &str) {
    let Some(deployment) = repo
        .deployments
        .iter()
        .find(|one| one.job == Some(job))
        .map(|one| one.id)
    else {
        return;
    };
    let (state, log) = (
        if conclusion == "success" {
            "success"
        } else {
            "failure"
        },
        last_log(repo, deployment),
    );
    push_status(
        repo,
        deployment,
        id,
        state,
        String::new(),
        None,
        (String::new(), log),
        crate::state::ACTIONS_BOT,
    );
}

fn last_log(repo: &Repo, deployment: u64) -> String {
    repo.deployments
        .iter()
        .find(|one| one.id == deployment)
        .and_then(|one| one.statuses.last())
        .map(|status| status.log_url.clone())
        .unwrap_or_default()
}

fn render(view: &View<'_>, repo: &Repo, one: &Deployment) -> Value {
    let url = format!("{}/deployments/{}", view.repo_url(repo), one.id);
    json!({
        "url": url,
        "id": one.id,
        "node_id": format!("DE_{}", one.id),
        "sha": one.sha,
        "ref": one.reference,
        "task": one.task,
        "payload": one.payload,
        "original_environment": one.environment,
        "environment": one.environment,
        "description": one.description,
        "creator": view.user(&one.creator),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "statuses_url": format!("{url}/statuses"),
        "repository_url": view.repo_url(repo),
        "transient_environment": one.transient,
        "production_environment": one.production,
    })
}

fn render_status(
    view: &View<'_>,
    repo: &Repo,
    deployment: &Deployment,
    status: &DeploymentStatus,
) -> Value {
    let url = format!("{}/deployments/{}", view.repo_url(repo), deployment.id);
    json!({
        "url": format!("{url}/statuses/{}", status.id),
        "id": status.id,
        "node_id": format!("DES_{}", status.id),
        "state": status.state,
        "creator": view.user(&status.creator),
        "description": status.description,
        "environment": status.environment,
        "target_url": status.log_url,
        "log_url": status.log_url,
        "environment_url": status.environment_url,
        "created_at": status.created_at,
        "updated_at": status.created_at,
        "deployment_url": url,
        "repository_url": view.repo_url(repo),
    })
}
