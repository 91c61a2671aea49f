//! The caller: a user, or a job of a run; and the identity tokens that jobs ask for.

use serde_json::json;

use crate::actions::{Access, Job};
use crate::handle::{Inner, Noted};
use crate::http::{Answer, Outcome, Request, error, not_found};
use crate::rest::{self, Identity};
use crate::state::seconds;
use crate::{oidc, peer};

impl Inner {
    /// The caller behind the token; for a run's token, also the job behind the connection.
    pub(crate) fn authenticate(
        &self,
        request: &Request,
        noted: &mut Noted,
    ) -> Result<Identity, Box<Answer>> {
        let Some(token) = request.token() else {
            // A token that is there but in no form GitHub reads is a bad one.
            return if request.header("authorization").is_some() {
                Err(error(401, "Bad credentials"))
            } else {
                Ok(Identity::Anonymous)
            };
        };
        let state = self.state();
        if let Some(login) = state.tokens.get(token).cloned() {
            noted.caller = format!("user {login}");
            return Ok(Identity::User(login));
        }
        let run = state
            .runs
            .values()
            .find(|run| run.live() && run.token == token)
            .map(|run| run.id);
        drop(state);
        let run = run.ok_or_else(|| error(401, "Bad credentials"))?;
        let job = self.job(request, run, noted);
        Ok(Identity::Run { run, job })
    }

    /// The job of a run behind this connection, if its environment let it start.
    pub(crate) fn job(
        &self,
        request: &Request,
        run_id: u64,
        noted: &mut Noted,
    ) -> Result<u64, String> {
        noted.caller = format!("run {run_id}");
        let caller = peer::identify(request.peer, self.local, run_id)?;
        let mut state = self.state();
        let run = state.runs.get(&run_id).ok_or("the run is gone")?;
        let of_key: Vec<_> = run
            .jobs
            .iter()
            .filter(|job| job.key == caller.job)
            .collect();
        let named = |job: &&&Job| caller.workflow.as_deref() == Some(job.workflow.as_str());
        let exact: Vec<_> = of_key.iter().filter(named).copied().collect();
        let top = caller
            .workflow
            .as_deref()
            .is_none_or(|name| name == run.workflow_name || run.path.ends_with(name));
        let candidates = match (exact.is_empty(), top) {
            (false, _) => exact,
            (true, true) => of_key,
            (true, false) => {
                return Err(format!(
                    "run {run_id} has no workflow {:?}",
                    caller.workflow.unwrap_or_default()
                ));
            }
        };
        let first = *candidates
            .first()
            .ok_or_else(|| format!("run {run_id} has no job '{}'", caller.job))?;
        if let Some(other) = candidates.iter().find(|job| {
            job.permissions != first.permissions || job.environment != first.environment
        }) {
            return Err(format!(
                "'{}' may be '{}' or '{}', which differ in permissions or environment",
                caller.job, first.name, other.name
            ));
        }
        // Jobs alike in all that matters are not told apart.
        let job = candidates
            .iter()
            .find(|job| job.status == "in_progress")
            .copied()
            .unwrap_or(first);
        noted.job = Some(job.name.clone());
        let repo = state
            .repo(&run.repository)
            .ok_or("the repository is gone")?;
        rest::ready(repo, run, job)?;
        let id = job.id;
        rest::started(&mut state, run_id, id);
        Ok(id)
    }

    /// The Actions token endpoint. GitHub gives its address only to jobs with `id-token: write`; others get a 403 here.
    pub(crate) fn identity_token(&self, request: &Request, noted: &mut Noted) -> Outcome {
        let id: Option<u64> = request
            .path
            .strip_prefix("/_actions/oidc/")
            .and_then(|rest| rest.strip_suffix("/idtoken"))
            .and_then(|id| id.parse().ok());
        let token = request.token().ok_or_else(|| error(401, "Unauthorized"))?;
        let live = self
            .state()
            .runs
            .values()
            .any(|run| Some(run.id) == id && run.live() && run.oidc_token == token);
        let run_id = id
            .filter(|_| live)
            .ok_or_else(|| error(401, "Unauthorized"))?;
        if request.method != "GET" {
            return Err(not_found());
        }
        let refuse = |why: String| Box::new(error(403, &why).header("x-standin-reason", why));
        let job_id = self.job(request, run_id, noted).map_err(|why| {
            noted.permission = format!("refused: {why}");
            refuse(format!("no identity token: {why}"))
        })?;
        let state = self.state();
        let run = state.runs.get(&run_id).ok_or_else(not_found)?;
        let repo = state.repo(&run.repository).ok_or_else(not_found)?;
        let job = run
            .jobs
            .iter()
            .find(|job| job.id == job_id)
            .ok_or_else(not_found)?;
        if job.permissions.of("id-token") != Access::Write {
            noted.permission =
                format!("refused: job '{}' did not declare id-token=write", job.name);
            return Err(refuse(format!(
                "no identity token: job '{}' did not declare id-token: write",
                job.name
            )));
        }
        noted.permission = format!("allowed: job '{}' has id-token: write", job.name);
        let claims = oidc::claims(&state, repo, run, job, request.query("audience"), seconds());
        let token = self
            .signer
            .sign(&claims)
            .map_err(|message| error(500, &message))?;
        Ok(Answer::ok(json!({"count": token.len(), "value": token})))
    }
}
