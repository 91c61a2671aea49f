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
        "no longer exists",
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
        "bob requested changes",
        |w| {
            w.change().reviews = Ok(vec![
                review("bob", "APPROVED", HEAD),
                review("bob", "CHANGES_REQUESTED", HEAD),
            ]);
        },
    ),
    ("a bot approved", "approvals", "not a person", |w| {
        w.change().reviews = Ok(vec![review("github-actions[bot]", "APPROVED", HEAD)]);
    }),
    ("a reader approved", "approvals", "no write access", |w| {
        w.change().permissions.extend([may("bob", "read")]);
    }),
    (
        "the one who opened it approved",
        "approvals",
        "contributed",
        |w| {
            let change = w.change();
            change.pull.user = Some(user("bob"));
        },
    ),
    (
        "a commit author approved",
        "approvals",
        "contributed",
        |w| {
            w.change().commits = Ok(vec![
                commit(OLD, "bob", "one"),
                commit(HEAD, "alice", "two"),
            ]);
        },
    ),
    ("a committer approved", "approvals", "contributed", |w| {
        let mut mine = commit(HEAD, "alice", "two");
        mine.committer = Some(user("bob"));
        w.change().commits = Ok(vec![mine]);
    }),
    ("a co-author approved", "approvals", "contributed", |w| {
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
        "contributed",
        |w| {
            w.change().pushes = Ok(vec![push("alice", OLD), push("bob", HEAD)]);
        },
    ),
    (
        "a pusher of an earlier commit approved",
        "approvals",
        "contributed",
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
    ("started by a schedule", "run", "schedule", |w| {
        w.run().event = "schedule".to_owned()
    }),
    ("a push, where something comes before", "run", "push", |w| {
        w.run().event = "push".to_owned();
    }),
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
