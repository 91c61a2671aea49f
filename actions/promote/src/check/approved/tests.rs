//! For each reason the case in which a promotion is not approved, and what counts.

use super::*;
use crate::check::answer::Answer;
use crate::check::fact::Unknown;
use crate::check::tests::{Promotion, commit, signer, user};
use crate::environment_history::at;
use crate::environment_history::tests::{actor, deployed, digest, history};
use crate::requests::tests::{account, answered, asking, requested};
use kit::contract::{Person, StandsFor};
use ledger::{Record, Verdict};

/// A promotion by dora of alice's change, which ada and linus approved.
pub(in crate::check) struct Scene {
    pub(in crate::check) promotion: Promotion,
    /// The records of production.
    pub(in crate::check) records: Vec<Record>,
    now: &'static str,
    /// The members of the gate's teams.
    members: Vec<github::User>,
}

impl Scene {
    fn new() -> Self {
        Self::of(Promotion::new())
    }

    /// The same of another promotion.
    pub(in crate::check) fn of(mut promotion: Promotion) -> Self {
        promotion.setting.people = asking().people;
        promotion.setting.gate.approve = asking().gate.approve;
        let mut scene = Self {
            promotion,
            records: vec![deployed('b')],
            now: "2026-11-21T20:00:00Z",
            members: Vec::new(),
        };
        scene.records.push(scene.asked());
        scene.answer(Verdict::Approved, account("ada", 1));
        scene.answer(Verdict::Approved, account("linus", 3));
        scene
    }

    pub(in crate::check) fn conditions(&self) -> Conditions {
        Conditions {
            now: at(self.now).unwrap(),
            history: history(&self.records),
            anchored: None,
            missing_before: None,
            calendars: Vec::new(),
            ahead: None,
            contributors: crate::check::conditions::ContributorsByDigest::new(),
            members: Ok(self.members.clone()),
            promoter: Ok(vec![actor("dora")]),
        }
    }

    /// A request of dora for what is promoted now.
    fn asked(&self) -> Record {
        let Promotion {
            setting,
            subject,
            facts,
        } = &self.promotion;
        let Ok(parts) = parts(setting, subject, facts, &self.conditions()) else {
            panic!("unknown");
        };
        let mut record = requested(setting, 'a', &parts.head);
        record.digest = subject.digest.clone();
        record.commit = subject.commit.clone().unwrap();
        let request = record.request.as_mut().unwrap();
        request.base = parts.base.clone();
        request.range = parts.range.clone();
        request.binding = parts.binding(&request.expires).unwrap();
        record
    }

    /// An answer to the newest request.
    fn answer(&mut self, verdict: Verdict, by: Actor) {
        let position = |record: &Record| record.verdict == Verdict::Requested;
        let index = self.records.iter().rposition(position).unwrap();
        let number = u64::try_from(index).unwrap() + 1;
        self.records.push(answered(verdict, number, by));
    }

    /// Leaves out the newest answers.
    fn without_answers(&mut self) {
        self.records.truncate(2);
    }

    fn asks(&mut self) -> &mut ledger::Request {
        self.records[1].request.as_mut().unwrap()
    }

    fn rule(&self) -> Rule {
        let Promotion {
            setting,
            subject,
            facts,
        } = &self.promotion;
        rule(setting, subject, facts, Some(&self.conditions()))
    }
}

/// The case, words of the fact, and what is wrong.
type Case = (&'static str, &'static str, fn(&mut Scene));

const FAILING: &[Case] = &[
    (
        "nobody asked",
        "nobody has asked for the 2 approvals that production needs for this digest",
        |s| s.records.truncate(1),
    ),
    (
        "asked for another digest",
        "request 2 is for sha256:cccccccc",
        |s| {
            s.records[1].digest = digest('c');
        },
    ),
    (
        "nobody answered",
        "request 2, until 2026-11-22T12:00:00Z: 0 of 2 approvals",
        |s| {
            s.without_answers();
        },
    ),
    ("one approved", "1 of 2 approvals (ada)", |s| {
        s.records.pop();
    }),
    ("one approved twice", "1 of 2 approvals (ada)", |s| {
        s.records.pop();
        s.answer(Verdict::Approved, account("ada", 1));
    }),
    (
        "one approved with two accounts",
        "1 of 2 approvals (grace)",
        |s| {
            s.without_answers();
            s.answer(Verdict::Approved, account("grace", 2));
            s.answer(Verdict::Approved, account("grace-admin", 22));
        },
    ),
    (
        "an app of which no person is known contributed",
        "2 of 3 approvals (ada, linus), one of them because no person is known for renovate[bot]",
        |s| let_an_app_contribute(s),
    ),
    (
        "nobody asked for what an app contributed to",
        "nobody has asked for the 3 approvals that production needs for this digest",
        |s| {
            let_an_app_contribute(s);
            s.records.truncate(1);
        },
    ),
    (
        "an outsider approved",
        "1 of 2 approvals (ada); not counted: the contract does not list eve",
        |s| {
            s.records.pop();
            s.answer(Verdict::Approved, account("eve", 5));
        },
    ),
    (
        "somebody with an approver's login",
        "not counted: the contract does not list linus",
        |s| {
            s.records.pop();
            s.answer(Verdict::Approved, account("linus", 99));
        },
    ),
    (
        "who asked approved",
        "not counted: linus asked for it",
        |s| {
            s.records[1].actor = account("linus", 3);
        },
    ),
    (
        "who asked approved with another account",
        "not counted: grace asked for it",
        |s| {
            s.records.pop();
            s.answer(Verdict::Approved, account("grace", 2));
            s.records[1].actor = account("grace-admin", 22);
        },
    ),
    (
        "who promotes approved",
        "not counted: linus promotes it",
        |s| {
            s.promotion.facts.promoter.as_mut().unwrap().accounts = vec![user_of("linus", 3)];
        },
    ),
    (
        "who re-ran it approved",
        "not counted: ada promotes it",
        |s| {
            let promoter = s.promotion.facts.promoter.as_mut().unwrap();
            promoter.accounts.push(user_of("ada", 1));
        },
    ),
    (
        "who wrote it approved",
        "not counted: linus wrote part of it",
        |s| {
            let people = &mut s.promotion.setting.people;
            people
                .get_mut("linus")
                .unwrap()
                .accounts
                .insert("alice".to_owned(), user("alice").id);
            s.again();
        },
    ),
    (
        "who committed it by an address approved",
        "not counted: linus wrote part of it",
        |s| {
            let people = &mut s.promotion.setting.people;
            people
                .get_mut("linus")
                .unwrap()
                .emails
                .push("l@old.example".to_owned());
            let mut own = commit(&"6".repeat(40), &"3".repeat(40), "alice");
            own.author = github::Signer {
                email: Some("l@old.example".to_owned()),
                account: None,
            };
            s.promotion.pull().commits.push(own);
            s.again();
        },
    ),
    (
        "who wrote an accepted commit approved",
        "not counted: linus wrote part of it",
        |s| {
            accepts(s, |commit| commit.author = by("linus", 3));
        },
    ),
    (
        "a second account committed an accepted commit",
        "not counted: grace wrote part of it",
        |s| {
            s.records.pop();
            s.answer(Verdict::Approved, account("grace", 2));
            accepts(s, |commit| commit.committer = by("grace-admin", 22));
        },
    ),
    (
        "who helped with an accepted commit approved",
        "not counted: linus wrote part of it",
        |s| {
            accepts(s, |commit| commit.co_authors.push(by("linus", 3)));
        },
    ),
    (
        "a member of a team wrote an accepted commit",
        "1 of 2 approvals (ada); not counted: vera wrote part of it",
        |s| {
            let approve = s.promotion.setting.gate.approve.as_mut().unwrap();
            approve.teams = vec!["acme/release".to_owned()];
            s.members = vec![user_of("vera", 77)];
            s.again();
            s.records.pop();
            s.answer(Verdict::Approved, account("vera", 77));
            accepts(s, |commit| commit.author = by("vera", 77));
        },
    ),
    (
        "an app wrote an accepted commit",
        "2 of 3 approvals (ada, linus), one of them because no person is known for renovate[bot]",
        |s| accepts(s, |commit| commit.author = signer("renovate[bot]")),
    ),
    (
        "rejected",
        "ada rejected request 2 at 2026-11-21T18:00:00Z: no",
        |s| {
            s.answer(Verdict::Rejected, account("ada", 1));
        },
    ),
    (
        "rejected, then approved once more",
        "ada rejected request 2",
        |s| {
            s.answer(Verdict::Rejected, account("ada", 1));
            s.answer(Verdict::Approved, account("grace", 2));
            s.answer(Verdict::Approved, account("ada", 1));
        },
    ),
    ("withdrawn", "dora withdrew request 2", |s| {
        s.answer(Verdict::Withdrawn, actor("dora"));
    }),
    ("asked again after that", "request 5, until", |s| {
        let again = s.asked();
        s.records.push(again);
    }),
    (
        "expired",
        "request 2 expired at 2026-11-22T12:00:00Z",
        |s| {
            s.now = "2026-11-22T12:00:00Z";
        },
    ),
    (
        "expires when nobody knows",
        "request 2 expired at tomorrow",
        |s| {
            s.asks().expires = "tomorrow".to_owned();
        },
    ),
    (
        "the expiry was moved",
        "request 2 is void: since it was made, its own binding changed",
        |s| s.asks().expires = "2026-11-29T12:00:00Z".to_owned(),
    ),
    (
        "deployed since",
        "request 2 is void: since it was made, the newest deployment changed",
        |s| s.records.push(deployed('c')),
    ),
    ("a failure since", "the newest deployment changed", |s| {
        s.records
            .push(crate::environment_history::tests::failed('a'));
    }),
    ("more commits", "the commits that it brings changed", |s| {
        let more = crate::check::tests::on_branch(&"7".repeat(40), "w", &[]);
        s.promotion.range().commits.push(more);
    }),
    ("other commits", "the commits that it brings changed", |s| {
        s.promotion.range().commits.reverse();
    }),
    ("another base", "the commits that it brings changed", |s| {
        s.promotion.range().base = crate::check::range::Base::Nothing;
    }),
    (
        "another account",
        "the environment's account changed",
        |s| s.promotion.setting.read.account = Some("1".repeat(12).parse().unwrap()),
    ),
    ("another commit", "the commit changed", |s| {
        s.promotion.subject.commit = Some("8".repeat(40).parse().unwrap());
    }),
    ("another gate", "the contract's gate changed", |s| {
        s.promotion.setting.gate.checks.clear();
    }),
    ("fewer are asked", "the contract's gate changed", |s| {
        s.promotion.setting.gate.approve.as_mut().unwrap().count = 1;
    }),
    ("other people", "the contract's people changed", |s| {
        let people = &mut s.promotion.setting.people;
        people.insert("mallory".to_owned(), Person::default());
    }),
    (
        "a binding of another commit than it shows",
        "the commit changed",
        |s| s.records[1].commit = "8".repeat(40).parse().unwrap(),
    ),
    (
        "a request for another repository",
        "is not for commits of the repository",
        |s| s.asks().repository = Some("acme/fork".to_owned()),
    ),
    (
        "a request for no repository",
        "is not for commits of the repository",
        |s| s.asks().repository = None,
    ),
    (
        "a binding that says nothing",
        "its own binding changed",
        |s| s.asks().binding = "0".repeat(64),
    ),
];

/// The signature of an account.
fn by(login: &str, id: u64) -> github::Signer {
    github::Signer {
        email: Some(format!("{login}@acme.example")),
        account: Some(user_of(login, id)),
    }
}

/// A commit that came without a pull request, and that the contract accepts.
fn accepts(scene: &mut Scene, change: fn(&mut github::PullCommit)) {
    let mut alone = commit(&"7".repeat(40), &"6".repeat(40), "alice");
    change(&mut alone);
    scene.promotion.facts.accepted = Ok(vec![alone]);
}

/// An app that the contract does not list wrote part of the change.
fn let_an_app_contribute(scene: &mut Scene) {
    let written = &mut scene.promotion.pull().commits[0].co_authors;
    written.push(signer("renovate[bot]"));
}

fn user_of(login: &str, id: u64) -> github::User {
    github::User {
        login: login.to_owned(),
        id,
        kind: "User".to_owned(),
    }
}

impl Scene {
    /// The same request for what is promoted now.
    fn again(&mut self) {
        let answers = self.records.split_off(2);
        self.records.truncate(1);
        let asked = self.asked();
        self.records.push(asked);
        self.records.extend(answers);
    }
}

#[test]
fn each_reason_refuses_and_says_what_to_do() {
    for (name, words, change) in FAILING {
        let mut scene = Scene::new();
        change(&mut scene);
        let rule = scene.rule();
        assert_eq!(rule.answer, Answer::Fail, "{name}: {rule:?}");
        assert!(rule.fact.contains(words), "{name}: {}", rule.fact);
        assert!(rule.next.is_some(), "{name}");
    }
}

#[test]
fn enough_people_approved_exactly_this() {
    let scene = Scene::new();
    let rule = scene.rule();
    assert_eq!((rule.rule, rule.answer), (RULE, Answer::Pass), "{rule:?}");
    assert_eq!(
        rule.fact,
        "request 2, until 2026-11-22T12:00:00Z: 2 of 2 approvals (ada, linus)"
    );
    // Reviews, permits and another request's answers change nothing.
    let mut busy = Scene::new();
    busy.records
        .push(crate::environment_history::tests::reviewed('b', "eve"));
    busy.records.push(Record {
        verdict: Verdict::Permitted,
        ..deployed('a')
    });
    busy.records
        .push(answered(Verdict::Rejected, 77, actor("ada")));
    assert_eq!(busy.rule().answer, Answer::Pass);
    // Approved after the request was rejected and made again.
    let mut again = Scene::new();
    again.answer(Verdict::Rejected, account("grace", 2));
    let asked = again.asked();
    again.records.push(asked);
    again.answer(Verdict::Approved, account("grace", 2));
    again.answer(Verdict::Approved, account("linus", 3));
    assert_eq!(again.rule().answer, Answer::Pass);
}

#[test]
fn a_change_an_app_contributed_to_needs_one_more_approval() {
    let mut scene = Scene::new();
    let_an_app_contribute(&mut scene);
    let next = scene.rule().next.unwrap();
    assert!(
        next.starts_with("have 1 more of grace approve it"),
        "{next}"
    );
    scene.answer(Verdict::Approved, account("grace", 2));
    let rule = scene.rule();
    assert_eq!(rule.answer, Answer::Pass, "{rule:?}");
    // The contract says that nobody stands behind it, or who does.
    for stands_for in [StandsFor::Nobody, StandsFor::Person("dora".to_owned())] {
        let mut listed = Scene::new();
        let_an_app_contribute(&mut listed);
        let apps = &mut listed.promotion.setting.apps;
        apps.insert(user("renovate[bot]").id, stands_for);
        listed.again();
        assert_eq!(listed.rule().answer, Answer::Pass, "{:?}", listed.rule());
    }
}

#[test]
fn the_next_step_names_who_still_may() {
    let mut none = Scene::new();
    none.records.truncate(1);
    let ask = "slipway-promote request --environment production --digest sha256:aaaa";
    let next = none.rule().next.unwrap();
    assert!(next.starts_with(&format!("ask for them: {ask}")), "{next}");
    let mut one = Scene::new();
    one.records.pop();
    assert_eq!(
        one.rule().next.unwrap(),
        "have 1 more of grace, linus approve it: slipway-promote approve --environment production --request 2"
    );
    one.records[1].actor = account("grace", 2);
    one.promotion.facts.promoter.as_mut().unwrap().accounts = vec![user_of("linus", 3)];
    assert!(
        one.rule()
            .next
            .unwrap()
            .contains("too few are left who may")
    );
}

#[test]
fn unknown_facts_make_the_rule_of_approvals_unknown() {
    let unseen = || Unknown::new("GitHub answered 502", "run this again");
    let spoiled: [fn(&mut Facts, Unknown); 4] = [
        |facts, unseen| facts.accepted = Err(unseen),
        |facts, unseen| facts.range = Err(unseen),
        |facts, unseen| facts.changes = Err(unseen),
        |facts, unseen| facts.promoter = Err(unseen),
    ];
    for spoil in spoiled {
        let mut scene = Scene::new();
        spoil(&mut scene.promotion.facts, unseen());
        let rule = scene.rule();
        assert_eq!(rule.answer, Answer::Unknown, "{rule:?}");
        assert_eq!(rule.next.unwrap(), "run this again");
    }
    let Promotion {
        setting,
        subject,
        facts,
    } = &Scene::new().promotion;
    assert_eq!(rule(setting, subject, facts, None).answer, Answer::Unknown);
}

#[test]
fn nothing_is_asked_where_the_contract_asks_for_nothing() {
    let mut scene = Scene::new();
    scene.promotion.setting.gate.approve = None;
    assert_eq!(scene.rule().answer, Answer::NotAsked);
}
