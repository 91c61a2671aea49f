use super::start::Begins;
use super::*;
use crate::chain::Chain;
use crate::record::{Actor, Record, sample};

mod continued;
mod plans;
mod recorded;
mod times;

const RUN: &str = "https://ci.example/runs/7/attempts/1";
const AGAIN: &str = "https://ci.example/runs/7/attempts/2";
const OTHER: &str = "https://ci.example/runs/8/attempts/1";

fn digest(digit: u8) -> Digest {
    Digest::sha256(std::array::from_fn(|_| digit))
}

fn account(digit: &str) -> AccountId {
    digit.repeat(12).parse().unwrap()
}

fn now() -> OffsetDateTime {
    instant("2026-11-21T18:10:00Z").unwrap()
}

/// A healthy deployment of digest 1, on which permits rest.
fn deployed() -> Record {
    sample(0, 1)
}

/// A permit for digest 2 that rests on the record of this position.
fn permit(head: u64) -> Record {
    Record {
        verdict: Verdict::Permitted,
        account: Some(account("1")),
        policy: Some("sha256:rules".to_owned()),
        permit: Some(Permit {
            expires: "2026-11-21T19:00:00Z".to_owned(),
            head: match head {
                0 => GENESIS.to_owned(),
                head => format!("hash-{head}"),
            },
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
        ..sample(0, 2)
    }
}

fn started(under: u64, run: Option<&str>) -> Record {
    Record {
        verdict: Verdict::Started,
        run: run.map(str::to_owned),
        under: Some(under),
        ..permit(1)
    }
}

fn failed() -> Record {
    Record {
        verdict: Verdict::Failed,
        ..sample(0, 2)
    }
}

fn reviewed() -> Record {
    Record {
        verdict: Verdict::Reviewed,
        actor: Actor {
            login: "grace".to_owned(),
            id: None,
        },
        ..sample(0, 1)
    }
}

/// Records in the order in which they were written, as they are read: newest first.
fn chain(records: &[Record]) -> Vec<Recorded> {
    let numbered = (1..).zip(records).map(|(seq, record)| Recorded {
        hash: format!("hash-{seq}"),
        record: Record {
            seq,
            at: format!("2026-11-21T18:{seq:02}:00Z"),
            ..record.clone()
        },
    });
    let mut all: Vec<Recorded> = numbered.collect();
    all.reverse();
    all
}

/// An attempt to deploy digest 2 to account 1 under permit 2.
fn attempt<'a>(digest: &'a Digest, account: &'a AccountId, run: Option<&'a str>) -> Attempt<'a> {
    Attempt {
        permit: 2,
        of: Use::Deploy(digest),
        account,
        policy: "sha256:rules",
        contract_path: "delivery.yaml",
        run,
    }
}

/// Where it began in this run: the number of that record, 0 if it begins now; else the reason.
fn decided(records: &[Record], run: Option<&str>) -> Result<u64, Reason> {
    let (digest, account) = (digest(2), account("1"));
    let usable = usable(&chain(records), &attempt(&digest, &account, run), now())?;
    assert_eq!(usable.permit.record.seq, 2);
    Ok(usable.started.map_or(0, |it| it.record.seq))
}

/// The record of this position, as a reason has it.
fn at(records: &[Record], seq: u64) -> Box<Record> {
    let all = chain(records);
    let found = all.into_iter().find(|it| it.record.seq == seq);
    Box::new(found.unwrap().record)
}

#[test]
fn an_empty_number_is_none_and_a_word_is_refused() {
    for (given, wanted) in [
        (None, Ok(None)),
        (Some(""), Ok(None)),
        (Some(" "), Ok(None)),
        (Some("42"), Ok(Some(42))),
        (Some(" 42\n"), Ok(Some(42))),
        (Some("0"), Err(kit::Exit::Usage)),
        (Some("-1"), Err(kit::Exit::Usage)),
        (Some("latest"), Err(kit::Exit::Usage)),
    ] {
        let found = number(given).map_err(|error| error.exit());
        assert_eq!(found, wanted, "{given:?}");
    }
}

#[test]
fn a_request_that_is_ended_takes_its_permit_back() {
    let ended = |verdict, answers| Record {
        verdict,
        answers: Some(answers),
        ..reviewed()
    };
    let mut resting = permit(1);
    resting.permit.as_mut().unwrap().requests = vec![77];
    let granted = [deployed(), resting];
    let then = |more: &[Record]| [&granted[..], more].concat();
    for verdict in [Verdict::Rejected, Verdict::Withdrawn] {
        let all = then(&[ended(verdict, 77)]);
        let reason = decided(&all, Some(RUN)).unwrap_err();
        assert_eq!(reason, Reason::Objection(at(&all, 3)));
        let (digest, account) = (digest(2), account("1"));
        let chain = Chain::new("storefront", "dev").unwrap();
        let refusal = reason.refusal(&chain, &attempt(&digest, &account, None));
        let message = refusal.to_string();
        let words = format!("request 77 was {verdict} by grace at 2026-11-21T18:03:00Z (record 3)");
        assert!(message.contains(&words), "{message}");
    }
    // A run that goes on begins no other revision after its permit ended, in whichever way.
    let begun = chain(&then(&[
        started(2, Some(RUN)),
        ended(Verdict::Rejected, 77),
    ]));
    let permitted = &begun[2].record;
    let objection = in_force(&begun, permitted, now()).unwrap_err();
    assert!(matches!(objection, Reason::Objection(_)), "{objection:?}");
    let late = instant("2026-11-21T19:00:01Z").unwrap();
    let over = in_force(&begun, permitted, late).unwrap_err();
    assert!(matches!(over, Reason::Expired(_)), "{over:?}");
    in_force(&chain(&granted), permitted, now()).unwrap();
    // Another request's end, an approval, and an end before the permit change nothing.
    for other in [ended(Verdict::Rejected, 78), ended(Verdict::Approved, 77)] {
        assert_eq!(decided(&then(&[other]), Some(RUN)), Ok(0));
    }
    assert_eq!(decided(&granted, Some(RUN)), Ok(0));
    // A deployment that has begun goes on.
    let begun = then(&[started(2, Some(RUN)), ended(Verdict::Rejected, 77)]);
    assert_eq!(decided(&begun, Some(RUN)), Ok(3));
}

#[test]
fn a_permit_is_used_once_while_nothing_else_is_deployed() {
    let granted = [deployed(), permit(1)];
    let then = |more: &[Record]| [&granted[..], more].concat();
    assert_eq!(decided(&granted, Some(RUN)), Ok(0));
    assert_eq!(decided(&granted, None), Ok(0));
    // Records that deploy nothing do not matter.
    assert_eq!(decided(&then(&[reviewed(), permit(1)]), Some(RUN)), Ok(0));

    let began = then(&[started(2, Some(RUN))]);
    assert_eq!(decided(&began, Some(RUN)), Ok(3));
    let by_another = Err(Reason::Started(at(&began, 3)));
    assert_eq!(decided(&began, Some(OTHER)), by_another);
    assert_eq!(decided(&began, None), by_another);
    // Nobody is the same run as one that is not known.
    let unknown = then(&[started(2, None)]);
    let used = Err(Reason::Started(at(&unknown, 3)));
    assert_eq!(decided(&unknown, None), used);

    // Another permit's deployment is under way. Only the same run need not wait for it.
    let busy = then(&[permit(1), started(3, Some(OTHER))]);
    let reason = Err(Reason::Underway(at(&busy, 4)));
    assert_eq!(decided(&busy, Some(RUN)), reason);
    let own = then(&[permit(1), started(3, Some(RUN))]);
    assert_eq!(decided(&own, Some(AGAIN)), Ok(0));
    // Earlier attempts of a run are over, and stay so where they are still at work.
    assert_eq!(decided(&began, Some(AGAIN)), Ok(3));
    let later = then(&[started(2, Some(AGAIN))]);
    let over = Err(Reason::Started(at(&later, 3)));
    assert_eq!(decided(&later, Some(RUN)), over);
    let later = then(&[permit(1), started(3, Some(AGAIN))]);
    let over = Err(Reason::Underway(at(&later, 4)));
    assert_eq!(decided(&later, Some(RUN)), over);
    // A rollback waits for nobody.
    let mut back = permit(1);
    back.rollback = Some(crate::Rollback { from: None });
    let busy = [deployed(), back, permit(1), started(3, Some(OTHER))];
    assert_eq!(decided(&busy, Some(RUN)), Ok(0));
    // It was taken for dead, and another one began.
    let late = then(&[started(2, Some(RUN)), permit(1), started(4, Some(OTHER))]);
    let reason = Err(Reason::Underway(at(&late, 5)));
    assert_eq!(decided(&late, Some(RUN)), reason);
    for closed in [failed(), deployed()] {
        let over = then(&[started(2, Some(RUN)), closed]);
        let newer = Err(Reason::Newer(Some(at(&over, 4))));
        assert_eq!(decided(&over, Some(RUN)), newer);
    }
}

#[test]
fn a_later_attempt_goes_on_from_an_earlier_one_and_a_build_from_none() {
    let tenth = "https://ci.example/runs/7/attempts/10";
    let odd = "https://ci.example/runs/7/attempts/x";
    let (build, longer) = ("https://ci.example/7", "https://ci.example/71");
    for (run, began, wanted) in [
        (Some(RUN), Some(RUN), true),
        (Some(AGAIN), Some(RUN), true),
        (Some(tenth), Some(AGAIN), true),
        (Some(RUN), Some(AGAIN), false),
        (Some(AGAIN), Some(tenth), false),
        (Some(OTHER), Some(RUN), false),
        (Some(odd), Some(odd), true),
        (Some(odd), Some(RUN), false),
        (Some(RUN), Some(odd), false),
        (Some(build), Some(build), true),
        (Some(longer), Some(build), false),
        (Some(RUN), None, false),
        (None, Some(RUN), false),
        (None, None, false),
    ] {
        assert_eq!(continues_run(run, began), wanted, "{run:?} {began:?}");
    }
}

#[test]
fn a_permit_of_an_environment_without_a_deployment_rests_on_none() {
    let first = [reviewed(), permit(0)];
    assert_eq!(decided(&first, Some(RUN)), Ok(0));
    let wrong = [reviewed(), permit(1)];
    assert_eq!(decided(&wrong, Some(RUN)), Err(Reason::Newer(None)));
}

#[test]
fn a_deployment_that_differs_from_its_permit_is_refused() {
    let records = [deployed(), permit(1)];
    let (own, other) = (digest(2), digest(3));
    let (here, there) = (account("1"), account("2"));
    let with = |records: &[Record], attempt: Attempt<'_>| {
        usable(&chain(records), &attempt, now()).unwrap_err()
    };
    let asked = attempt(&own, &here, Some(RUN));
    for (changed, wanted) in [
        (
            Attempt { permit: 9, ..asked },
            Reason::Unknown(Some(at(&records, 1))),
        ),
        (
            Attempt { permit: 1, ..asked },
            Reason::NotAPermit(Verdict::Healthy),
        ),
        (
            Attempt {
                of: Use::Deploy(&other),
                ..asked
            },
            Reason::Digest(own.clone()),
        ),
        (
            Attempt {
                account: &there,
                ..asked
            },
            Reason::Account(Some(here.clone())),
        ),
        (
            Attempt {
                policy: "sha256:others",
                ..asked
            },
            Reason::Policy,
        ),
        (
            Attempt {
                contract_path: "other/delivery.yaml",
                ..asked
            },
            Reason::ContractPath("delivery.yaml".to_owned()),
        ),
    ] {
        let found = with(&records, changed);
        assert_eq!(found, wanted);
        let chain = Chain::new("storefront", "dev").unwrap();
        let error = found.refusal(&chain, &changed);
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert!(!error.hints.is_empty() && !error.causes().is_empty());
    }
    let mut elsewhere = permit(1);
    elsewhere.contract_path = Some("shop/delivery.yaml".to_owned());
    let records = [deployed(), elsewhere];
    assert_eq!(
        with(&records, asked),
        Reason::ContractPath("shop/delivery.yaml".to_owned())
    );
    let own_path = Attempt {
        contract_path: "shop/delivery.yaml",
        ..asked
    };
    usable(&chain(&records), &own_path, now()).unwrap();
    let mut nowhere = permit(1);
    nowhere.account = None;
    assert_eq!(with(&[deployed(), nowhere], asked), Reason::Account(None));
    // Another kind of record cannot pose as one, and a permit needs its content.
    let mut posing = permit(1);
    posing.verdict = Verdict::Approved;
    assert_eq!(
        with(&[deployed(), posing], asked),
        Reason::NotAPermit(Verdict::Approved)
    );
    let mut empty = permit(1);
    empty.permit = None;
    assert_eq!(
        with(&[deployed(), empty], asked),
        Reason::NotAPermit(Verdict::Permitted)
    );
}

#[test]
fn the_record_of_a_beginning_names_the_permit_and_what_it_permits() {
    let mut permit = permit(1);
    permit.previous = Some(digest(1));
    permit.rollback = Some(crate::Rollback { from: None });
    // The fields below belong to the permit alone and are not copied.
    permit.task_definition = Some("storefront:6".to_owned());
    permit.break_glass = Some(crate::BreakGlass {
        reason: "the shop is down".to_owned(),
        by: permit.actor.clone(),
        expires: "2026-11-21T19:00:00Z".to_owned(),
    });
    permit.reason = Some("the shop is down".to_owned());
    permit.answers = Some(1);
    permit.request = Some(crate::Request {
        binding: "b".repeat(64),
        expires: "2026-11-21T19:00:00Z".to_owned(),
        head: GENESIS.to_owned(),
        base: None,
        commits: 1,
        range: "r".repeat(64),
        people: "p".repeat(64),
        pull_requests: Vec::new(),
        contributors: Vec::new(),
        repository: None,
        plan: None,
        unattributed: Vec::new(),
    });
    let (digest, account) = (digest(2), account("1"));
    let actor = Actor {
        login: "ada".to_owned(),
        id: Some(7),
    };
    let attempt = attempt(&digest, &account, Some(RUN));
    let record = start::record(&permit, &attempt, &actor, now());
    assert_eq!(record.verdict, Verdict::Started);
    assert_eq!(
        began(&record),
        format!("ada at 2026-11-21T18:10:00Z in {RUN}")
    );
    assert_eq!(
        (&record.task_definition, &record.break_glass),
        (&None, &None)
    );
    assert_eq!((&record.reason, &record.answers), (&None, &None));
    assert_eq!(record.request, None);
    assert_eq!(
        (record.under, record.actor, record.run.as_deref()),
        (Some(2), actor, Some(RUN))
    );
    assert_eq!(record.at, "2026-11-21T18:10:00Z");
    assert_eq!(record.previous, permit.previous);
    assert_eq!(record.commit, permit.commit);
    assert_eq!((record.permit, record.rollback), (None, permit.rollback));
}

#[test]
fn hints_of_an_unfinished_deployment_say_how_to_record_it_and_to_roll_back() {
    let hints = |record: &Record| unfinished(kit::error::Error::refused("busy"), record, "").hints;
    let began = |run: Option<&str>| Record {
        previous: Some(digest(1)),
        ..started(2, run)
    };
    let (again, closing) = ("run its failed jobs again", "--verdict failed");
    let github = hints(&began(Some(RUN)));
    assert!(
        github[0].contains(again) && github[2].contains(closing),
        "{github:?}"
    );
    // A build that is started once more is another one, and at a terminal there is nothing to run again.
    let build = hints(&began(Some("https://ci.example/builds/7")));
    assert!(build[1].contains(closing), "{build:?}");
    let terminal = hints(&began(None));
    assert!(terminal[0].contains(closing), "{terminal:?}");
    for hints in [&build, &terminal] {
        assert!(!hints.iter().any(|hint| hint.contains(again)), "{hints:?}");
    }
    let back = |record: &Record| {
        let hints = hints(record);
        let found = hints.into_iter().find(|hint| hint.contains("--rollback"));
        found.unwrap()
    };
    let healthy = format!("--rollback --digest {}", digest(1));
    assert!(back(&began(Some(RUN))).ends_with(&healthy));
    // The version that a rollback leaves is not where another one goes.
    let rollback = Record {
        rollback: Some(crate::Rollback { from: None }),
        ..began(Some(RUN))
    };
    assert!(back(&rollback).ends_with("--rollback"));
    let first = started(2, Some(RUN));
    assert!(back(&first).ends_with("--rollback"));
}

#[test]
fn records_that_do_not_reach_the_newest_deployment_are_not_all() {
    let of = Chain::new("storefront", "dev").unwrap();
    let all = chain(&[deployed(), permit(1), reviewed()]);
    require_deployment(&of, &all).unwrap();
    let error = require_deployment(&of, &all[..2]).unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Refused);
    assert!(
        error.message.contains("none of the newest 2 is one"),
        "{error}"
    );
    // There is none.
    require_deployment(&of, &chain(&[permit(0), reviewed()])).unwrap();
    require_deployment(&of, &[]).unwrap();
}

#[test]
fn a_run_goes_on_with_its_revision_and_its_next_attempt_with_a_record_of_its_own() {
    let (digest, account) = (digest(2), account("1"));
    let begun = Record {
        task_definition: Some("web:12".to_owned()),
        ..started(2, Some(RUN))
    };
    let records = chain(&[deployed(), permit(1), begun]);
    let of = |run: &'static str, revision: &str| {
        start::begins(
            records.first(),
            &attempt(&digest, &account, Some(run)),
            revision,
        )
    };
    assert_eq!(of(RUN, "web:12"), Ok(Begins::On(3)));
    assert_eq!(of(AGAIN, "web:12"), Ok(Begins::Again));
    // Infrastructure registered another one meanwhile, for which the permit must be in force.
    assert_eq!(of(AGAIN, "web:13"), Ok(Begins::Anew));
    // Two jobs of one attempt are not one deployment.
    let another = of(RUN, "web:13").unwrap_err();
    assert_eq!(
        another,
        Reason::Started(Box::new(records[0].record.clone()))
    );
    let attempt = attempt(&digest, &account, Some(RUN));
    let refusal = another.refusal(&Chain::new("storefront", "dev").unwrap(), &attempt);
    assert!(
        refusal.to_string().contains("under it, of web:12"),
        "{refusal}"
    );
    assert_eq!(start::begins(None, &attempt, "web:13"), Ok(Begins::Anew));
}

#[test]
fn a_run_that_goes_on_knows_when_it_first_began() {
    let (digest, account) = (digest(2), account("1"));
    let began = |records: &[Record]| {
        let attempt = attempt(&digest, &account, Some(AGAIN));
        usable(&chain(records), &attempt, now()).unwrap().began
    };
    let granted = [deployed(), permit(1)];
    assert_eq!(began(&granted), None);
    let twice = [started(2, Some(RUN)), started(2, Some(AGAIN))];
    let begun = [&granted[..], &twice].concat();
    assert_eq!(began(&begun).as_deref(), Some("2026-11-21T18:03:00Z"));
}

#[test]
fn each_command_of_a_run_is_on_record_and_the_deployment_after_it_too() {
    let (digest, account) = (digest(2), account("1"));
    let begun = Record {
        task_definition: Some("web:12".to_owned()),
        command: Some("sha256:migrate".to_owned()),
        ..started(2, Some(RUN))
    };
    let records = chain(&[deployed(), permit(1), begun]);
    let of = |command: &str| {
        let attempt = Attempt {
            of: Use::Task {
                digest: &digest,
                command,
            },
            ..attempt(&digest, &account, Some(RUN))
        };
        start::begins(records.first(), &attempt, "web:12")
    };
    assert_eq!(of("sha256:migrate"), Ok(Begins::On(3)));
    assert_eq!(of("sha256:other"), Ok(Begins::Anew));
    let words = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        command(&words).unwrap()
    };
    assert_ne!(words(&["a b"]), words(&["a", "b"]));
    assert!(words(&["a"]).starts_with("sha256:"));
}

#[test]
fn a_deployment_is_overtaken_by_another_start_or_record_after_it() {
    let begun = [deployed(), permit(1), started(2, Some(RUN))];
    let of = |more: &[Record]| {
        let records = chain(&[&begun[..], more].concat());
        overtaken(&records, 3).map(|record| record.seq)
    };
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[reviewed(), permit(1)]), None);
    // Another attempt of the run goes on under the same permit, or has put its end on record.
    assert_eq!(of(&[reviewed(), started(2, Some(AGAIN))]), Some(5));
    for end in [deployed(), failed()] {
        let under = Some(2);
        assert_eq!(of(&[Record { under, ..end }]), Some(4));
    }
    assert_eq!(of(&[permit(1), started(4, Some(OTHER))]), Some(5));
    assert_eq!(of(&[failed()]), Some(4));
}

#[test]
fn another_gate_has_another_policy() {
    let of = |approvals| policy(&Gate::of_approvals(approvals)).unwrap();
    assert!(crate::evidence_hash(&of(1)).is_some(), "{}", of(1));
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}
