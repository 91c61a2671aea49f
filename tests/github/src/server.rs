//! The listener and the way of a request through it: fault, caller, permission, handler, validation, record.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request as AxumRequest, State as AxumState};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::description::{Description, Mismatch};
use crate::http::{Answer, Body, Outcome, Request, error, not_found, parse_query, unprocessable};
use crate::journal::{CallRecord, Fault};
use crate::oidc::{self, Signer};
use crate::rest::{self, Call, Who};
use crate::state::{State, now, seconds};
use crate::{Config, Error, Violation, control, graphql, peer};

/// Bodies larger than this are refused; GitHub's own limit is of the same order.
const BODY: usize = 10 * 1024 * 1024;
/// Requests an hour GitHub allows a run's token, and a user's.
const RUN_LIMIT: u64 = 1000;
const USER_LIMIT: u64 = 5000;

/// A stand-in, before and while it serves.
#[derive(Clone)]
pub struct Standin {
    inner: Arc<Inner>,
}

struct Inner {
    local: SocketAddr,
    base: String,
    description: Description,
    signer: Signer,
    state: Mutex<State>,
}

/// Makes a stand-in for the listener's address and serves until the task is dropped.
///
/// # Errors
/// When the signing key cannot be made or the listener fails.
pub async fn serve(config: Config, listener: TcpListener) -> Result<(), Error> {
    Standin::new(config, listener.local_addr()?)?.serve(listener).await
}

impl Standin {
    /// A stand-in that is reached at `address` (its answers name it) and makes its signing key now.
    ///
    /// # Errors
    /// When `openssl` cannot make the key.
    pub fn new(config: Config, address: SocketAddr) -> Result<Self, Error> {
        let inner = Inner {
            local: address,
            base: format!("http://{address}"),
            description: Description::new(config.openapi),
            signer: Signer::generate()?,
            state: Mutex::new(State::new()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Serves until the task is dropped.
    ///
    /// # Errors
    /// When the accept loop fails.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), Error> {
        let app = axum::Router::new().fallback(receive).with_state(self.clone());
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
        Ok(())
    }

    /// Answers that broke GitHub's description and calls that are not implemented. A test that finds any has failed.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.inner.state().violations_of(None)
    }

    /// The calls received so far, those of the control API apart.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.inner.state().journal.calls.clone()
    }
}

async fn receive(AxumState(standin): AxumState<Standin>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: AxumRequest) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match axum::body::to_bytes(body, BODY).await {
        Err(_) => *error(413, "the body is too large"),
        Ok(body) => {
            let request = Request {
                method: parts.method.as_str().to_owned(),
                path: parts.uri.path().to_owned(),
                query: parse_query(parts.uri.query().unwrap_or_default()),
                headers: parts.headers,
                body,
                peer,
            };
            let fault = standin.inner.state().journal.take_fault(&request.method, &request.path).filter(|_| !request.path.starts_with("/_sandbox/"));
            if let Some(fault) = &fault {
                tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
            }
            let inner = Arc::clone(&standin.inner);
            // Handlers run git and read /proc, which would hold up other connections.
            let handled = tokio::task::spawn_blocking(move || inner.handle(&request, fault.as_ref(), parts.uri.query().unwrap_or_default()));
            handled.await.unwrap_or_else(|panic| *error(500, &format!("the stand-in failed: {panic}")))
        }
    };
    respond(answer)
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::builder().status(answer.status);
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.header("content-type", "application/json; charset=utf-8");
    }
    for (name, value) in &answer.headers {
        response = response.header(name.as_str(), value.as_str());
    }
    let body = match answer.body {
        Body::Json(value) => value.to_string().into_bytes(),
        Body::Raw(bytes) => bytes,
    };
    response.body(axum::body::Body::from(body)).unwrap_or_else(|_| Response::new(axum::body::Body::empty()))
}

/// What a call turned out to be, for its record.
struct Noted {
    caller: String,
    job: Option<String>,
    permission: String,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: &Request, fault: Option<&Fault>, query: &str) -> Answer {
        if request.path.starts_with("/_sandbox/") {
            return control::handle(&mut self.state(), &self.base, request).unwrap_or_else(|refusal| *refusal);
        }
        let mut noted = Noted { caller: "anonymous".to_owned(), job: None, permission: "not needed".to_owned() };
        let early = fault.filter(|fault| !fault.after).and_then(faulty);
        let answer = match early {
            Some(answer) => answer,
            None => {
                let answer = self.answer(request, fault, &mut noted);
                fault.filter(|fault| fault.after).and_then(faulty).unwrap_or(answer)
            }
        };
        let mut state = self.state();
        let answer = with_limits(&mut state, request, answer);
        let record = CallRecord {
            sequence: state.journal.calls.len() as u64 + 1,
            at: now(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: query.to_owned(),
            repository: repository(request),
            caller: noted.caller,
            job: noted.job,
            permission: noted.permission,
            status: answer.status,
            fault: fault.is_some(),
        };
        state.journal.calls.push(record);
        answer
    }

    fn answer(&self, request: &Request, fault: Option<&Fault>, noted: &mut Noted) -> Answer {
        match request.path.as_str() {
            "/.well-known/jwks" => return Answer::ok(self.signer.jwks()),
            "/.well-known/openid-configuration" => return Answer::ok(oidc::configuration(&self.base)),
            path if path.starts_with("/_actions/oidc/") => return self.identity_token(request, noted).unwrap_or_else(|refusal| *refusal),
            _ => {}
        }
        if let Some(refusal) = unacceptable(request) {
            return *refusal;
        }
        let who = match self.who(request, noted) {
            Ok(who) => who,
            Err(refusal) => return *refusal,
        };
        if request.path == "/graphql" {
            return self.graphql(request, &who, noted);
        }
        let Some((route, params)) = rest::find(&request.method, &request.path) else {
            return self.not_implemented(request, "this path and method");
        };
        let outcome = self.rest(request, route, params, &who, noted);
        let mut answer = outcome.unwrap_or_else(|refusal| *refusal);
        if let (Some(pointer), Body::Json(body)) = (fault.and_then(|fault| fault.remove.as_deref()), &mut answer.body) {
            remove(body, pointer);
        }
        self.validated(request, route, answer)
    }

    fn rest(&self, request: &Request, route: &rest::Route, params: std::collections::BTreeMap<&'static str, String>, who: &Who, noted: &mut Noted) -> Outcome {
        let mut state = self.state();
        let full_name = params.get("owner").zip(params.get("repo")).map(|(owner, repo)| format!("{owner}/{repo}"));
        let repo = full_name.as_deref().map(|name| state.repo(name).ok_or_else(not_found)).transpose()?;
        let decision = rest::allowed(&state, who, repo, route.needs);
        noted.permission = decision.note;
        if let Some(refusal) = decision.refusal {
            return Err(refusal);
        }
        drop(state);
        let known = self.description.query_parameters(route.template, route.method).map_err(|mismatch| error(500, &mismatch.message))?;
        if let Some((name, _)) = request.query.iter().find(|(name, _)| known.contains(name) && !route.query.contains(&name.as_str())) {
            return Ok(self.not_implemented(request, &format!("the query parameter {name}")));
        }
        let body = if request.body.is_empty() { Value::Null } else { serde_json::from_slice(&request.body).map_err(|_| error(400, "Problems parsing JSON"))? };
        if route.method != "GET" {
            self.description
                .check_request(route.template, route.method, &body)
                .map_err(|mismatch| unprocessable(&format!("Invalid request.\n\n{} at \"{}\"", mismatch.message, mismatch.pointer)))?;
        }
        state = self.state();
        route.call(&Call { request, base: &self.base, who, params, body }, &mut state)
    }

    /// GitHub's own schema has the last word on every answer.
    fn validated(&self, request: &Request, route: &rest::Route, answer: Answer) -> Answer {
        let Body::Json(body) = &answer.body else { return answer };
        if answer.status == 501 {
            return answer;
        }
        match self.description.check_answer(route.template, route.method, answer.status, body) {
            Ok(()) => answer,
            Err(Mismatch { pointer, message }) => {
                let violation = Violation {
                    call: format!("{} {} → {}", request.method, request.path, answer.status),
                    repository: repository(request),
                    pointer: pointer.clone(),
                    message: message.clone(),
                };
                self.state().journal.violations.push(violation);
                *error(500, &format!("the stand-in's answer does not fit GitHub's description at \"{pointer}\": {message}"))
            }
        }
    }

    fn not_implemented(&self, request: &Request, what: &str) -> Answer {
        let violation = Violation {
            call: format!("{} {}", request.method, request.path),
            repository: repository(request),
            pointer: what.to_owned(),
            message: "not implemented by the stand-in".to_owned(),
        };
        self.state().journal.violations.push(violation);
        *error(501, &format!("the stand-in does not implement {what}"))
    }

    /// The caller behind the token; for a run's token, also the job behind the connection.
    fn who(&self, request: &Request, noted: &mut Noted) -> Result<Who, Box<Answer>> {
        let Some(token) = request.token() else {
            // A token that is there but in no form GitHub reads is a bad one.
            return if request.header("authorization").is_some() { Err(error(401, "Bad credentials")) } else { Ok(Who::Anonymous) };
        };
        let state = self.state();
        if let Some(login) = state.tokens.get(token).cloned() {
            noted.caller = format!("user {login}");
            return Ok(Who::User(login));
        }
        let run = state.runs.values().find(|run| run.live() && run.token == token).map(|run| run.id);
        drop(state);
        let run = run.ok_or_else(|| error(401, "Bad credentials"))?;
        let job = self.job(request, run, noted);
        Ok(Who::Run { run, job })
    }

    /// The job of a run behind this connection, if its environment let it start.
    fn job(&self, request: &Request, run_id: u64, noted: &mut Noted) -> Result<u64, String> {
        noted.caller = format!("run {run_id}");
        let caller = peer::identify(request.peer, self.local, run_id)?;
        let mut state = self.state();
        let run = state.runs.get(&run_id).ok_or("the run is gone")?;
        let of_key: Vec<_> = run.jobs.iter().filter(|job| job.key == caller.job).collect();
        let named = |job: &&&crate::actions::Job| caller.workflow.as_deref() == Some(job.workflow.as_str());
        let exact: Vec<_> = of_key.iter().filter(named).copied().collect();
        let top = caller.workflow.as_deref().is_none_or(|name| name == run.workflow_name || run.path.ends_with(name));
        let candidates = match (exact.is_empty(), top) {
            (false, _) => exact,
            (true, true) => of_key,
            (true, false) => return Err(format!("run {run_id} has no workflow {:?}", caller.workflow.unwrap_or_default())),
        };
        let first = *candidates.first().ok_or_else(|| format!("run {run_id} has no job '{}'", caller.job))?;
        if let Some(other) = candidates.iter().find(|job| job.permissions != first.permissions || job.environment != first.environment) {
            return Err(format!("'{}' may be '{}' or '{}', which differ in permissions or environment", caller.job, first.name, other.name));
        }
        // Jobs that are alike are taken in turn, the one not seen yet first.
        let job = candidates.iter().find(|job| job.status == "in_progress").copied().unwrap_or(first);
        noted.job = Some(job.name.clone());
        let repo = state.repo(&run.repository).ok_or("the repository is gone")?;
        rest::ready(repo, run, job)?;
        let id = job.id;
        rest::started(&mut state, run_id, id);
        Ok(id)
    }

    fn graphql(&self, request: &Request, who: &Who, noted: &mut Noted) -> Answer {
        match who {
            Who::Anonymous => return *error(401, "This endpoint requires you to be authenticated."),
            Who::Run { job: Err(why), .. } => {
                noted.permission = format!("refused: {why}");
                return *rest::forbidden(&[], why);
            }
            _ => {}
        }
        if request.method != "POST" {
            return *not_found();
        }
        let mut state = self.state();
        let repository = match who {
            Who::Run { run, .. } => state.runs.get(run).map(|run| run.repository.clone()),
            _ => None,
        };
        let answered = graphql::execute(&state, who, &self.base, &request.body);
        let refused = matches!(&answered.answer.body, Body::Json(body) if body["errors"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "FORBIDDEN")));
        noted.permission = if refused { "refused: a field needs a permission the job did not declare" } else { "allowed: field by field" }.to_owned();
        for message in answered.unknown {
            state.journal.violations.push(Violation {
                call: "POST /graphql".to_owned(),
                repository: repository.clone(),
                pointer: "query".to_owned(),
                message: format!("not implemented by the stand-in, or not by GitHub: {message}"),
            });
        }
        answered.answer
    }

    /// The Actions token endpoint. GitHub gives its address only to jobs with `id-token: write`; others get a 403 here.
    fn identity_token(&self, request: &Request, noted: &mut Noted) -> Outcome {
        let id: Option<u64> = request.path.strip_prefix("/_actions/oidc/").and_then(|rest| rest.strip_suffix("/idtoken")).and_then(|id| id.parse().ok());
        let token = request.token().ok_or_else(|| error(401, "Unauthorized"))?;
        let live = self.state().runs.values().any(|run| Some(run.id) == id && run.live() && run.oidc_token == token);
        let run_id = id.filter(|_| live).ok_or_else(|| error(401, "Unauthorized"))?;
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
        let job = run.jobs.iter().find(|job| job.id == job_id).ok_or_else(not_found)?;
        if job.permissions.of("id-token") != crate::actions::Access::Write {
            noted.permission = format!("refused: job '{}' did not declare id-token=write", job.name);
            return Err(refuse(format!("no identity token: job '{}' did not declare id-token: write", job.name)));
        }
        noted.permission = format!("allowed: job '{}' has id-token: write", job.name);
        let claims = oidc::claims(&state, repo, run, job, request.query("audience"), seconds());
        let token = self.signer.sign(&claims).map_err(|message| error(500, &message))?;
        Ok(Answer::ok(json!({"count": token.len(), "value": token})))
    }
}

/// What GitHub refuses before it looks at a path.
fn unacceptable(request: &Request) -> Option<Box<Answer>> {
    if request.header("user-agent").is_none_or(str::is_empty) {
        return Some(error(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"));
    }
    let accept = request.header("accept").unwrap_or("*/*");
    let known = ["application/vnd.github+json", "application/vnd.github.v3+json", "application/json", "*/*", "application/vnd.github.raw"];
    let matches = accept.split(',').any(|one| known.iter().any(|known| one.trim().starts_with(known)));
    (!matches).then(|| error(415, &format!("Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.")))
}

fn faulty(fault: &Fault) -> Option<Answer> {
    let status = fault.status?;
    let mut answer = match &fault.body {
        Some(body) => Answer::json(status, body.clone()),
        None => *error(status, if status >= 500 { "Server Error" } else { "Forbidden" }),
    };
    for (name, value) in &fault.headers {
        answer = answer.header(name, value.as_str());
    }
    Some(answer)
}

/// Takes a value out of an answer, at a JSON pointer.
fn remove(body: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    match body.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.shift_remove(name)),
        Some(Value::Array(items)) => {
            if let Some(index) = name.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn with_limits(state: &mut State, request: &Request, answer: Answer) -> Answer {
    let Some(token) = request.token() else { return answer };
    let limit = if state.tokens.contains_key(token) { USER_LIMIT } else { RUN_LIMIT };
    let used = state.used.entry(token.to_owned()).or_default();
    *used += 1;
    let used = *used;
    [
        ("x-ratelimit-limit", limit.to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-remaining", limit.saturating_sub(used).to_string()),
        ("x-ratelimit-reset", (seconds() / 3600 * 3600 + 3600).to_string()),
        ("x-ratelimit-resource", if request.path == "/graphql" { "graphql" } else { "core" }.to_owned()),
        ("x-github-request-id", uuid::Uuid::new_v4().simple().to_string()),
    ]
    .into_iter()
    .fold(answer, |answer, (name, value)| if answer.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) { answer } else { answer.header(name, value) })
}

/// `OWNER/NAME` of a path below `/repos/`.
fn repository(request: &Request) -> Option<String> {
    let mut parts = request.path.strip_prefix("/repos/")?.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}
