//! A fact that cannot be seen refuses.

use super::*;

/// The case, the first rule that does not know, and what is hidden.
type Hidden = (&'static str, &'static str, fn(&mut Promotion));

const HIDDEN: &[Hidden] = &[
    ("comparison", "branch", |w| {
        w.facts.on_branch = Err(unseen())
    }),
    ("the commits", "pull request", |w| {
        w.facts.range = Err(unseen());
        w.facts.changes = Err(unseen());
    }),
    ("pull requests", "pull request", |w| {
        w.facts.changes = Err(unseen());
    }),
    ("both sides of the merge", "merge", |w| {
        w.change().merge = Err(unseen());
    }),
    ("pushes", "approvals", |w| w.change().pushes = Err(unseen())),
    ("the push of the final head", "approvals", |w| {
        w.pushed(&[("alice", OLD)]);
    }),
    ("who pushed", "approvals", |w| {
        let mut ghost = push("alice", NONE, HEAD);
        ghost.actor = None;
        w.change().pushes = Ok(Pushes::Seen(vec![ghost]));
    }),
    ("a commit's author", "approvals", |w| {
        w.pull().commits[0].author = nobody("x@acme.example");
    }),
    ("a commit's committer", "approvals", |w| {
        w.pull().commits[0].committer = Signer::default();
    }),
    ("who opened it", "approvals", |w| w.pull().author = None),
    ("who dismissed an objection", "approvals", |w| {
        w.pull().reviews = vec![
            review("bob", "APPROVED", HEAD),
            review("carol", "DISMISSED", HEAD),
        ];
    }),
    ("who dismissed this objection", "approvals", |w| {
        w.pull().reviews = vec![
            review("bob", "APPROVED", HEAD),
            review("carol", "DISMISSED", HEAD),
        ];
        w.pull().events = vec![dismissed("erin", "dora", "CHANGES_REQUESTED")];
    }),
    ("who is in the reviewers' team", "approvals", |w| {
        reviewers(&mut w.setting, &["carol"], &["acme/release"]);
        w.change().team_reviewers = Err(unseen());
    }),
    ("checks", "checks", |w| w.change().checks = Err(unseen())),
    ("who promotes", "promoter", |w| {
        w.facts.promoter = Err(unseen())
    }),
    ("the run", "run", |w| {
        w.facts.run = RunKind::GitHub(Err(unseen()))
    }),
    ("whether the run is over", "run", |w| w.run().status = None),
    ("whose contract this is", "policy", |w| {
        w.facts.policy = Some(Err(unseen()));
    }),
    ("the commit", "branch", |w| w.subject.commit = None),
];

#[test]
fn each_unknown_fact_denies_the_promotion() {
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
    promotion.change().pushes = Err(unseen());
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
