//! Decides whether a permit may be granted for the judged promotion, and if this run granted it before. Pure.

use crate::environment_history::at;
use crate::record::marks;
use kit::clock::rfc3339;
use kit::error::{Error, Result};
use ledger::permit::{self, VALID_SECONDS, underway};
use ledger::{Permit, Record, Recorded, Verdict};
use time::{Duration, OffsetDateTime};

/// The permit that this run wrote before for the same, from the chain's records since its newest
/// deployment, newest first; nothing if one is to be written. `judged` is the last record that was
/// there when the promotion was judged. One that was judged once more gets another permit, which is as young as its
/// judgement and names the evidence of it.
///
/// # Errors
/// A deployment or the end of a request was recorded since the promotion was judged, or a deployment is under way (exit 3).
pub(super) fn existing_permit<'r>(
    records: &'r [Recorded],
    judged: u64,
    draft: &Record,
    again: bool,
    now: OffsetDateTime,
) -> Result<Option<&'r Recorded>> {
    let newest = records.iter().find(|it| it.record.is_deployment());
    let head = draft.permit.as_ref().map(|permit| permit.head.as_str());
    marks::compare(head, newest, draft)?;
    let since = || records.iter().take_while(|it| !it.record.is_deployment());
    let own = since().find(|it| !again && is_same(&it.record, draft, now));
    if let Some(underway) = underway(records, now) {
        let started = &underway.started.record;
        if !permit::supersedes(draft, draft.run.as_deref(), started) {
            return Err(busy(started, underway.until));
        }
    }
    let mut later = since().filter(|it| it.record.seq > judged);
    let voids = |verdict| matches!(verdict, Verdict::Rejected | Verdict::Withdrawn);
    match later.find(|it| voids(it.record.verdict)) {
        None => Ok(own),
        Some(Recorded { record, .. }) => Err(Error::refused(
            "a request was closed while the promotion was judged, so no permit was granted",
        )
        .cause(format!(
            "record {}: {} by {} at {}",
            record.seq, record.verdict, record.actor.login, record.at
        ))
        .hint("run the step again: it judges the promotion from the start")),
    }
}

/// How far, in seconds, the clock may be off: a verifier takes a time that is wrong by more for a fault of the record, for good.
const OFF: i64 = 300;

/// Refuses to write a permit by a clock that is wrong, by how much it is ahead of AWS's.
///
/// # Errors
/// It is off by more than five minutes (exit 3).
pub(super) fn require_right_clock(ahead: Option<Duration>) -> Result<()> {
    let Some(ahead) = ahead.filter(|ahead| ahead.abs() > Duration::seconds(OFF)) else {
        return Ok(());
    };
    let way = match ahead.is_negative() {
        true => "behind",
        false => "ahead of",
    };
    Err(Error::refused(format!(
        "this machine's clock is {} seconds {way} AWS's, so no permit was granted",
        ahead.whole_seconds().abs()
    ))
    .cause(
        "a permit says when it was granted, and nobody could use or verify one with a wrong time",
    )
    .hint("set the clock of this machine, and run the step again"))
}

/// Until when a deployment can begin: an hour, but no longer than the approvals count.
pub(crate) fn expires(now: OffsetDateTime, approved: Option<&str>) -> String {
    let life = now + Duration::seconds(VALID_SECONDS.cast_signed());
    rfc3339(approved.and_then(at).map_or(life, |until| until.min(life)))
}

/// Returns true if the record is the permit that this run wrote before for the same, and rests on the same: other approvals, or
/// other commits, make another permit.
fn is_same(record: &Record, draft: &Record, now: OffsetDateTime) -> bool {
    let glass = |record: &Record| {
        record
            .break_glass
            .as_ref()
            .map(|glass| glass.reason.clone())
    };
    // Its time and GitHub's answers differ each time.
    let basis = |record: &Record| {
        record.permit.as_ref().map(|permit| Permit {
            expires: String::new(),
            evidence: None,
            ..permit.clone()
        })
    };
    record.verdict == Verdict::Permitted
        && draft.run.is_some()
        && record.run == draft.run
        && record.digest == draft.digest
        && record.commit == draft.commit
        && record.account == draft.account
        && record.policy == draft.policy
        && record.contract_path == draft.contract_path
        && record.rollback.is_some() == draft.rollback.is_some()
        && glass(record) == glass(draft)
        && basis(record) == basis(draft)
        && permit::begins_by(record).is_some_and(|until| now < until)
}

/// The refusal while a deployment is under way.
fn busy(started: &Record, until: Option<OffsetDateTime>) -> Error {
    let environment = &started.environment;
    let error = Error::refused(format!(
        "a deployment to {environment} began and is not recorded yet, so no permit was granted"
    ))
    .cause(format!(
        "{} began the deployment of {} under permit {}",
        permit::began(started),
        started.digest,
        started.under.unwrap_or_default()
    ));
    let error = match until {
        Some(until) => error.cause(format!(
            "another deployment may begin after {}",
            rfc3339(until)
        )),
        None => error,
    };
    permit::unfinished(error, started, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{
        actor, chain, deployed, failed, permitted, reviewed, started,
    };
    use ledger::Rollback;

    const RUN: &str = "https://ci.example/runs/7/attempts/1";
    const AGAIN: &str = "https://ci.example/runs/7/attempts/2";
    const OTHER: &str = "https://ci.example/runs/8/attempts/1";

    fn of_run(run: &str, mut record: Record) -> Record {
        record.run = Some(run.to_owned());
        record
    }

    fn at(text: &str) -> OffsetDateTime {
        super::at(text).unwrap()
    }

    /// The number of this run's permit, 0 if one is to be written, else the refusal. Two records were
    /// there when it was judged.
    fn found(records: &[Record], draft: &Record) -> Result<u64, String> {
        let records = chain(records);
        match existing_permit(&records, 2, draft, false, at("2026-11-21T18:05:00Z")) {
            Ok(own) => Ok(own.map_or(0, |own| own.record.seq)),
            Err(error) => {
                assert_eq!(error.exit(), kit::Exit::Refused);
                assert!(!error.hints.is_empty() && !error.causes().is_empty());
                Err(error.message)
            }
        }
    }

    #[test]
    fn a_permit_is_granted_while_what_was_judged_stands() {
        let draft = of_run(RUN, permitted('b', "hash-1"));
        let by = |login: &str, verdict| Record {
            verdict,
            actor: actor(login),
            ..deployed('b')
        };
        let judged = [deployed('a'), reviewed('a', "ada")];
        let then = |more: &[Record]| found(&[&judged[..], more].concat(), &draft);
        assert_eq!(then(&[]), Ok(0));
        // Records that deploy nothing do not matter, nor do permits that are not used.
        let unrelated = [
            reviewed('a', "eve"),
            of_run(AGAIN, permitted('c', "hash-1")),
        ];
        assert_eq!(then(&unrelated), Ok(0));
        assert_eq!(then(&[by("ada", Verdict::Approved)]), Ok(0));

        let moved = "another deployment to production was recorded";
        for deployment in [deployed('c'), failed('b'), by("ada", Verdict::Other)] {
            let refusal = then(&[deployment]).unwrap_err();
            assert!(refusal.starts_with(moved), "{refusal}");
        }
        for closed in [Verdict::Rejected, Verdict::Withdrawn] {
            let refusal = then(&[by("ada", closed)]).unwrap_err();
            assert!(refusal.starts_with("a request was closed"), "{refusal}");
            // Before it was judged, that is the rules' matter.
            let before = [deployed('a'), by("ada", closed)];
            assert_eq!(found(&before, &draft), Ok(0));
        }
    }

    #[test]
    fn no_permit_is_granted_while_a_deployment_is_under_way() {
        let draft = of_run(RUN, permitted('b', "hash-1"));
        let granted = [deployed('a'), of_run(AGAIN, permitted('b', "hash-1"))];
        let then = |more: &[Record]| found(&[&granted[..], more].concat(), &draft);
        let began = of_run(OTHER, started('b', 2));
        let refusal = then(std::slice::from_ref(&began)).unwrap_err();
        assert!(refusal.contains("is not recorded yet"), "{refusal}");
        let late = Record {
            at: "2026-11-21T17:04:00Z".to_owned(),
            ..began.clone()
        };
        assert_eq!(then(&[late]), Ok(0));
        // A later attempt of the same run goes on, and this one is over.
        then(&[of_run(AGAIN, started('b', 2))]).unwrap_err();
        // An earlier attempt of the same run is over, and a rollback waits for nobody.
        let next = of_run(AGAIN, draft.clone());
        let busily = [&granted[..1], &[of_run(RUN, started('b', 2))]].concat();
        assert_eq!(found(&busily, &next), Ok(0));
        let mut back = draft.clone();
        back.rollback = Some(Rollback { from: None });
        let busily = [&granted[..], std::slice::from_ref(&began)].concat();
        assert_eq!(found(&busily, &back), Ok(0));
        let error = busy(&began, Some(at("2026-11-21T19:00:00Z")));
        let causes = error.causes().join("; ");
        for words in [
            "dora at 2026-11-21T18:00:00Z",
            OTHER,
            "under permit 2",
            "may begin after 2026-11-21T19:00:00Z",
        ] {
            assert!(causes.contains(words), "{words}: {causes}");
        }
        let hints = error.hints.join("; ");
        assert!(hints.contains("--verdict failed"), "{hints}");
    }

    #[test]
    fn a_clock_that_is_off_by_more_than_five_minutes_grants_nothing() {
        for seconds in [None, Some(0), Some(300), Some(-300)] {
            require_right_clock(seconds.map(Duration::seconds)).unwrap();
        }
        for (seconds, said) in [(301, "301 seconds ahead of"), (-660, "660 seconds behind")] {
            let error = require_right_clock(Some(Duration::seconds(seconds))).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            assert!(error.message.contains(said), "{error}");
        }
    }

    #[test]
    fn a_permit_lasts_no_longer_than_what_it_rests_on() {
        let now = at("2026-11-21T18:00:00Z");
        for (approved, wanted) in [
            (None, "2026-11-21T19:00:00Z"),
            (Some("2026-11-22T18:00:00Z"), "2026-11-21T19:00:00Z"),
            (Some("2026-11-21T18:10:00Z"), "2026-11-21T18:10:00Z"),
        ] {
            assert_eq!(expires(now, approved), wanted);
        }
    }

    #[test]
    fn the_same_run_finds_its_own_permit() {
        let draft = of_run(RUN, permitted('b', "hash-1"));
        let written = [deployed('a'), reviewed('a', "ada"), draft.clone()];
        assert_eq!(found(&written, &draft), Ok(3));
        let began = [&written[..], &[of_run(RUN, started('b', 3))]].concat();
        assert_eq!(found(&began, &draft), Ok(3));
        // One that is judged once more gets another one.
        let stored = chain(&written);
        let again = existing_permit(&stored, 2, &draft, true, at("2026-11-21T18:05:00Z"));
        assert_eq!(again.unwrap(), None);
        let by_another = [&written[..], &[of_run(OTHER, started('b', 3))]].concat();
        found(&by_another, &draft).unwrap_err();

        let mut different = vec![
            of_run(AGAIN, permitted('b', "hash-1")),
            of_run(RUN, permitted('c', "hash-1")),
            of_run(RUN, permitted('b', "hash-2")),
            permitted('b', "hash-1"),
        ];
        let mut changed = draft.clone();
        changed.policy = Some("sha256:others".to_owned());
        different.push(changed);
        let mut back = draft.clone();
        back.rollback = Some(Rollback { from: None });
        different.push(back);
        let mut expired = draft.clone();
        if let Some(permit) = &mut expired.permit {
            permit.expires = "2026-11-21T18:05:00Z".to_owned();
        }
        different.push(expired);
        // It is not expired, and too old for its deployment to begin.
        let mut stale = draft.clone();
        stale.at = "2026-11-21T17:55:00Z".to_owned();
        different.push(stale);
        let mut planned = draft.clone();
        if let Some(permit) = &mut planned.permit {
            permit.plan = Some("p".to_owned());
        }
        different.push(planned);
        for record in different {
            let records = [deployed('a'), reviewed('a', "ada"), record];
            assert_eq!(found(&records, &draft), Ok(0), "{records:?}");
        }
        // Without a run, nobody is the same.
        let nobody = permitted('b', "hash-1");
        let written = [deployed('a'), reviewed('a', "ada"), nobody.clone()];
        assert_eq!(found(&written, &nobody), Ok(0));
    }
}
