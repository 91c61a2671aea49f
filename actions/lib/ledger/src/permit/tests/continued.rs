//! A deployment that waits for an answer and is to go on.

use super::*;

/// The answer to whether the deployment of digest 2 may go on under permit 2, in this run and at this time.
fn goes_on(records: &[Record], run: Option<&str>, time: &str) -> Result<u64, Reason> {
    let (digest, account) = (digest(2), account("1"));
    let attempt = Attempt {
        of: Use::Continue(&digest),
        ..attempt(&digest, &account, run)
    };
    let usable = usable(&chain(records), &attempt, instant(time).unwrap())?;
    Ok(usable.started.map_or(0, |it| it.record.seq))
}

const SOON: &str = "2026-11-21T18:10:00Z";
const MUCH_LATER: &str = "2026-11-21T20:00:00Z";

#[test]
fn another_run_may_answer_while_the_permit_is_in_force() {
    let mut resting = permit(1);
    resting.permit.as_mut().unwrap().requests = vec![77];
    let waiting = [deployed(), resting, started(2, Some(RUN))];
    let then = |more: Record| [&waiting[..], &[more]].concat();
    for run in [Some(RUN), Some(AGAIN), Some(OTHER), None] {
        assert_eq!(goes_on(&waiting, run, SOON), Ok(3), "{run:?}");
    }
    // A deployment is not an answer, and stays the run's that began it.
    assert_eq!(
        decided(&waiting, Some(OTHER)),
        Err(Reason::Started(at(&waiting, 3)))
    );
    // The run that answered last goes on with it, and so may another one.
    let taken = then(started(2, Some(OTHER)));
    assert_eq!(goes_on(&taken, Some(OTHER), SOON), Ok(4));
    assert_eq!(goes_on(&taken, Some(RUN), SOON), Ok(4));
    // Whatever took the permit back, the deployment does not go on under it.
    for verdict in [Verdict::Rejected, Verdict::Withdrawn] {
        let ended = then(Record {
            verdict,
            answers: Some(77),
            ..reviewed()
        });
        let reason = goes_on(&ended, Some(RUN), SOON).unwrap_err();
        assert_eq!(reason, Reason::Objection(at(&ended, 4)));
    }
    let over = goes_on(&waiting, Some(RUN), MUCH_LATER).unwrap_err();
    assert!(matches!(over, Reason::Expired(_)), "{over:?}");
    let newer = goes_on(&then(failed()), Some(RUN), SOON).unwrap_err();
    assert!(matches!(newer, Reason::Newer(_)), "{newer:?}");
    let other = then(started(9, Some(OTHER)));
    let underway = goes_on(&other, Some(RUN), SOON).unwrap_err();
    assert_eq!(underway, Reason::Underway(at(&other, 4)));
}

#[test]
fn other_rules_than_those_that_judged_let_nothing_go_on() {
    let (digest, account) = (digest(2), account("1"));
    let attempt = Attempt {
        of: Use::Continue(&digest),
        policy: "sha256:others",
        ..attempt(&digest, &account, Some(RUN))
    };
    let waiting = chain(&[deployed(), permit(1), started(2, Some(RUN))]);
    assert_eq!(usable(&waiting, &attempt, now()), Err(Reason::Policy));
}
