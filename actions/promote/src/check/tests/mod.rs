//! A promotion that every rule lets pass, for the tests to spoil.

mod allows;
mod hidden;
mod refuses;

use super::Subject;
use super::answer::{Answer, Decision};
use super::decide::decide;
use super::facts::{Change, Facts, Promoter, RunKind, Unknown};
use super::trail::Trail;
use crate::setting::Setting;
use github::{
    Activity, App, CheckRun, Commit, GitActor, GitCommit, Permission, Pull, PullBase, PullHead,
    RepositoryName, Review, Run, User,
};
use kit::contract::Gate;
use ledger::{Actor, Record, Verdict};
use net::Target;
use std::collections::BTreeMap;

const HEAD: &str = "1111111111111111111111111111111111111111";
const MERGE: &str = "2222222222222222222222222222222222222222";
const OLD: &str = "3333333333333333333333333333333333333333";
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn user(login: &str) -> User {
    let kind = if login.ends_with("[bot]") {
        "Bot"
    } else {
        "User"
    };
    User {
        login: login.to_owned(),
        id: login
            .bytes()
            .fold(7, |id, byte| id * 31 % 1_000_003 + u64::from(byte)),
        kind: kind.to_owned(),
    }
}

pub(crate) fn setting() -> Setting {
    Setting {
        service: "storefront".to_owned(),
        environment: "production".to_owned(),
        follows: Some("staging".to_owned()),
        gate: Gate {
            checks: vec!["test@15368".to_owned()],
            workflow: Some(".github/workflows/promote.yml".to_owned()),
            ..Gate::of_approvals(1)
        },
        people: BTreeMap::new(),
        ledger: "ledger".to_owned(),
        trust: ledger::Trust::default(),
        permit: Target::ambient(),
        read: Target::ambient(),
        cluster: None,
        ecs_service: "storefront".to_owned(),
        container: None,
        image_repository: None,
        declared: true,
    }
}

fn record(verdict: Verdict) -> Record {
    Record {
        seq: 4,
        at: "2026-11-21T18:00:00Z".to_owned(),
        service: "storefront".to_owned(),
        environment: "staging".to_owned(),
        digest: DIGEST.parse().unwrap(),
        commit: MERGE.parse().unwrap(),
        verdict,
        actor: Actor {
            login: "dora".to_owned(),
            id: None,
        },
        run: None,
        account: None,
        task_definition: None,
        previous: None,
        policy: None,
        rollback: None,
        break_glass: None,
        reason: None,
    }
}

fn commit(sha: &str, author: &str, message: &str) -> Commit {
    let actor = GitActor {
        name: Some(author.to_owned()),
        email: None,
    };
    Commit {
        sha: sha.to_owned(),
        author: Some(user(author)),
        committer: Some(user("web-flow")),
        commit: GitCommit {
            message: message.to_owned(),
            author: Some(actor.clone()),
            committer: Some(actor),
        },
    }
}

fn review(login: &str, state: &str, head: &str) -> Review {
    Review {
        user: Some(user(login)),
        state: state.to_owned(),
        commit_id: Some(head.to_owned()),
    }
}

fn push(login: &str, after: &str) -> Activity {
    Activity {
        after: after.to_owned(),
        activity_type: "push".to_owned(),
        actor: Some(user(login)),
    }
}

fn may(login: &str, permission: &str) -> (u64, Result<Permission, Unknown>) {
    let user = user(login);
    (
        user.id,
        Ok(Permission {
            permission: permission.to_owned(),
            user: Some(user),
        }),
    )
}

fn unseen() -> Unknown {
    Unknown::from(github::Unknown {
        what: "read it".to_owned(),
        why: github::Why::Unanswered("GitHub answered 403".to_owned()),
        permission: Some("pull-requests: read".to_owned()),
    })
}

fn change() -> Change {
    Change {
        pull: Pull {
            number: 7,
            html_url: String::new(),
            title: "Add a thing".to_owned(),
            user: Some(user("alice")),
            merged_at: Some("2026-11-21T17:00:00Z".to_owned()),
            merge_commit_sha: Some(MERGE.to_owned()),
            head: PullHead {
                branch: "thing".to_owned(),
                sha: HEAD.to_owned(),
                repo: Some(RepositoryName {
                    full_name: "acme/storefront".to_owned(),
                }),
            },
            base: PullBase {
                branch: "main".to_owned(),
                repo: RepositoryName {
                    full_name: "acme/storefront".to_owned(),
                },
            },
        },
        commits: Ok(vec![
            commit(OLD, "alice", "one"),
            commit(HEAD, "alice", "two"),
        ]),
        co_authors: Ok(Vec::new()),
        pushes: Ok(vec![push("alice", OLD), push("alice", HEAD)]),
        reviews: Ok(vec![review("bob", "APPROVED", HEAD)]),
        checks: Ok(vec![check("test", 15368, Some("success"))]),
        permissions: ["alice", "bob", "carol", "dora"]
            .into_iter()
            .map(|login| may(login, "write"))
            .collect(),
    }
}

fn check(name: &str, app: u64, conclusion: Option<&str>) -> CheckRun {
    CheckRun {
        name: name.to_owned(),
        status: if conclusion.is_some() {
            "completed"
        } else {
            "in_progress"
        }
        .to_owned(),
        conclusion: conclusion.map(str::to_owned),
        app: Some(App { id: app }),
    }
}

fn promoters(logins: &[&str]) -> Promoter {
    Promoter {
        accounts: logins.iter().map(|login| user(login)).collect(),
        source: "according to GitHub's record of run 5".to_owned(),
    }
}

fn run() -> Run {
    Run {
        id: 5,
        event: "workflow_dispatch".to_owned(),
        path: ".github/workflows/promote.yml".to_owned(),
        head_branch: Some("main".to_owned()),
        head_sha: MERGE.to_owned(),
        run_attempt: Some(1),
        actor: Some(user("dora")),
        triggering_actor: Some(user("dora")),
        status: None,
        conclusion: None,
        html_url: String::new(),
    }
}

/// A promotion that every rule lets pass.
struct Promotion {
    setting: Setting,
    subject: Subject,
    facts: Facts,
}

impl Promotion {
    fn new() -> Self {
        Self {
            setting: setting(),
            subject: Subject {
                digest: DIGEST.parse().unwrap(),
                commit: Some(MERGE.parse().unwrap()),
                evidence: Some(record(Verdict::Healthy)),
                trail: Trail::default(),
                built_for: None,
            },
            facts: Facts {
                standing: Ok("ahead".to_owned()),
                pulls: Ok(vec![change().pull]),
                changes: vec![change()],
                promoter: Ok(promoters(&["dora"])),
                run: RunKind::GitHub(Ok(run())),
            },
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.setting, &self.subject, &self.facts)
    }

    fn change(&mut self) -> &mut Change {
        &mut self.facts.changes[0]
    }

    fn run(&mut self) -> &mut Run {
        match &mut self.facts.run {
            RunKind::GitHub(Ok(run)) => run,
            other => panic!("{other:?}"),
        }
    }
}

fn with(answer: Answer, decision: &Decision) -> Vec<&'static str> {
    decision
        .rules
        .iter()
        .filter(|rule| rule.answer == answer)
        .map(|rule| rule.rule)
        .collect()
}
#[test]
fn all_is_well() {
    let decision = Promotion::new().decide();
    assert!(decision.allowed(), "{decision:?}");
    assert_eq!(with(Answer::Pass, &decision).len(), 8, "{decision:?}");
}
