//! Everything the stand-in holds: users, repositories with their history of decisions, workflow runs, tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::actions::Job;
use crate::git::{Git, Signature};
use crate::journal::Journal;

/// GitHub's own accounts and their real ids: who run tokens act as, and who commits what is merged on the site.
pub(crate) const ACTIONS_BOT: &str = "github-actions[bot]";
pub(crate) const ACTIONS_BOT_ID: u64 = 41_898_282;
pub(crate) const WEB_FLOW: &str = "web-flow";
pub(crate) const WEB_FLOW_EMAIL: &str = "noreply@github.com";
const WEB_FLOW_ID: u64 = 19_864_447;
/// The app behind `GITHUB_TOKEN` and behind every job's check run.
pub(crate) const ACTIONS_APP_ID: u64 = 15_368;

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) login: String,
    pub(crate) id: u64,
    /// `User`, `Bot` or `Organization`.
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) created_at: String,
}

#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) git: Git,
    pub(crate) default_branch: String,
    pub(crate) private: bool,
    pub(crate) created_at: String,
    pub(crate) immutable_subject: bool,
    /// `OWNER/NAME` of the repository that it was forked from.
    pub(crate) fork_of: Option<String>,
    /// Login to role: admin, maintain, write, triage, read.
    pub(crate) roles: BTreeMap<String, String>,
    pub(crate) pulls: Vec<Pull>,
    pub(crate) check_runs: Vec<CheckRun>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) activity: Vec<Activity>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) issues: Vec<Issue>,
    pub(crate) comments: Vec<Comment>,
    /// Branch to the rules that hold on it, as the API shows them.
    pub(crate) rules: BTreeMap<String, Vec<Value>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) user: String,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) draft: bool,
    pub(crate) head: String,
    pub(crate) base: String,
    /// Frozen when the pull request is closed.
    pub(crate) head_sha: String,
    pub(crate) base_sha: String,
    pub(crate) merge_base: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) merged: Option<Merge>,
    pub(crate) reviews: Vec<Review>,
    /// `OWNER/NAME` of the fork it came from; its head is what it was when it was opened.
    pub(crate) fork: Option<String>,
    pub(crate) events: Vec<PullEvent>,
}

/// An entry of a pull request's timeline.
#[derive(Debug, Clone)]
pub(crate) struct PullEvent {
    pub(crate) id: u64,
    pub(crate) at: String,
    pub(crate) actor: String,
    pub(crate) kind: EventKind,
}

#[derive(Debug, Clone)]
pub(crate) enum EventKind {
    BaseChanged { from: String, to: String },
    ForcePushed { before: String, after: String },
    Dismissed { review: u64, was: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Merge {
    pub(crate) by: String,
    pub(crate) at: String,
    pub(crate) commit: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) user: String,
    /// APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED.
    pub(crate) state: String,
    pub(crate) body: String,
    pub(crate) commit_id: String,
    pub(crate) submitted_at: String,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) suite: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) app_id: u64,
    pub(crate) app_slug: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: String,
    pub(crate) completed_at: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) created_at: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(crate) id: u64,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) reference: String,
    pub(crate) at: String,
    pub(crate) kind: &'static str,
    pub(crate) actor: String,
}

/// An environment and what guards it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created_at: String,
    pub(crate) reviewers: Vec<String>,
    pub(crate) prevent_self_review: bool,
    pub(crate) wait_timer: u64,
    /// Only protected branches may deploy.
    pub(crate) protected_branches: bool,
    /// Only these branches may deploy; `*` stands for any run of characters but `/`.
    pub(crate) branch_patterns: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) reference: String,
    pub(crate) task: String,
    pub(crate) payload: Value,
    pub(crate) environment: String,
    pub(crate) description: Option<String>,
    pub(crate) creator: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) transient: bool,
    pub(crate) production: bool,
    /// Oldest first.
    pub(crate) statuses: Vec<DeploymentStatus>,
    /// The job that GitHub made this deployment for, where it was not asked for by a call.
    pub(crate) job: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct DeploymentStatus {
    pub(crate) id: u64,
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) environment: String,
    pub(crate) environment_url: String,
    pub(crate) log_url: String,
    pub(crate) creator: String,
    pub(crate) created_at: String,
}

/// An issue that is not a pull request.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) user: String,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    /// Why it has its state.
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) closed_at: Option<String>,
    pub(crate) by_actions: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) user: String,
    pub(crate) body: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) by_actions: bool,
}

/// One attempt of a workflow run; a rerun is the same run with another attempt.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) repository: String,
    pub(crate) number: u64,
    pub(crate) attempt: u64,
    pub(crate) event: String,
    pub(crate) path: String,
    pub(crate) workflow_id: u64,
    pub(crate) workflow_name: String,
    pub(crate) head_branch: String,
    pub(crate) tag: bool,
    pub(crate) head_sha: String,
    /// The pull request that the run is for.
    pub(crate) proposed: Option<Proposed>,
    pub(crate) actor: String,
    pub(crate) triggering_actor: String,
    pub(crate) status: &'static str,
    pub(crate) conclusion: Option<String>,
    pub(crate) created_at: String,
    pub(crate) started_at: String,
    pub(crate) updated_at: String,
    pub(crate) jobs: Vec<Job>,
    pub(crate) approvals: Vec<Approval>,
    /// Both end with the attempt.
    pub(crate) token: String,
    pub(crate) oidc_token: String,
    pub(crate) earlier: Vec<Run>,
}

/// A pull request as a run sees it.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    pub(crate) number: u64,
    pub(crate) base: String,
    /// The commit that a merge would make, at `refs/pull/NUMBER/merge`.
    pub(crate) merge: String,
}

impl Run {
    pub(crate) fn full_ref(&self) -> String {
        if let Some(proposed) = &self.proposed {
            return format!("refs/pull/{}/merge", proposed.number);
        }
        format!(
            "refs/{}/{}",
            if self.tag { "tags" } else { "heads" },
            self.head_branch
        )
    }

    /// `GITHUB_SHA`: of a pull request not its head, which is what the API names, but the commit of the merge (GitHub,
    /// "Events that trigger workflows", `pull_request`).
    pub(crate) fn sha(&self) -> &str {
        self.proposed
            .as_ref()
            .map_or(&self.head_sha, |proposed| &proposed.merge)
    }

    pub(crate) fn live(&self) -> bool {
        self.status != "completed"
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Approval {
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) comment: String,
    pub(crate) environments: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) members: Vec<String>,
    /// The logins whose tokens may read who is in it.
    pub(crate) readers: Vec<String>,
}

/// The whole world behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) repos: BTreeMap<String, Repo>,
    pub(crate) runs: BTreeMap<u64, Run>,
    /// `ORGANIZATION/TEAM` in lower case.
    pub(crate) teams: BTreeMap<String, Team>,
    /// Personal tokens, to their owner's login.
    pub(crate) tokens: BTreeMap<String, String>,
    /// Calls made with each token, for the rate-limit headers.
    pub(crate) used: BTreeMap<String, u64>,
    pub(crate) journal: Journal,
    next: u64,
}

impl State {
    pub(crate) fn new() -> Self {
        let mut state = Self {
            users: BTreeMap::new(),
            repos: BTreeMap::new(),
            runs: BTreeMap::new(),
            teams: BTreeMap::new(),
            tokens: BTreeMap::new(),
            used: BTreeMap::new(),
            journal: Journal::default(),
            next: 1_000_000,
        };
        for (login, id, kind, email) in [
            (
                ACTIONS_BOT,
                ACTIONS_BOT_ID,
                "Bot",
                "41898282+github-actions[bot]@users.noreply.github.com",
            ),
            (WEB_FLOW, WEB_FLOW_ID, "User", WEB_FLOW_EMAIL),
        ] {
            state.users.insert(
                login.to_owned(),
                User {
                    login: login.to_owned(),
                    id,
                    kind: kind.to_owned(),
                    name: None,
                    emails: vec![email.to_owned()],
                    created_at: "2018-07-30T09:30:16Z".to_owned(),
                },
            );
        }
        state
    }

    /// A new id; all kinds share one sequence.
    pub(crate) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_ascii_lowercase())
    }

    pub(crate) fn user_id(&self, login: &str) -> u64 {
        self.user(login).map_or(0, |user| user.id)
    }

    /// The account a commit's address belongs to.
    pub(crate) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.users.values().find(|user| {
            user.emails
                .iter()
                .any(|own| own.eq_ignore_ascii_case(email))
        })
    }

    pub(crate) fn add_user(
        &mut self,
        login: &str,
        id: Option<u64>,
        kind: &str,
        name: Option<String>,
        emails: Vec<String>,
    ) -> User {
        let id = id.unwrap_or_else(|| self.id());
        let mut all = emails;
        all.push(format!("{id}+{login}@users.noreply.github.com"));
        all.push(format!("{login}@users.noreply.github.com"));
        let user = User {
            login: login.to_owned(),
            id,
            kind: kind.to_owned(),
            name,
            emails: all,
            created_at: now(),
        };
        self.users.insert(login.to_ascii_lowercase(), user.clone());
        user
    }

    pub(crate) fn repo(&self, full_name: &str) -> Option<&Repo> {
        self.repos.get(&full_name.to_ascii_lowercase())
    }

    /// A repository and its forks.
    pub(crate) fn network<'s>(&'s self, repo: &'s Repo) -> impl Iterator<Item = &'s Repo> {
        let name = repo.full_name();
        let is_fork = move |other: &&Repo| {
            let of = other.fork_of.as_ref();
            of.is_some_and(|of| of.eq_ignore_ascii_case(&name))
        };
        std::iter::once(repo).chain(self.repos.values().filter(is_fork))
    }

    pub(crate) fn repo_mut(&mut self, full_name: &str) -> Option<&mut Repo> {
        self.repos.get_mut(&full_name.to_ascii_lowercase())
    }

    /// How a user signs commits made on the site.
    pub(crate) fn signature(&self, login: &str) -> Signature {
        let user = self.user(login);
        Signature {
            name: user
                .and_then(|user| user.name.clone())
                .unwrap_or_else(|| login.to_owned()),
            email: user
                .and_then(|user| user.emails.first().cloned())
                .unwrap_or_else(|| format!("{login}@users.noreply.github.com")),
            time: seconds(),
        }
    }

    /// Violations of one repository and those of no repository, or all.
    pub(crate) fn violations_of(&self, repository: Option<&str>) -> Vec<crate::Violation> {
        let matches = |violation: &&crate::Violation| {
            repository.is_none_or(|wanted| {
                violation
                    .repository
                    .as_deref()
                    .is_none_or(|own| own.eq_ignore_ascii_case(wanted))
            })
        };
        self.journal
            .violations
            .iter()
            .filter(matches)
            .cloned()
            .collect()
    }
}

impl Repo {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// A user's role, `none` for a stranger.
    pub(crate) fn role(&self, login: &str) -> &str {
        if self.owner.eq_ignore_ascii_case(login) {
            return "admin";
        }
        self.roles
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(login))
            .map_or("none", |(_, role)| role)
    }

    pub(crate) fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|pull| pull.number == number)
    }

    /// The number of the next issue or pull request, which share one sequence.
    pub(crate) fn next_number(&self) -> u64 {
        let pulls = self.pulls.iter().map(|pull| pull.number);
        let all = pulls.chain(self.issues.iter().map(|issue| issue.number));
        all.max().map_or(1, |last| last + 1)
    }

    pub(crate) fn environment(&self, name: &str) -> Option<&Environment> {
        // Environment names are compared without regard to case.
        self.environments
            .iter()
            .find(|environment| environment.name.eq_ignore_ascii_case(name))
    }

    /// The head an open pull request has now, or the one it was closed at.
    pub(crate) fn pull_head(&self, pull: &Pull) -> String {
        if pull.closed_at.is_some() || pull.fork.is_some() {
            pull.head_sha.clone()
        } else {
            self.git
                .branch(&pull.head)
                .unwrap_or_else(|| pull.head_sha.clone())
        }
    }
}

/// The legacy base role GitHub's `permission` field reports for a role.
pub(crate) fn legacy_permission(role: &str) -> &'static str {
    match role {
        "admin" => "admin",
        "maintain" | "write" => "write",
        "triage" | "read" => "read",
        _ => "none",
    }
}

/// Seconds since 1970.
pub(crate) fn seconds() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Now as GitHub writes times: RFC 3339, UTC, whole seconds.
pub(crate) fn now() -> String {
    timestamp(seconds())
}

pub(crate) fn timestamp(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Text fields of an object, for contexts of expressions.
pub(crate) fn text_map(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::String((*value).to_owned())))
        .collect()
}
