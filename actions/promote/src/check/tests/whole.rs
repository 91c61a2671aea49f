//! The whole gate: a promotion of which every rule asks something, and for each rule what makes it alone
//! refuse. The tables beside each group of rules have all the cases of a rule; this one shows that no other
//! rule stands in for it, and that the gate asks it.

use super::*;
use crate::check::approved::tests::Scene as Approved;
use crate::check::conditions::calendar::State;
use crate::check::conditions::{Calendar, Conditions};
use crate::check::decide::all;
use crate::check::provenance::Found;
use crate::check::provenance::tests::{found, good, proofs};
use crate::environment_history::tests::forced;
use attest::Signer;
use kit::contract::{Formerly, Freeze};

/// A promotion with what the other groups of rules ask.
struct Whole {
    approved: Approved,
    missing_before: Vec<String>,
    calendar: State,
    ahead: &'static str,
    provenance: Found,
}

fn freeze(from: &str, to: &str) -> Freeze {
    Freeze {
        time_zone: "UTC".to_owned(),
        weekdays: Vec::new(),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        days: None,
        reason: None,
    }
}

impl Whole {
    /// The promotion, whose gate is changed before anybody approves it.
    async fn new(declare: fn(&mut Promotion)) -> Self {
        let mut promotion = Promotion::new();
        promotion.setting.proofs = Some(proofs());
        let gate = &mut promotion.setting.gate;
        gate.soak = Some(7200);
        gate.still_running = true;
        gate.freeze = vec![freeze("02:00", "03:00")];
        gate.calendars = vec!["sales".to_owned()];
        promotion.subject.trail.healthy_since = promotion.subject.evidence.clone();
        promotion.subject.trail.not_before = Some("2026-11-21T17:00:00Z".to_owned());
        declare(&mut promotion);
        let signer = Signer::local();
        let provenance = found(&good(&promotion.subject), &signer, &signer).await;
        Self {
            approved: Approved::of(promotion),
            missing_before: Vec::new(),
            calendar: State::Open,
            ahead: "ahead",
            provenance,
        }
    }

    fn promotion(&mut self) -> &mut Promotion {
        &mut self.approved.promotion
    }

    fn decide(self) -> Decision {
        let calendar = Calendar {
            state: self.calendar,
            next: None,
        };
        let conditions = Conditions {
            missing_before: Some(Ok(self.missing_before)),
            calendars: vec![("sales".to_owned(), Ok(calendar))],
            ahead: Some(Ok(self.ahead.to_owned())),
            ..self.approved.conditions()
        };
        let Promotion {
            setting,
            subject,
            facts,
        } = &self.approved.promotion;
        let proof = Some(Ok(self.provenance));
        all(setting, subject, facts, Some(&conditions), proof.as_ref())
    }
}

/// The rule, what its gate declares otherwise, and what is wrong.
type Row = (&'static str, fn(&mut Promotion), fn(&mut Whole));

const ROWS: &[Row] = &[
    ("provenance", |_| (), |w| w.provenance.manifest = None),
    (
        "digest",
        |_| (),
        |w| {
            w.promotion().subject.evidence = Some(record(Verdict::Failed));
        },
    ),
    (
        "branch",
        |_| (),
        |w| {
            w.promotion().facts.on_branch = Ok("diverged".to_owned());
        },
    ),
    (
        "pull request",
        |p| {
            let pushed = "6".repeat(40);
            let range = p.range();
            range.commits.push(on_branch(&pushed, "s", &[MERGE]));
            p.subject.commit = Some(pushed.parse().unwrap());
            p.setting.gate.accepted_commits = vec![pushed];
        },
        |_| (),
    ),
    (
        "range",
        |p| p.range().commits.insert(0, on_branch("6666", "s", &[BASE])),
        |_| (),
    ),
    (
        "merge",
        |_| (),
        |w| {
            w.promotion().range().known.get_mut(MERGE).unwrap().tree = "evil".to_owned();
        },
    ),
    ("approvals", |p| p.setting.gate.approvals = 2, |_| ()),
    (
        "checks",
        |_| (),
        |w| {
            w.promotion().change().checks = Ok(Vec::new());
        },
    ),
    (
        "promoter",
        |_| (),
        |w| {
            w.promotion().facts.promoter = Ok(promoters(&["dependabot[bot]"]));
        },
    ),
    (
        "separation",
        |_| (),
        |w| {
            w.promotion().facts.promoter = Ok(promoters(&["bob"]));
        },
    ),
    (
        "run",
        |_| (),
        |w| {
            w.promotion().run().event = "schedule".to_owned();
        },
    ),
    (
        "policy",
        |_| (),
        |w| {
            w.promotion().facts.policy = Some(Ok(policy(CommitPosition::Elsewhere)));
        },
    ),
    ("forward", |_| (), |w| w.ahead = "behind"),
    ("soak", |p| p.setting.gate.soak = Some(7201), |_| ()),
    (
        "still running",
        |_| (),
        |w| {
            w.missing_before = vec!["the task definition".to_owned()];
        },
    ),
    (
        "freeze",
        |p| p.setting.gate.freeze.push(freeze("20:00", "21:00")),
        |_| (),
    ),
    ("calendar", |_| (), |w| w.calendar = State::Closed),
    (
        "rolled back",
        |_| (),
        |w| {
            w.promotion().subject.trail.rolled_back = Some(record(Verdict::Healthy));
        },
    ),
    (
        "debt",
        |_| (),
        |w| w.approved.records[0] = forced('b', "eve"),
    ),
    ("approved", |_| (), |w| drop(w.approved.records.pop())),
];

/// These scenes are of 2026-11-21.
#[tokio::test]
async fn the_day_of_a_rename_has_come() {
    for (until, refuses) in [
        ("2026-11-20", false),
        ("2026-11-21", false),
        ("2026-11-22", true),
        ("2999-12-31", true),
    ] {
        let mut whole = Whole::new(|p| {
            p.setting.gate.formerly = Some(Formerly {
                branch: "master".to_owned(),
                until: String::new(),
            });
        })
        .await;
        let formerly = whole.promotion().setting.gate.formerly.as_mut();
        until.clone_into(&mut formerly.unwrap().until);
        let decision = whole.decide();
        let range = decision.rules.iter().find(|it| it.rule == "range").unwrap();
        let wanted = if refuses { Answer::Fail } else { Answer::Pass };
        assert_eq!(range.answer, wanted, "{until}: {range:?}");
        assert_eq!(range.next.is_some(), refuses, "{range:?}");
    }
}

fn refusing(decision: &Decision) -> Vec<&'static str> {
    let refuses = |answer| matches!(answer, Answer::Fail | Answer::Unknown);
    let rules = decision.rules.iter().filter(|rule| refuses(rule.answer));
    rules.map(|rule| rule.rule).collect()
}

/// A rule that is added to the gate fails here until it has a row.
#[tokio::test]
async fn every_rule_of_the_gate_refuses_alone() {
    let decision = Whole::new(|_| ()).await.decide();
    assert_eq!(refusing(&decision), [] as [&str; 0], "{decision:?}");
    let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.rule).collect();
    let rows: Vec<&str> = ROWS.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(rows, rules);
    for (rule, declare, spoil) in ROWS {
        let mut whole = Whole::new(*declare).await;
        spoil(&mut whole);
        let decision = whole.decide();
        assert_eq!(refusing(&decision), [*rule], "{decision:?}");
        assert!(!decision.allowed(), "{rule}");
        let obstacle = decision.obstacle().unwrap();
        assert_eq!((obstacle.rule, obstacle.answer), (*rule, Answer::Fail));
    }
}
