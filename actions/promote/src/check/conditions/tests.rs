//! For each rule the cases in which it alone fails or does not know, and what passes.

mod break_glass;
mod reviews;

use super::*;
use crate::check::answer::{Answer, Decision};
use crate::check::approved::NamedContributors;
use crate::check::break_glass::apply_break_glass;
use crate::check::fact::Unknown;
use crate::check::tests::setting;
use crate::check::trail::Trail;
use crate::environment_history::at;
use crate::environment_history::tests::{
    actor, deployed, digest, failed, forced, history, reviewed, rolled_back,
};
use crate::values::reason;
use kit::contract::{BreakGlass, Freeze};
use ledger::Record;

/// Alice and these apps, which the contract does not list, as contributors.
fn by_alice(unattributed: &[&str]) -> NamedContributors {
    NamedContributors {
        people: vec![actor("alice")],
        unattributed: unattributed.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A promotion of digest `c` to production, where `a` and then `b` ran, that every rule lets pass.
struct Scene {
    setting: Setting,
    subject: Subject,
    conditions: Conditions,
}

impl Scene {
    fn new() -> Self {
        let mut setting = setting();
        setting.gate.soak = Some(7200);
        setting.gate.still_running = true;
        setting.gate.freeze = vec![freeze("02:00", "03:00")];
        setting.gate.calendars = vec!["sales".to_owned(), "payday".to_owned()];
        // The first record of its chain has none before it that could bound its time.
        let since = Record {
            seq: 1,
            at: "2026-11-21T10:00:00Z".to_owned(),
            environment: "staging".to_owned(),
            ..deployed('c')
        };
        let subject = Subject {
            digest: digest('c'),
            commit: Some(since.commit.clone()),
            evidence: Some(since.clone()),
            trail: Trail {
                rolled_back: None,
                healthy_since: Some(since),
                not_before: None,
            },
            built_for: None,
            plan: None,
            base: crate::check::range::Base::Nothing,
        };
        let open = |next: Option<&str>| {
            Ok(Calendar {
                state: calendar::State::Open,
                next: next.map(str::to_owned),
            })
        };
        let conditions = Conditions {
            now: at("2026-11-21T12:00:00Z").unwrap(),
            history: history(&[deployed('a'), deployed('b')]),
            anchored: None,
            missing_before: Some(Ok(Vec::new())),
            calendars: vec![
                ("sales".to_owned(), open(Some("2026-12-01T00:00:00Z"))),
                ("payday".to_owned(), open(None)),
            ],
            ahead: Some(Ok("ahead".to_owned())),
            contributors: ['b', 'c']
                .map(|digit| (digest(digit), Ok(by_alice(&[]))))
                .into(),
            members: Ok(Vec::new()),
            promoter: Ok(vec![actor("dora")]),
        };
        Self {
            setting,
            subject,
            conditions,
        }
    }

    fn decide(&self) -> Decision {
        Decision {
            rules: rules(&self.setting, &self.subject, Some(&self.conditions)),
        }
    }

    /// Sets the earlier records of production.
    fn after(&mut self, records: &[Record]) {
        self.conditions.history = history(records);
    }

    fn calendar(&mut self, fact: Fact<Calendar>) {
        self.conditions.calendars[1].1 = fact;
    }

    /// The rules that refuse after a break-glass, and whether it may be recorded.
    fn forced(&mut self) -> (Vec<&'static str>, bool) {
        let mut decision = self.decide();
        let by = apply_break_glass(
            &mut decision,
            "the shop is down",
            &self.setting,
            &self.subject,
            Some(&self.conditions),
        );
        (refusing(&decision), by.is_some())
    }
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

fn closed(next: Option<&str>) -> Fact<Calendar> {
    Ok(Calendar {
        state: calendar::State::Closed,
        next: next.map(str::to_owned),
    })
}

fn unseen() -> Unknown {
    Unknown::new("it was not seen", "let it be seen")
}

fn refusing(decision: &Decision) -> Vec<&'static str> {
    let refuses = |answer| matches!(answer, Answer::Fail | Answer::Unknown);
    let rules = decision.rules.iter();
    rules
        .filter(|rule| refuses(rule.answer))
        .map(|rule| rule.rule)
        .collect()
}

/// The case, the rule that alone refuses, words of its fact and of its next step, and what is wrong.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    fn(&mut Scene),
);

const FAILING: &[Case] = &[
    (
        "older than what runs",
        "forward",
        "is older than",
        "--rollback --digest sha256:cc",
        |s| {
            s.conditions.ahead = Some(Ok("behind".to_owned()));
        },
    ),
    (
        "another history",
        "forward",
        "(diverged)",
        "--rollback",
        |s| {
            s.conditions.ahead = Some(Ok("diverged".to_owned()));
        },
    ),
    (
        "healthy for a second less",
        "soak",
        "1 h 59 min",
        "after 2026-11-21T12:00:00Z",
        |s| {
            s.conditions.now = at("2026-11-21T11:59:59Z").unwrap();
        },
    ),
    (
        "gone from staging",
        "still running",
        "does not run it healthy: a; b; c",
        "that staging runs",
        |s| {
            let missing = ["a", "b", "c", "d"].map(str::to_owned);
            s.conditions.missing_before = Some(Ok(missing.into()));
        },
    ),
    (
        "frozen",
        "freeze",
        "12:00 to 13:00 in UTC",
        "promote from 2026-11-21T13:00:00Z on",
        |s| {
            s.setting.gate.freeze.push(freeze("12:00", "13:00"));
        },
    ),
    (
        "closed",
        "calendar",
        "payday is closed",
        "after 2026-11-22T00:00:00Z",
        |s| {
            s.calendar(closed(Some("2026-11-22T00:00:00Z")));
        },
    ),
    (
        "closed, nobody knows until when",
        "calendar",
        "payday is closed",
        "see in AWS",
        |s| {
            s.calendar(closed(None));
        },
    ),
    (
        "closed, and another calendar is not seen",
        "calendar",
        "payday is closed",
        "see in AWS",
        |s| {
            s.calendar(closed(None));
            s.conditions.calendars[0].1 = Err(unseen());
        },
    ),
    (
        "written later than it says, by S3's clock",
        "soak",
        "which says 2026-11-21T10:00:00Z and was written at 2026-11-21T11:00:00Z or later",
        "promote it after 2026-11-21T13:00:00Z",
        |s| {
            s.conditions.anchored = Some(Ok("2026-11-21T11:00:00Z".to_owned()));
        },
    ),
    (
        "written after a record that says a later time",
        "soak",
        "was written at 2026-11-21T11:30:00Z or later",
        "promote it after 2026-11-21T13:30:00Z",
        |s| {
            s.subject.trail.not_before = Some("2026-11-21T11:30:00Z".to_owned());
        },
    ),
];

/// The hidden fact, the only rule that is unknown without it, and how it is hidden.
type Hidden = (&'static str, &'static str, fn(&mut Scene));

const HIDDEN: &[Hidden] = &[
    ("the comparison", "forward", |s| {
        s.conditions.ahead = Some(Err(unseen()))
    }),
    ("no comparison was made", "forward", |s| {
        s.conditions.ahead = None
    }),
    ("the commit", "forward", |s| s.subject.commit = None),
    ("what runs is too far back", "forward", |s| {
        let mut newest = failed('b');
        newest.previous = Some(digest('a'));
        s.after(&[newest]);
    }),
    ("since when it is healthy", "soak", |s| {
        s.subject.trail.healthy_since = None
    }),
    ("when that was", "soak", |s| {
        let since = s.subject.trail.healthy_since.as_mut().unwrap();
        since.at = "yesterday".to_owned();
    }),
    ("the record before it", "soak", |s| {
        let since = s.subject.trail.healthy_since.as_mut().unwrap();
        since.seq = 2;
    }),
    ("when it was anchored", "soak", |s| {
        s.conditions.anchored = Some(Err(unseen()));
    }),
    ("a record before it is from the future", "soak", |s| {
        s.subject.trail.not_before = Some("2026-11-21T12:00:01Z".to_owned());
    }),
    ("a record from the future", "soak", |s| {
        s.conditions.now = at("2026-11-21T09:59:59Z").unwrap();
    }),
    ("what staging runs", "still running", |s| {
        s.conditions.missing_before = Some(Err(unseen()))
    }),
    ("what staging runs was not asked", "still running", |s| {
        s.conditions.missing_before = None;
    }),
    ("a time zone", "freeze", |s| {
        s.setting.gate.freeze[0].time_zone = "Mars/Olympus".to_owned()
    }),
    ("a calendar", "calendar", |s| s.calendar(Err(unseen()))),
    ("a calendar was not asked", "calendar", |s| {
        s.conditions.calendars.pop();
    }),
];

#[test]
fn each_rule_alone_refuses() {
    for (case, rule, fact, next, spoil) in FAILING.iter().chain(reviews::FAILING) {
        let mut scene = Scene::new();
        spoil(&mut scene);
        let decision = scene.decide();
        assert_eq!(refusing(&decision), [*rule], "{case}: {decision:?}");
        let obstacle = decision.obstacle().unwrap();
        assert_eq!(obstacle.answer, Answer::Fail, "{case}");
        assert!(obstacle.fact.contains(fact), "{case}: {}", obstacle.fact);
        let next_step = obstacle.next.clone().unwrap();
        assert!(next_step.contains(next), "{case}: {next_step}");
    }
    for rule in names() {
        let mut all = FAILING.iter().chain(reviews::FAILING);
        let has = all.any(|(_, failing, ..)| *failing == rule);
        assert!(has, "{rule} has no case in which it alone fails");
    }
}

#[test]
fn each_unknown_condition_refuses_under_its_rule() {
    for (case, rule, hide) in HIDDEN.iter().chain(reviews::HIDDEN) {
        let mut scene = Scene::new();
        hide(&mut scene);
        let decision = scene.decide();
        assert_eq!(refusing(&decision), [*rule], "{case}: {decision:?}");
        assert_eq!(
            decision.obstacle().unwrap().answer,
            Answer::Unknown,
            "{case}"
        );
    }
}

#[test]
fn promotions_that_meet_every_condition_pass() {
    type Arranged = (&'static str, fn(&mut Scene));
    let cases: &[Arranged] = &[
        ("as it is", |_| ()),
        ("what runs once more", |s| {
            s.conditions.ahead = None;
            s.after(&[deployed('c')]);
        }),
        ("the first promotion", |s| {
            s.conditions.ahead = None;
            s.after(&[]);
        }),
        ("another try after a failure", |s| {
            s.after(&[deployed('a'), deployed('b'), failed('c')]);
        }),
        ("after a rollback from another digest", |s| {
            s.after(&[deployed('a'), deployed('b'), rolled_back('a', 'b')]);
        }),
        ("rolled back from, and reviewed", |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "ada"),
            ]);
        }),
        ("a glass that somebody else reviewed", |s| {
            s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
        }),
        (
            "a glass with an app among its contributors, and two reviewers",
            |s| {
                let reviews = [reviewed('b', "ada"), reviewed('b', "grace")];
                s.after(&[&[deployed('a'), forced('b', "eve")][..], &reviews].concat());
                let contributors = Ok(by_alice(&["renovate[bot]"]));
                s.conditions.contributors.insert(digest('b'), contributors);
            },
        ),
        ("the promoter reviews another's glass", |s| {
            s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "dora")]);
        }),
    ];
    for (case, arrange) in cases {
        let mut scene = Scene::new();
        arrange(&mut scene);
        let decision = scene.decide();
        assert!(decision.allowed(), "{case}: {decision:?}");
    }
}

#[test]
fn rules_that_the_contract_does_not_declare_are_not_asked() {
    let mut scene = Scene::new();
    scene.setting.gate = setting().gate;
    scene.conditions.missing_before = None;
    scene.conditions.calendars.clear();
    let decision = scene.decide();
    let asked: Vec<&str> = decision
        .rules
        .iter()
        .filter(|rule| rule.answer != Answer::NotAsked)
        .map(|rule| rule.rule)
        .collect();
    assert_eq!(asked, ["forward"]);
    scene.setting.follows = None;
    scene.setting.gate.required = false;
    let none = rules(&scene.setting, &scene.subject, None);
    assert!(none.iter().all(|rule| rule.answer == Answer::NotAsked));
}
