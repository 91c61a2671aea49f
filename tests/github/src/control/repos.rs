//! Registering a repository and what happens to its branches, rules, environments and checks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, created, git_failed, known_user, repo};
use crate::git::{Git, Signature};
use crate::http::{Answer, Outcome, Request, error, unprocessable};
use crate::state::{
    ACTIONS_APP_ID, Activity, CheckRun, Environment, EventKind, Pull, PullEvent, Repo, State,
    Status, now,
};

/// From this day on GitHub puts ids into the OIDC subjects of new repositories.
const IMMUTABLE_SUBJECTS: &str = "2026-07-15T23:59:59Z";

/// The object ID that git writes for a branch that does not exist.
const ZERO: &str = "0000000000000000000000000000000000000000";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRepo {
    repository: String,
    git: PathBuf,
    id: Option<u64>,
    owner_id: Option<u64>,
    #[serde(default = "yes")]
    private: bool,
    #[serde(default = "main")]
    default_branch: String,
    created_at: Option<String>,
    immutable_subject: Option<bool>,
    /// The repository that it is a fork of.
    fork_of: Option<String>,
    #[serde(default)]
    collaborators: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn main() -> String {
    "main".to_owned()
}

pub(super) fn register(state: &mut State, request: &Request) -> Outcome {
    let new: NewRepo = body(request)?;
    let (owner, name) = new
        .repository
        .split_once('/')
        .ok_or_else(|| unprocessable("repository is OWNER/NAME"))?;
    if state.repo(&new.repository).is_some() {
        return Err(error(409, &format!("{} is registered", new.repository)));
    }
    let git = Git::open(&new.git).map_err(git_failed)?;
    if state.user(owner).is_none() {
        state.add_user(owner, new.owner_id, "Organization", None, Vec::new());
    }
    for (login, role) in &new.collaborators {
        known_user(state, login)?;
        known_role(role)?;
    }
    let id = new.id.unwrap_or_else(|| state.id());
    let created_at = new.created_at.unwrap_or_else(now);
    let repo = Repo {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        git,
        default_branch: new.default_branch,
        private: new.private,
        immutable_subject: new
            .immutable_subject
            .unwrap_or(created_at.as_str() > IMMUTABLE_SUBJECTS),
        created_at,
        fork_of: new.fork_of,
        roles: new.collaborators,
        pulls: Vec::new(),
        check_runs: Vec::new(),
        statuses: Vec::new(),
        activity: Vec::new(),
        environments: Vec::new(),
        deployments: Vec::new(),
        issues: Vec::new(),
        comments: Vec::new(),
        rules: BTreeMap::new(),
    };
    let owner_id = state.user_id(owner);
    state
        .repos
        .insert(new.repository.to_ascii_lowercase(), repo);
    created(json!({"id": id, "owner_id": owner_id}))
}

fn known_role(role: &str) -> Result<(), Box<Answer>> {
    if matches!(
        role,
        "admin" | "maintain" | "write" | "triage" | "read" | "none"
    ) {
        Ok(())
    } else {
        Err(unprocessable(&format!(
            "{role} is not a role: admin, maintain, write, triage, read, none"
        )))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collaborator {
    login: String,
    role: String,
}

pub(super) fn collaborator(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: Collaborator = body(request)?;
    known_role(&new.role)?;
    let login = known_user(state, &new.login)?;
    repo(state, name)?.roles.insert(login, new.role);
    created(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    branch: String,
    rules: Vec<Value>,
}

pub(super) fn rules(state: &mut State, name: &str, request: &Request) -> Outcome {
    let mut new: Rules = body(request)?;
    let ruleset = state.id();
    for rule in &mut new.rules {
        let Some(fields) = rule.as_object_mut() else {
            return Err(unprocessable("a rule is an object"));
        };
        fields
            .entry("ruleset_source_type")
            .or_insert(json!("Repository"));
        fields.entry("ruleset_source").or_insert(json!(name));
        fields.entry("ruleset_id").or_insert(json!(ruleset));
    }
    repo(state, name)?.rules.insert(new.branch, new.rules);
    created(json!({"ruleset_id": ruleset}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEnvironment {
    name: String,
    #[serde(default)]
    reviewers: Vec<String>,
    #[serde(default)]
    prevent_self_review: bool,
    #[serde(default)]
    wait_timer: u64,
    #[serde(default)]
    protected_branches: bool,
    #[serde(default)]
    branch_patterns: Vec<String>,
}

pub(super) fn environment(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: NewEnvironment = body(request)?;
    let reviewers = new
        .reviewers
        .iter()
        .map(|login| known_user(state, login))
        .collect::<Result<Vec<_>, _>>()?;
    let id = state.id();
    let repo = repo(state, name)?;
    repo.environments
        .retain(|known| !known.name.eq_ignore_ascii_case(&new.name));
    repo.environments.push(Environment {
        id,
        name: new.name,
        created_at: now(),
        reviewers,
        prevent_self_review: new.prevent_self_review,
        wait_timer: new.wait_timer,
        protected_branches: new.protected_branches,
        branch_patterns: new.branch_patterns,
    });
    created(json!({"id": id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    user: String,
    branch: String,
    files: Option<BTreeMap<String, Option<String>>>,
    message: Option<String>,
    /// Whose commit it is, if not the pusher's.
    author: Option<String>,
    /// The revision to branch from, or with `force` to rewrite onto.
    from: Option<String>,
    #[serde(default)]
    force: bool,
    /// Takes the branch away.
    #[serde(default)]
    delete: bool,
    /// Makes the branch again at this commit.
    restore: Option<String>,
}

/// The buttons "Delete branch" and "Restore branch". GitHub closes the branch's open pull request, and lets it be opened
/// again once the branch is back; here it stays open.
fn delete_or_restore(state: &mut State, name: &str, push: &Push) -> Outcome {
    let actor = known_user(state, &push.user)?;
    let id = state.id();
    let repo = repo(state, name)?;
    let reference = format!("refs/heads/{}", push.branch);
    let standing = repo.git.branch(&push.branch);
    let (before, after, kind) = match (&push.restore, standing) {
        (Some(sha), None) => {
            repo.git.set_branch(&push.branch, sha).map_err(git_failed)?;
            (ZERO.to_owned(), sha.clone(), "branch_creation")
        }
        (None, Some(before)) => {
            repo.git.delete_ref(&reference).map_err(git_failed)?;
            (before, ZERO.to_owned(), "branch_deletion")
        }
        _ => {
            return Err(unprocessable(
                "delete a branch that is there, or restore one that is not",
            ));
        }
    };
    let answer = json!({"before": before, "after": after});
    repo.activity.push(Activity {
        id,
        before,
        after,
        reference,
        at: now(),
        kind,
        actor,
    });
    created(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    user: String,
    branch: String,
    to: String,
}

/// Gives a branch another name. Open pull requests into it follow, and those of it are closed (GitHub, "Renaming a branch"). A
/// pull request that was merged keeps the names that its branches had. That is what old pull requests of renamed branches look
/// like; GitHub does not document it.
pub(super) fn rename(state: &mut State, name: &str, request: &Request) -> Outcome {
    let Rename { user, branch, to } = body(request)?;
    let actor = known_user(state, &user)?;
    let ids = [state.id(), state.id(), state.id()];
    let repo = repo(state, name)?;
    let missing = || unprocessable(&format!("git has no branch {branch}"));
    let sha = repo.git.branch(&branch).ok_or_else(missing)?;
    if repo.git.branch(&to).is_some() {
        return Err(unprocessable(&format!("there is a branch {to} already")));
    }
    repo.git.set_branch(&to, &sha).map_err(git_failed)?;
    let (old, new) = (format!("refs/heads/{branch}"), format!("refs/heads/{to}"));
    repo.git.delete_ref(&old).map_err(git_failed)?;
    let zero = ZERO.to_owned();
    for (id, before, after, reference, kind) in [
        (ids[0], zero.clone(), sha.clone(), new, "branch_creation"),
        (ids[1], sha.clone(), zero, old, "branch_deletion"),
    ] {
        repo.activity.push(Activity {
            id,
            before,
            after,
            reference,
            at: now(),
            kind,
            actor: actor.clone(),
        });
    }
    if repo.default_branch == branch {
        repo.default_branch.clone_from(&to);
    }
    if let Some(rules) = repo.rules.remove(&branch) {
        repo.rules.insert(to.clone(), rules);
    }
    let open = |pull: &&mut Pull| pull.closed_at.is_none() && pull.fork.is_none();
    for pull in repo.pulls.iter_mut().filter(open) {
        if pull.head == branch {
            pull.head_sha.clone_from(&sha);
            pull.closed_at = Some(now());
        } else if pull.base == branch {
            pull.base.clone_from(&to);
            pull.events.push(PullEvent {
                id: ids[2],
                at: now(),
                actor: actor.clone(),
                kind: EventKind::BaseChanged {
                    from: branch.clone(),
                    to: to.clone(),
                },
            });
        }
    }
    created(json!({}))
}

/// The commit that a push is made on: the branch, or what it is to begin with or to be rewritten onto.
fn parent(
    repo: &Repo,
    from: Option<&str>,
    standing: Option<&str>,
    force: bool,
) -> Result<Option<String>, Box<Answer>> {
    match (from, standing) {
        (Some(_), Some(_)) if !force => Err(error(
            409,
            "the branch is there already; `from` then needs `force`",
        )),
        (Some(from), _) => {
            let found = repo.git.resolve(from);
            let found = found.ok_or_else(|| unprocessable(&format!("git has no {from}")))?;
            Ok(Some(found))
        }
        (None, standing) => Ok(standing.map(str::to_owned)),
    }
}

pub(super) fn push(state: &mut State, name: &str, request: &Request) -> Outcome {
    let push: Push = body(request)?;
    if push.delete || push.restore.is_some() {
        return delete_or_restore(state, name, &push);
    }
    let user = known_user(state, &push.user)?;
    let author = known_user(state, push.author.as_deref().unwrap_or(&push.user))?;
    let author = state.signature(&author);
    let id = state.id();
    let repo = repo(state, name)?;
    let reference = format!("refs/heads/{}", push.branch);
    let noted = repo
        .activity
        .iter()
        .rev()
        .find(|one| one.reference == reference)
        .map(|one| one.after.clone());
    let standing = repo.git.branch(&push.branch);
    let (before, after) = match push.files {
        None => (
            noted,
            standing.ok_or_else(|| unprocessable(&format!("git has no branch {}", push.branch)))?,
        ),
        Some(files) => {
            let from = parent(repo, push.from.as_deref(), standing.as_deref(), push.force)?;
            let message = push
                .message
                .unwrap_or_else(|| format!("Change {} files", files.len()));
            let committer = Signature { ..author.clone() };
            let after = repo
                .git
                .write_files(from.as_deref(), &files, &author, &committer, &message)
                .map_err(git_failed)?;
            repo.git
                .set_branch(&push.branch, &after)
                .map_err(git_failed)?;
            (standing, after)
        }
    };
    let kind = match &before {
        None => "branch_creation",
        Some(before) if repo.git.is_ancestor(before, &after) => "push",
        Some(_) => "force_push",
    };
    let before = before.unwrap_or_else(|| ZERO.to_owned());
    if kind == "force_push" {
        let open = |pull: &&mut Pull| pull.closed_at.is_none() && pull.head == push.branch;
        for pull in repo.pulls.iter_mut().filter(open) {
            pull.events.push(PullEvent {
                id,
                at: now(),
                actor: user.clone(),
                kind: EventKind::ForcePushed {
                    before: before.clone(),
                    after: after.clone(),
                },
            });
        }
    }
    repo.activity.push(Activity {
        id,
        before: before.clone(),
        after: after.clone(),
        reference,
        at: now(),
        kind,
        actor: user,
    });
    created(json!({"before": before, "after": after}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCheckRun {
    #[serde(rename = "ref")]
    reference: String,
    name: String,
    app_id: Option<u64>,
    app_slug: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    /// Of another suite than the app's first one on this commit.
    suite: Option<u64>,
}

pub(super) fn check_run(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: NewCheckRun = body(request)?;
    let (id, suite) = (state.id(), state.id());
    let repo = repo(state, name)?;
    let sha = repo
        .git
        .resolve(&new.reference)
        .ok_or_else(|| unprocessable(&format!("git has no {}", new.reference)))?;
    let status = new.status.unwrap_or_else(|| "completed".to_owned());
    let done = status == "completed";
    if done != new.conclusion.is_some() {
        return Err(unprocessable(
            "a check run has a conclusion when, and only when, it is completed",
        ));
    }
    let app_id = new.app_id.unwrap_or(ACTIONS_APP_ID);
    let mut known = repo.check_runs.iter();
    let first = known.find(|run| run.sha == sha && run.app_id == app_id);
    let suite = new.suite.or(first.map(|run| run.suite)).unwrap_or(suite);
    repo.check_runs.push(CheckRun {
        id,
        suite,
        sha,
        name: new.name,
        app_id,
        app_slug: new.app_slug.unwrap_or_else(|| {
            if app_id == ACTIONS_APP_ID {
                "github-actions".to_owned()
            } else {
                format!("app-{app_id}")
            }
        }),
        status,
        conclusion: new.conclusion,
        started_at: now(),
        completed_at: done.then(now),
    });
    created(json!({"id": id}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStatus {
    #[serde(rename = "ref")]
    reference: String,
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

pub(super) fn status(state: &mut State, name: &str, request: &Request) -> Outcome {
    let new: NewStatus = body(request)?;
    if !matches!(
        new.state.as_str(),
        "error" | "failure" | "pending" | "success"
    ) {
        return Err(unprocessable("state is error, failure, pending or success"));
    }
    let id = state.id();
    let repo = repo(state, name)?;
    let sha = repo
        .git
        .resolve(&new.reference)
        .ok_or_else(|| unprocessable(&format!("git has no {}", new.reference)))?;
    let status = Status {
        id,
        sha,
        context: new.context,
        state: new.state,
        description: new.description,
        target_url: new.target_url,
        created_at: now(),
    };
    repo.statuses.push(status);
    created(json!({"id": id}))
}
