//! The fields of a record besides digest and verdict, and the facts that must not have changed since the check.

use crate::environment_history::{EnvironmentHistory, at, unrecorded};
use crate::setting::Setting;
use kit::clock::{rfc3339, seconds_after};
use kit::error::{Error, Result};
use kit::hex::is_hex;
use kit::id::Digest;
use ledger::{
    Actor, BreakGlass, Chain, Entry, GENESIS, LOOK_BACK, Ledger, Record, Recorded, Verdict,
};
use time::OffsetDateTime;

/// How long a break-glass stays open if the contract no longer says: what is recorded here has
/// happened already.
const EXPIRES: u64 = 3600;

/// The hash that `--expect-head` gives.
///
/// # Errors
/// It is not the hash of a record (exit 2).
pub(super) fn expected(given: Option<&str>) -> Result<Option<String>> {
    match given {
        Some(hash) if !is_hex(hash, GENESIS.len()) => Err(Error::usage(format!(
            "`{hash}` is not the hash of a record"
        ))
        .hint("give the `head` output of `check`")),
        given => Ok(given.map(str::to_owned)),
    }
}

/// The records since the newest deployment, newest first and with that one. The head is one unless it
/// deploys nothing.
pub(super) async fn since(
    ledger: &Ledger,
    chain: &Chain,
    head: Option<&Entry>,
) -> Result<Vec<Recorded>> {
    let Some(entry) = head else {
        return Ok(Vec::new());
    };
    let record = entry
        .record(chain)
        .map_err(|fault| Error::refused(format!("the ledger is broken in {chain}: {fault}")))?;
    if record.is_deployment() {
        return Ok(vec![Recorded {
            hash: entry.hash.clone(),
            record,
        }]);
    }
    ledger.recent(chain, LOOK_BACK, Record::is_deployment).await
}

/// Refuses a record, or a permit, that was judged against another deployment than the newest one: a run that was
/// slow, or is run again, does not move the environment backwards on record.
pub(crate) fn compare(
    expected: Option<&str>,
    newest: Option<&Recorded>,
    draft: &Record,
) -> Result<()> {
    let undone = match draft.verdict {
        Verdict::Permitted => "no permit was granted",
        _ => "nothing was recorded",
    };
    let head = newest.map_or(GENESIS, |newest| newest.hash.as_str());
    if expected.is_none_or(|expected| expected == head) {
        return Ok(());
    }
    let environment = &draft.environment;
    let now = match newest {
        Some(Recorded { record, .. }) => format!(
            "the newest is record {}: {} {}, by {} at {}",
            record.seq, record.digest, record.verdict, record.actor.login, record.at
        ),
        None => format!("{environment} has no record at all"),
    };
    Err(Error::refused(format!(
        "another deployment to {environment} was recorded since this one was checked, so {undone}"
    ))
    .cause(now)
    .cause(format!("expected {}", expected.unwrap_or_default()))
    .hint(format!(
        "see what {environment} runs: slipway-promote status --environment {environment} --live"
    ))
    .hint("then start a new promotion, or a rollback, of what should run there"))
}

/// Refuses a record without a permit that does more than accept the head: it says once more what the
/// newest deployment's says, which whoever accepts the head believes.
pub(super) fn check_accepts_only(
    accepting: bool,
    newest: Option<&Recorded>,
    draft: &Record,
) -> Result<()> {
    let newest = newest.map(|newest| &newest.record);
    let again = newest.is_some_and(|newest| {
        newest.verdict == Verdict::Healthy
            && newest.digest == draft.digest
            && newest.commit == draft.commit
    });
    if accepting && again {
        return Ok(());
    }
    let environment = &draft.environment;
    Err(Error::refused(format!(
        "{environment} has a gate, and an accepted head does not replace a permit, so nothing was recorded"
    ))
    .cause("only the newest deployment on record, if it is healthy, is recorded again with it")
    .hint(format!(
        "accept the head with that one's digest and commit, or with --verdict failed: slipway-promote history --environment {environment}"
    )))
}

/// The digest that a rollback leaves: that of a promotion which began and was never recorded, else what
/// was healthy until now, else what was deployed last. From the records since the newest deployment,
/// newest first and with that one.
pub(crate) fn rolled_back_from(records: &[Recorded], record: &Record) -> Option<Digest> {
    let began = unrecorded(records).map(|began| &began.digest);
    let newest = records.iter().find(|it| it.record.is_deployment());
    let last = newest.map(|newest| &newest.record.digest);
    left_by(&record.digest, [began, record.previous.as_ref(), last])
}

/// The same from these three digests, by a record of `digest`.
pub(crate) fn left_by(digest: &Digest, all: [Option<&Digest>; 3]) -> Option<Digest> {
    let mut all = all.into_iter().flatten();
    all.find(|other| *other != digest).cloned()
}

/// That rules were overridden. A break-glass that is still open from an earlier one does not stay open for
/// longer.
pub(crate) fn break_glass_mark(
    history: &EnvironmentHistory,
    setting: &Setting,
    by: &Actor,
    reason: String,
    now: OffsetDateTime,
) -> BreakGlass {
    let declared = setting.gate.break_glass.as_ref();
    let seconds = declared.map_or(EXPIRES, |glass| glass.expires);
    // A contract allows no time that does not end.
    let until = seconds_after(now, seconds).unwrap_or(now);
    let open = history
        .open_debts(setting.persons())
        .filter_map(|debt| at(&debt.glass.expires))
        .min();
    BreakGlass {
        reason,
        by: by.clone(),
        expires: rfc3339(open.map_or(until, |open| open.min(until))),
    }
}

/// Rows of the report.
pub(super) fn rows(record: &Record) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(permit) = record.under {
        rows.push(("permit", permit.to_string()));
    }
    if let Some(rollback) = &record.rollback {
        let from = rollback
            .from
            .as_ref()
            .filter(|_| record.verdict == Verdict::Healthy);
        rows.push((
            "rollback",
            match from {
                Some(from) => format!(
                    "from {from}, which stays refused here until another digest is promoted or somebody reviewed it"
                ),
                None => "yes".to_owned(),
            },
        ));
    }
    if let Some(glass) = &record.break_glass {
        rows.push((
            "BREAK-GLASS",
            format!(
                "by {}: {}; until {}; somebody else must review it before the next promotion",
                glass.by.login, glass.reason, glass.expires
            ),
        ));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{deployed, digest, failed, permitted, started};

    fn recorded(record: Record) -> Recorded {
        Recorded {
            hash: "1".repeat(64),
            record,
        }
    }

    #[test]
    fn a_deployment_that_was_recorded_since_the_check_refuses() {
        let (same, other) = ("1".repeat(64), "2".repeat(64));
        let newest = recorded(deployed('a'));
        let compared = |expected, newest| compare(expected, newest, &deployed('b'));
        compared(None, Some(&newest)).unwrap();
        compared(Some(&same), Some(&newest)).unwrap();
        compared(Some(GENESIS), None).unwrap();
        assert_eq!(super::expected(Some(&same)).unwrap(), Some(same.clone()));
        assert_eq!(super::expected(None).unwrap(), None);
        for (expected, newest) in [
            (other.as_str(), Some(&newest)),
            (GENESIS, Some(&newest)),
            (same.as_str(), None),
        ] {
            let error = compared(Some(expected), newest).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            let undone = error.message.ends_with("so nothing was recorded");
            assert!(undone, "{error}");
        }
        let permit = compare(Some(&other), Some(&newest), &permitted('b', "hash-1"));
        let error = permit.unwrap_err();
        let undone = error.message.ends_with("so no permit was granted");
        assert!(undone, "{error}");
        for wrong in ["", "latest", "12"] {
            let error = super::expected(Some(wrong)).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage);
        }
    }

    #[test]
    fn an_accepted_head_stands_for_no_permit() {
        let newest = recorded(deployed('a'));
        let accepts =
            |accepting, newest, draft: Record| check_accepts_only(accepting, newest, &draft);
        accepts(true, Some(&newest), deployed('a')).unwrap();
        let other = Record {
            commit: "d".repeat(40).parse().unwrap(),
            ..deployed('a')
        };
        for (accepting, newest, draft) in [
            (false, Some(&newest), deployed('a')),
            (true, Some(&newest), deployed('b')),
            (true, Some(&newest), other),
            (true, Some(&recorded(failed('a'))), deployed('a')),
            (true, None, deployed('a')),
        ] {
            let error = accepts(accepting, newest, draft).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
        }
    }

    #[test]
    fn a_rollback_leaves_what_was_healthy_or_what_failed() {
        let rolled_back_from = |newest: Record, previous: Option<char>| {
            let record = Record {
                previous: previous.map(digest),
                ..deployed('a')
            };
            super::rolled_back_from(&[recorded(newest)], &record)
        };
        assert_eq!(
            rolled_back_from(deployed('b'), Some('b')),
            Some(digest('b'))
        );
        assert_eq!(rolled_back_from(failed('c'), Some('b')), Some(digest('b')));
        assert_eq!(rolled_back_from(failed('c'), Some('a')), Some(digest('c')));
        assert_eq!(rolled_back_from(deployed('a'), Some('a')), None);
        // A deployment that began and was never recorded may run.
        let record = Record {
            previous: Some(digest('b')),
            ..deployed('b')
        };
        let began = [started('c', 2), deployed('b'), started('d', 1)].map(recorded);
        assert_eq!(super::rolled_back_from(&began, &record), Some(digest('c')));
        assert_eq!(super::rolled_back_from(&began[1..], &record), None);
    }
}
