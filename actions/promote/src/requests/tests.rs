//! Requests, read from records, for other tests as well.

use super::*;
use crate::check::tests::setting;
use crate::environment_history::EnvironmentHistory;
use crate::environment_history::tests::{actor, deployed, digest, history};
use crate::setting::Setting;
use kit::contract::{Approve, Person};
use ledger::Actor;
use std::collections::BTreeMap;

/// Production, where two of ada, grace and linus approve. grace has a second account; dora and eve
/// are known and may not approve.
pub(crate) fn asking() -> Setting {
    let mut setting = setting();
    let person = |id: u64| Person {
        id: Some(id),
        ..Person::default()
    };
    let grace = Person {
        accounts: BTreeMap::from([("grace-admin".to_owned(), 22)]),
        ..person(2)
    };
    setting.people = BTreeMap::from([
        ("ada".to_owned(), person(1)),
        ("grace".to_owned(), grace),
        ("linus".to_owned(), person(3)),
        ("dora".to_owned(), person(4)),
        ("eve".to_owned(), person(5)),
    ]);
    setting.gate.approve = Some(Approve {
        count: 2,
        people: ["ada", "grace", "linus"].map(str::to_owned).into(),
        teams: Vec::new(),
        expires: 86_400,
        notify: None,
        repository: None,
    });
    setting
}

/// An account on GitHub.
pub(crate) fn account(login: &str, id: u64) -> Actor {
    Actor {
        login: login.to_owned(),
        id: Some(id),
    }
}

/// dora's request for the digest of `digit`, against the chain's record of this number, with nothing
/// of GitHub in it.
pub(crate) fn requested(setting: &Setting, digit: char, head: &str) -> Record {
    let record = Record {
        verdict: Verdict::Requested,
        actor: actor("dora"),
        reason: Some("the new prices".to_owned()),
        policy: Some(setting.policy().unwrap()),
        ..deployed(digit)
    };
    let mut request = Request {
        binding: String::new(),
        expires: "2026-11-22T12:00:00Z".to_owned(),
        head: head.to_owned(),
        base: None,
        commits: 1,
        range: "r".repeat(64),
        people: people_hash(setting).unwrap(),
        repository: Some("acme/storefront".to_owned()),
        pull_requests: vec![7],
        plan: None,
        contributors: Vec::new(),
        unattributed: Vec::new(),
    };
    let parts = Parts::of(&record, &request).unwrap();
    request.binding = parts.binding(&request.expires).unwrap();
    Record {
        request: Some(request),
        ..record
    }
}

/// An answer to the request with this number.
pub(crate) fn answered(verdict: Verdict, number: u64, by: Actor) -> Record {
    Record {
        verdict,
        actor: by,
        answers: Some(number),
        reason: Some("no".to_owned()),
        ..deployed('b')
    }
}

fn all(records: &[Record]) -> Vec<Asked> {
    Asked::all(history(records).records())
}

#[test]
fn answers_belong_to_their_request_and_none_counts_after_its_end() {
    let setting = asking();
    let ask = || requested(&setting, 'b', "hash-1");
    let approved = |number, by| answered(Verdict::Approved, number, actor(by));
    let ended = |verdict, number| answered(verdict, number, actor("linus"));
    let records = [
        deployed('a'),
        ask(),
        approved(2, "ada"),
        // Answers to what is not a request.
        approved(1, "grace"),
        approved(99, "grace"),
        ended(Verdict::Rejected, 2),
        approved(2, "grace"),
        ask(),
        approved(8, "grace"),
        ended(Verdict::Withdrawn, 8),
        ended(Verdict::Rejected, 8),
    ];
    let found = all(&records);
    let shown: Vec<(u64, Vec<u64>, Option<u64>)> = found
        .iter()
        .map(|asked| {
            let approvals = asked.approvals.iter().map(|it| it.record.seq);
            let end = asked.end.as_ref().map(|end| end.record.seq);
            (asked.number(), approvals.collect(), end)
        })
        .collect();
    assert_eq!(shown, [(2, vec![3], Some(6)), (8, vec![9], Some(10))]);
    assert_eq!(
        found[0].ended().unwrap(),
        "linus rejected request 2 at 2026-11-21T18:00:00Z: no"
    );
    assert!(found[1].ended().unwrap().contains("withdrew request 8"));
}

#[test]
fn a_request_expires_at_its_time_or_if_that_cannot_be_read() {
    let setting = asking();
    let mut asked = all(&[requested(&setting, 'b', "hash-1")]).remove(0);
    assert!(!asked.expired(at("2026-11-22T11:59:59Z").unwrap()));
    assert!(asked.expired(at("2026-11-22T12:00:00Z").unwrap()));
    asked.request.expires = "tomorrow".to_owned();
    assert!(asked.expired(at("2026-11-22T11:59:59Z").unwrap()));
}

#[test]
fn persons_are_counted_not_accounts_and_not_records() {
    let setting = asking();
    let approve = setting.gate.approve.clone().unwrap();
    let ask = requested(&setting, 'b', "hash-1");
    let cases: [(&[Actor], &[&str], &[&str]); 6] = [
        (&[], &[], &["ada", "grace", "linus"]),
        (
            &[account("ada", 1), account("ada", 1)],
            &["ada"],
            &["grace", "linus"],
        ),
        (
            &[account("grace", 2), account("grace-admin", 22)],
            &["grace"],
            &["ada", "linus"],
        ),
        // From AWS there is no number.
        (
            &[actor("ada"), account("ada", 1)],
            &["ada"],
            &["grace", "linus"],
        ),
        // The login passed to somebody else.
        (&[account("ada", 77)], &[], &["ada", "grace", "linus"]),
        (
            &[account("eve", 5), account("linus", 3), account("grace", 2)],
            &["grace", "linus"],
            &["ada"],
        ),
    ];
    for (by, approved, may) in cases {
        let answers = by
            .iter()
            .map(|by| answered(Verdict::Approved, 1, by.clone()));
        let records: Vec<Record> = std::iter::once(ask.clone()).chain(answers).collect();
        let asked = all(&records).remove(0);
        let persons = setting.persons();
        let barred = Barred::by(&asked, &persons);
        let approvers = Approvers::of(&approve, &persons, &[]);
        let tally = Tally::of(&approvers, &persons, Some(&asked), &barred);
        assert_eq!(
            (tally.approved.as_slice(), tally.may.as_slice()),
            (
                approved
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
                may.iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
            ),
            "{by:?}"
        );
        assert_eq!(
            tally.missing(&approve),
            2_usize.saturating_sub(approved.len())
        );
    }
}

#[test]
fn the_requester_and_contributors_cannot_approve() {
    let setting = asking();
    let approve = setting.gate.approve.clone().unwrap();
    let mut ask = requested(&setting, 'b', "hash-1");
    ask.actor = account("grace-admin", 22);
    let request = ask.request.as_mut().unwrap();
    // An account of nobody in the contract has a login of its own, which means nothing.
    request.contributors = vec![actor("linus"), account("ada", 99)];
    let answers = [account("grace", 2), account("ada", 1)];
    let answers = answers.map(|by| answered(Verdict::Approved, 1, by));
    let asked = all(&[&[ask][..], &answers].concat()).remove(0);
    let persons = setting.persons();
    let barred = Barred::by(&asked, &persons);
    let approvers = Approvers::of(&approve, &persons, &[]);
    let tally = Tally::of(&approvers, &persons, Some(&asked), &barred);
    assert_eq!(tally.approved, ["ada"]);
    assert_eq!(tally.may, [] as [&str; 0]);
    assert_eq!(tally.ignored, ["grace asked for it"]);
    assert_eq!(tally.barred, ["linus wrote part of it"]);
    assert_eq!(
        tally.shown(&approve),
        "1 of 2 approvals (ada); not counted: grace asked for it"
    );
}

#[test]
fn a_binding_covers_every_part_and_the_expiry() {
    let setting = asking();
    let record = requested(&setting, 'b', "hash-1");
    let request = record.request.clone().unwrap();
    let parts = Parts::of(&record, &request).unwrap();
    assert_eq!(parts.changed(&parts), [] as [&str; 0]);
    let other = |change: fn(&mut Parts)| {
        let mut other = parts.clone();
        change(&mut other);
        assert_ne!(other.binding(&request.expires).unwrap(), request.binding);
        parts.changed(&other).join(", ")
    };
    assert_eq!(other(|it| it.service.push('x')), "the service");
    assert_eq!(other(|it| it.environment.push('x')), "the environment");
    assert_eq!(
        other(|it| it.account = "111111111111".parse().ok()),
        "the environment's account"
    );
    assert_eq!(other(|it| it.digest = digest('9')), "the digest");
    assert_eq!(
        other(|it| it.commit = "9".repeat(40).parse().unwrap()),
        "the commit"
    );
    assert_eq!(other(|it| it.head.push('x')), "the newest deployment");
    assert_eq!(other(|it| it.range.push('x')), "the commits that it brings");
    assert_eq!(
        other(|it| it.base = Some("x".into())),
        "the commits that it brings"
    );
    assert_eq!(other(|it| it.policy.push('x')), "the contract's gate");
    assert_eq!(other(|it| it.people.push('x')), "the contract's people");
    assert_ne!(
        parts.binding("2026-11-23T12:00:00Z").unwrap(),
        request.binding
    );
}

#[test]
fn status_shows_what_waits_and_nothing_that_is_over() {
    let setting = asking();
    let now = at("2026-11-21T20:00:00Z").unwrap();
    let shown = |records: &[Record]| {
        let history: EnvironmentHistory = history(records);
        let all = waiting(&setting, &history, now).unwrap();
        all.iter().map(Waiting::to_string).collect::<Vec<_>>()
    };
    let ask = requested(&setting, 'b', "hash-1");
    let asked = [deployed('a'), ask];
    let then = |more: &[Record]| shown(&[&asked, more].concat());
    let approved = |by| answered(Verdict::Approved, 2, actor(by));
    assert_eq!(
        then(&[approved("ada")]),
        [
            "request 2 of dora for sha256:bbbbbbbbbbbb waits for 1 more of grace, linus until 2026-11-22T12:00:00Z"
        ]
    );
    assert_eq!(
        then(&[approved("ada"), approved("linus")]),
        ["request 2 of dora for sha256:bbbbbbbbbbbb is approved until 2026-11-22T12:00:00Z"]
    );
    // An approver who wrote part of it may not approve it, so nobody waits for that person.
    let few = |authors: &[&str], more: &[Record]| {
        let mut asked = asked.clone();
        let request = asked[1].request.as_mut().unwrap();
        request.contributors = authors.iter().map(|login| actor(login)).collect();
        shown(&[&asked, more].concat())
    };
    assert_eq!(
        few(&["grace", "linus"], &[approved("ada")]),
        [
            "request 2 of dora for sha256:bbbbbbbbbbbb needs 1 more approval, and nobody is left who may give any"
        ]
    );
    assert_eq!(
        few(&["grace", "linus"], &[]),
        [
            "request 2 of dora for sha256:bbbbbbbbbbbb needs 2 more approvals, and only ada may still give one"
        ]
    );
    // A hand that belongs to nobody known needs one approval more.
    let mut unattributed = asked.clone();
    let request = unattributed[1].request.as_mut().unwrap();
    request.unattributed = vec!["renovate[bot]".to_owned()];
    let two = [approved("ada"), approved("linus")];
    assert_eq!(
        shown(&[&unattributed[..], &two].concat()),
        [
            "request 2 of dora for sha256:bbbbbbbbbbbb waits for 1 more of grace until 2026-11-22T12:00:00Z"
        ]
    );
    for over in [
        answered(Verdict::Rejected, 2, actor("ada")),
        answered(Verdict::Withdrawn, 2, actor("dora")),
        deployed('c'),
    ] {
        assert_eq!(then(&[over]), [] as [&str; 0]);
    }
    let mut changed = asking();
    changed.gate.approvals = 3;
    let history = history(&asked);
    assert_eq!(waiting(&changed, &history, now).unwrap(), []);
    let late = at("2026-11-22T12:00:00Z").unwrap();
    assert_eq!(waiting(&setting, &history, late).unwrap(), []);
    assert_eq!(digest('b'), asked[1].digest);
}
