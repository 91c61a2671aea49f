//! For each rule the cases in which it alone fails.

use super::*;

/// The case, the rule that alone fails, words of its fact, and what is wrong.
type Case = (&'static str, &'static str, &'static str, fn(&mut Promotion));

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
        w.facts.on_branch = Ok("diverged".to_owned());
    }),
    ("ahead of the branch", "branch", "behind", |w| {
        w.facts.on_branch = Ok("behind".to_owned());
    }),
    (
        "pushed without a pull request",
        "pull request",
        "no pull request",
        |w| {
            w.pull().merge_commit = Some(BASE.to_owned());
            w.range().commits.drain(..2);
            w.setting.gate.accepted_commits = vec![MERGE.to_owned()];
        },
    ),
    ("nobody approved", "approvals", "0 of 1", |w| {
        w.pull().reviews.clear();
    }),
    ("only a comment", "approvals", "0 of 1", |w| {
        w.pull().reviews = vec![review("bob", "COMMENTED", HEAD)];
    }),
    (
        "approved by somebody whom `reviewers` does not name",
        "approvals",
        "0 of 1 approvals (bob is not one of the gate's `reviewers`)",
        |w| {
            reviewers(&mut w.setting, &["carol"], &["acme/release"]);
            w.change().team_reviewers = Ok(vec![user("erin"), user("approver[bot]")]);
        },
    ),
    (
        "the login of a reviewer passed to another account",
        "approvals",
        "bob is not one of the gate's `reviewers`",
        |w| {
            reviewers(&mut w.setting, &["bob"], &[]);
            w.setting.people.get_mut("bob").unwrap().id = Some(4711);
        },
    ),
    (
        "somebody whom `reviewers` does not name objects",
        "approvals",
        "carol requested changes",
        |w| {
            reviewers(&mut w.setting, &["bob"], &[]);
            w.pull()
                .reviews
                .push(review("carol", "CHANGES_REQUESTED", HEAD));
        },
    ),
    ("two are asked for", "approvals", "1 of 2", |w| {
        w.setting.gate.approvals = 2
    }),
    (
        "an older head was approved",
        "approvals",
        "not the final head",
        |w| {
            w.pull().reviews = vec![review("bob", "APPROVED", OLD)];
        },
    ),
    (
        "an approval of no head",
        "approvals",
        "no longer exists",
        |w| {
            let mut review = review("bob", "APPROVED", OLD);
            review.commit = None;
            w.pull().reviews = vec![review];
        },
    ),
    ("dismissed", "approvals", "dismissed", |w| {
        w.pull().reviews = vec![review("bob", "DISMISSED", HEAD)];
        w.pull().events = vec![dismissed("bob", "dora", "APPROVED")];
    }),
    (
        "approved, then asked for changes",
        "approvals",
        "bob requested changes",
        |w| {
            w.pull()
                .reviews
                .push(review("bob", "CHANGES_REQUESTED", HEAD));
        },
    ),
    ("a bot approved", "approvals", "not a person", |w| {
        w.pull().reviews = vec![review("github-actions[bot]", "APPROVED", HEAD)];
    }),
    ("a reader approved", "approvals", "no write access", |w| {
        w.pull().reviews[0].may_push = false;
    }),
    (
        "the one who opened it approved",
        "approvals",
        "contributed",
        |w| {
            w.pull().author = Some(user("bob"));
        },
    ),
    (
        "a commit author approved",
        "approvals",
        "contributed",
        |w| {
            w.pull().commits[0].author = signer("bob");
        },
    ),
    ("a committer approved", "approvals", "contributed", |w| {
        w.pull().commits[1].committer = signer("bob");
    }),
    ("a co-author approved", "approvals", "contributed", |w| {
        w.pull().commits[1].co_authors = vec![signer("bob")];
    }),
    (
        "a pusher approved, under another author's name",
        "approvals",
        "contributed",
        |w| {
            w.pushed(&[("bob", HEAD), ("alice", OLD)]);
        },
    ),
    (
        "a pusher of an earlier commit approved",
        "approvals",
        "contributed",
        |w| {
            w.pushed(&[("alice", HEAD), ("bob", OLD)]);
        },
    ),
    (
        "a commit without a pull request",
        "range",
        "brought 6666",
        |w| {
            w.range().commits.insert(0, on_branch("6666", "s", &[BASE]));
        },
    ),
    (
        "a commit without a pull request before the first promotion",
        "range",
        "brought 6666",
        |w| {
            w.range().base = Base::First(BASE.to_owned());
            w.range().commits.insert(0, on_branch("6666", "s", &[BASE]));
        },
    ),
    (
        "the environment runs something newer",
        "range",
        "is newer",
        |w| {
            w.range().status = "behind".to_owned();
        },
    ),
    (
        "the environment runs another line",
        "range",
        "does not follow",
        |w| {
            w.range().status = "diverged".to_owned();
        },
    ),
    (
        "the branch was set back since a permit",
        "branch",
        "main was set back: it no longer contains 7777777, its newest commit when permit 4 was granted",
        |w| w.facts.since_permit = Some(Ok(since_permit("behind"))),
    ),
    (
        "the branch was replaced since a permit",
        "branch",
        "main was set back",
        |w| w.facts.since_permit = Some(Ok(since_permit("diverged"))),
    ),
    (
        "another line than that of the newest regular promotion, before a rollback",
        "range",
        "does not follow 0123456 (record 3 of production), the newest version of a regular promotion",
        |w| {
            w.not_running();
            w.range().status = "diverged".to_owned();
        },
    ),
    (
        "the first promotion does not follow what `since` names",
        "range",
        "which `since` names",
        |w| {
            w.range().base = Base::Since(BASE.to_owned());
            w.range().status = "diverged".to_owned();
        },
    ),
    (
        "the merge holds more than the head",
        "merge",
        "is not that of its final head",
        |w| {
            w.range().known.get_mut(MERGE).unwrap().tree = "evil".to_owned();
        },
    ),
    (
        "approved for another branch",
        "approvals",
        "before it was pointed at main",
        |w| w.pull().events = vec![retargeted("2026-11-21T16:30:00Z")],
    ),
    (
        "a contributor dismissed an objection",
        "approvals",
        "who contributed, dismissed",
        |w| {
            w.pull().reviews.push(review("carol", "DISMISSED", HEAD));
            w.pull().events = vec![dismissed("carol", "alice", "CHANGES_REQUESTED")];
        },
    ),
    ("an app opened it", "approvals", "1 of 2", |w| {
        w.pull().author = Some(user("ci[bot]"));
    }),
    (
        "an app committed",
        "approvals",
        "no person is known for ci[bot]",
        |w| {
            let app = nobody("7+ci[bot]@users.noreply.github.com");
            w.pull().commits[0].author = app;
        },
    ),
    ("the approver's app opened it", "approvals", "bob is", |w| {
        let id = user("ci[bot]").id;
        w.setting
            .people
            .insert("Robert".to_owned(), second_account("bob"));
        w.setting
            .apps
            .insert(id, StandsFor::Person("Robert".to_owned()));
        w.pull().author = Some(user("ci[bot]"));
    }),
    (
        "an app for a person that is not listed",
        "approvals",
        "1 of 2",
        |w| {
            let id = user("ci[bot]").id;
            w.setting
                .apps
                .insert(id, StandsFor::Person("bob".to_owned()));
            w.pull().author = Some(user("ci[bot]"));
        },
    ),
    (
        "the author's second account approved",
        "approvals",
        "bob is alice",
        |w| {
            w.setting
                .people
                .insert("alice".to_owned(), second_account("bob"));
        },
    ),
    (
        "two accounts of one person approved",
        "approvals",
        "the same person",
        |w| {
            w.setting.gate.approvals = 2;
            w.setting
                .people
                .insert("bob".to_owned(), second_account("carol"));
            w.pull().reviews.push(review("carol", "APPROVED", HEAD));
        },
    ),
    (
        "the promoter's second account approved",
        "separation",
        "only approver",
        |w| {
            w.setting
                .people
                .insert("dora".to_owned(), second_account("bob"));
        },
    ),
    (
        "one person approved all and promotes",
        "separation",
        "all 2 pull requests",
        |w| {
            w.second("alice", "bob");
            w.facts.promoter = Ok(promoters(&["bob"]));
        },
    ),
    (
        "the approver merged the branch into it, and nobody knows what else",
        "approvals",
        "contributed",
        |w| w.updated("bob", Sides::default()),
    ),
    ("a deleted fork", "approvals", "1 of 2", |w| {
        w.change().pushes = Ok(Pushes::Unseen("the fork".to_owned()));
    }),
    (
        "who replaced a commit approved",
        "approvals",
        "contributed",
        |w| {
            w.pull().events = vec![Event::ForcePushed {
                actor: Some(user("bob")),
                replaced: Vec::new(),
            }];
        },
    ),
    (
        "the author of what was replaced approved",
        "approvals",
        "contributed",
        |w| {
            w.pull().events = vec![Event::ForcePushed {
                actor: Some(user("alice")),
                replaced: vec![signer("bob")],
            }];
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
    (
        "the only approver dispatches it into the first environment",
        "separation",
        "bob promotes #7",
        |w| {
            w.setting.follows = None;
            w.subject.evidence = None;
            w.facts.promoter = Ok(promoters(&["bob"]));
        },
    ),
    ("a bot promotes", "promoter", "not a person", |w| {
        w.facts.promoter = Ok(promoters(&["dependabot[bot]"]));
    }),
    (
        "a person re-runs a bot's promotion",
        "promoter",
        "not a person",
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
    ("a run that has ended", "run", "run 5 is over", |w| {
        w.run().status = Some("completed".to_owned());
    }),
    ("started by a schedule", "run", "schedule", |w| {
        w.run().event = "schedule".to_owned()
    }),
    ("a push, where something comes before", "run", "push", |w| {
        w.run().event = "push".to_owned();
    }),
    (
        "an old workflow",
        "policy",
        "promote.yml differs between 2222222 and",
        |w| {
            let files = vec!["promote.yml".to_owned()];
            w.facts.policy = Some(Ok(policy(CommitPosition::Differs(files))));
        },
    ),
    (
        "another contract, whatever commit the run is of",
        "policy",
        "delivery.yaml, as it judged here (blob aaaaaaa), is not the one in 2222222, the newest commit of main (blob bbbbbbb)",
        |w| {
            let mut policy = policy(CommitPosition::Newest);
            policy.contract = Some(judging(&"a".repeat(40), Some(&"b".repeat(40))));
            w.facts.policy = Some(Ok(policy));
        },
    ),
    (
        "an old contract",
        "policy",
        "delivery.yaml, as it judged here",
        |w| {
            let mut policy = policy(CommitPosition::Same(Vec::new()));
            policy.contract = Some(judging("a", Some("b")));
            w.facts.policy = Some(Ok(policy));
        },
    ),
    (
        "a contract whose line endings git converted",
        "policy",
        "delivery.yaml has other line endings here than in main",
        |w| {
            let mut policy = policy(CommitPosition::Newest);
            let contract = judging("a", Some("b"));
            policy.contract = Some(Judging {
                converted: true,
                ..contract
            });
            w.facts.policy = Some(Ok(policy));
        },
    ),
    (
        "a contract that the branch does not have",
        "policy",
        "is not in 2222222, the newest commit of main",
        |w| {
            let mut policy = policy(CommitPosition::Newest);
            policy.contract = Some(judging("a", None));
            w.facts.policy = Some(Ok(policy));
        },
    ),
    (
        "a tag with the branch's name",
        "policy",
        "not on the branch",
        |w| {
            w.facts.policy = Some(Ok(policy(CommitPosition::Elsewhere)));
        },
    ),
    ("a terminal", "run", "terminal", |w| {
        w.facts.run = RunKind::Terminal
    }),
];

#[test]
fn each_rule_alone_refuses() {
    for (case, rule, words, spoil) in FAILING {
        let mut promotion = Promotion::new();
        spoil(&mut promotion);
        let decision = promotion.decide();
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
    for rule in Promotion::new().decide().rules {
        assert!(
            FAILING
                .iter()
                .any(|(_, failing, _, _)| *failing == rule.rule),
            "{}",
            rule.rule
        );
    }
}
