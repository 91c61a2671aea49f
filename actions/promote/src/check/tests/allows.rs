//! What passes although it looks odd, and which pull requests count.

use super::super::rules::brought_in;
use super::*;

#[test]
fn what_passes_all_the_same() {
    type Arranged = (&'static str, fn(&mut Promotion));
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
            w.facts.run = RunKind::CodeBuild("build x:1".to_owned())
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
        let mut promotion = Promotion::new();
        arrange(&mut promotion);
        let decision = promotion.decide();
        assert!(decision.allowed(), "{case}: {decision:?}");
    }
}

#[test]
fn an_environment_without_a_gate_asks_nothing_and_says_so() {
    let mut promotion = Promotion::new();
    promotion.setting.follows = None;
    promotion.setting.gate.required = false;
    promotion.facts = Facts::none();
    let decision = promotion.decide();
    assert!(decision.allowed());
    assert_eq!(with(Answer::NotAsked, &decision).len(), 8);

    // Whoever follows another environment is asked, whatever the contract says.
    promotion.setting.follows = Some("staging".to_owned());
    assert!(!promotion.decide().allowed());
}

#[test]
fn every_pull_request_that_brought_the_commit_in_must_hold() {
    let mut promotion = Promotion::new();
    let mut other = change();
    other.pull.number = 8;
    other.reviews = Ok(Vec::new());
    promotion.facts.changes.push(other);
    let decision = promotion.decide();
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
