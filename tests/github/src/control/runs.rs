//! Starting, rerunning, approving and finishing workflow runs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{body, created, git_failed, known_user, repo};
use crate::actions::{Context, Files, plan};
use crate::git::Signature;
use crate::http::{Answer, Outcome, Request, error, not_found, unprocessable};
use crate::oidc;
use crate::rest::finish_job;
use crate::state::{Approval, Proposed, Repo, Run, State, now, text_map};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRun {
    workflow: String,
    event: String,
    actor: String,
    triggering_actor: Option<String>,
    branch: Option<String>,
    /// The pull request, and only of the event `pull_request`.
    pull: Option<u64>,
    #[serde(default)]
    tag: bool,
    sha: Option<String>,
    #[serde(default)]
    inputs: Map<String, Value>,
    #[serde(default)]
    vars: Map<String, Value>,
    #[serde(default)]
    workflows: BTreeMap<String, String>,
}

/// Workflow files as the registration brought them, else from the repositories at hand.
struct Library<'a> {
    state: &'a State,
    repository: &'a str,
    reference: &'a str,
    sha: &'a str,
    texts: &'a BTreeMap<String, String>,
}

impl Files for Library<'_> {
    fn called(&self, uses: &str) -> Result<crate::actions::Called, String> {
        let text = |repository: &str, path: &str, sha: &str| {
            let kept = || {
                self.state
                    .repo(repository)
                    .and_then(|repo| repo.git.file(sha, path))
            };
            self.texts
                .get(uses)
                .cloned()
                .or_else(kept)
                .ok_or_else(|| format!("{uses}: the stand-in was not given this workflow"))
        };
        if let Some(path) = uses.strip_prefix("./") {
            let reference = format!("{}/{path}@{}", self.repository, self.reference);
            return Ok(crate::actions::Called {
                text: text(self.repository, path, self.sha)?,
                reference,
                sha: self.sha.to_owned(),
            });
        }
        let (location, reference) = uses
            .split_once('@')
            .ok_or_else(|| format!("{uses} names no ref"))?;
        let mut parts = location.splitn(3, '/');
        let (Some(owner), Some(name), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("{uses} is not OWNER/NAME/PATH@REF"));
        };
        let repository = format!("{owner}/{name}");
        let git = self.state.repo(&repository).map(|repo| &repo.git);
        let is_sha =
            reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sha = match git.and_then(|git| git.resolve(reference)) {
            Some(sha) => sha,
            None if is_sha => reference.to_owned(),
            // The text alone was given, so there is no commit to name.
            None => "0".repeat(40),
        };
        let full = if is_sha || reference.starts_with("refs/") {
            reference.to_owned()
        } else if git.is_some_and(|git| git.branch(reference).is_some()) {
            format!("refs/heads/{reference}")
        } else {
            format!("refs/tags/{reference}")
        };
        Ok(crate::actions::Called {
            text: text(&repository, path, &sha)?,
            reference: format!("{location}@{full}"),
            sha,
        })
    }
}

pub(super) fn start(state: &mut State, base: &str, name: &str, request: &Request) -> Outcome {
    let new: NewRun = body(request)?;
    let actor = known_user(state, &new.actor)?;
    let triggering_actor =
        known_user(state, new.triggering_actor.as_deref().unwrap_or(&new.actor))?;
    let of_a_pull = matches!(new.event.as_str(), "pull_request" | "pull_request_review");
    if new.pull.is_some() != of_a_pull {
        return Err(unprocessable("pull goes with the events of a pull request"));
    }
    let merger = state.signature(&actor);
    let repo = repo(state, name)?;
    let full_name = repo.full_name();
    let proposed = new
        .pull
        .map(|number| propose(repo, number, &merger))
        .transpose()?;
    let (head, proposed) = proposed.unzip();
    let (branch, sha) = head_of(repo, head.or(new.branch), new.tag, new.sha.as_deref())?;
    let at = now();
    let mut run = Run {
        id: 0,
        repository: full_name.clone(),
        number: 0,
        attempt: 1,
        event: new.event,
        path: new.workflow,
        workflow_id: 0,
        workflow_name: String::new(),
        head_branch: branch,
        tag: new.tag,
        head_sha: sha,
        proposed,
        actor,
        triggering_actor,
        status: "queued",
        conclusion: None,
        created_at: at.clone(),
        started_at: at.clone(),
        updated_at: at,
        jobs: Vec::new(),
        approvals: Vec::new(),
        token: token("ghs_"),
        oidc_token: token(""),
        earlier: Vec::new(),
    };
    let missing = || unprocessable(&format!("{} is not in {}", run.path, run.head_branch));
    let text = new
        .workflows
        .get(&run.path)
        .cloned()
        .or_else(|| repo.git.file(run.sha(), &run.path))
        .ok_or_else(missing)?;
    let reference = run.full_ref();
    let context = Context {
        inputs: new.inputs,
        vars: new.vars,
        github: github_context(&run, &reference),
    };
    let library = Library {
        state,
        repository: &full_name,
        reference: &reference,
        sha: run.sha(),
        texts: &new.workflows,
    };
    let planned = plan(&run.path, &text, &run.event, context, &library)
        .map_err(|message| unprocessable(&message))?;
    run.workflow_name = planned.name;
    run.jobs = planned.jobs;
    let workflow_id = workflow_id(state, &full_name, &run.path);
    (run.id, run.workflow_id) = (state.id(), workflow_id);
    for job in &mut run.jobs {
        job.id = state.id();
    }
    let earlier = state.runs.values();
    let earlier = earlier.filter(|run| run.workflow_id == workflow_id);
    run.number = 1 + earlier.map(|run| run.number).max().unwrap_or(0);
    let answer = describe(base, &run);
    state.runs.insert(run.id, run);
    created(answer)
}

/// The branch or tag that a run is of, and the commit.
fn head_of(
    repo: &Repo,
    branch: Option<String>,
    tag: bool,
    sha: Option<&str>,
) -> Result<(String, String), Box<Answer>> {
    let branch = branch.unwrap_or_else(|| repo.default_branch.clone());
    if tag && !repo.git.is_tag(&branch) {
        return Err(unprocessable(&format!("git has no tag {branch}")));
    }
    let wanted = sha.unwrap_or(&branch);
    let sha = repo.git.resolve(wanted);
    let sha = sha.ok_or_else(|| unprocessable(&format!("No ref found for: {wanted}")))?;
    Ok((branch, sha))
}

/// The members of the `github` context that the stand-in knows.
fn github_context(run: &Run, reference: &str) -> Map<String, Value> {
    let owner = run.repository.split('/').next().unwrap_or_default();
    let short = reference.strip_prefix("refs/pull/");
    text_map(&[
        ("event_name", &run.event),
        ("ref", reference),
        ("ref_name", short.unwrap_or(&run.head_branch)),
        ("sha", run.sha()),
        ("repository", &run.repository),
        ("repository_owner", owner),
        ("actor", &run.actor),
        ("triggering_actor", &run.triggering_actor),
    ])
}

/// The branch of an open pull request, and the commit that its merge would make, which GitHub keeps at a ref of its own.
fn propose(
    repo: &Repo,
    number: u64,
    merger: &Signature,
) -> Result<(String, Proposed), Box<Answer>> {
    let pull = repo
        .pull(number)
        .filter(|pull| pull.closed_at.is_none())
        .ok_or_else(|| unprocessable(&format!("no pull request {number} is open")))?;
    let tip = |branch: &str| {
        repo.git
            .branch(branch)
            .ok_or_else(|| unprocessable(&format!("git has no branch {branch}")))
    };
    let (base, head) = (tip(&pull.base)?, tip(&pull.head)?);
    // GitHub starts no run for a pull request that conflicts.
    let tree = repo
        .git
        .merge_tree(&base, &head)
        .map_err(|_| unprocessable(&format!("pull request {number} conflicts with its base")))?;
    let message = format!("Merge {head} into {base}");
    let merge = repo
        .git
        .commit_tree(&tree, &[&base, &head], merger, merger, &message)
        .map_err(git_failed)?;
    repo.git
        .set_ref(&format!("refs/pull/{number}/merge"), &merge)
        .map_err(git_failed)?;
    let proposed = Proposed {
        number,
        base: pull.base.clone(),
        merge,
    };
    Ok((pull.head.clone(), proposed))
}

fn token(prefix: &str) -> String {
    format!(
        "{prefix}{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

/// One id for each workflow file of a repository.
fn workflow_id(state: &mut State, repository: &str, path: &str) -> u64 {
    let known = state
        .runs
        .values()
        .find(|run| run.repository == repository && run.path == path)
        .map(|run| run.workflow_id);
    known.unwrap_or_else(|| state.id())
}

fn describe(base: &str, run: &Run) -> Value {
    json!({
        "run_id": run.id,
        "run_number": run.number,
        "run_attempt": run.attempt,
        "token": run.token,
        "oidc_request_url": oidc::request_url(base, run.id),
        "oidc_request_token": run.oidc_token,
        "sha": run.sha(),
        "jobs": jobs(run),
    })
}

fn jobs(run: &Run) -> Vec<Value> {
    run.jobs
        .iter()
        .map(|job| json!({"key": job.key, "name": job.name, "environment": job.environment, "status": job.status, "conclusion": job.conclusion}))
        .collect()
}

fn find<'s>(state: &'s mut State, id: &str) -> Result<&'s mut Run, Box<Answer>> {
    id.parse()
        .ok()
        .and_then(|id: u64| state.runs.get_mut(&id))
        .ok_or_else(not_found)
}

pub(super) fn show(state: &mut State, id: &str) -> Outcome {
    let run = find(state, id)?;
    Ok(Answer::ok(
        json!({"status": run.status, "conclusion": run.conclusion, "jobs": jobs(run)}),
    ))
}

pub(super) fn act(
    state: &mut State,
    base: &str,
    id: &str,
    action: &str,
    request: &Request,
) -> Outcome {
    match action {
        "rerun" => rerun(state, base, id, request),
        "approvals" => approve(state, id, request),
        "finish" => finish(state, id, request),
        _ => Err(not_found()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rerun {
    user: String,
}

/// The same commit and the first actor's privileges, but another triggering actor and fresh tokens.
fn rerun(state: &mut State, base: &str, id: &str, request: &Request) -> Outcome {
    let rerun: Rerun = body(request)?;
    let user = known_user(state, &rerun.user)?;
    let first = find(state, id)?.clone();
    if first.live() {
        return Err(error(409, "the run is not finished"));
    }
    let mut next = first.clone();
    for job in &mut next.jobs {
        job.id = state.id();
        job.status = "queued";
        job.conclusion = None;
        job.started_at = None;
        job.completed_at = None;
    }
    next.earlier.push(Run {
        earlier: Vec::new(),
        ..first
    });
    next.attempt += 1;
    next.triggering_actor = user;
    next.status = "queued";
    next.conclusion = None;
    next.started_at = now();
    next.updated_at = now();
    next.token = token("ghs_");
    next.oidc_token = token("");
    let answer = describe(base, &next);
    state.runs.insert(next.id, next);
    created(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApproval {
    user: String,
    environments: Vec<String>,
    state: String,
    #[serde(default)]
    comment: String,
}

fn approve(state: &mut State, id: &str, request: &Request) -> Outcome {
    let new: NewApproval = body(request)?;
    let user = known_user(state, &new.user)?;
    if !matches!(new.state.as_str(), "approved" | "rejected") {
        return Err(unprocessable("state is approved or rejected"));
    }
    let run = find(state, id)?.clone();
    let repo = repo(state, &run.repository)?;
    for name in &new.environments {
        let environment = repo
            .environment(name)
            .ok_or_else(|| unprocessable(&format!("no environment {name}")))?;
        if !environment.reviewers.contains(&user) {
            return Err(error(403, &format!("{user} is not a reviewer of {name}")));
        }
        if environment.prevent_self_review && user == run.triggering_actor {
            return Err(error(
                403,
                &format!("{user} triggered the run, and {name} prevents self-review"),
            ));
        }
    }
    let approval = Approval {
        user,
        state: new.state,
        comment: new.comment,
        environments: new.environments,
    };
    find(state, id)?.approvals.push(approval);
    created(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    conclusion: String,
    #[serde(default)]
    jobs: BTreeMap<String, String>,
}

fn finish(state: &mut State, id: &str, request: &Request) -> Outcome {
    let finish: Finish = body(request)?;
    let known = [
        "success",
        "failure",
        "neutral",
        "cancelled",
        "skipped",
        "timed_out",
    ];
    if let Some(other) = finish
        .jobs
        .values()
        .chain([&finish.conclusion])
        .find(|word| !known.contains(&word.as_str()))
    {
        return Err(unprocessable(&format!("{other} is not a conclusion")));
    }
    let at = now();
    let run = find(state, id)?;
    if let Some(other) = finish.jobs.keys().find(|name| {
        !run.jobs
            .iter()
            .any(|job| job.name == **name || job.key == **name)
    }) {
        return Err(unprocessable(&format!("the run has no job {other}")));
    }
    run.status = "completed";
    run.conclusion = Some(finish.conclusion.clone());
    run.updated_at.clone_from(&at);
    let mut ended = Vec::new();
    for job in &mut run.jobs {
        let conclusion = finish
            .jobs
            .get(&job.name)
            .or_else(|| finish.jobs.get(&job.key))
            .unwrap_or(&finish.conclusion)
            .clone();
        ended.push((job.id, conclusion.clone()));
        job.status = "completed";
        job.conclusion = Some(conclusion);
        job.completed_at = Some(at.clone());
    }
    let repository = run.repository.clone();
    for (job, conclusion) in ended {
        let status = state.id();
        finish_job(repo(state, &repository)?, job, status, &conclusion);
    }
    Ok(Answer::ok(json!({})))
}
