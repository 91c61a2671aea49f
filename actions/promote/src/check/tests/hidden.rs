//! What cannot be seen denies.

use super::*;

/// The case, the first rule that does not know, and what is hidden.
type Hidden = (&'static str, &'static str, fn(&mut Promotion));

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
        w.facts.run = RunKind::GitHub(Err(unseen()))
    }),
    ("the commit", "branch", |w| w.subject.commit = None),
];

#[test]
fn what_cannot_be_seen_denies() {
    for (case, rule, hide) in HIDDEN {
        let mut promotion = Promotion::new();
        hide(&mut promotion);
        let decision = promotion.decide();
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
    let mut promotion = Promotion::new();
    promotion.change().reviews = Err(unseen());
    let decision = promotion.decide();
    let obstacle = decision.obstacle().unwrap();
    assert!(
        obstacle.fact.contains("pull-requests: read"),
        "{obstacle:?}"
    );
    assert_eq!(
        decision.next().as_deref(),
        Some("give the job `permissions: {pull-requests: read}`")
    );
    promotion.facts.promoter = Err(Unknown {
        permission: Some("actions: read".to_owned()),
        ..Unknown::new("a", "b")
    });
    assert_eq!(
        promotion.decide().next().as_deref(),
        Some("give the job `permissions: {pull-requests: read, actions: read}`")
    );
}
