use super::*;
use crate::check::tests::setting;
use crate::principal::tests::session;
use kit::contract::Person;
use ledger::{Entry, Permit, Rollback, sha256};
use std::collections::BTreeMap;

pub(crate) fn actor(login: &str) -> Actor {
    Actor {
        login: login.to_owned(),
        id: None,
    }
}

pub(crate) fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64))
        .parse()
        .unwrap()
}

/// A healthy deployment of the digest of `digit`, by dora.
pub(crate) fn deployed(digit: char) -> Record {
    Record::new(
        &Chain::new("storefront", "production").unwrap(),
        digest(digit),
        digit.to_string().repeat(40).parse().unwrap(),
        Verdict::Healthy,
        actor("dora"),
        "2026-11-21T18:00:00Z".to_owned(),
    )
}

pub(crate) fn failed(digit: char) -> Record {
    Record {
        verdict: Verdict::Failed,
        ..deployed(digit)
    }
}

pub(crate) fn rolled_back(to: char, from: char) -> Record {
    Record {
        rollback: Some(Rollback {
            from: Some(digest(from)),
        }),
        ..deployed(to)
    }
}

pub(crate) fn reviewed(digit: char, by: &str) -> Record {
    Record {
        verdict: Verdict::Reviewed,
        actor: actor(by),
        reason: Some("seen".to_owned()),
        ..deployed(digit)
    }
}

/// A permit for the digest of `digit`, judged against `head`, until seven.
pub(crate) fn permitted(digit: char, head: &str) -> Record {
    Record {
        verdict: Verdict::Permitted,
        permit: Some(Permit {
            expires: "2026-11-21T19:00:00Z".to_owned(),
            head: head.to_owned(),
            contract: None,
            base: None,
            tip: None,
            range: None,
            pulls: Vec::new(),
            reviews: Vec::new(),
            approvers: Vec::new(),
            requests: Vec::new(),
            evidence: None,
            plan: None,
        }),
        ..deployed(digit)
    }
}

/// The beginning of a deployment of the digest of `digit` under a permit.
pub(crate) fn started(digit: char, under: u64) -> Record {
    Record {
        verdict: Verdict::Started,
        under: Some(under),
        ..deployed(digit)
    }
}

pub(crate) fn forced(digit: char, by: &str) -> Record {
    Record {
        actor: actor(by),
        break_glass: Some(BreakGlass {
            reason: "the shop is down".to_owned(),
            by: actor(by),
            expires: "2026-11-21T19:00:00Z".to_owned(),
        }),
        ..deployed(digit)
    }
}

/// Records in the order in which they were written, as they are read: newest first.
pub(crate) fn chain(records: &[Record]) -> Vec<Recorded> {
    let recorded = (1..).zip(records).map(|(seq, record)| Recorded {
        hash: format!("hash-{seq}"),
        record: Record {
            seq,
            ..record.clone()
        },
    });
    let mut records: Vec<Recorded> = recorded.collect();
    records.reverse();
    records
}

/// The records as a chain stores them, oldest first.
pub(crate) fn stored(records: &[Record]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (seq, record) in (1..).zip(records) {
        let record = Record {
            seq,
            ..record.clone()
        };
        let prev = entries.last().map_or(GENESIS, |last| &last.hash).to_owned();
        let bytes = serde_json::to_string(&record).unwrap();
        entries.push(Entry {
            seq,
            hash: sha256(format!("{prev}{bytes}").as_bytes()),
            prev,
            bytes,
            signature: None,
        });
    }
    entries
}

/// Where an environment stands by records in the order in which they were written.
pub(crate) fn history(records: &[Record]) -> EnvironmentHistory {
    EnvironmentHistory::of(chain(records))
}

fn refused(records: &[Record]) -> Vec<(Digest, Vec<String>)> {
    let refused = history(records).refused;
    refused
        .into_iter()
        .map(|refused| {
            let logins = refused
                .reviewers
                .into_iter()
                .map(|actor| actor.login)
                .collect();
            (refused.digest, logins)
        })
        .collect()
}

#[test]
fn a_rolled_back_digest_stays_refused_until_another_one_is_promoted() {
    let rolled = [deployed('a'), deployed('b'), rolled_back('a', 'b')];
    let then = |more: &[Record]| refused(&[&rolled, more].concat());
    let nobody: Vec<String> = Vec::new();
    assert_eq!(then(&[]), [(digest('b'), nobody.clone())]);
    assert_eq!(then(&[failed('c')]), [(digest('b'), nobody.clone())]);
    assert_eq!(then(&[deployed('c')]), []);
    // A break-glass overrides rules, and settles nothing.
    for digit in ['b', 'c'] {
        let past = then(&[forced(digit, "eve")]);
        assert_eq!(past, [(digest('b'), nobody.clone())]);
    }
    assert_eq!(
        then(&[reviewed('b', "ada"), reviewed('c', "grace")]),
        [(digest('b'), vec!["ada".to_owned()])]
    );
    // Back once more: both are refused, and an earlier review does not count for a later rollback.
    assert_eq!(
        then(&[rolled_back('0', 'a')]),
        [(digest('b'), nobody.clone()), (digest('a'), nobody.clone())]
    );
    let again = [
        reviewed('b', "ada"),
        forced('b', "eve"),
        rolled_back('a', 'b'),
    ];
    assert_eq!(then(&again), [(digest('b'), nobody)]);
}

#[test]
fn a_break_glass_is_a_debt_until_another_person_reviews_it() {
    let setting = setting();
    let open = |records: &[Record]| history(records).open_debts(setting.persons()).count();
    assert_eq!(open(&[forced('b', "eve")]), 1);
    assert_eq!(open(&[forced('b', "eve"), forced('c', "eve")]), 2);
    assert_eq!(open(&[forced('b', "eve"), reviewed('b', "EVE")]), 1);
    assert_eq!(open(&[forced('b', "eve"), reviewed('c', "ada")]), 1);
    assert_eq!(open(&[reviewed('b', "ada"), forced('b', "eve")]), 1);
    assert_eq!(open(&[forced('b', "eve"), rolled_back('a', 'b')]), 1);
    assert_eq!(open(&[forced('b', "eve"), reviewed('b', "ada")]), 0);
    let mut failed = forced('b', "eve");
    failed.verdict = Verdict::Failed;
    assert_eq!(open(&[failed]), 1);

    // A deployment that began counts even if its end is never recorded, and counts once if it is.
    let permit = Record {
        break_glass: forced('b', "eve").break_glass,
        ..permitted('b', "hash-1")
    };
    let began = [deployed('a'), permit, started('b', 2)];
    let then = |more: &[Record]| open(&[&began[..], more].concat());
    let closing = Record {
        under: Some(2),
        ..forced('b', "eve")
    };
    assert_eq!(open(&began[..2]), 0);
    assert_eq!(then(&[]), 1);
    // Its next attempt is not another deployment.
    assert_eq!(then(&[started('b', 2)]), 1);
    assert_eq!(then(&[deployed('c')]), 1);
    assert_eq!(then(std::slice::from_ref(&closing)), 1);
    assert_eq!(then(&[closing, reviewed('b', "ada")]), 0);
    // A deployment that began under another permit is a debt as well.
    let another = Record {
        break_glass: forced('c', "eve").break_glass,
        ..permitted('c', "hash-1")
    };
    assert_eq!(then(&[another, started('c', 4)]), 2);
    assert_eq!(then(&[reviewed('b', "ada")]), 0);
}

/// A second account and a session in AWS of whoever used break-glass are not somebody else.
#[test]
fn a_debt_is_reviewed_by_another_person_and_not_by_another_account() {
    let mut setting = setting();
    let grace = Person {
        id: Some(1001),
        accounts: BTreeMap::from([("grace-admin".to_owned(), 1002)]),
        aws: vec![session("Admins/grace").parse().unwrap()],
        ..Person::default()
    };
    setting.people.insert("grace".to_owned(), grace);
    let with = |login: &str, id: Option<u64>| Actor {
        login: login.to_owned(),
        id,
    };
    let open = |by: Actor, reviewer: Actor| {
        let mut glass = forced('b', "grace");
        glass.break_glass.as_mut().unwrap().by = by;
        let mut review = reviewed('b', "grace");
        review.actor = reviewer;
        let history = history(&[glass, review]);
        history.open_debts(setting.persons()).count() == 1
    };
    let grace = || with("grace", Some(1001));
    assert!(open(grace(), with("grace-admin", Some(1002))));
    assert!(open(with("grace-admin", Some(1002)), grace()));
    assert!(open(grace(), with("grace", None)));
    assert!(open(with(&session("Admins/grace"), None), grace()));
    assert!(!open(grace(), with("linus", Some(3))));
    assert!(!open(grace(), with("grace-admin", Some(7))));
}

#[test]
fn a_break_glass_expires_at_its_time_or_if_the_time_is_unreadable() {
    let mut history = history(&[forced('b', "eve")]);
    let before = at("2026-11-21T18:59:59Z").unwrap();
    let then = at("2026-11-21T19:00:00Z").unwrap();
    assert!(!history.debts[0].expired(before));
    assert!(history.debts[0].expired(then));
    history.debts[0].glass.expires = "tomorrow".to_owned();
    assert!(history.debts[0].expired(before));
}

#[test]
fn the_head_is_the_newest_deployment() {
    assert_eq!((history(&[]).head(), history(&[]).last()), (GENESIS, 0));
    let records = [deployed('a'), failed('b'), reviewed('b', "ada")];
    let history = history(&records);
    assert_eq!(history.head(), "hash-2");
    assert_eq!(history.current().unwrap().digest, digest('a'));
    assert_eq!(history.reviewers_since(&digest('b')), [&actor("ada")]);
    assert!(history.reviewers_since(&digest('a')).is_empty());
    assert_eq!(history.last(), 3);
    // A record that deploys nothing comes on top of it.
    let mut one = chain(&[&records[..], &[reviewed('c', "ada")]].concat());
    let more = history.with(one.remove(0));
    assert_eq!((more.last(), more.head()), (4, "hash-2"));
    assert_eq!(more.reviewers_since(&digest('c')), [&actor("ada")]);
}

#[test]
fn only_a_promotion_by_the_rules_settles_what_is_older() {
    assert!(ends(&deployed('a')));
    for record in [
        failed('a'),
        reviewed('a', "ada"),
        started('a', 2),
        rolled_back('a', 'b'),
        forced('a', "eve"),
    ] {
        assert!(!ends(&record), "{record:?}");
    }
}

/// The commit of a digest may be another one by now, and the version before it many records older.
#[test]
fn what_a_digest_brought_begins_where_it_first_came_from() {
    let came = |records: &[Recorded], digit: char| {
        let word = |commit: &str| commit[..1].to_owned();
        let found = arrival(records, &digest(digit))?;
        let after: Vec<String> = found.after.into_iter().map(word).collect();
        Some((found.by.map(word), after.concat()))
    };
    let from = |by: &str, after: &str| Some((Some(by.to_owned()), after.to_owned()));
    let back = [
        deployed('a'),
        deployed('d'),
        rolled_back('a', 'd'),
        reviewed('d', "eve"),
    ];
    assert_eq!(came(&chain(&back), 'd'), from("d", "a"));
    // It came once more, with another commit, after a version that is newer than the one it first came after.
    let other = Record {
        commit: "e".repeat(40).parse().unwrap(),
        ..deployed('d')
    };
    let again = [
        deployed('a'),
        deployed('d'),
        deployed('c'),
        other,
        rolled_back('c', 'd'),
        reviewed('d', "eve"),
    ];
    assert_eq!(came(&chain(&again), 'd'), from("d", "a"));
    // The way back led through it.
    let through = [
        deployed('a'),
        deployed('d'),
        deployed('e'),
        rolled_back('d', 'e'),
        rolled_back('a', 'd'),
        reviewed('d', "eve"),
    ];
    assert_eq!(came(&chain(&through), 'd'), from("d", "a"));
    let forced = [deployed('a'), deployed('b'), forced('d', "eve")];
    assert_eq!(came(&chain(&forced), 'd'), from("d", "ba"));

    // Without the version before, it is read further, to the first record at most.
    let mut cut = chain(&through);
    assert!(far_enough(&cut));
    cut.pop();
    assert_eq!(came(&cut, 'd'), None);
    assert!(reaches_back(&cut) && !far_enough(&cut));
    let first = [deployed('d'), rolled_back('a', 'd'), reviewed('d', "eve")];
    assert_eq!(came(&chain(&first), 'd'), from("d", ""));
    assert!(far_enough(&chain(&first)));
}

#[test]
fn a_debt_that_was_reviewed_ends_with_the_next_promotion_by_the_rules() {
    let then = |more: &[Record]| {
        let records = [&[deployed('a'), forced('c', "eve")], more].concat();
        history(&records).debts.len()
    };
    assert_eq!(then(&[]), 1);
    assert_eq!(then(&[reviewed('c', "ada")]), 1);
    assert_eq!(then(&[reviewed('c', "ada"), forced('d', "eve")]), 2);
    assert_eq!(then(&[reviewed('c', "ada"), deployed('d')]), 0);
    // No such promotion can have begun before somebody else reviewed it.
    assert_eq!(then(&[deployed('d')]), 1);
    assert_eq!(then(&[reviewed('c', "EVE"), deployed('d')]), 1);
}

/// The permit says at which commit of the branch it was judged, so a page must not end between it and its deployment.
#[test]
fn records_reach_back_to_the_permit_of_the_newest_promotion_by_the_rules() {
    let under = |record: Record, permit: u64| Record {
        under: Some(permit),
        ..record
    };
    let records = [
        under(deployed('a'), 1),
        permitted('b', "hash-1"),
        started('b', 2),
        under(deployed('b'), 2),
        under(forced('c', "eve"), 4),
        reviewed('c', "ada"),
    ];
    let read = |count: usize| {
        let mut newest = chain(&records);
        newest.truncate(count);
        reaches_back(&newest)
    };
    let reaching = (0..=6).map(read).collect::<Vec<bool>>();
    assert_eq!(reaching, [true, false, false, false, false, true, true]);
    // One from before there were permits names none.
    let mut old = chain(&[deployed('a'), deployed('b'), failed('b')]);
    old.truncate(2);
    assert!(reaches_back(&old));
    assert!(reaches_back(&chain(&[failed('a')])));
}

#[test]
fn a_permit_is_open_until_it_is_used_expires_or_something_is_deployed() {
    let now = at("2026-11-21T18:30:00Z").unwrap();
    let of = |records: &[Record]| {
        let history = history(records);
        let permits = history.permits(now).into_iter().map(|it| it.seq);
        let underway = history.underway(now).map(|it| it.seq);
        (permits.collect::<Vec<u64>>(), underway)
    };
    let permit = permitted('b', "hash-1");
    let granted = [deployed('a'), permit.clone(), permit.clone()];
    let then = |more: &[Record]| of(&[&granted[..], more].concat());
    assert_eq!(then(&[]), (vec![3, 2], None));
    assert_eq!(then(&[reviewed('a', "ada")]), (vec![3, 2], None));
    assert_eq!(then(&[started('b', 2)]), (Vec::new(), Some(4)));
    assert_eq!(then(&[failed('b')]), (Vec::new(), None));
    let late = Record {
        at: "2026-11-21T17:30:00Z".to_owned(),
        ..started('b', 2)
    };
    assert_eq!(then(&[late]), (vec![3], None));
    let mut expired = permit;
    if let Some(permit) = &mut expired.permit {
        permit.expires = "2026-11-21T18:30:00Z".to_owned();
    }
    assert_eq!(of(&[deployed('a'), expired]), (Vec::new(), None));
}

#[test]
fn the_way_back_leads_to_what_ran_before() {
    let way = |records: &[Record]| {
        let history = history(records);
        history
            .rollback_target()
            .map(|record| record.digest.clone())
    };
    assert_eq!(way(&[]), None);
    assert_eq!(way(&[deployed('a')]), None);
    assert_eq!(way(&[failed('a')]), None);
    assert_eq!(way(&[deployed('a'), deployed('b')]), Some(digest('a')));
    let twice = [deployed('a'), deployed('b'), deployed('b')];
    assert_eq!(way(&twice), Some(digest('a')));
    assert_eq!(way(&[deployed('a'), failed('b')]), Some(digest('a')));
    // The running version failed when it was deployed once more.
    let again = [deployed('a'), deployed('b'), failed('b')];
    assert_eq!(way(&again), Some(digest('a')));
    let back = [
        deployed('0'),
        deployed('a'),
        deployed('b'),
        rolled_back('a', 'b'),
    ];
    assert_eq!(way(&back), Some(digest('0')));

    // A promotion that began and was never recorded may run, whatever the newest record says.
    let began = [deployed('a'), deployed('b'), started('c', 9)];
    let then = |more: &[Record]| way(&[&began[..], more].concat());
    assert_eq!(then(&[]), Some(digest('b')));
    assert_eq!(then(&[reviewed('c', "ada")]), Some(digest('b')));
    assert_eq!(then(&[deployed('c')]), Some(digest('b')));
    // The rollback from it died as well, and is started once more.
    let dying = Record {
        rollback: Some(Rollback { from: None }),
        ..started('b', 10)
    };
    assert_eq!(then(&[dying]), Some(digest('b')));
    // A rollback that died went the right way.
    let dying = Record {
        rollback: Some(Rollback { from: None }),
        ..started('a', 9)
    };
    assert_eq!(
        way(&[deployed('a'), deployed('b'), dying]),
        Some(digest('a'))
    );
    // The version that runs was deployed once more.
    let again = [deployed('a'), deployed('b'), started('b', 9)];
    assert_eq!(way(&again), Some(digest('a')));
}
