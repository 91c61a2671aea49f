//! The history of a digest in the environment that a promotion comes from. Pure.

use crate::environment_history::at;
use kit::id::Digest;
use ledger::{Record, Recorded, Verdict};

/// The history of one digest in one environment, besides its newest deployment.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The rollback from the digest, if one is newer than its newest deployment.
    pub(crate) rolled_back: Option<Record>,
    /// The oldest healthy deployment of the digest since it last failed or was rolled back from.
    pub(crate) healthy_since: Option<Record>,
    /// The latest time that a record before that one says: it was not written earlier.
    pub(crate) not_before: Option<String>,
}

impl Trail {
    /// The newest deployment of the digest, and what happened to it, from an environment's records,
    /// newest first.
    pub(crate) fn of(records: &[Recorded], digest: &Digest) -> (Option<Record>, Self) {
        let mut newest: Option<Record> = None;
        let mut trail = Self::default();
        for Recorded { record, .. } in records {
            if leaves(record, digest) {
                // A rollback that is older than a deployment ends the time that counts.
                if newest.is_some() {
                    break;
                }
                trail.rolled_back.get_or_insert_with(|| record.clone());
            } else if record.digest == *digest && record.is_deployment() {
                newest.get_or_insert_with(|| record.clone());
                if record.verdict != Verdict::Healthy || trail.rolled_back.is_some() {
                    break;
                }
                trail.healthy_since = Some(record.clone());
            }
        }
        let since = trail.healthy_since.as_ref().map(|record| record.seq);
        let before = records.iter().map(|it| &it.record);
        let before = before.filter(|record| since.is_some_and(|since| record.seq < since));
        let latest = before.max_by_key(|record| at(&record.at));
        trail.not_before = latest.map(|record| record.at.clone());
        (newest, trail)
    }
}

/// Returns true if the record is a rollback from the digest.
pub(crate) fn leaves(record: &Record, digest: &Digest) -> bool {
    let rollback = record.rollback.as_ref();
    record.verdict == Verdict::Healthy
        && rollback.is_some_and(|rollback| rollback.from.as_ref() == Some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::{
        chain, deployed, digest, failed, reviewed, rolled_back,
    };

    /// The positions of the newest deployment, of the rollback from it, and of the beginning of its health.
    fn trail(records: &[Record]) -> [Option<u64>; 3] {
        let (newest, trail) = Trail::of(&chain(records), &digest('a'));
        [newest, trail.rolled_back, trail.healthy_since].map(|it| it.map(|it| it.seq))
    }

    #[test]
    fn a_digest_is_healthy_since_it_last_failed() {
        let (a, b) = (deployed('a'), deployed('b'));
        assert_eq!(trail(&[]), [None; 3]);
        assert_eq!(trail(std::slice::from_ref(&b)), [None; 3]);
        assert_eq!(trail(std::slice::from_ref(&a)), [Some(1), None, Some(1)]);
        // Other digests come and go meanwhile, and the same one is deployed again.
        let busy = [
            a.clone(),
            b.clone(),
            failed('b'),
            reviewed('a', "ada"),
            a.clone(),
        ];
        assert_eq!(trail(&busy), [Some(5), None, Some(1)]);
        let failing = [a.clone(), failed('a'), a.clone(), b.clone()];
        assert_eq!(trail(&failing), [Some(3), None, Some(3)]);
        assert_eq!(trail(&[a.clone(), failed('a')]), [Some(2), None, None]);
        let back = [b.clone(), a.clone(), rolled_back('b', 'a')];
        assert_eq!(trail(&back), [Some(2), Some(3), None]);
        let again = [a.clone(), rolled_back('b', 'a'), reviewed('a', "ada"), a];
        assert_eq!(trail(&again), [Some(4), None, Some(4)]);
    }

    #[test]
    fn a_record_was_not_written_before_those_before_it() {
        let at = |text: &str, record: Record| Record {
            at: text.to_owned(),
            ..record
        };
        let noon = "2026-11-21T12:00:00Z";
        let records = [
            at("2026-11-21T10:00:00Z", deployed('b')),
            at(noon, reviewed('b', "ada")),
            at("yesterday", deployed('b')),
            at("2026-11-21T09:00:00Z", deployed('a')),
            at("2026-11-21T13:00:00Z", deployed('b')),
        ];
        let (_, trail) = Trail::of(&chain(&records), &digest('a'));
        assert_eq!(trail.not_before.as_deref(), Some(noon));
        let (_, trail) = Trail::of(&chain(&records[3..]), &digest('a'));
        assert_eq!(trail.not_before, None);
    }
}
