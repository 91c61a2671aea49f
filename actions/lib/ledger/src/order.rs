//! The times of records that follow one another. Pure.

use kit::clock::instant;
use time::Duration;

/// The most by which the clocks of machines that write one chain may differ; docs/ledger.md says so.
const APART: Duration = Duration::minutes(5);

/// The time of a record: its own, but not before that of the record before it, whose machine may have a slightly faster clock. One that
/// is further ahead is wrong, and stays alone with it.
pub(crate) fn not_before(before: &str, own: String) -> String {
    match (instant(before), instant(&own)) {
        (Some(earlier), Some(at)) if earlier > at && earlier - at <= APART => before.to_owned(),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_not_older_than_the_one_before() {
        for (before, own, wanted) in [
            (
                "2026-11-21T18:00:00Z",
                "2026-11-21T18:00:01Z",
                "2026-11-21T18:00:01Z",
            ),
            (
                "2026-11-21T18:00:00Z",
                "2026-11-21T17:59:59Z",
                "2026-11-21T18:00:00Z",
            ),
            (
                "2026-11-21T18:00:00Z",
                "2026-11-21T17:55:00Z",
                "2026-11-21T18:00:00Z",
            ),
            (
                "2026-11-21T18:00:00Z",
                "2026-11-21T17:54:59Z",
                "2026-11-21T17:54:59Z",
            ),
            ("yesterday", "2026-11-21T17:59:59Z", "2026-11-21T17:59:59Z"),
        ] {
            assert_eq!(not_before(before, own.to_owned()), wanted, "{before} {own}");
        }
    }
}
