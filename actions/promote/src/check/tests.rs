//! Each rule: the case in which only it fails, and what cannot be seen denies.

use super::Subject;
use super::decide::{Answer, Decision, brought_in, decide};
use super::facts::{Change, Facts, Promoter, RunPlace, Unknown};
use crate::args::Place;
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
const DIGEST: &str = "sha256:aa";

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

pub(super) fn setting() -> Setting {
    Setting {
        service: "storefront".to_owned(),
        environment: "production".to_owned(),
        follows: Some("staging".to_owned()),
        gate: Gate {
            required: true,
            branch: "main".to_owned(),
            approvals: 1,
            checks: vec!["test@15368".to_owned()],
            workflow: Some(".github/workflows/promote.yml".to_owned()),
        },
        people: BTreeMap::new(),
        table: "ledger".to_owned(),
        permit: Target::ambient(),
        read: Target::ambient(),
        cluster: None,
        ecs_service: "storefront".to_owned(),
        container: None,
        image_repository: None,
    }
}

fn record(verdict: Verdict) -> Record {
    Record {
        seq: 4,
        at: "2026-11-21T18:00:00Z".to_owned(),
        service: "storefront".to_owned(),
        environment: "staging".to_owned(),
        digest: DIGEST.to_owned(),
        commit: MERGE.to_owned(),
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
        why: "GitHub answered 403".to_owned(),
        permission: Some("pull-requests: read".to_owned()),
        not_found: false,
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
        source: "says GitHub of run 5".to_owned(),
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
        html_url: String::new(),
    }
}

/// A promotion that every rule lets pass.
struct World {
    setting: Setting,
    subject: Subject,
    facts: Facts,
}

impl World {
    fn new() -> Self {
        Self {
            setting: setting(),
            subject: Subject {
                digest: DIGEST.to_owned(),
                commit: Some(MERGE.to_owned()),
                evidence: Some(record(Verdict::Healthy)),
            },
            facts: Facts {
                standing: Ok("ahead".to_owned()),
                pulls: Ok(vec![change().pull]),
                changes: vec![change()],
                promoter: Ok(promoters(&["dora"])),
                place: RunPlace::GitHub(Ok(run())),
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
        match &mut self.facts.place {
            RunPlace::GitHub(Ok(run)) => run,
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
    let decision = World::new().decide();
    assert!(decision.allowed(), "{decision:?}");
    assert_eq!(with(Answer::Pass, &decision).len(), 8, "{decision:?}");
}

/// The case, the rule that alone fails, words of its fact, and what is wrong.
type Case = (&'static str, &'static str, &'static str, fn(&mut World));

const FAILING: &[Case] = &[
    ("never in staging", "digest", "no record", |w| {
        w.subject.evidence = None
    }),
    ("failed in staging", "digest", "failed", |w| {
        w.subject.evidence = Some(record(Verdict::Failed));
    }),
    ("rolled back in staging", "digest", "rolled back", |w| {
        w.subject.evidence = Some(record(Verdict::RolledBack));
    }),
    (
        "a verdict of a newer version",
        "digest",
        "unknown to this version",
        |w| {
            w.subject.evidence = Some(record(Verdict::Other));
        },
    ),
    ("an unmerged branch", "branch", "diverged", |w| {
        w.facts.standing = Ok("diverged".to_owned());
    }),
    ("ahead of the branch", "branch", "behind", |w| {
        w.facts.standing = Ok("behind".to_owned());
    }),
    (
        "pushed without a pull request",
        "pull request",
        "no pull request",
        |w| {
            w.facts.changes.clear();
        },
    ),
    ("nobody approved", "approvals", "0 of 1", |w| {
        w.change().reviews = Ok(Vec::new());
    }),
    ("only a comment", "approvals", "0 of 1", |w| {
        w.change().reviews = Ok(vec![review("bob", "COMMENTED", HEAD)]);
    }),
    ("two are asked for", "approvals", "1 of 2", |w| {
        w.setting.gate.approvals = 2
    }),
    (
        "an older head was approved",
        "approvals",
        "not the final head",
        |w| {
            w.change().reviews = Ok(vec![review("bob", "APPROVED", OLD)]);
        },
    ),
    (
        "an approval of no head",
        "approvals",
        "a head that is gone",
        |w| {
            let mut review = review("bob", "APPROVED", OLD);
            review.commit_id = None;
            w.change().reviews = Ok(vec![review]);
        },
    ),
    ("dismissed", "approvals", "dismissed", |w| {
        w.change().reviews = Ok(vec![review("bob", "DISMISSED", HEAD)]);
    }),
    (
        "approved, then asked for changes",
        "approvals",
        "bob asks for changes",
        |w| {
            w.change().reviews = Ok(vec![
                review("bob", "APPROVED", HEAD),
                review("bob", "CHANGES_REQUESTED", HEAD),
            ]);
        },
    ),
    ("a bot approved", "approvals", "no person", |w| {
        w.change().reviews = Ok(vec![review("github-actions[bot]", "APPROVED", HEAD)]);
    }),
    ("a reader approved", "approvals", "may not write", |w| {
        w.change().permissions.extend([may("bob", "read")]);
    }),
    (
        "the one who opened it approved",
        "approvals",
        "had a hand",
        |w| {
            let change = w.change();
            change.pull.user = Some(user("bob"));
        },
    ),
    ("a commit author approved", "approvals", "had a hand", |w| {
        w.change().commits = Ok(vec![
            commit(OLD, "bob", "one"),
            commit(HEAD, "alice", "two"),
        ]);
    }),
    ("a committer approved", "approvals", "had a hand", |w| {
        let mut mine = commit(HEAD, "alice", "two");
        mine.committer = Some(user("bob"));
        w.change().commits = Ok(vec![mine]);
    }),
    ("a co-author approved", "approvals", "had a hand", |w| {
        let change = w.change();
        change.commits = Ok(vec![commit(
            HEAD,
            "alice",
            "x\n\nco-authored-by: B <b@acme.example>",
        )]);
        change.co_authors = Ok(vec![user("alice"), user("bob")]);
    }),
    (
        "a pusher approved, under another author's name",
        "approvals",
        "had a hand",
        |w| {
            w.change().pushes = Ok(vec![push("alice", OLD), push("bob", HEAD)]);
        },
    ),
    (
        "a pusher of an earlier commit approved",
        "approvals",
        "had a hand",
        |w| {
            w.change().pushes = Ok(vec![push("bob", OLD), push("alice", HEAD)]);
        },
    ),
    (
        "the only approver promotes",
        "separation",
        "bob promotes #7",
        |w| {
            w.facts.promoter = Ok(promoters(&["bob"]));
        },
    ),
    (
        "the only approver re-runs somebody's promotion",
        "separation",
        "bob promotes #7",
        |w| {
            w.facts.promoter = Ok(promoters(&["dora", "bob"]));
        },
    ),
    ("a bot promotes", "promoter", "no person", |w| {
        w.facts.promoter = Ok(promoters(&["dependabot[bot]"]));
    }),
    (
        "a person re-runs a bot's promotion",
        "promoter",
        "no person",
        |w| {
            w.facts.promoter = Ok(promoters(&["dependabot[bot]", "dora"]));
        },
    ),
    ("the check did not run", "checks", "did not run", |w| {
        w.change().checks = Ok(Vec::new())
    }),
    ("the check failed", "checks", "failure", |w| {
        w.change().checks = Ok(vec![check("test", 15368, Some("failure"))]);
    }),
    ("the check was skipped", "checks", "skipped", |w| {
        w.change().checks = Ok(vec![check("test", 15368, Some("skipped"))]);
    }),
    ("the check still runs", "checks", "in_progress", |w| {
        w.change().checks = Ok(vec![check("test", 15368, None)]);
    }),
    (
        "the check comes from another app",
        "checks",
        "comes from app 99",
        |w| {
            w.change().checks = Ok(vec![check("test", 99, Some("success"))]);
        },
    ),
    (
        "one of two runs of the check failed",
        "checks",
        "failure",
        |w| {
            w.change().checks = Ok(vec![
                check("test", 15368, Some("success")),
                check("test", 15368, Some("failure")),
            ]);
        },
    ),
    (
        "any app may report it, and one says no",
        "checks",
        "failure",
        |w| {
            w.setting.gate.checks = vec!["test".to_owned()];
            w.change().checks = Ok(vec![
                check("test", 15368, Some("success")),
                check("test", 99, Some("failure")),
            ]);
        },
    ),
    (
        "the second of two checks is missing",
        "checks",
        "`lint` did not run",
        |w| {
            w.setting.gate.checks.push("lint".to_owned());
        },
    ),
    (
        "the workflow comes from a branch",
        "run",
        "comes from evil",
        |w| {
            w.run().head_branch = Some("evil".to_owned());
        },
    ),
    ("another workflow", "run", "other.yml", |w| {
        w.run().path = ".github/workflows/other.yml@main".to_owned();
    }),
    ("started by a schedule", "run", "schedule", |w| {
        w.run().event = "schedule".to_owned()
    }),
    ("a push, where something comes before", "run", "push", |w| {
        w.run().event = "push".to_owned();
    }),
    ("a terminal", "run", "terminal", |w| {
        w.facts.place = RunPlace::Terminal
    }),
];

#[test]
fn each_rule_alone_refuses() {
    for (case, rule, words, spoil) in FAILING {
        let mut world = World::new();
        spoil(&mut world);
        let decision = world.decide();
        assert!(!decision.allowed(), "{case}");
        assert_eq!(
            with(Answer::Fail, &decision),
            [*rule],
            "{case}: {decision:?}"
        );
        let obstacle = decision.obstacle().unwrap();
        assert_eq!(obstacle.rule, *rule, "{case}");
        assert!(obstacle.fact.contains(words), "{case}: {}", obstacle.fact);
        assert!(obstacle.next.is_some(), "{case}");
    }
}

#[test]
fn every_rule_has_a_case_in_which_it_alone_fails() {
    for rule in World::new().decide().rules {
        assert!(
            FAILING
                .iter()
                .any(|(_, failing, _, _)| *failing == rule.rule),
            "{}",
            rule.rule
        );
    }
}

/// The case, the first rule that does not know, and what is hidden.
type Hidden = (&'static str, &'static str, fn(&mut World));

const HIDDEN: &[Hidden] = &[
    ("comparison", "branch", |w| w.facts.standing = Err(unseen())),
    ("pull requests", "pull request", |w| {
        w.facts.pulls = Err(unseen());
        w.facts.changes.clear();
    }),
    ("commits", "approvals", |w| {
        w.change().commits = Err(unseen())
    }),
    ("reviews", "approvals", |w| {
        w.change().reviews = Err(unseen())
    }),
    ("pushes", "approvals", |w| w.change().pushes = Err(unseen())),
    ("the push of the final head", "approvals", |w| {
        w.change().pushes = Ok(vec![push("alice", OLD)]);
    }),
    ("the final head was only merged", "approvals", |w| {
        let mut merged = push("alice", HEAD);
        merged.activity_type = "pr_merge".to_owned();
        w.change().pushes = Ok(vec![merged]);
    }),
    ("who pushed", "approvals", |w| {
        let mut ghost = push("alice", HEAD);
        ghost.actor = None;
        w.change().pushes = Ok(vec![ghost]);
    }),
    ("co-authors", "approvals", |w| {
        let change = w.change();
        change.commits = Ok(vec![commit(
            HEAD,
            "alice",
            "x\n\nCo-authored-by: B <b@acme.example>",
        )]);
        change.co_authors = Err(unseen());
    }),
    ("a commit's author", "approvals", |w| {
        let mut nobody = commit(HEAD, "alice", "x");
        nobody.author = None;
        w.change().commits = Ok(vec![nobody]);
    }),
    ("a commit's committer", "approvals", |w| {
        let mut nobody = commit(HEAD, "alice", "x");
        nobody.committer = None;
        w.change().commits = Ok(vec![nobody]);
    }),
    ("who opened it", "approvals", |w| {
        w.change().pull.user = None
    }),
    ("what the approver may do", "approvals", |w| {
        w.change().permissions.insert(user("bob").id, Err(unseen()));
    }),
    (
        "the approver's permission was not asked for",
        "approvals",
        |w| {
            w.change().permissions.clear();
        },
    ),
    (
        "the approver's login belongs to another account",
        "approvals",
        |w| {
            let (_, other) = may("mallory", "write");
            w.change().permissions.insert(user("bob").id, other);
        },
    ),
    ("what one who asks for changes may do", "approvals", |w| {
        let change = w.change();
        change.reviews = Ok(vec![
            review("bob", "APPROVED", HEAD),
            review("carol", "CHANGES_REQUESTED", HEAD),
        ]);
        change.permissions.insert(user("carol").id, Err(unseen()));
    }),
    ("checks", "checks", |w| w.change().checks = Err(unseen())),
    ("who promotes", "promoter", |w| {
        w.facts.promoter = Err(unseen())
    }),
    ("the run", "run", |w| {
        w.facts.place = RunPlace::GitHub(Err(unseen()))
    }),
    ("the commit", "branch", |w| w.subject.commit = None),
];

#[test]
fn what_cannot_be_seen_denies() {
    for (case, rule, hide) in HIDDEN {
        let mut world = World::new();
        hide(&mut world);
        let decision = world.decide();
        assert!(!decision.allowed(), "{case}");
        assert_eq!(
            with(Answer::Fail, &decision),
            [] as [&str; 0],
            "{case}: {decision:?}"
        );
        assert_eq!(
            decision.obstacle().unwrap().rule,
            *rule,
            "{case}: {decision:?}"
        );
    }
}

#[test]
fn a_missing_permission_is_named_and_asked_for() {
    let mut world = World::new();
    world.change().reviews = Err(unseen());
    let decision = world.decide();
    let obstacle = decision.obstacle().unwrap();
    assert!(
        obstacle.fact.contains("pull-requests: read"),
        "{obstacle:?}"
    );
    assert_eq!(
        decision.next().as_deref(),
        Some("give the job `permissions: {pull-requests: read}`")
    );
    world.facts.promoter = Err(Unknown {
        permission: Some("actions: read".to_owned()),
        ..Unknown::new("a", "b")
    });
    assert_eq!(
        world.decide().next().as_deref(),
        Some("give the job `permissions: {pull-requests: read, actions: read}`")
    );
}

#[test]
fn what_passes_all_the_same() {
    type Arranged = (&'static str, fn(&mut World));
    let cases: &[Arranged] = &[
        ("the author promotes what another approved", |w| {
            w.facts.promoter = Ok(promoters(&["alice"]));
        }),
        ("one of two approvers promotes", |w| {
            w.change().reviews = Ok(vec![
                review("bob", "APPROVED", HEAD),
                review("carol", "APPROVED", HEAD),
            ]);
            w.facts.promoter = Ok(promoters(&["bob"]));
        }),
        ("asked for changes, then approved", |w| {
            w.change().reviews = Ok(vec![
                review("bob", "CHANGES_REQUESTED", OLD),
                review("bob", "APPROVED", HEAD),
            ]);
        }),
        ("approved, then commented", |w| {
            w.change().reviews = Ok(vec![
                review("bob", "APPROVED", HEAD),
                review("bob", "COMMENTED", HEAD),
            ]);
        }),
        ("a reader asks for changes", |w| {
            let change = w.change();
            change.reviews = Ok(vec![
                review("bob", "APPROVED", HEAD),
                review("carol", "CHANGES_REQUESTED", HEAD),
            ]);
            change.permissions.extend([may("carol", "read")]);
        }),
        (
            "a force push of the same head and a branch that was made by a push",
            |w| {
                let mut pushes = vec![push("alice", HEAD), push("alice", OLD)];
                pushes[0].activity_type = "force_push".to_owned();
                pushes[1].activity_type = "branch_creation".to_owned();
                w.change().pushes = Ok(pushes);
            },
        ),
        (
            "somebody else's push to the same branch name, years ago",
            |w| {
                w.change().pushes = Ok(vec![push("bob", "4444"), push("alice", HEAD)]);
            },
        ),
        ("a co-author whose e-mail belongs to nobody", |w| {
            let change = w.change();
            change.commits = Ok(vec![commit(
                HEAD,
                "alice",
                "x\n\nCo-authored-by: Robot <no@reply.example>",
            )]);
            change.co_authors = Ok(vec![user("alice")]);
        }),
        (
            "a check of the same name from an app that is not asked",
            |w| {
                w.change().checks = Ok(vec![
                    check("test", 15368, Some("success")),
                    check("test", 99, Some("failure")),
                ]);
            },
        ),
        ("no approvals are asked for", |w| {
            w.setting.gate.approvals = 0;
            w.change().reviews = Ok(Vec::new());
        }),
        ("CodeBuild", |w| {
            w.facts.place = RunPlace::CodeBuild("build x:1".to_owned())
        }),
        ("a merge into the first environment, by its approver", |w| {
            w.setting.follows = None;
            w.subject.evidence = None;
            w.run().event = "push".to_owned();
            w.setting.gate.workflow = None;
            w.facts.promoter = Ok(promoters(&["bob"]));
        }),
    ];
    for (case, arrange) in cases {
        let mut world = World::new();
        arrange(&mut world);
        let decision = world.decide();
        assert!(decision.allowed(), "{case}: {decision:?}");
    }
}

#[test]
fn an_environment_without_a_gate_asks_nothing_and_says_so() {
    let mut world = World::new();
    world.setting.follows = None;
    world.setting.gate.required = false;
    world.facts = Facts::none();
    let decision = world.decide();
    assert!(decision.allowed());
    assert_eq!(with(Answer::NotAsked, &decision).len(), 8);

    // Whoever follows another environment is asked, whatever the contract says.
    world.setting.follows = Some("staging".to_owned());
    assert!(!world.decide().allowed());
}

#[test]
fn every_pull_request_that_brought_the_commit_in_must_hold() {
    let mut world = World::new();
    let mut other = change();
    other.pull.number = 8;
    other.reviews = Ok(Vec::new());
    world.facts.changes.push(other);
    let decision = world.decide();
    assert_eq!(with(Answer::Fail, &decision), ["approvals"]);
    assert!(decision.obstacle().unwrap().fact.contains("#8"));
}

#[test]
fn a_pull_request_brings_in_its_merge_and_its_final_head_only() {
    let found = |spoil: fn(&mut Pull), commit: &str| {
        let mut pull = change().pull;
        spoil(&mut pull);
        brought_in(&[pull], "Acme/storefront", "main", commit).len()
    };
    assert_eq!(found(|_| (), MERGE), 1);
    assert_eq!(found(|_| (), HEAD), 1);
    assert_eq!(found(|_| (), OLD), 0);
    assert_eq!(found(|pull| pull.merged_at = None, MERGE), 0);
    assert_eq!(
        found(|pull| pull.base.branch = "release".to_owned(), MERGE),
        0
    );
    assert_eq!(
        found(
            |pull| pull.base.repo.full_name = "mallory/storefront".to_owned(),
            MERGE
        ),
        0
    );
}

#[test]
fn arguments_cannot_say_something_else_than_the_contract() {
    let mut rules = crate::args::Rules {
        branch: Some("main".to_owned()),
        approvals: Some(1),
        checks: vec!["test@15368".to_owned()],
        workflow: None,
    };
    let place = Place {
        service: None,
        table: None,
        region: None,
    };
    let cx = kit::Cx {
        host: kit::host::Host::detect(&kit::env::Env::default()),
        env: kit::env::Env::default(),
        clock: kit::clock::Clock::System,
        common: kit::step::Common {
            environment: Some("production".to_owned()),
            contract: None,
            json: false,
        },
    };
    setting().with_rules(&cx, &place, &rules).unwrap();
    rules.approvals = Some(0);
    let error = setting().with_rules(&cx, &place, &rules).unwrap_err();
    assert_eq!(error.exit, kit::Exit::Usage);
}
