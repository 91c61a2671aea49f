//! A run that is run again after it recorded its deployment.

use super::*;
use crate::permit;

#[test]
fn a_run_that_recorded_its_healthy_deployment_before_is_recognised_by_the_newest_record_alone() {
    let (digest, account) = (digest(2), super::account("1"));
    let closing = |run: Option<&str>| Record {
        verdict: Verdict::Healthy,
        permit: None,
        ..started(2, run)
    };
    let recorded = |records: &[Record], run: Option<&str>| {
        let records = chain(records);
        permit::recorded(&records, &attempt(&digest, &account, run)).map(|it| it.seq)
    };
    let with = |more: &[Record]| {
        let before = [deployed(), permit(1), started(2, Some(RUN))];
        [&before[..], more].concat()
    };
    let ended = with(&[closing(Some(RUN))]);
    assert_eq!(recorded(&ended, Some(RUN)), Some(4));
    assert_eq!(recorded(&ended, Some(AGAIN)), Some(4));
    // A later record that is not a deployment does not matter.
    assert_eq!(
        recorded(&with(&[closing(Some(RUN)), permit(4)]), Some(AGAIN)),
        Some(4)
    );
    for (records, run) in [
        (with(&[]), Some(RUN)),
        (ended.clone(), Some(OTHER)),
        (ended, None),
        (with(&[closing(None)]), None),
        // The earlier attempt of a run that ended it in a later one.
        (with(&[closing(Some(AGAIN))]), Some(RUN)),
        (with(&[closing(Some(RUN)), deployed()]), Some(AGAIN)),
        (
            with(&[Record {
                verdict: Verdict::Failed,
                ..closing(Some(RUN))
            }]),
            Some(AGAIN),
        ),
        (
            with(&[Record {
                under: Some(1),
                ..closing(Some(RUN))
            }]),
            Some(AGAIN),
        ),
        (
            with(&[Record {
                digest: super::digest(3),
                ..closing(Some(RUN))
            }]),
            Some(AGAIN),
        ),
        (
            with(&[Record {
                account: Some(super::account("2")),
                ..closing(Some(RUN))
            }]),
            Some(AGAIN),
        ),
    ] {
        assert_eq!(recorded(&records, run), None, "{records:?}");
    }
    let commit = "c".repeat(40).parse().unwrap();
    let plan = Attempt {
        of: Use::Apply {
            plan: "p",
            commit: &commit,
        },
        ..attempt(&digest, &account, Some(RUN))
    };
    assert_eq!(
        permit::recorded(&chain(&with(&[closing(Some(RUN))])), &plan),
        None
    );
}
