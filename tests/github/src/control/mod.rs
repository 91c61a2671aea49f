//! The control API under `/_sandbox/`: how a test or demo makes GitHub's side of the story happen.
//!
//! Bodies and answers are JSON; unknown fields are refused with 422, what does not exist with 404, a conflict with 409.
//! `R` stands for `repos/OWNER/NAME`. Logins must have been registered; `user` acts. Optional fields end with `?`.
//!
//! | call | body → answer |
//! |---|---|
//! | `POST users` | `login, id?, type? (User), name?, emails?` → `{login, id}` |
//! | `POST tokens` | `login` → `{token}`, a personal token |
//! | `POST repos` | `repository, git, id?, owner_id?, private? (true), default_branch? (main), created_at? (now), immutable_subject?, fork_of? (OWNER/NAME, among whose commits' pull requests its own are then), collaborators? {login: role}` → `{id, owner_id}`. `git` is the path of a real repository, bare or with another branch checked out than those that change here. Without `immutable_subject` its OIDC subjects carry ids if it was created after July 15, 2026, as on GitHub |
//! | `POST teams` | `team (ORGANIZATION/SLUG), members, readers (whose tokens may read it)`; replaces one that is there |
//! | `POST R/collaborators` | `login, role` (admin, maintain, write, triage, read, none) |
//! | `POST R/rules` | `branch, rules` (as `GET /rules/branches/{branch}` shows them; a branch with rules is protected) |
//! | `POST R/environments` | `name, reviewers?, prevent_self_review?, wait_timer?, protected_branches?, branch_patterns?` |
//! | `POST R/push` | `user, branch, files? {path: text or null}, message?, author?, from?, force?` → `{before, after}`. With `files` a commit is made on top of the branch (or of `from`); without, the branch as it now stands in git is noted as pushed |
//! | `POST R/branches/rename` | `user, branch, to` |
//! | `POST R/pulls` | `user, head, head_repository? (a fork, whose branch is then taken as it is), base?, title, body?` → `{number, head_sha}` |
//! | `POST R/pulls/N/reviews` | `user, state (APPROVED, CHANGES_REQUESTED, COMMENTED), body?, commit_id? (head)` → `{id}` |
//! | `POST R/pulls/N/reviews/ID/dismiss` | `user? (the owner)` |
//! | `POST R/pulls/N/base` | `user, base`: points it at another branch |
//! | `POST R/pulls/N/update-branch` | `user, files?` → `{sha}`, a merge of the base into the head; `files` are added by hand |
//! | `POST R/pulls/N/merge` | `user, method? (merge, squash, rebase), queue? (false), files?, along?` → `{sha}`, a real commit on the base; with `files`, or with the numbers of other pull requests in `along`, one that was made by hand and pushed |
//! | `POST R/pulls/N/close` | `{}` |
//! | `POST R/check-runs` | `ref, name, app_id? (15368), app_slug?, status? (completed), conclusion?, suite? (the app's first one on the commit)` → `{id}` |
//! | `POST R/statuses` | `ref, context, state, description?, target_url?` → `{id}` |
//! | `POST R/runs` | `workflow (path), event, actor, triggering_actor?, branch? (default), tag? (false), sha?, inputs?, vars?, workflows? {uses: text}` → `{run_id, run_number, run_attempt, token, oidc_request_url, oidc_request_token, sha, jobs: [{key, name, environment}]}`. The workflow is read from git at `sha`, unless `workflows` holds it; a called one by its `uses`. What GitHub refuses at start is a 422 |
//! | `POST runs/ID/rerun` | `user` → as above, next attempt |
//! | `POST runs/ID/approvals` | `user, environments, state (approved, rejected), comment?` |
//! | `POST runs/ID/finish` | `conclusion, jobs? {name or key: conclusion}`; the run's tokens end |
//! | `GET runs/ID` | → `{status, conclusion, jobs: [{key, name, environment, status, conclusion}]}` |
//! | `GET calls?repository=&since=` | → calls received, after that sequence number |
//! | `GET violations?repository=` | → answers that broke GitHub's description, and calls not implemented |
//! | `POST faults` | `path (contained), method?, query?, holds? and asks? (both in the body), times? (1), status?, headers?, body?, after? (false), delay_ms?, cut? (bytes of the body that are sent), remove? (JSON pointer)` |
//! | `GET faults` | those that no call has met yet; `?repository=OWNER/NAME` for those whose path names it |
//! | `POST faults/clear` | `about`: takes back the faults whose path or `holds` contains this text |
//!
//! Jobs are told apart by process (see [`crate::peer`]): whoever runs a workflow hands each job's processes `GITHUB_JOB`
//! and `GITHUB_RUN_ID` = `run_id`.

mod pulls;
mod repos;
mod runs;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::git::GitError;
use crate::http::{Answer, Outcome, Request, error, not_found, unprocessable};
use crate::journal::Fault;
use crate::state::{Repo, State, Team};

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Box<Answer>> {
    serde_json::from_slice(&request.body)
        .map_err(|error| unprocessable(&format!("{}: {error}", request.path)))
}

fn git_failed(failure: GitError) -> Box<Answer> {
    error(409, &failure.to_string())
}

fn known_user(state: &State, login: &str) -> Result<String, Box<Answer>> {
    state
        .user(login)
        .map(|user| user.login.clone())
        .ok_or_else(|| unprocessable(&format!("no user {login} is registered")))
}

fn repo<'s>(state: &'s mut State, name: &str) -> Result<&'s mut Repo, Box<Answer>> {
    state.repo_mut(name).ok_or_else(not_found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    login: String,
    id: Option<u64>,
    #[serde(rename = "type", default = "user_type")]
    kind: String,
    name: Option<String>,
    #[serde(default)]
    emails: Vec<String>,
}

fn user_type() -> String {
    "User".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    login: String,
}

/// Answers one control call.
pub(crate) fn handle(state: &mut State, base: &str, request: &Request) -> Outcome {
    let path = request.path.trim_start_matches("/_sandbox/");
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["users"]) => add_user(state, request),
        ("POST", ["tokens"]) => {
            let new: NewToken = body(request)?;
            let login = known_user(state, &new.login)?;
            let token = format!("ghp_{}", uuid::Uuid::new_v4().simple());
            state.tokens.insert(token.clone(), login);
            Ok(Answer::json(201, json!({"token": token})))
        }
        ("POST", ["teams"]) => add_team(state, request),
        ("POST", ["repos"]) => repos::register(state, request),
        ("POST", ["repos", owner, name, rest @ ..]) => {
            let name = format!("{owner}/{name}");
            repo(state, &name)?;
            match rest {
                ["collaborators"] => repos::collaborator(state, &name, request),
                ["rules"] => repos::rules(state, &name, request),
                ["environments"] => repos::environment(state, &name, request),
                ["branches", "rename"] => repos::rename(state, &name, request),
                ["push"] => repos::push(state, &name, request),
                ["check-runs"] => repos::check_run(state, &name, request),
                ["statuses"] => repos::status(state, &name, request),
                ["pulls"] => pulls::open(state, &name, request),
                ["pulls", number, action @ ..] => pulls::act(state, &name, number, action, request),
                ["runs"] => runs::start(state, base, &name, request),
                _ => Err(not_found()),
            }
        }
        ("GET", ["runs", id]) => runs::show(state, id),
        ("POST", ["runs", id, action]) => runs::act(state, base, id, action, request),
        ("GET", ["calls"]) => {
            let since = request
                .query("since")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let repository = request.query("repository");
            let of_repository = |own: Option<&str>| {
                repository
                    .is_none_or(|wanted| own.is_some_and(|own| own.eq_ignore_ascii_case(wanted)))
            };
            let calls: Vec<_> = state
                .journal
                .calls
                .iter()
                .filter(|call| call.sequence > since && of_repository(call.repository.as_deref()))
                .collect();
            Ok(Answer::ok(json!(calls)))
        }
        ("GET", ["violations"]) => Ok(Answer::ok(json!(
            state.violations_of(request.query("repository"))
        ))),
        ("POST", ["faults"]) => {
            let fault: Fault = body(request)?;
            state.journal.faults.push(fault);
            Ok(Answer::json(201, json!({})))
        }
        ("GET", ["faults"]) => {
            let repository = request.query("repository").unwrap_or_default();
            let faults = state.journal.faults.iter();
            let about: Vec<_> = faults
                .filter(|fault| fault.path.contains(repository))
                .collect();
            Ok(Answer::ok(json!(about)))
        }
        ("POST", ["faults", "clear"]) => {
            let ClearedFaults { about } = body(request)?;
            state.journal.clear_faults(&about);
            created(json!({}))
        }
        _ => Err(not_found()),
    }
}

fn add_user(state: &mut State, request: &Request) -> Outcome {
    let new: NewUser = body(request)?;
    if !matches!(new.kind.as_str(), "User" | "Bot" | "Organization") {
        return Err(unprocessable("type is User, Bot or Organization"));
    }
    if let Some(known) = state.user(&new.login) {
        return Err(error(
            409,
            &format!("{} is taken, by id {}", known.login, known.id),
        ));
    }
    if let Some(known) = state.users.values().find(|user| Some(user.id) == new.id) {
        return Err(error(409, &format!("id {} is {}'s", known.id, known.login)));
    }
    let user = state.add_user(&new.login, new.id, &new.kind, new.name, new.emails);
    Ok(Answer::json(
        201,
        json!({"login": user.login, "id": user.id}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearedFaults {
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTeam {
    team: String,
    members: Vec<String>,
    readers: Vec<String>,
}

fn add_team(state: &mut State, request: &Request) -> Outcome {
    let new: NewTeam = body(request)?;
    let known = |logins: &[String]| {
        let logins = logins.iter().map(|login| known_user(state, login));
        logins.collect::<Result<Vec<_>, _>>()
    };
    let (members, readers) = (known(&new.members)?, known(&new.readers)?);
    let name = new.team.to_ascii_lowercase();
    state.teams.insert(name, Team { members, readers });
    created(json!({}))
}

fn created(value: Value) -> Outcome {
    Ok(Answer::json(201, value))
}
