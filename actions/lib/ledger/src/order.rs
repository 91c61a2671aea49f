//! The times of records that follow one another. Pure.

use crate::record::Record;
use kit::clock::instant;
use time::Duration;

/// The most by which the clocks of machines that write one chain may differ; docs/ledger.md says so.
const APART: Duration = Duration::minutes(5);

/// Gives a deployment's record a time not before that of the record before it, whose machine may have a slightly faster clock. One that
/// is further ahead is wrong, and stays alone with it. A soak counts from a deployment. Of the others, the time stays what their own
/// members were computed from, such as when a permit expires.
pub(crate) fn follow(before: &Record, record: &mut Record) {
    if let (true, Some(earlier), Some(at)) = (
        record.is_deployment(),
        instant(&before.at),
        instant(&record.at),
    ) && earlier > at
        && earlier - at <= APART
    {
        record.at.clone_from(&before.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Chain, Verdict};

    fn record(verdict: Verdict, at: &str) -> Record {
        Record::new(
            &Chain::new("shop", "dev").unwrap(),
            format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
            "c".repeat(40).parse().unwrap(),
            verdict,
            Actor {
                login: "ada".to_owned(),
                id: None,
            },
            at.to_owned(),
        )
    }

    #[test]
    fn a_deployment_is_not_older_than_the_record_before() {
        let day = |time: &str| format!("2026-11-21T{time}Z");
        for (before, own, wanted) in [
            ("18:00:00", "18:00:01", "18:00:01"),
            ("18:00:00", "17:59:59", "18:00:00"),
            ("18:00:00", "17:55:00", "18:00:00"),
            ("18:00:00", "17:54:59", "17:54:59"),
            ("noon", "17:59:59", "17:59:59"),
        ] {
            let before = record(Verdict::Permitted, &day(before));
            let mut own = record(Verdict::Healthy, &day(own));
            follow(&before, &mut own);
            assert_eq!(own.at, day(wanted), "{}", before.at);
        }
    }

    /// Another run was faster, and this one's permit says when it expires by its own time.
    #[test]
    fn a_permit_keeps_its_time() {
        let before = record(Verdict::Permitted, "2026-11-21T18:00:01Z");
        for verdict in [Verdict::Permitted, Verdict::Requested, Verdict::Started] {
            let mut own = record(verdict, "2026-11-21T18:00:00Z");
            follow(&before, &mut own);
            assert_eq!(own.at, "2026-11-21T18:00:00Z");
        }
    }
}
