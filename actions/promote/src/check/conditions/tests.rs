//! For each rule the cases in which it alone fails or does not know, and what passes.

use super::*;
use crate::check::answer::{Answer, Decision};
use crate::check::approved::NamedContributors;
use crate::check::break_glass::apply_break_glass;
use crate::check::fact::Unknown;
use crate::check::tests::setting;
use crate::check::trail::Trail;
use crate::standing::at;
use crate::standing::tests::{
    actor, deployed, digest, failed, forced, reviewed, rolled_back, standing,
};
use crate::values::reason;
use kit::contract::{BreakGlass, Freeze};
use ledger::Record;

/// Alice and these apps, which the contract does not list, as contributors.
fn by_alice(unlisted: &[&str]) -> NamedContributors {
    NamedContributors {
        people: vec![actor("alice")],
        unlisted: unlisted.iter().map(|name| (*name).to_owned()).collect(),
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
        let since = Record {
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
            standing: standing(&[deployed('a'), deployed('b')]),
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
        self.conditions.standing = standing(records);
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
    (
        "rolled back from here",
        "rolled back",
        "nobody has reviewed",
        "promote review --environment production",
        |s| {
            s.after(&[deployed('a'), deployed('c'), rolled_back('a', 'c')]);
        },
    ),
    (
        "reviewed by the promoter alone",
        "rolled back",
        "only dora has reviewed",
        "who neither promotes it nor had a hand in it",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "Dora"),
            ]);
        },
    ),
    (
        "reviewed by its author alone",
        "rolled back",
        "only alice, who had a hand in it, has reviewed",
        "who neither promotes it nor had a hand in it",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "alice"),
            ]);
        },
    ),
    (
        "reviewed by the person who had forced it through",
        "rolled back",
        "only eve, who forced it through, has reviewed",
        "who neither promotes it nor had a hand in it",
        |s| {
            s.after(&[
                deployed('a'),
                forced('c', "eve"),
                reviewed('c', "ada"),
                rolled_back('a', 'c'),
                reviewed('c', "eve"),
            ]);
        },
    ),
    (
        "an app's hand in it, and one reviewer",
        "rolled back",
        "only ada has reviewed that, and 2 people have to: renovate[bot] had a hand in it",
        "say under `apps` of the contract who stands for renovate[bot]",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                reviewed('c', "alice"),
                reviewed('c', "ada"),
                reviewed('c', "ADA"),
            ]);
            let contributors = Ok(by_alice(&["renovate[bot]"]));
            s.conditions.contributors.insert(digest('c'), contributors);
        },
    ),
    (
        "rolled back from, and another digest forced through since",
        "rolled back",
        "and nobody has reviewed that",
        "somebody review this one",
        |s| {
            s.after(&[
                deployed('a'),
                deployed('c'),
                rolled_back('a', 'c'),
                forced('b', "eve"),
                reviewed('b', "ada"),
            ]);
        },
    ),
    (
        "rolled back from in staging",
        "rolled back",
        "staging was rolled back from it",
        "deploy this one to staging again",
        |s| {
            s.subject.trail.rolled_back = Some(rolled_back('a', 'c'));
        },
    ),
    (
        "a glass nobody reviewed",
        "debt",
        "eve used break-glass for sha256:bb",
        "somebody other than eve",
        |s| {
            s.after(&[deployed('a'), forced('b', "eve")]);
        },
    ),
    (
        "a glass that its author reviewed",
        "debt",
        "only alice, who had a hand in it, has reviewed",
        "who neither wrote, committed nor pushed any of it",
        |s| {
            let reviews = [reviewed('b', "eve"), reviewed('b', "alice")];
            let broken = [deployed('a'), forced('b', "eve")];
            s.after(&[&broken[..], &reviews].concat());
        },
    ),
    (
        "a glass with an app's hand in it, and one reviewer",
        "debt",
        "only ada has reviewed that, and 2 people have to: renovate[bot] had a hand in it",
        "say under `apps` of the contract who stands for renovate[bot]",
        |s| {
            s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
            let contributors = Ok(by_alice(&["renovate[bot]"]));
            s.conditions.contributors.insert(digest('b'), contributors);
        },
    ),
    (
        "a glass that failed",
        "debt",
        "eve used break-glass",
        "somebody other than eve",
        |s| {
            let mut record = forced('b', "eve");
            record.verdict = ledger::Verdict::Failed;
            s.after(&[deployed('a'), record]);
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
    ("who wrote what was forced through", "debt", |s| {
        s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
        let contributors = &mut s.conditions.contributors;
        contributors.insert(digest('b'), Err(unseen()));
    }),
    ("who wrote it was not asked", "debt", |s| {
        s.after(&[deployed('a'), forced('b', "eve"), reviewed('b', "ada")]);
        s.conditions.contributors.clear();
    }),
    ("who wrote what was rolled back", "rolled back", |s| {
        s.after(&[deployed('c'), rolled_back('a', 'c'), reviewed('c', "ada")]);
        s.conditions.contributors.clear();
    }),
    ("whether the promoter is the reviewer", "rolled back", |s| {
        s.after(&[deployed('c'), rolled_back('a', 'c'), reviewed('c', "ada")]);
        s.conditions.promoter = Err(unseen());
    }),
];

#[test]
fn each_rule_alone_refuses() {
    for (case, rule, fact, next, spoil) in FAILING {
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
        let has = FAILING.iter().any(|(_, failing, ..)| *failing == rule);
        assert!(has, "{rule} has no case in which it alone fails");
    }
}

#[test]
fn each_unknown_condition_refuses_under_its_rule() {
    for (case, rule, hide) in HIDDEN {
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
        ("a glass with an app's hand in it, and two reviewers", |s| {
            let reviews = [reviewed('b', "ada"), reviewed('b', "grace")];
            s.after(&[&[deployed('a'), forced('b', "eve")][..], &reviews].concat());
            let contributors = Ok(by_alice(&["renovate[bot]"]));
            s.conditions.contributors.insert(digest('b'), contributors);
        }),
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

#[test]
fn the_old_gate_of_a_promotion_is_gone_past_only_while_github_cannot_tell() {
    for (answer, past) in [(Answer::Fail, false), (Answer::Unknown, true)] {
        let scene = with_break_glass(&["dora"]);
        let mut decision = scene.decide();
        let finding = crate::check::answer::finding(answer, "an older gate");
        decision.rules.push(finding.named("policy"));
        let (setting, subject) = (&scene.setting, &scene.subject);
        let conditions = Some(&scene.conditions);
        let by = apply_break_glass(&mut decision, "x", setting, subject, conditions);
        assert_eq!(by.is_some(), past);
        assert_eq!(refusing(&decision).is_empty(), past);
        let policy = decision.rules.iter().find(|rule| rule.rule == "policy");
        let fact = &policy.unwrap().fact;
        assert_eq!(fact.starts_with("unknown: an older"), past, "{fact}");
    }
}

#[test]
fn a_reason_is_one_line_that_says_something() {
    assert_eq!(reason("  the shop is down ").unwrap(), "the shop is down");
    let longest = "é".repeat(500);
    assert_eq!(reason(&longest).unwrap(), longest);
    for text in ["", "  ", "one\ntwo", "a\u{1b}[2J", &"é".repeat(501)] {
        assert!(reason(text).is_err(), "{text:?}");
    }
}

fn with_break_glass(people: &[&str]) -> Scene {
    let mut scene = Scene::new();
    scene.setting.gate.break_glass = Some(BreakGlass {
        people: people.iter().map(|login| (*login).to_owned()).collect(),
        expires: 3600,
    });
    scene.conditions.ahead = Some(Err(unseen()));
    scene.calendar(closed(None));
    scene
}

#[test]
fn a_listed_person_overrides_refusing_rules() {
    assert_eq!(with_break_glass(&["ada", "Dora"]).forced(), (vec![], true));
    // Once more while it is open, whoever used it.
    let mut again = with_break_glass(&["dora"]);
    again.after(&[deployed('a'), forced('b', "dora")]);
    again.conditions.now = at("2026-11-21T18:59:59Z").unwrap();
    assert_eq!(again.forced(), (vec![], true));
}

#[test]
fn nobody_else_overrides_any_rule() {
    let all = vec!["forward", "calendar", "break-glass"];
    let mut stranger = with_break_glass(&["ada"]);
    assert_eq!(stranger.forced(), (all.clone(), false));
    let mut both = with_break_glass(&["dora"]);
    both.conditions.promoter = Ok(vec![actor("dora"), actor("eve")]);
    assert_eq!(both.forced(), (all.clone(), false));
    let mut undeclared = with_break_glass(&["dora"]);
    undeclared.setting.gate.break_glass = None;
    assert_eq!(undeclared.forced(), (all.clone(), false));
    let mut nobody = with_break_glass(&["dora"]);
    nobody.conditions.promoter = Err(unseen());
    assert_eq!(nobody.forced(), (all, false));
    let mut expired = with_break_glass(&["dora"]);
    expired.after(&[deployed('a'), forced('b', "dora")]);
    expired.conditions.now = at("2026-11-21T19:00:00Z").unwrap();
    let (rules, broken) = expired.forced();
    assert!(!broken && rules.contains(&"debt"), "{rules:?}");
}

#[test]
fn break_glass_does_not_override_a_digest_without_a_record() {
    let mut scene = with_break_glass(&["dora"]);
    scene.subject.evidence = None;
    let mut decision = scene.decide();
    let digest = crate::check::answer::fail("no record of this digest in staging", "deploy it");
    decision.rules.insert(0, digest.named("digest"));
    let (setting, subject) = (&scene.setting, &scene.subject);
    let by = apply_break_glass(
        &mut decision,
        "x",
        setting,
        subject,
        Some(&scene.conditions),
    );
    assert_eq!((refusing(&decision), by), (vec!["digest"], None));
    // One that failed before has been seen.
    scene.subject.evidence = Some(failed('c'));
    let subject = &scene.subject;
    let by = apply_break_glass(
        &mut decision,
        "x",
        setting,
        subject,
        Some(&scene.conditions),
    );
    assert_eq!(refusing(&decision), [] as [&str; 0]);
    assert!(by.is_some());
}

#[test]
fn break_glass_is_not_applied_if_every_rule_passes() {
    let mut scene = with_break_glass(&["dora"]);
    scene.conditions.ahead = Some(Ok("ahead".to_owned()));
    scene.conditions.calendars[1].1 = scene.conditions.calendars[0].1.clone();
    assert_eq!(scene.forced(), (vec![], false));
}
