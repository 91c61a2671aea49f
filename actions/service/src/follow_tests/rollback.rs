//! Rollbacks, other deployments, and the ends that are not a success.

use super::*;

#[test]
fn a_rollback_is_waited_for_and_named() {
    let mut follow = follow();
    let failing = changed(|seen| {
        seen.service.deployments[0].rollout = Rollout::Failed;
        seen.service.deployments[0].reason = BREAKER.to_owned();
    });
    assert_eq!(
        follow.next(MINUTE, &failing),
        Next::Wait(vec!["ECS to begin the rollback".to_owned()])
    );
    assert_eq!(
        follow.next(MINUTE, &rollback(Rollout::InProgress, true)),
        Next::Wait(vec!["the rollback to web:7 to complete".to_owned()])
    );
    let done = Verdict::RolledBack {
        to: samples::revision(OLD),
        reason: BREAKER.to_owned(),
    };
    assert_eq!(
        follow.next(MINUTE, &rollback(Rollout::Completed, false)),
        Next::Done(done)
    );
}

#[test]
fn a_rollback_of_a_deployment_that_was_found_under_way_is_one() {
    let mut follow = follow();
    follow.before = samples::revision(NEW);
    assert!(matches!(
        follow.next(MINUTE, &rollback(Rollout::InProgress, true)),
        Next::Wait(_)
    ));
    let next = follow.next(MINUTE, &rollback(Rollout::Completed, true));
    assert!(
        matches!(&next, Next::Done(Verdict::RolledBack { to, .. }) if to.revision() == OLD),
        "{next:?}"
    );
}

#[test]
fn a_rollback_seen_only_at_its_end_is_still_one() {
    let event = Event {
        id: "1".to_owned(),
        message: "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start."
            .to_owned(),
    };
    let mut by_event = rollback(Rollout::Completed, false);
    by_event.service.events.push(event);
    let mut by_record = rollback(Rollout::Completed, false);
    by_record.record = Some(Record {
        status: "ROLLBACK_SUCCESSFUL".to_owned(),
        reason: BREAKER.to_owned(),
        breaker: Some(Breaker {
            status: "TRIGGERED".to_owned(),
            failures: 3,
            threshold: 3,
        }),
        ..Record::default()
    });
    for seen in [rollback(Rollout::Completed, true), by_event, by_record] {
        let next = follow().next(MINUTE, &seen);
        assert!(
            matches!(&next, Next::Done(Verdict::RolledBack { to, reason }) if to.revision() == OLD && reason.contains("tasks failed to start")),
            "{next:?}"
        );
    }
}

#[test]
fn the_reasons_of_a_failure_and_of_its_rollback_are_told_once() {
    let found = |why: &str| {
        let seen = changed(|seen| {
            seen.service.deployments[0].rollout = Rollout::Failed;
            seen.service.deployments[0].reason = BREAKER.to_owned();
            seen.record = Some(Record {
                status: "ROLLBACK_FAILED".to_owned(),
                reason: why.to_owned(),
                ..Record::default()
            });
        });
        follow().next(MINUTE, &seen)
    };
    let failed = |reason: String| Next::Done(Verdict::Failed { reason });
    let once = format!("ECS could not roll back: {BREAKER}");
    for why in ["", BREAKER] {
        assert_eq!(found(why), failed(once.clone()));
    }
    let both = format!("{BREAKER}; ECS could not roll back: no capacity");
    assert_eq!(found("no capacity"), failed(both));
}

#[test]
fn a_rollback_that_fails_is_a_failure() {
    let mut by_record = rollback(Rollout::InProgress, true);
    by_record.record = Some(Record {
        status: "ROLLBACK_FAILED".to_owned(),
        ..Record::default()
    });
    let next = follow().next(MINUTE, &by_record);
    assert!(
        matches!(&next, Next::Done(Verdict::Failed { reason }) if reason.ends_with("the rollback to web:7 failed too")),
        "{next:?}"
    );
    let verdict = follow().next(MINUTE, &rollback(Rollout::Failed, true));
    assert!(
        matches!(&verdict, Next::Done(Verdict::Failed { reason }) if reason.contains("the rollback to web:7 failed too")),
        "{verdict:?}"
    );
}

#[test]
fn a_deployment_that_was_stopped_because_another_one_began_is_superseded() {
    let mut follow = follow();
    let record = Record {
        status: "STOPPED".to_owned(),
        reason: "a new service deployment was started".to_owned(),
        ..Record::default()
    };
    let mut seen = changed(|seen| seen.record = Some(record));
    seen.service.deployments[0].rollout = Rollout::InProgress;
    let next = follow.next(MINUTE, &seen);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    seen.service.deployments[0].primary = false;
    let other = deployment("ecs-svc/3", 9, 0, Rollout::InProgress);
    seen.service.deployments.insert(0, primary(other));
    let next = follow.next(MINUTE, &seen);
    assert!(
        matches!(&next, Next::Done(Verdict::Superseded { by, .. }) if by == "ecs-svc/3"),
        "{next:?}"
    );
}

#[test]
fn a_rollback_without_a_version_to_go_back_to_says_both_reasons() {
    let mut follow = follow();
    let mut seen = changed(|seen| {
        seen.service.deployments[0].rollout = Rollout::Failed;
        seen.service.deployments[0].reason = BREAKER.to_owned();
    });
    seen.record = Some(Record {
        status: "ROLLBACK_FAILED".to_owned(),
        reason: "No rollback candidate was found.".to_owned(),
        ..Record::default()
    });
    let reason = format!("{BREAKER}; ECS could not roll back: No rollback candidate was found.");
    assert_eq!(
        follow.next(MINUTE, &seen),
        Next::Done(Verdict::Failed { reason })
    );
}

#[test]
fn a_rollback_with_too_few_tasks_is_not_over() {
    let mut seen = rollback(Rollout::Completed, true);
    seen.service.deployments[0].running = 1;
    assert_eq!(
        follow().next(MINUTE, &seen),
        Next::Wait(vec!["the rollback to web:7 to complete".to_owned()])
    );
}

#[test]
fn a_breaker_without_rollback_is_a_failure_at_once() {
    let verdict = ends(|seen| {
        seen.service.rolls_back = false;
        seen.service.deployments[0].rollout = Rollout::Failed;
        seen.service.deployments[0].reason = BREAKER.to_owned();
    });
    assert_eq!(
        verdict,
        Verdict::Failed {
            reason: BREAKER.to_owned()
        }
    );
}

#[test]
fn a_rollback_asked_for_by_somebody_is_waited_for_without_a_breaker() {
    let next = follow().next(
        MINUTE,
        &changed(|seen| {
            seen.service.rolls_back = false;
            seen.service.deployments[0].rollout = Rollout::InProgress;
            seen.record = Some(Record {
                status: "ROLLBACK_REQUESTED".to_owned(),
                ..Record::default()
            });
        }),
    );
    assert_eq!(
        next,
        Next::Wait(vec!["ECS to begin the rollback".to_owned()])
    );
}

#[test]
fn a_rollback_that_never_begins_is_a_failure_after_the_grace() {
    let mut follow = follow();
    let seen = changed(|seen| {
        seen.service.deployments[0].rollout = Rollout::Failed;
        seen.service.deployments[0].reason = BREAKER.to_owned();
    });
    assert!(matches!(follow.next(MINUTE, &seen), Next::Wait(_)));
    let verdict = follow.next(MINUTE + ROLLBACK_GRACE, &seen);
    assert!(
        matches!(&verdict, Next::Done(Verdict::Failed { reason }) if reason.starts_with(BREAKER)),
        "{verdict:?}"
    );
}

#[test]
fn another_deployment_supersedes_ours() {
    let superseded = |revision| Verdict::Superseded {
        by: "ecs-svc/3".to_owned(),
        task_definition: samples::revision(revision),
    };
    // Ours still listed, ours gone, and somebody deploying the old version by hand.
    for (listed, revision) in [(true, 9), (false, 9), (false, OLD)] {
        let verdict = ends(|seen| {
            seen.service.deployments = vec![primary(deployment(
                "ecs-svc/3",
                revision,
                0,
                Rollout::InProgress,
            ))];
            if listed {
                seen.service
                    .deployments
                    .push(deployment("ecs-svc/2", NEW, 2, Rollout::InProgress));
            }
        });
        assert_eq!(verdict, superseded(revision));
    }
}

#[test]
fn a_fix_deployed_over_a_failed_deployment_is_not_a_rollback() {
    let verdict = ends(|seen| {
        seen.service.deployments = vec![
            primary(deployment("ecs-svc/3", 9, 0, Rollout::InProgress)),
            deployment("ecs-svc/2", NEW, 0, Rollout::Failed),
        ];
    });
    assert_eq!(verdict.word(), "superseded");
}

#[test]
fn a_stopped_deployment_and_a_deleted_service_are_failures() {
    let stopped = changed(|seen| {
        seen.service.deployments[0].rollout = Rollout::InProgress;
        seen.record = Some(Record {
            status: "STOPPED".to_owned(),
            reason: "stopped by a person".to_owned(),
            ..Record::default()
        });
    });
    let mut follow = follow();
    // Another deployment may have begun after the service was read, and before its record.
    let next = follow.next(MINUTE, &stopped);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    assert_eq!(
        follow.next(MINUTE, &stopped),
        Next::Done(Verdict::Failed {
            reason: "the deployment was stopped: stopped by a person".to_owned()
        })
    );
    let deleted = ends(|seen| seen.service.status = "DRAINING".to_owned());
    assert_eq!(
        deleted,
        Verdict::Failed {
            reason: "service web became DRAINING".to_owned()
        }
    );
}

#[test]
fn a_timeout_says_what_it_waited_for_and_never_hides_a_success() {
    let slow = changed(|seen| seen.groups[0] = group("web", 3000, ["healthy", "initial"]));
    let mut follow = follow();
    assert!(matches!(
        follow.next(15 * MINUTE - Duration::from_secs(1), &slow),
        Next::Wait(_)
    ));
    assert_eq!(
        follow.next(15 * MINUTE, &slow),
        Next::TimeOver(vec![
            "target 10.0.0.2:3000 of web is initial, expected healthy".to_owned()
        ])
    );
    assert_eq!(
        follow.next(15 * MINUTE, &healthy()),
        Next::Done(Verdict::Succeeded)
    );
}
