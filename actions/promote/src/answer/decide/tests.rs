//! Each answer that is refused, and those that are written or are there already.

use super::*;
use crate::environment_history::at;
use crate::environment_history::tests::{actor, deployed, digest, history};
use crate::requests::people_hash;
use crate::requests::tests::{account, answered, asking, requested};

/// dora's request 2 for `b`, after `a` was deployed; more follows.
fn chain(setting: &Setting, more: &[Record]) -> EnvironmentHistory {
    let asked = [deployed('a'), requested(setting, 'b', "hash-1")];
    history(&[&asked, more].concat())
}

/// The outcome of an answer to request 2: the number of the record that is there already, 0 if it is written, or the refusal.
fn outcome_of(
    setting: &Setting,
    history: &EnvironmentHistory,
    word: Word,
    actor: &Actor,
    change: impl FnOnce(&mut PersonalAnswer<'_>),
) -> std::result::Result<u64, String> {
    let (policy, people) = (setting.policy().unwrap(), people_hash(setting).unwrap());
    let approve = setting.gate.approve.as_ref().unwrap();
    let approvers = Approvers::of(approve, &setting.persons(), &[]);
    let mut personal_answer = PersonalAnswer {
        word,
        actor,
        setting,
        approvers: &approvers,
        number: 2,
        digest: None,
        now: at("2026-11-21T20:00:00Z").unwrap(),
        policy: &policy,
        people: &people,
        account: None,
        repository: None,
    };
    change(&mut personal_answer);
    match personal_answer.decide(history) {
        Ok(Next::Already(recorded)) => Ok(recorded.record.seq),
        Ok(Next::Write(record)) => {
            assert_eq!(record.seq, 2);
            Ok(0)
        }
        Err(error) => {
            assert_eq!(error.exit(), kit::Exit::Refused);
            assert!(!error.hints.is_empty(), "{error}");
            assert!(error.hints.iter().all(|hint| hint.contains(' ')), "{error}");
            let cut_off = error.hints.iter().any(|hint| hint.ends_with(": "));
            assert!(!cut_off, "{error}");
            Err(error.message.to_string())
        }
    }
}

#[track_caller]
fn refuses(answer: std::result::Result<u64, String>, words: &str) {
    let message = answer.unwrap_err();
    assert!(message.contains(words), "{message}");
}

#[test]
fn an_answer_is_recorded_as_the_word_of_the_person_who_gave_it() {
    for (word, verb, noun, past_tense, reason) in [
        (Word::Approve, "approve", "approval", "approved", false),
        (Word::Reject, "reject", "rejection", "rejected", true),
        (Word::Withdraw, "withdraw", "withdrawal", "withdrew", true),
    ] {
        assert_eq!(
            (word.verb(), word.noun(), word.past_tense()),
            (verb, noun, past_tense)
        );
        assert_eq!(word.needs_a_reason(), reason);
        let request = requested(&asking(), 'b', "hash-1");
        let ada = account("ada", 1);
        let at = "2026-11-21T20:00:00Z".to_owned();
        let found = super::answer(word, &ada, 2, at.clone(), request.clone());
        let wanted = Record {
            at,
            verdict: word.verdict(),
            actor: ada,
            answers: Some(2),
            request: None,
            ..request
        };
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_listed_person_answers_once() {
    let setting = asking();
    let (ada, dora) = (account("ada", 1), actor("dora"));
    let fresh = chain(&setting, &[]);
    for word in [Word::Approve, Word::Reject, Word::Withdraw] {
        assert_eq!(outcome_of(&setting, &fresh, word, &ada, |_| {}), Ok(0));
    }
    assert_eq!(
        outcome_of(&setting, &fresh, Word::Withdraw, &dora, |_| {}),
        Ok(0)
    );
    for (word, verdict) in [
        (Word::Approve, Verdict::Approved),
        (Word::Reject, Verdict::Rejected),
        (Word::Withdraw, Verdict::Withdrawn),
    ] {
        let there = chain(&setting, &[answered(verdict, 2, ada.clone())]);
        assert_eq!(outcome_of(&setting, &there, word, &ada, |_| {}), Ok(3));
    }
    // The other account is the same person.
    let there = chain(
        &setting,
        &[answered(Verdict::Approved, 2, account("grace", 2))],
    );
    let admin = account("grace-admin", 22);
    assert_eq!(
        outcome_of(&setting, &there, Word::Approve, &admin, |_| {}),
        Ok(3)
    );
    // A contributor may object.
    let mut wrote = requested(&setting, 'b', "hash-1");
    wrote.request.as_mut().unwrap().contributors = vec![actor("ada")];
    let wrote = history(&[deployed('a'), wrote]);
    assert_eq!(
        outcome_of(&setting, &wrote, Word::Reject, &ada, |_| {}),
        Ok(0)
    );
    refuses(
        outcome_of(&setting, &wrote, Word::Approve, &ada, |_| {}),
        "ada wrote part of it, so somebody else must approve request 2",
    );
}

#[test]
fn an_answer_by_an_ineligible_person_is_refused_with_the_reason() {
    let mut setting = asking();
    let fresh = chain(&setting, &[]);
    for word in [Word::Approve, Word::Reject, Word::Withdraw] {
        refuses(
            outcome_of(&setting, &fresh, word, &account("eve", 5), |_| {}),
            "for production: the contract does not list them",
        );
        // Somebody else with the login of one who may.
        refuses(
            outcome_of(&setting, &fresh, word, &account("ada", 99), |_| {}),
            "the contract does not list them",
        );
    }
    // The requester may withdraw it, but neither reject nor approve it.
    refuses(
        outcome_of(&setting, &fresh, Word::Reject, &actor("dora"), |_| {}),
        "dora may not reject for production: the contract does not list them",
    );
    let people = &mut setting.gate.approve.as_mut().unwrap().people;
    people.push("dora".to_owned());
    let fresh = chain(&setting, &[]);
    refuses(
        outcome_of(&setting, &fresh, Word::Approve, &actor("dora"), |_| {}),
        "dora asked for it",
    );
    // Nobody is left who may.
    let mut all = requested(&setting, 'b', "hash-1");
    let request = all.request.as_mut().unwrap();
    request.contributors = ["ada", "grace", "linus"].map(actor).into();
    let all = history(&[deployed('a'), all]);
    refuses(
        outcome_of(&setting, &all, Word::Approve, &account("ada", 1), |_| {}),
        "ada wrote part of it",
    );
    let mut asked = requested(&setting, 'b', "hash-1");
    asked.actor = account("grace", 2);
    let asked = history(&[deployed('a'), asked]);
    let admin = account("grace-admin", 22);
    refuses(
        outcome_of(&setting, &asked, Word::Approve, &admin, |_| {}),
        "grace-admin is grace, who asked for it",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_request_that_is_void_expired_or_ended_is_not_approved() {
    let setting = asking();
    let ada = account("ada", 1);
    let approve = |history: &EnvironmentHistory, change: fn(&mut PersonalAnswer<'_>)| {
        outcome_of(&setting, history, Word::Approve, &ada, change)
    };
    let fresh = chain(&setting, &[]);
    refuses(
        approve(&fresh, |answer| answer.number = 1),
        "record 1 of production is not a request; it is healthy",
    );
    refuses(
        approve(&fresh, |answer| answer.number = 9),
        "has no request 9",
    );
    let (own, other) = (digest('b'), digest('c'));
    let of = |digest: &Digest| {
        let digest = digest.clone();
        outcome_of(&setting, &fresh, Word::Approve, &ada, |answer| {
            answer.digest = Some(Box::leak(Box::new(digest)));
        })
    };
    assert_eq!(of(&own), Ok(0));
    refuses(of(&other), "request 2 is for sha256:bbb");
    refuses(
        approve(&fresh, |answer| {
            answer.now = at("2026-11-22T12:00:00Z").unwrap()
        }),
        "request 2 expired at 2026-11-22T12:00:00Z",
    );
    refuses(
        approve(&fresh, |answer| answer.policy = "sha256:other"),
        "since it was made, the contract's gate changed",
    );
    refuses(
        approve(&fresh, |answer| answer.people = "other"),
        "since it was made, the contract's people changed",
    );
    refuses(
        approve(&fresh, |answer| {
            answer.account = "1".repeat(12).parse().ok()
        }),
        "since it was made, the environment's account changed",
    );
    // An objection counts whatever has changed: a permit that rests on the request may still be used.
    for word in [Word::Reject, Word::Withdraw] {
        let changes: [fn(&mut PersonalAnswer<'_>); 4] = [
            |answer| answer.policy = "sha256:old",
            |answer| answer.people = "old",
            |answer| answer.account = "1".repeat(12).parse().ok(),
            |answer| answer.now = at("2026-11-22T12:00:00Z").unwrap(),
        ];
        for change in changes {
            assert_eq!(outcome_of(&setting, &fresh, word, &ada, change), Ok(0));
        }
        let deployed = chain(&setting, &[deployed('c')]);
        assert_eq!(outcome_of(&setting, &deployed, word, &ada, |_| {}), Ok(0));
    }
    // An approval that no longer counts is refused when it is given again.
    let own = answered(Verdict::Approved, 2, ada.clone());
    let approved = chain(&setting, std::slice::from_ref(&own));
    assert_eq!(approve(&approved, |_| {}), Ok(3));
    refuses(
        approve(&approved, |answer| {
            answer.now = at("2026-11-22T12:00:00Z").unwrap()
        }),
        "request 2 expired at 2026-11-22T12:00:00Z",
    );
    refuses(
        approve(&approved, |answer| answer.policy = "sha256:other"),
        "since it was made, the contract's gate changed",
    );
    refuses(
        approve(&chain(&setting, &[own, deployed('c')]), |_| {}),
        "since it was made, the newest deployment changed",
    );
    let later = chain(&setting, &[deployed('c')]);
    refuses(
        approve(&later, |_| {}),
        "since it was made, the newest deployment changed",
    );
    // The request shows another commit than the one in its binding.
    let mut shows = requested(&setting, 'b', "hash-1");
    shows.commit = "8".repeat(40).parse().unwrap();
    let shows = history(&[deployed('a'), shows]);
    refuses(
        approve(&shows, |_| {}),
        "since it was made, its own binding changed",
    );
    let rejected = chain(&setting, &[answered(Verdict::Rejected, 2, actor("linus"))]);
    refuses(approve(&rejected, |_| {}), "linus rejected request 2");
    // Nobody is told that somebody else's rejection is their own.
    refuses(
        outcome_of(&setting, &rejected, Word::Reject, &ada, |_| {}),
        "linus rejected request 2",
    );
    let withdrawn = chain(&setting, &[answered(Verdict::Withdrawn, 2, actor("dora"))]);
    refuses(approve(&withdrawn, |_| {}), "dora withdrew request 2");
    // A rejection replaces the same person's approval.
    let both = chain(
        &setting,
        &[
            answered(Verdict::Approved, 2, ada.clone()),
            answered(Verdict::Rejected, 2, ada.clone()),
        ],
    );
    refuses(approve(&both, |_| {}), "ada rejected request 2");
    assert_eq!(
        outcome_of(&setting, &both, Word::Reject, &ada, |_| {}),
        Ok(4)
    );
}

#[test]
fn only_the_codes_repository_and_the_one_for_approvals_answer() {
    let mut setting = asking();
    let approve = setting.gate.approve.as_mut().unwrap();
    approve.repository = Some("acme/approvals".to_owned());
    let ada = account("ada", 1);
    let runs = [
        Some("https://github.com/acme/storefront/actions/runs/7/attempts/1"),
        Some("https://ca-central-1.console.aws.amazon.com/codesuite/codebuild/1/projects/x"),
        // Anybody can say so.
        Some("https://github.com/acme/other/actions/runs/7/attempts/1"),
        // At a terminal.
        None,
    ];
    for run in runs {
        let mut asked = requested(&setting, 'b', "hash-1");
        asked.run = run.map(str::to_owned);
        let from = |asked: &Record, repository| {
            let chain = history(&[deployed('a'), asked.clone()]);
            outcome_of(&setting, &chain, Word::Approve, &ada, |personal_answer| {
                personal_answer.repository = repository;
            })
        };
        for repository in [Some("acme/storefront"), Some("Acme/Approvals"), None] {
            assert_eq!(from(&asked, repository), Ok(0), "{run:?} {repository:?}");
        }
        let words = "is for commits of acme/storefront, so a run of acme/other does not answer it";
        refuses(from(&asked, Some("acme/other")), words);
        asked.request.as_mut().unwrap().repository = None;
        for repository in [Some("acme/other"), Some("acme/storefront")] {
            refuses(from(&asked, repository), "does not answer it");
        }
    }
}
