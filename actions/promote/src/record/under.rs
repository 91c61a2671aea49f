//! A deployment's record closes the permit that it ran under, and is what the permit says: the head it
//! was judged against, a rollback, a break-glass.

use super::LOOK_BACK;
use super::write::is_same;
use kit::clock::Clock;
use kit::error::{Error, Result};
use ledger::{Chain, GENESIS, Ledger, Permit, Record, Recorded, Rollback, Verdict, permit};
use time::OffsetDateTime;

/// What a permit says about the record that closes it.
pub(super) struct Under {
    record: Record,
    /// The hash of the deployment that it was judged against.
    pub(super) head: String,
}

impl Under {
    /// The draft as the permit has it.
    pub(super) fn marked(self, draft: Record) -> Record {
        Record {
            policy: self.record.policy,
            rollback: self.record.rollback.map(|_| Rollback { from: None }),
            break_glass: self.record.break_glass,
            under: Some(self.record.seq),
            ..draft
        }
    }
}

/// The permit of this number, if the draft may close it.
///
/// # Errors
/// It may not (exit 3), or the chain cannot be read.
pub(super) async fn permit(
    ledger: &Ledger,
    chain: &Chain,
    number: u64,
    draft: &Record,
    clock: Clock,
) -> Result<Under> {
    // Beyond the permit, as far as the deployment that it was judged against.
    let enough = |record: &Record| record.seq < number && record.is_deployment();
    let records = ledger.recent(chain, LOOK_BACK, enough).await?;
    let (record, permit) = closes(&records, number, draft, clock.now())?;
    Ok(Under {
        record: record.clone(),
        head: permit.head.clone(),
    })
}

/// Decides whether the draft may close the permit, from the chain's records, newest first, as far back
/// as the deployment that the permit was judged against.
fn closes<'r>(
    records: &'r [Recorded],
    number: u64,
    draft: &Record,
    now: OffsetDateTime,
) -> Result<(&'r Record, &'r Permit)> {
    let (found, permit) = named(records, number, draft)?;
    let newest = records.iter().find(|it| it.record.is_deployment());
    let closing = records
        .iter()
        .find(|it| it.record.is_deployment() && it.record.under == Some(number));
    if let Some(closing) = closing {
        let marked = Record {
            under: Some(number),
            ..draft.clone()
        };
        // The same run again, from where it was stopped.
        let own = is_same(&closing.record, &marked);
        if !own || newest.is_none_or(|newest| newest.hash != closing.hash) {
            return Err(closed(number, &closing.record));
        }
        return Ok((found, permit));
    }
    still_to_record(records, number, permit, draft, now)?;
    Ok((found, permit))
}

/// The permit of this number, if it is for the draft's digest and commit.
fn named<'r>(
    records: &'r [Recorded],
    number: u64,
    draft: &Record,
) -> Result<(&'r Record, &'r Permit)> {
    let environment = &draft.environment;
    let refused = || refusal(draft, number);
    let mut all = records.iter().map(|it| &it.record);
    let found = all.find(|record| record.seq == number);
    let found = found.ok_or_else(|| {
        refused()
            .cause(format!(
                "{environment} has no record {number} among its newest {LOOK_BACK}"
            ))
            .hint("give the `permit` output of `slipway-promote grant`")
    })?;
    let (Verdict::Permitted, Some(permit)) = (found.verdict, &found.permit) else {
        return Err(refused()
            .cause(format!(
                "record {number} is not a permit: {}",
                found.verdict
            ))
            .hint("give the `permit` output of `slipway-promote grant`"));
    };
    if found.digest != draft.digest || found.commit != draft.commit {
        return Err(refused()
            .cause(format!(
                "it permits {} of commit {}",
                found.digest, found.commit
            ))
            .hint("give the `digest` and `commit` outputs of the same `grant`"));
    }
    Ok((found, permit))
}

/// Refuses where nothing can have been deployed under an open permit, or what was is over or another
/// run's to record.
fn still_to_record(
    records: &[Recorded],
    number: u64,
    permit: &Permit,
    draft: &Record,
    now: OffsetDateTime,
) -> Result<()> {
    let environment = &draft.environment;
    let refused = || refusal(draft, number);
    let newest = records.iter().find(|it| it.record.is_deployment());
    let start =
        |it: &&Recorded| it.record.verdict == Verdict::Started && it.record.under == Some(number);
    let started = records.iter().find(start).map(|it| &it.record);
    let since = |start: &Record| {
        records.iter().map(|it| &it.record).find(|it| {
            it.verdict == Verdict::Started && it.seq > start.seq && it.under != Some(number)
        })
    };
    if let Some(later) = started.and_then(since) {
        return Err(refused()
            .cause(format!(
                "{} began another deployment since, under permit {}",
                permit::began(later),
                later.under.unwrap_or_default()
            ))
            .hint("what that one ends with is recorded, and this one is over"));
    }
    match (draft.verdict, started) {
        // Whoever sees it run healthy may say so.
        (Verdict::Healthy, Some(_)) => {}
        (Verdict::Healthy, None) => {
            return Err(refused().cause("no deployment began under it").hint(format!(
                "deploy it first: slipway-service deploy --environment {environment} --digest {} --permit {number}",
                draft.digest
            )));
        }
        // A run that was refused does not end what another one began.
        (_, Some(started)) if !is_own(started, draft) => {
            return Err(refused()
                .cause(format!("{} began it", permit::began(started)))
                .hint("if that run never records it, record the failure without --permit"));
        }
        (_, Some(_)) => {}
        (_, None) if permit::expired(permit, now) => {
            return Err(refused()
                .cause(format!(
                    "it expired at {}, and no deployment began under it",
                    permit.expires
                ))
                .hint("there is nothing to record"));
        }
        // What was permitted can have failed before it began, such as in a migration, but not where
        // it could not begin.
        (_, None) => {
            let head = newest.map_or(GENESIS, |newest| &newest.hash);
            if permit.head != head {
                return Err(refused()
                    .cause("no deployment began under it before another one was recorded")
                    .hint("there is nothing to record"));
            }
            if let Some(underway) = permit::underway(records, now) {
                return Err(refused()
                    .cause(format!(
                        "no deployment began under it, and {} began another one",
                        permit::began(&underway.started.record)
                    ))
                    .hint("there is nothing to record"));
            }
        }
    }
    Ok(())
}

fn refusal(draft: &Record, number: u64) -> Error {
    Error::refused(format!(
        "this deployment to {} was not recorded under permit {number}",
        draft.environment
    ))
}

/// Whether the run of the draft began it; at a terminal, whoever has no run either.
fn is_own(started: &Record, draft: &Record) -> bool {
    started.run == draft.run || permit::same_run(started.run.as_deref(), draft.run.as_deref())
}

fn closed(number: u64, record: &Record) -> Error {
    Error::refused(format!(
        "permit {number} is closed, so nothing was recorded"
    ))
    .cause(format!(
        "record {} closed it: {}, by {}",
        record.seq,
        record.verdict,
        permit::began(record)
    ))
    .hint(format!(
        "see what {0} runs: slipway-promote status --environment {0} --live",
        record.environment
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing::tests::{chain, deployed, digest, failed, permitted, started};

    const RUN: &str = "https://ci.example/runs/7/attempts/1";

    fn now() -> OffsetDateTime {
        crate::standing::at("2026-11-21T18:30:00Z").unwrap()
    }

    fn of_run(mut record: Record) -> Record {
        record.run = Some(RUN.to_owned());
        record
    }

    /// Why the draft may not close permit 2; nothing if it may.
    #[track_caller]
    fn why_not(records: &[Record], draft: &Record) -> Option<String> {
        let error = closes(&chain(records), 2, draft, now()).err()?;
        assert_eq!(error.exit(), kit::Exit::Refused);
        assert!(!error.hints.is_empty());
        Some(error.causes().join("; "))
    }

    #[test]
    fn a_record_closes_a_permit_that_was_used_for_the_same_and_is_open() {
        let healthy = of_run(deployed('b'));
        let failure = of_run(failed('b'));
        let granted = [deployed('a'), permitted('b', "hash-1")];
        let begun = [&granted[..], &[of_run(started('b', 2))]].concat();
        let with = |more: Record| [&begun[..], &[more]].concat();
        let under = |record: &Record| Record {
            under: Some(2),
            ..record.clone()
        };
        for (records, draft, wanted) in [
            (begun.clone(), healthy.clone(), None),
            (begun.clone(), failure.clone(), None),
            (
                granted.to_vec(),
                healthy.clone(),
                Some("no deployment began under it"),
            ),
            // What failed before it began, such as a migration.
            (granted.to_vec(), failure.clone(), None),
            (begun[..1].to_vec(), healthy.clone(), Some("no record 2")),
            (
                vec![deployed('a'), deployed('b')],
                healthy.clone(),
                Some("is not a permit: healthy"),
            ),
            (begun.clone(), deployed('c'), Some("it permits")),
            (
                begun.clone(),
                Record {
                    commit: "d".repeat(40).parse().unwrap(),
                    ..healthy.clone()
                },
                Some("it permits"),
            ),
            // Closed by the same run, which is run again, and by another.
            (with(under(&healthy)), healthy.clone(), None),
            (
                with(under(&deployed('b'))),
                healthy.clone(),
                Some("record 4 closed it: healthy, by dora"),
            ),
            (
                with(under(&failed('b'))),
                healthy.clone(),
                Some("record 4 closed it: failed"),
            ),
            (
                with(under(&healthy)),
                failure.clone(),
                Some("record 4 closed it"),
            ),
        ] {
            let found = why_not(&records, &draft);
            match wanted {
                None => assert_eq!(found, None),
                Some(words) => assert!(
                    found.as_ref().is_some_and(|it| it.contains(words)),
                    "{words}: {found:?}"
                ),
            }
        }
    }

    #[test]
    fn what_began_expired_or_was_deployed_since_decides_about_a_permit() {
        let healthy = of_run(deployed('b'));
        let failure = of_run(failed('b'));
        let granted = [deployed('a'), permitted('b', "hash-1")];
        let begun = [&granted[..], &[of_run(started('b', 2))]].concat();
        let with = |more: Record| [&begun[..], &[more]].concat();
        let failures = |records: &[Record]| why_not(records, &failure);
        let by_another = [&granted[..], &[started('b', 2)]].concat();
        assert_eq!(why_not(&by_another, &healthy), None);
        assert!(
            failures(&by_another)
                .is_some_and(|it| it.contains("dora at 2026-11-21T18:00:00Z began it"))
        );
        // Another attempt of the run that began it may say so.
        let mut again = failure.clone();
        again.run = Some("https://ci.example/runs/7/attempts/2".to_owned());
        assert_eq!(why_not(&begun, &again), None);
        // What a rollback superseded is over, however it ended.
        let superseded = with(started('a', 1));
        for draft in [&healthy, &failure] {
            let why = why_not(&superseded, draft);
            assert!(why.is_some_and(|it| it.contains("began another deployment since")));
        }
        let mut late = permitted('b', "hash-1");
        if let Some(permit) = &mut late.permit {
            permit.expires = "2026-11-21T18:30:00Z".to_owned();
        }
        let unused = [deployed('a'), late];
        assert!(failures(&unused).is_some_and(|it| it.contains("it expired at")));
        // Nothing began under it, because something else was deployed or is.
        let late = [&granted[..], &[deployed('c')]].concat();
        assert!(failures(&late).is_some_and(|it| it.contains("before another one was recorded")));
        let busy = [&granted[..], &[permitted('c', "hash-1"), started('c', 3)]].concat();
        assert!(failures(&busy).is_some_and(|it| it.contains("began another one")));
        let closed = Record {
            under: Some(2),
            ..healthy.clone()
        };
        let later = [&with(closed)[..], &[deployed('c')]].concat();
        assert!(why_not(&later, &healthy).is_some_and(|it| it.contains("record 4 closed it")));
    }

    #[test]
    fn a_record_under_a_permit_is_what_the_permit_says() {
        let mut record = permitted('b', "hash-1");
        record.seq = 2;
        record.policy = Some("sha256:then".to_owned());
        record.rollback = Some(Rollback {
            from: Some(digest('a')),
        });
        let mut draft = deployed('b');
        draft.policy = Some("sha256:now".to_owned());
        let under = Under {
            record,
            head: "hash-1".to_owned(),
        };
        let marked = under.marked(draft);
        assert_eq!(marked.policy.as_deref(), Some("sha256:then"));
        assert_eq!(marked.under, Some(2));
        assert_eq!(marked.rollback, Some(Rollback { from: None }));
        assert_eq!(marked.break_glass, None);
    }
}
