//! The way of a request: fault, caller, permission, handler, validation, record.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::description::{Description, Mismatch};
use crate::http::{Answer, Body, Outcome, Request, error, not_found, unprocessable};
use crate::journal::{CallRecord, Fault};
use crate::oidc::{self, Signer};
use crate::rest::{self, Call, Identity};
use crate::state::{State, now, seconds};
use crate::{GraphqlJudge, Violation, control, graphql};

/// Requests an hour GitHub allows a run's token, and a user's.
const RUN_LIMIT: u64 = 1000;
const USER_LIMIT: u64 = 5000;

/// Everything a request may need, shared by all of them.
pub(crate) struct Inner {
    pub(crate) local: SocketAddr,
    pub(crate) base: String,
    pub(crate) description: Description,
    pub(crate) judge: GraphqlJudge,
    pub(crate) signer: Signer,
    pub(crate) state: Mutex<State>,
}

/// The facts about a call for its record.
pub(crate) struct Noted {
    pub(crate) caller: String,
    pub(crate) job: Option<String>,
    pub(crate) permission: String,
    /// The repository that a query names, where the path names none.
    pub(crate) repository: Option<String>,
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn handle(
        &self,
        request: &Request,
        fault: Option<&Fault>,
        query: &str,
        began: u64,
    ) -> Answer {
        if request.path.starts_with("/_sandbox/") {
            return control::handle(&mut self.state(), &self.base, request)
                .unwrap_or_else(|refusal| *refusal);
        }
        let mut noted = Noted {
            caller: "anonymous".to_owned(),
            job: None,
            permission: "not needed".to_owned(),
            repository: None,
        };
        let early = fault.filter(|fault| !fault.after).and_then(faulty);
        let answer = match early {
            Some(answer) => answer,
            None => {
                let answer = self.answer(request, fault, &mut noted);
                fault
                    .filter(|fault| fault.after)
                    .and_then(faulty)
                    .unwrap_or(answer)
            }
        };
        let mut state = self.state();
        let answer = with_limits(&mut state, request, answer);
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        let record = CallRecord {
            sequence: state.journal.calls.len() as u64 + 1,
            began,
            at: now(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: query.to_owned(),
            asked: (request.path == "/graphql").then_some(asked),
            repository: repository(request).or(noted.repository),
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
            "/.well-known/openid-configuration" => {
                return Answer::ok(oidc::configuration(&self.base));
            }
            path if path.starts_with("/_actions/oidc/") => {
                return self
                    .identity_token(request, noted)
                    .unwrap_or_else(|refusal| *refusal);
            }
            _ => {}
        }
        if let Some(refusal) = unacceptable(request) {
            return *refusal;
        }
        let caller = match self.authenticate(request, noted) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        if request.path == "/graphql" {
            return self.graphql(request, fault, &caller, noted);
        }
        let Some((route, params)) = rest::find(&request.method, &request.path) else {
            return self.not_implemented(request, "this path and method");
        };
        let outcome = self.rest(request, route, params, &caller, noted);
        let mut answer = outcome.unwrap_or_else(|refusal| *refusal);
        remove(&mut answer, fault);
        self.validated(request, route, answer)
    }

    fn rest(
        &self,
        request: &Request,
        route: &rest::Route,
        params: std::collections::BTreeMap<&'static str, String>,
        caller: &Identity,
        noted: &mut Noted,
    ) -> Outcome {
        let mut state = self.state();
        let full_name = params
            .get("owner")
            .zip(params.get("repo"))
            .map(|(owner, repo)| format!("{owner}/{repo}"));
        let repo = full_name
            .as_deref()
            .map(|name| state.repo(name).ok_or_else(not_found))
            .transpose()?;
        let decision = rest::allowed(&state, caller, repo, route.needs);
        noted.permission = decision.note;
        if let Some(refusal) = decision.refusal {
            return Err(refusal);
        }
        drop(state);
        let known = self
            .description
            .query_parameters(route.template, route.method)
            .map_err(|mismatch| error(500, &mismatch.message))?;
        if let Some((name, _)) = request
            .query
            .iter()
            .find(|(name, _)| known.contains(name) && !route.query.contains(&name.as_str()))
        {
            return Ok(self.not_implemented(request, &format!("the query parameter {name}")));
        }
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&request.body)
                .map_err(|_| error(400, "Problems parsing JSON"))?
        };
        if route.method != "GET" {
            self.description
                .check_request(route.template, route.method, &body)
                .map_err(|mismatch| {
                    unprocessable(&format!(
                        "Invalid request.\n\n{} at \"{}\"",
                        mismatch.message, mismatch.pointer
                    ))
                })?;
        }
        state = self.state();
        route.call(
            &Call {
                request,
                base: &self.base,
                caller,
                params,
                body,
            },
            &mut state,
        )
    }

    /// GitHub's own schema has the last word on every answer.
    fn validated(&self, request: &Request, route: &rest::Route, answer: Answer) -> Answer {
        let Body::Json(body) = &answer.body else {
            return answer;
        };
        if answer.status == 501 {
            return answer;
        }
        match self
            .description
            .check_answer(route.template, route.method, answer.status, body)
        {
            Ok(()) => answer,
            Err(Mismatch { pointer, message }) => self.replace_violation(
                request,
                repository(request),
                answer.status,
                pointer,
                message,
            ),
        }
    }

    /// Notes an answer that is none of GitHub's, and gives the one that is sent in its place.
    fn replace_violation(
        &self,
        request: &Request,
        repository: Option<String>,
        status: u16,
        pointer: String,
        message: String,
    ) -> Answer {
        let answer = *error(
            500,
            &format!(
                "the stand-in's answer does not fit GitHub's description at \"{pointer}\": {message}"
            ),
        );
        let violation = Violation {
            call: format!("{} {} → {status}", request.method, request.path),
            repository,
            pointer,
            message,
        };
        self.state().journal.violations.push(violation);
        answer
    }

    fn not_implemented(&self, request: &Request, feature: &str) -> Answer {
        let violation = Violation {
            call: format!("{} {}", request.method, request.path),
            repository: repository(request),
            pointer: feature.to_owned(),
            message: "not implemented by the stand-in".to_owned(),
        };
        self.state().journal.violations.push(violation);
        *error(501, &format!("the stand-in does not implement {feature}"))
    }

    fn graphql(
        &self,
        request: &Request,
        fault: Option<&Fault>,
        caller: &Identity,
        noted: &mut Noted,
    ) -> Answer {
        match caller {
            Identity::Anonymous => {
                return *error(401, "This endpoint requires you to be authenticated.");
            }
            Identity::Run { job: Err(why), .. } => {
                noted.permission = format!("refused: {why}");
                return *rest::forbidden(&[], why);
            }
            _ => {}
        }
        if request.method != "POST" {
            return *not_found();
        }
        let mut state = self.state();
        let repository = match caller {
            Identity::Run { run, .. } => state.runs.get(run).map(|run| run.repository.clone()),
            _ => None,
        };
        let answered = graphql::execute(&state, caller, &self.base, &request.body);
        noted.repository = answered.asked.as_deref().and_then(graphql::repository);
        let refused = matches!(&answered.answer.body, Body::Json(body) if body["errors"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == "FORBIDDEN")));
        noted.permission = if refused {
            "refused: a field needs a permission the job did not declare"
        } else {
            "allowed: field by field"
        }
        .to_owned();
        for message in answered.unknown {
            state.journal.violations.push(Violation {
                call: "POST /graphql".to_owned(),
                repository: repository.clone(),
                pointer: "query".to_owned(),
                message: format!("not implemented by the stand-in, or not by GitHub: {message}"),
            });
        }
        drop(state);
        let mut answer = answered.answer;
        remove(&mut answer, fault);
        let judged = match &answer.body {
            Body::Json(body) if answer.status == 200 => {
                self.judge.check(answered.asked.as_deref(), body)
            }
            _ => Ok(()),
        };
        match judged {
            Ok(()) => answer,
            Err(graphql::Mismatch {
                pointer, message, ..
            }) => self.replace_violation(
                request,
                repository.or_else(|| noted.repository.clone()),
                answer.status,
                pointer,
                message,
            ),
        }
    }
}

/// Refuses a request as GitHub does before it looks at the path.
fn unacceptable(request: &Request) -> Option<Box<Answer>> {
    if request.header("user-agent").is_none_or(str::is_empty) {
        return Some(error(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        ));
    }
    let accept = request.header("accept").unwrap_or("*/*");
    let known = [
        "application/vnd.github+json",
        "application/vnd.github.v3+json",
        "application/json",
        "*/*",
        "application/vnd.github.raw",
    ];
    let matches = accept
        .split(',')
        .any(|one| known.iter().any(|known| one.trim().starts_with(known)));
    (!matches).then(|| {
        error(
            415,
            &format!("Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'."),
        )
    })
}

fn faulty(fault: &Fault) -> Option<Answer> {
    let status = fault.status?;
    let mut answer = match &fault.body {
        Some(body) => Answer::json(status, body.clone()),
        None => *error(
            status,
            if status >= 500 {
                "Server Error"
            } else {
                "Forbidden"
            },
        ),
    };
    for (name, value) in &fault.headers {
        answer = answer.header(name, value.as_str());
    }
    Some(answer)
}

/// Takes the value out of an answer that a fault wants gone.
fn remove(answer: &mut Answer, fault: Option<&Fault>) {
    let pointer = fault.and_then(|fault| fault.remove.as_deref());
    let Some((parent, name)) = pointer.and_then(|pointer| pointer.rsplit_once('/')) else {
        return;
    };
    let Body::Json(body) = &mut answer.body else {
        return;
    };
    match body.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.shift_remove(name)),
        Some(Value::Array(items)) => {
            if let Some(index) = name
                .parse::<usize>()
                .ok()
                .filter(|index| *index < items.len())
            {
                items.remove(index);
            }
        }
        _ => {}
    }
}

fn with_limits(state: &mut State, request: &Request, answer: Answer) -> Answer {
    let Some(token) = request.token() else {
        return answer;
    };
    let limit = if state.tokens.contains_key(token) {
        USER_LIMIT
    } else {
        RUN_LIMIT
    };
    let used = state.used.entry(token.to_owned()).or_default();
    *used += 1;
    let used = *used;
    [
        ("x-ratelimit-limit", limit.to_string()),
        ("x-ratelimit-used", used.to_string()),
        (
            "x-ratelimit-remaining",
            limit.saturating_sub(used).to_string(),
        ),
        (
            "x-ratelimit-reset",
            (seconds() / 3600 * 3600 + 3600).to_string(),
        ),
        (
            "x-ratelimit-resource",
            if request.path == "/graphql" {
                "graphql"
            } else {
                "core"
            }
            .to_owned(),
        ),
        (
            "x-github-request-id",
            uuid::Uuid::new_v4().simple().to_string(),
        ),
    ]
    .into_iter()
    .fold(answer, |answer, (name, value)| {
        if answer
            .headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            answer
        } else {
            answer.header(name, value)
        }
    })
}

/// `OWNER/NAME` of a path below `/repos/`.
fn repository(request: &Request) -> Option<String> {
    let mut parts = request.path.strip_prefix("/repos/")?.split('/');
    Some(format!("{}/{}", parts.next()?, parts.next()?))
}
