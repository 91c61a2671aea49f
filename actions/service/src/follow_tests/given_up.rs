//! Deployments that a run gives up, because the time is over or it is cancelled.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn timed_out() -> Why {
    Why::TimedOut {
        waited_for: vec!["it".to_owned()],
    }
}

fn slow() -> Seen {
    changed(|seen| {
        seen.service.rolls_back = false;
        seen.service.deployments[0].rollout = Rollout::InProgress;
        seen.service.deployments[0].running = 1;
    })
}

fn given_up(next: Next) -> Rollback {
    match next {
        Next::Done(Verdict::GivenUp { why, rollback }) => {
            assert_eq!(why, timed_out());
            rollback
        }
        next => panic!("{next:?}"),
    }
}

#[test]
fn a_rollback_that_was_asked_for_is_waited_for_and_is_not_ecs_own_verdict() {
    let mut follow = follow();
    follow.rolling_back(HOUR, timed_out());
    let begin = Next::Wait(vec!["ECS to begin the rollback".to_owned()]);
    // ECS shows it later than it takes the request, and then a healthy service is not a success.
    for seen in [healthy(), slow()] {
        let next = follow.next(HOUR, &seen);
        assert!(matches!(next, Next::Wait(_)), "{next:?}");
    }
    assert_eq!(follow.next(HOUR, &healthy()), begin);
    let mut failed = slow();
    failed.service.deployments[0].rollout = Rollout::Failed;
    assert_eq!(follow.next(HOUR, &failed), begin);
    let next = follow.next(HOUR, &rollback(Rollout::InProgress, true));
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    let next = follow.next(HOUR, &rollback(Rollout::Completed, false));
    let to = samples::revision(OLD);
    assert_eq!(given_up(next), Rollback::Completed { to });
}

#[test]
fn the_version_before_is_the_rollback_also_where_ecs_does_not_say_so() {
    let mut follow = follow();
    follow.rolling_back(HOUR, timed_out());
    let next = follow.next(HOUR, &rollback(Rollout::Completed, false));
    assert!(matches!(given_up(next), Rollback::Completed { .. }));
}

/// ECS's record of our deployment, which goes back to this revision.
fn back_to(revision: Option<u64>) -> Option<Record> {
    Some(Record {
        status: "ROLLBACK_SUCCESSFUL".to_owned(),
        rollback: revision.map(samples::revision),
        ..Record::default()
    })
}

/// A look at which this revision runs, and ECS does not say that it is a rollback.
fn runs(revision: u64, rollout: Rollout, record: Option<Record>) -> Seen {
    let mut seen = rollback(rollout, false);
    let primary = &mut seen.service.deployments[0];
    primary.reason = String::new();
    primary.task_definition = samples::revision(revision);
    seen.record = record;
    seen
}

#[test]
fn the_rollback_is_the_deployment_of_the_revision_that_the_record_names() {
    let next = |seen: &Seen| {
        let mut follow = follow();
        // A run that follows its earlier attempt: the version before is its own.
        follow.before = samples::revision(NEW);
        follow.rolling_back(HOUR, timed_out());
        follow.next(HOUR, seen)
    };
    let to = samples::revision(6);
    assert_eq!(
        given_up(next(&runs(6, Rollout::Completed, back_to(Some(6))))),
        Rollback::Completed { to }
    );
    // Somebody else deployed while ours went back, or right after.
    for rollout in [Rollout::InProgress, Rollout::Completed] {
        let next = next(&runs(9, rollout, back_to(Some(6))));
        assert!(
            matches!(&next, Next::Done(Verdict::Superseded { task_definition, .. }) if task_definition.revision() == 9),
            "{next:?}"
        );
    }
    // Nor is it ECS's own rollback if nothing was asked for.
    let next = follow().next(HOUR, &runs(9, Rollout::Completed, back_to(Some(OLD))));
    assert!(
        matches!(&next, Next::Done(Verdict::Superseded { .. })),
        "{next:?}"
    );
}

#[test]
fn without_the_record_a_rollback_that_was_asked_for_is_unknown() {
    for record in [None, back_to(None)] {
        let mut follow = follow();
        follow.rolling_back(HOUR, timed_out());
        let next = follow.next(HOUR, &runs(6, Rollout::InProgress, record.clone()));
        assert!(
            matches!(&next, Next::Wait(missing) if missing[0].contains("whether deployment ecs-svc/3 of web:6 is the rollback")),
            "{next:?}"
        );
        let next = follow.next(HOUR, &runs(6, Rollout::Completed, record));
        assert!(matches!(given_up(next), Rollback::Unknown { .. }));
    }
}

#[test]
fn a_rollback_that_fails_or_does_not_end_is_reported() {
    let mut follow = follow();
    follow.rolling_back(HOUR, timed_out());
    let seen = rollback(Rollout::InProgress, true);
    let last = HOUR + ROLLBACK_TIME;
    let next = follow.next(last - Duration::from_secs(1), &seen);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    let next = follow.next(last, &seen);
    assert!(matches!(given_up(next), Rollback::Unfinished { .. }));
    let next = follow.next(HOUR, &rollback(Rollout::Failed, true));
    let failed = given_up(next);
    assert!(
        matches!(&failed, Rollback::Failed { reason } if reason.contains("failed too")),
        "{failed:?}"
    );
}

#[test]
fn an_end_that_came_before_the_request_is_the_verdict() {
    let ended = |seen: &Seen| {
        let mut follow = follow();
        follow.ending(HOUR, timed_out());
        follow.next(HOUR, seen)
    };
    assert_eq!(ended(&healthy()), Next::Done(Verdict::Succeeded));
    let next = ended(&rollback(Rollout::Completed, true));
    assert!(
        matches!(&next, Next::Done(Verdict::RolledBack { .. })),
        "{next:?}"
    );
    let mut other = rollback(Rollout::InProgress, false);
    other.service.deployments[0].reason = String::new();
    other.service.deployments[0].task_definition = samples::revision(9);
    let next = ended(&other);
    assert!(
        matches!(&next, Next::Done(Verdict::Superseded { .. })),
        "{next:?}"
    );
}

#[test]
fn a_deployment_that_ecs_completed_and_that_is_not_healthy_cannot_be_rolled_back() {
    let mut follow = follow();
    let unhealthy = changed(|seen| seen.groups[0] = group("web", 3000, ["healthy", "initial"]));
    follow.ending(HOUR, timed_out());
    assert!(matches!(follow.next(HOUR, &unhealthy), Next::Wait(_)));
    let next = follow.next(HOUR + END_GRACE, &unhealthy);
    assert!(matches!(given_up(next), Rollback::TooLate { .. }));
}

#[test]
fn ecs_own_rollback_is_waited_for_beyond_the_timeout() {
    let mut follow = follow();
    let seen = rollback(Rollout::InProgress, true);
    let next = follow.next(HOUR, &seen);
    assert!(matches!(next, Next::TimeOver(_)), "{next:?}");
    assert!(follow.goes_back());
    follow.ending(HOUR, timed_out());
    let next = follow.next(HOUR + MINUTE, &seen);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    let next = follow.next(HOUR + MINUTE, &rollback(Rollout::Completed, true));
    assert!(
        matches!(&next, Next::Done(Verdict::RolledBack { .. })),
        "{next:?}"
    );
}

#[test]
fn ecs_goes_back_once_it_has_failed_the_deployment_and_says_so_if_it_does_not() {
    for rolls_back in [true, false] {
        let mut failed = slow();
        failed.service.rolls_back = rolls_back;
        failed.service.deployments[0].rollout = Rollout::Failed;
        let mut follow = follow();
        assert!(!follow.goes_back());
        follow.next(MINUTE, &failed);
        assert!(follow.goes_back());
        let next = follow.next(MINUTE + ROLLBACK_GRACE, &failed);
        let Next::Done(Verdict::Failed { reason }) = next else {
            panic!("{next:?}")
        };
        let told = reason.contains("(and ECS began no rollback)");
        assert_eq!(told, rolls_back, "{reason}");
    }
}

#[test]
fn a_deployment_that_cannot_be_seen_any_more_ends_as_it_was_given_up() {
    let waited_for = || vec!["it".to_owned()];
    let unseen = |follow: &Follow| {
        let verdict = follow.unseen(waited_for());
        verdict.map(|verdict| given_up(Next::Done(verdict)))
    };
    let mut asked = follow();
    assert_eq!(unseen(&asked), None);
    asked.rolling_back(HOUR, timed_out());
    let waited = waited_for();
    assert_eq!(
        unseen(&asked),
        Some(Rollback::Unfinished { waited_for: waited })
    );
    let mut over = follow();
    over.ending(HOUR, timed_out());
    let waited = waited_for();
    assert_eq!(
        unseen(&over),
        Some(Rollback::TooLate { waited_for: waited })
    );
}
