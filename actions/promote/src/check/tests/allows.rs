//! Unusual promotions that pass, and the pull requests that count.

use super::*;

/// One table, as long as there are cases.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn unusual_promotions_that_satisfy_the_gate_pass() {
    type Arranged = (&'static str, fn(&mut Promotion));
    let cases: &[Arranged] = &[
        ("the author promotes what another approved", |w| {
            w.facts.promoter = Ok(promoters(&["alice"]));
        }),
        ("one of two approvers promotes", |w| {
            w.pull().reviews.push(review("carol", "APPROVED", HEAD));
            w.facts.promoter = Ok(promoters(&["bob"]));
        }),
        ("asked for changes, then approved", |w| {
            w.pull().reviews = vec![
                review("bob", "CHANGES_REQUESTED", OLD),
                review("bob", "APPROVED", HEAD),
            ];
        }),
        ("approved by a named reviewer, of an unseen team", |w| {
            reviewers(&mut w.setting, &["bob"], &["acme/release"]);
            w.change().team_reviewers = Err(unseen());
        }),
        ("approved by a member of the reviewers' team", |w| {
            reviewers(&mut w.setting, &[], &["acme/release"]);
            w.change().team_reviewers = Ok(vec![user("carol"), user("bob")]);
        }),
        ("approved, then commented", |w| {
            w.pull().reviews.push(review("bob", "COMMENTED", HEAD));
        }),
        ("a reader asks for changes", |w| {
            let mut objection = review("carol", "CHANGES_REQUESTED", HEAD);
            objection.may_push = false;
            w.pull().reviews.push(objection);
        }),
        (
            "a force push of the same head and a branch that was made by a push",
            |w| {
                let mut pushes = pushes(&[("alice", HEAD), ("alice", OLD)]);
                pushes[0].activity_type = "force_push".to_owned();
                w.change().pushes = Ok(Pushes::Seen(pushes));
            },
        ),
        (
            "somebody else's push to the same branch name, years ago",
            |w| {
                let mut all = pushes(&[("alice", HEAD), ("alice", OLD)]);
                let mut gone = push("bob", "4444", NONE);
                gone.activity_type = "branch_deletion".to_owned();
                all.extend([gone, push("bob", NONE, "4444")]);
                w.change().pushes = Ok(Pushes::Seen(all));
            },
        ),
        ("a co-author whose e-mail belongs to nobody", |w| {
            w.pull().commits[1].co_authors = vec![nobody("no@reply.example")];
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
        ("a check whose name has an at sign", |w| {
            w.setting.gate.checks = vec!["test@main".to_owned()];
            w.change().checks = Ok(vec![check("test@main", 99, Some("success"))]);
        }),
        ("no approvals are asked for", |w| {
            w.setting.gate.approvals = 0;
            w.pull().reviews.clear();
        }),
        ("two people review each other, and one promotes", |w| {
            w.second("bob", "alice");
            w.facts.promoter = Ok(promoters(&["bob"]));
        }),
        ("an app that stands for nobody", |w| {
            w.setting.apps.insert(user("ci[bot]").id, StandsFor::Nobody);
            w.pull().author = Some(user("ci[bot]"));
        }),
        ("an app's hand, and one more approval", |w| {
            w.pull().author = Some(user("ci[bot]"));
            w.pull().reviews.push(review("carol", "APPROVED", HEAD));
        }),
        ("a deleted fork, and one more approval", |w| {
            w.change().pushes = Ok(Pushes::Unseen("the fork".to_owned()));
            w.pull().reviews.push(review("carol", "APPROVED", HEAD));
        }),
        ("an address that the contract gives to a person", |w| {
            let person = Person {
                emails: vec!["old@acme.example".to_owned()],
                ..Person::default()
            };
            w.setting.people.insert("alice".to_owned(), person);
            w.pull().commits[0].author = nobody("old@acme.example");
        }),
        ("GitHub itself committed", |w| {
            let commit = &mut w.pull().commits[0];
            commit.by_github = true;
            commit.committer = nobody("noreply@github.com");
        }),
        ("an objection that nobody involved dismissed", |w| {
            w.pull().reviews.push(review("carol", "DISMISSED", HEAD));
            w.pull().events = vec![dismissed("carol", "dora", "CHANGES_REQUESTED")];
        }),
        ("nobody knows who dismissed a reader's objection", |w| {
            let mut objection = review("carol", "DISMISSED", HEAD);
            objection.may_push = false;
            w.pull().reviews.push(objection);
        }),
        ("nobody knows who dismissed a bot's objection", |w| {
            let objection = review("github-actions[bot]", "DISMISSED", HEAD);
            w.pull().reviews.push(objection);
        }),
        (
            "the approver merged the branch into it, and nothing else",
            |w| {
                w.updated("bob", merged_alike());
            },
        ),
        ("approved after it was pointed at the branch", |w| {
            w.pull().events = vec![retargeted("2026-11-21T16:29:59Z")];
        }),
        (
            "a commit without a pull request that the contract accepts",
            |w| {
                let stray = on_branch("6666", "s", &[BASE]);
                w.range().commits.insert(0, stray);
                w.setting.gate.accepted_commits = vec!["6666".to_owned()];
            },
        ),
        ("the first promotion", |w| {
            w.range().base = Base::First(BASE.to_owned());
        }),
        ("the branch has grown since a permit", |w| {
            w.facts.since_permit = Some(Ok(since_permit("ahead")));
        }),
        ("the branch is as it was at a permit", |w| {
            w.facts.since_permit = Some(Ok(since_permit("identical")));
        }),
        ("older than what was rolled back from", |w| {
            w.not_running();
            w.range().status = "behind".to_owned();
        }),
        ("a merge landed while it ran", |w| {
            let files = vec!["promote.yml".to_owned()];
            w.facts.policy = Some(Ok(policy(CommitPosition::Same(files))));
        }),
        ("no commit to compare", |w| w.facts.policy = None),
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
    assert_eq!(with(Answer::NotAsked, &decision).len(), 11);

    // The gate of an environment that follows another one is asked, whatever the contract says.
    promotion.setting.follows = Some("staging".to_owned());
    assert!(!promotion.decide().allowed());
}

#[test]
fn every_pull_request_of_the_range_must_hold() {
    let mut promotion = Promotion::new();
    promotion.second("alice", "bob");
    assert!(promotion.decide().allowed(), "{:?}", promotion.decide());
    promotion.pull().reviews.clear();
    let decision = promotion.decide();
    assert_eq!(with(Answer::Fail, &decision), ["approvals"]);
    assert!(decision.obstacle().unwrap().fact.contains("#7"));
}
