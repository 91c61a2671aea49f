//! The caller and their permission: users by their role, run tokens by what their job declared.

use crate::actions::{Access, Job};
use crate::http::{Answer, error, not_found};
use crate::state::{ACTIONS_BOT, Deployment, DeploymentStatus, Environment, Repo, Run, State, now};
use crate::view::HTML;

/// The caller behind a token.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Anonymous,
    User(String),
    /// A run's token in the hands of one of its jobs, or why no job could be made out.
    Run {
        run: u64,
        job: Result<u64, String>,
    },
}

impl Identity {
    /// The account this caller acts as.
    pub(crate) fn login(&self) -> &str {
        match self {
            Self::User(login) => login,
            _ => ACTIONS_BOT,
        }
    }

    pub(crate) fn is_run(&self) -> bool {
        matches!(self, Self::Run { .. })
    }
}

/// A refusal, if any, and the note on the decision for the record.
pub(crate) struct Decision {
    pub(crate) refusal: Option<Box<Answer>>,
    pub(crate) note: String,
}

impl Decision {
    fn allow(note: impl Into<String>) -> Self {
        Self {
            refusal: None,
            note: format!("allowed: {}", note.into()),
        }
    }

    fn refuse(answer: Box<Answer>, note: impl Into<String>) -> Self {
        Self {
            refusal: Some(answer),
            note: format!("refused: {}", note.into()),
        }
    }
}

/// True where the caller may know that the repository exists.
pub(crate) fn may_see(state: &State, caller: &Identity, repo: &Repo) -> bool {
    match caller {
        Identity::Anonymous => !repo.private,
        Identity::User(login) => !repo.private || repo.role(login) != "none",
        Identity::Run { run, .. } => {
            !repo.private
                || state
                    .runs
                    .get(run)
                    .is_some_and(|run| run.repository.eq_ignore_ascii_case(&repo.full_name()))
        }
    }
}

/// Decides a call that needs any one of `needs`, on `repo` where it names one.
pub(crate) fn allowed(
    state: &State,
    caller: &Identity,
    repo: Option<&Repo>,
    needs: &[(&str, Access)],
) -> Decision {
    if let Some(repo) = repo.filter(|repo| !may_see(state, caller, repo)) {
        return Decision::refuse(
            not_found(),
            format!("{} is hidden from this caller", repo.full_name()),
        );
    }
    let write = needs.iter().all(|(_, access)| *access == Access::Write) && !needs.is_empty();
    match caller {
        Identity::Anonymous if write || needs.is_empty() => {
            Decision::refuse(error(401, "Requires authentication"), "no token")
        }
        Identity::Anonymous => Decision::allow("public"),
        Identity::User(login) => user(repo, login, needs, write),
        Identity::Run { run, job } => job_token(state, *run, job, repo, needs),
    }
}

fn user(repo: Option<&Repo>, login: &str, needs: &[(&str, Access)], write: bool) -> Decision {
    let role = repo.map_or("read", |repo| repo.role(login));
    // A user who can read a repository can comment in it; every other change takes a writer.
    let comments = needs.iter().any(|(scope, _)| *scope == "issues");
    if write && !comments && !matches!(role, "write" | "maintain" | "admin") {
        return Decision::refuse(not_found(), format!("{login} has role {role}"));
    }
    Decision::allow(format!("{login} has role {role}"))
}

fn job_token(
    state: &State,
    run: u64,
    job: &Result<u64, String>,
    repo: Option<&Repo>,
    needs: &[(&str, Access)],
) -> Decision {
    let refuse = |why: String| Decision::refuse(forbidden(needs, &why), why);
    let job = match job {
        Ok(job) => state
            .runs
            .get(&run)
            .and_then(|run| run.jobs.iter().find(|known| known.id == *job)),
        Err(why) => return refuse(format!("no job of run {run} made this call: {why}")),
    };
    let Some(job) = job else {
        return refuse(format!("run {run} has no such job"));
    };
    let own = repo.is_none_or(|repo| {
        state
            .runs
            .get(&run)
            .is_some_and(|run| run.repository.eq_ignore_ascii_case(&repo.full_name()))
    });
    let granted = needs
        .iter()
        .find(|(scope, access)| job.permissions.of(&scope.replace('_', "-")) >= *access);
    match granted {
        // Another, public repository can be read but not changed.
        Some((scope, access)) if own || *access == Access::Read => {
            Decision::allow(format!("job '{}' has {scope}: {}", job.name, access.word()))
        }
        _ => refuse(format!(
            "job '{}' did not declare {}",
            job.name,
            words(needs)
        )),
    }
}

/// `pull_requests=read; issues=read`, as the header lists alternatives.
fn words(needs: &[(&str, Access)]) -> String {
    if needs.is_empty() {
        return "what no app's token can have".to_owned();
    }
    needs
        .iter()
        .map(|(scope, access)| format!("{scope}={}", access.word()))
        .collect::<Vec<_>>()
        .join("; ")
}

/// GitHub's refusal of an app's token. The reason, which GitHub does not give, goes into a header of our own.
pub(crate) fn forbidden(needs: &[(&str, Access)], why: &str) -> Box<Answer> {
    let mut answer = *error(403, "Resource not accessible by integration");
    if !needs.is_empty() {
        answer = answer.header("x-accepted-github-permissions", words(needs));
    }
    Box::new(answer.header("x-standin-reason", why))
}

/// Checks that GitHub would have let this job start: its environment may refuse the branch, or wait for a reviewer.
pub(crate) fn ready(repo: &Repo, run: &Run, job: &Job) -> Result<(), String> {
    let Some(environment) = job
        .environment
        .as_deref()
        .and_then(|name| repo.environment(name))
    else {
        return Ok(());
    };
    let branch = &run.head_branch;
    let protected = repo
        .rules
        .get(branch)
        .is_some_and(|rules| !rules.is_empty());
    let listed = environment
        .branch_patterns
        .iter()
        .any(|pattern| glob(pattern, branch));
    if (environment.protected_branches && !protected)
        || (!environment.branch_patterns.is_empty() && !listed)
    {
        return Err(format!(
            "Branch \"{branch}\" is not allowed to deploy to {} due to environment protection rules.",
            environment.name
        ));
    }
    let approved = |approval: &crate::state::Approval| {
        approval.state == "approved"
            && approval
                .environments
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&environment.name))
            && environment
                .reviewers
                .iter()
                .any(|reviewer| reviewer.eq_ignore_ascii_case(&approval.user))
    };
    if !environment.reviewers.is_empty() && !run.approvals.iter().any(approved) {
        return Err(format!(
            "job '{}' waits for a review of its deployment to {}",
            job.name, environment.name
        ));
    }
    Ok(())
}

/// `*` stands for any run of characters but `/`.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|end| tail.is_char_boundary(*end) && !tail[..*end].contains('/'))
                .any(|end| glob(rest, &tail[end..]))
        }),
    }
}

/// Notes a job's first sign of life. GitHub makes a deployment for a job with an environment, unless it says not to.
pub(crate) fn started(state: &mut State, run_id: u64, job_id: u64) {
    let (deployment_id, status_id, environment_id, at) =
        (state.id(), state.id(), state.id(), now());
    let Some(run) = state.runs.get_mut(&run_id) else {
        return;
    };
    let (repository, sha, branch) = (
        run.repository.clone(),
        run.head_sha.clone(),
        run.head_branch.clone(),
    );
    let Some(job) = run
        .jobs
        .iter_mut()
        .find(|job| job.id == job_id && job.status == "queued")
    else {
        return;
    };
    job.status = "in_progress";
    job.started_at = Some(at.clone());
    run.status = "in_progress";
    let Some(name) = job.environment.clone() else {
        return;
    };
    let (deploys, log) = (
        job.deploys,
        format!("{HTML}/{repository}/actions/runs/{run_id}/job/{job_id}"),
    );
    let Some(repo) = state.repo_mut(&repository) else {
        return;
    };
    let environment = ensure_environment(repo, &name, environment_id, &at);
    if deploys {
        repo.deployments.push(Deployment {
            id: deployment_id,
            sha,
            reference: branch,
            task: "deploy".into(),
            payload: serde_json::json!({}),
            environment: environment.clone(),
            description: None,
            creator: ACTIONS_BOT.into(),
            created_at: at.clone(),
            updated_at: at.clone(),
            transient: false,
            production: environment == "production",
            statuses: vec![DeploymentStatus {
                id: status_id,
                state: "in_progress".into(),
                description: String::new(),
                environment,
                environment_url: String::new(),
                log_url: log,
                creator: ACTIONS_BOT.into(),
                created_at: at,
            }],
            job: Some(job_id),
        });
    }
}

/// GitHub makes an environment the first time something deploys to it. Returns its name as first written.
pub(crate) fn ensure_environment(repo: &mut Repo, name: &str, id: u64, at: &str) -> String {
    if let Some(known) = repo.environment(name) {
        return known.name.clone();
    }
    repo.environments.push(Environment {
        id,
        name: name.to_owned(),
        created_at: at.to_owned(),
        ..Environment::default()
    });
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_patterns_match_as_documented() {
        assert!(glob("release/*", "release/1.2"));
        assert!(!glob("release/*", "release/1/2"));
        assert!(glob("main", "main") && !glob("main", "maint"));
    }
}
