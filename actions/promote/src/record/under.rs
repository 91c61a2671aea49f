//! A deployment's record closes the permit that it ran under, and is what the permit says: the head it
//! was judged against, a rollback, a break-glass.

use kit::error::{Error, Result};
use ledger::{Chain, LOOK_BACK, Ledger, Permit, Record, Recorded, Rollback, Verdict, permit};

/// A permit, as far as it determines the record that closes it.
pub(super) struct Under {
    record: Record,
    /// The hash of the deployment that it was judged against.
    pub(super) head: String,
}

impl Under {
    /// The draft as the permit has it.
    pub(super) fn marked(self, draft: Record) -> Record {
        Record {
            contract_path: permit::contract_path(&self.record).map(str::to_owned),
            policy: self.record.policy,
            rollback: self.record.rollback.map(|_| Rollback { from: None }),
            break_glass: self.record.break_glass,
            under: Some(self.record.seq),
            ..draft
        }
    }
}

/// The permit of this number, if the draft may close it; nothing if it is a failure and no deployment
/// began under the permit, so that there is nothing to record.
///
/// # Errors
/// It may not (exit 3), or the chain cannot be read.
pub(super) async fn permit(
    ledger: &Ledger,
    chain: &Chain,
    number: u64,
    draft: &Record,
) -> Result<Option<Under>> {
    // Beyond the permit, as far as the deployment that it was judged against.
    let enough = |record: &Record| record.seq < number && record.is_deployment();
    let records = ledger.recent(chain, LOOK_BACK, enough).await?;
    let closes = closes(&records, number, draft)?;
    Ok(closes.map(|(record, permit)| Under {
        record: record.clone(),
        head: permit.head.clone(),
    }))
}

/// Decides whether the draft may close the permit, from the chain's records, newest first, as far back
/// as the deployment that the permit was judged against. Nothing where nothing began that failed.
fn closes<'r>(
    records: &'r [Recorded],
    number: u64,
    draft: &Record,
) -> Result<Option<(&'r Record, &'r Permit)>> {
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
        return Ok(Some((found, permit)));
    }
    let began = has_unrecorded_deployment(records, number, draft)?;
    Ok(began.then_some((found, permit)))
}

/// Returns true if the record is the one this run would write, so that running twice writes one record.
pub(super) fn is_same(head: &Record, draft: &Record) -> bool {
    head.under == draft.under
        && head.digest == draft.digest
        && head.commit == draft.commit
        && head.verdict == draft.verdict
        && (head.run == draft.run || continues_permitted_run(head, draft))
}

/// Returns true if the draft is of a later attempt of the run that recorded the head. A permit is closed once, so a run that was
/// stopped right after that records nothing else when it is run again. Without a permit, a later attempt deployed once more.
fn continues_permitted_run(head: &Record, draft: &Record) -> bool {
    draft.under.is_some() && permit::continues_run(draft.run.as_deref(), head.run.as_deref())
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
    let judged = permit::contract_path(found);
    if draft.contract_path.is_some() && draft.contract_path.as_deref() != judged {
        let judged = judged.unwrap_or_default();
        return Err(refused()
            .cause(format!(
                "it was judged by the contract {judged}, and this one is {}",
                draft.contract_path.as_deref().unwrap_or_default()
            ))
            .hint(format!(
                "give the contract that judged: --contract {judged}"
            )));
    }
    Ok((found, permit))
}

/// Returns true if a deployment began under the permit. Refuses a verdict of healthy for one that did not begin, and a deployment that is
/// over or that another run has to record.
fn has_unrecorded_deployment(records: &[Recorded], number: u64, draft: &Record) -> Result<bool> {
    let environment = &draft.environment;
    let refused = || refusal(draft, number);
    let start = |recorded: &&Recorded| {
        recorded.record.verdict == Verdict::Started && recorded.record.under == Some(number)
    };
    let started = records.iter().find(start).map(|recorded| &recorded.record);
    // A task before the deployment is not one.
    let mut all = records.iter().filter(start);
    let deployed = all.any(|recorded| recorded.record.command.is_none());
    let mut all = records.iter().map(|it| &it.record);
    let newest = all.find(|record| record.verdict == Verdict::Started);
    if let (Some(_), Some(later)) = (started, newest.filter(|it| it.under != Some(number))) {
        return Err(refused()
            .cause(format!(
                "{} has since begun another deployment, under permit {}",
                permit::began(later),
                later.under.unwrap_or_default()
            ))
            .hint("the other deployment superseded this one, and only the other one can be recorded")
            .hint(format!(
                "if this one updated the service last, its version may run: slipway-promote status --environment {environment} --live"
            )));
    }
    match (draft.verdict, started) {
        // Any run that sees the deployment healthy may record that.
        (Verdict::Healthy, Some(_)) if deployed => Ok(true),
        (Verdict::Healthy, _) => {
            Err(refused().cause("no deployment began under it").hint(format!(
                "deploy it first: slipway-service deploy --environment {environment} --digest {} --permit {number}",
                draft.digest
            )))
        }
        // A run that was refused does not end what another one began.
        (_, Some(started)) if !is_own(started, draft) => Err(refused()
            .cause(format!("{} began it", permit::began(started)))
            .hint("if that run never records it, record the failure without --permit")),
        (_, Some(_)) => Ok(true),
        // A failure before the deployment began, such as a call that AWS refused, deployed nothing. The permit stays open, and
        // the approvals stay valid.
        (_, None) => Ok(false),
    }
}

fn refusal(draft: &Record, number: u64) -> Error {
    Error::refused(format!(
        "this deployment to {} was not recorded under permit {number}",
        draft.environment
    ))
}

/// Returns true if the run of the draft began it, in this attempt or an earlier one; at a terminal, neither has a run.
fn is_own(started: &Record, draft: &Record) -> bool {
    started.run == draft.run || permit::continues_run(draft.run.as_deref(), started.run.as_deref())
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
    use crate::environment_history::tests::{
        chain, deployed, digest, failed, forced, permitted, started,
    };

    const RUN: &str = "https://ci.example/runs/7/attempts/1";

    fn of_run(mut record: Record) -> Record {
        record.run = Some(RUN.to_owned());
        record
    }

    /// Why the draft may not close permit 2; nothing if it may.
    #[track_caller]
    fn refusal_message(records: &[Record], draft: &Record) -> Option<String> {
        let error = closes(&chain(records), 2, draft).err()?;
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
            (
                begun.clone(),
                Record {
                    contract_path: Some("other.yaml".to_owned()),
                    ..healthy.clone()
                },
                Some("it was judged by the contract delivery.yaml, and this one is other.yaml"),
            ),
            // Closed by the same run, which is run again, and by another.
            (with(under(&healthy)), healthy.clone(), None),
            (with(under(&healthy)), under(&healthy), None),
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
            let found = refusal_message(&records, &draft);
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
    fn a_permit_covers_a_record_unless_it_is_closed_or_superseded() {
        let healthy = of_run(deployed('b'));
        let failure = of_run(failed('b'));
        let granted = [deployed('a'), permitted('b', "hash-1")];
        let begun = [&granted[..], &[of_run(started('b', 2))]].concat();
        let with = |more: Record| [&begun[..], &[more]].concat();
        let failures = |records: &[Record]| refusal_message(records, &failure);
        let by_another = [&granted[..], &[started('b', 2)]].concat();
        assert_eq!(refusal_message(&by_another, &healthy), None);
        // A task before the deployment can fail, and cannot be healthy.
        let task = Record {
            command: Some("sha256:migrate".to_owned()),
            ..of_run(started('b', 2))
        };
        let migrated = [&granted[..], &[task]].concat();
        assert_eq!(refusal_message(&migrated, &failure), None);
        assert!(
            refusal_message(&migrated, &healthy)
                .is_some_and(|it| it.contains("no deployment began under it"))
        );
        assert!(
            failures(&by_another)
                .is_some_and(|it| it.contains("dora at 2026-11-21T18:00:00Z began it"))
        );
        // A later attempt of the run that began it may say so.
        let mut again = failure.clone();
        again.run = Some("https://ci.example/runs/7/attempts/2".to_owned());
        assert_eq!(refusal_message(&begun, &again), None);
        // Once it goes on there, the earlier attempt does not end it any more.
        let mut later = started('b', 2);
        later.run.clone_from(&again.run);
        let gone_on = with(later);
        assert_eq!(refusal_message(&gone_on, &again), None);
        assert!(failures(&gone_on).is_some_and(|it| it.contains("began it")));
        // A deployment that a rollback superseded is over, however it ended.
        let superseded = with(started('a', 1));
        for draft in [&healthy, &failure] {
            let why = refusal_message(&superseded, draft);
            assert!(why.is_some_and(|it| it.contains("has since begun another deployment")));
        }
        // This deployment supersedes one that began before under another permit, and not the other way around.
        let before = [
            started('a', 9),
            permitted('b', "hash-1"),
            of_run(started('b', 2)),
        ];
        for draft in [&healthy, &failure] {
            assert_eq!(refusal_message(&before, draft), None);
        }
        let busy = [&granted[..], &[permitted('c', "hash-1"), started('c', 3)]].concat();
        // A failure before the deployment began is not recorded, and does not end the permit.
        let late = [&granted[..], &[deployed('c')]].concat();
        for records in [&granted[..], &busy, &late] {
            assert_eq!(closes(&chain(records), 2, &failure).unwrap(), None);
        }
        let closed = Record {
            under: Some(2),
            ..healthy.clone()
        };
        let later = [&with(closed)[..], &[deployed('c')]].concat();
        assert!(
            refusal_message(&later, &healthy).is_some_and(|it| it.contains("record 4 closed it"))
        );
    }

    #[test]
    fn a_record_under_a_permit_is_what_the_permit_says() {
        let mut record = permitted('b', "hash-1");
        record.seq = 2;
        record.policy = Some("sha256:then".to_owned());
        record.contract_path = Some("shop/delivery.yaml".to_owned());
        record.rollback = Some(Rollback {
            from: Some(digest('a')),
        });
        record.break_glass = forced('b', "grace").break_glass;
        let glass = record.break_glass.clone();
        let mut draft = deployed('b');
        draft.policy = Some("sha256:now".to_owned());
        let under = Under {
            record,
            head: "hash-1".to_owned(),
        };
        let marked = under.marked(draft);
        assert_eq!(marked.policy.as_deref(), Some("sha256:then"));
        assert_eq!(marked.contract_path.as_deref(), Some("shop/delivery.yaml"));
        assert_eq!(marked.under, Some(2));
        assert_eq!(marked.rollback, Some(Rollback { from: None }));
        assert!(glass.is_some());
        assert_eq!(marked.break_glass, glass);
    }
}
