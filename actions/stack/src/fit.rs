//! Decides whether a plan can still be applied: it is not old, and it is of the commit that is permitted. Pure.

use crate::identity::Made;
use crate::seen::ChangeSet;
use kit::clock::{instant, rfc3339, seconds_after};
use kit::id::CommitId;
use time::OffsetDateTime;

/// For how long, in seconds, a plan can be applied: a day. One that lies about for longer is one that nobody remembers.
const LIFE: u64 = 24 * 3600;

/// Until when the plan can be applied, by the time at which CloudFormation began to make its change set; nothing if that cannot be read.
pub(crate) fn until(set: &ChangeSet) -> Option<OffsetDateTime> {
    seconds_after(instant(&set.created)?, LIFE)
}

/// Why the plan cannot be applied now, each reason as a line. `commit` is the one that a permit is for.
pub(crate) fn unfit(
    set: &ChangeSet,
    made: &Made,
    commit: Option<&CommitId>,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut lines = Vec::new();
    match until(set) {
        Some(until) if now < until => {}
        Some(until) => lines.push(format!("its time was over at {}", rfc3339(until))),
        None => lines.push(format!("its time cannot be read: `{}`", set.created)),
    }
    match (commit, &made.commit) {
        (Some(commit), Some(planned)) if planned != commit => lines.push(format!(
            "it was made from commit {planned}, and the permit is for {commit}"
        )),
        (Some(_), None) => lines.push("it does not say which commit it was made from".to_owned()),
        (Some(_), Some(_)) | (None, _) => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_applied_within_a_day_and_for_its_commit() {
        let commit = |digit: &str| digit.repeat(40).parse::<CommitId>().unwrap();
        let (a, b) = (commit("a"), commit("b"));
        let of =
            |planned: Option<&CommitId>, permitted: Option<&CommitId>, created: &str, now: &str| {
                let set = ChangeSet {
                    created: created.to_owned(),
                    ..ChangeSet::default()
                };
                let made = Made {
                    commit: planned.cloned(),
                    ..Made::default()
                };
                unfit(&set, &made, permitted, instant(now).unwrap()).join("; ")
            };
        let made = "2026-11-30T18:00:00Z";
        let soon = "2026-12-01T17:59:59Z";
        let other = format!("it was made from commit {a}, and the permit is for {b}");
        let over = "its time was over at 2026-12-01T18:00:00Z";
        let both = format!("{over}; {other}");
        for (planned, permitted, created, now, wanted) in [
            (Some(&a), Some(&a), made, soon, ""),
            (Some(&a), None, made, soon, ""),
            (None, None, made, soon, ""),
            (Some(&a), Some(&b), made, soon, other.as_str()),
            (
                None,
                Some(&b),
                made,
                soon,
                "it does not say which commit it was made from",
            ),
            (None, None, made, "2026-12-01T18:00:00Z", over),
            (
                Some(&a),
                Some(&b),
                made,
                "2026-12-08T18:00:00Z",
                both.as_str(),
            ),
            (None, None, "", soon, "its time cannot be read: ``"),
        ] {
            assert_eq!(
                of(planned, permitted, created, now),
                wanted,
                "{created} {now}"
            );
        }
    }
}
