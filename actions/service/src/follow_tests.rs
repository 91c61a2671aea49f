//! Tables of looks at a service and the verdict they must lead to.

use super::*;
use ecs::{Attachment, Breaker, Container, Event, Record, Service, Target, TargetGroup, Task};
use kit::id::Digest;
use std::collections::BTreeSet;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEW: &str = "arn:aws:ecs:r:1:task-definition/web:8";
const OLD: &str = "arn:aws:ecs:r:1:task-definition/web:7";
const WEB: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/web/1";
const ADMIN: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/admin/2";
const MINUTE: Duration = Duration::from_secs(60);

fn digest() -> Digest {
    Digest::parse(&format!("sha256:{HEX}")).unwrap()
}

fn follow() -> Follow {
    let expected = Expected {
        deployment: "ecs-svc/2".to_owned(),
        task_definition: NEW.to_owned(),
        containers: vec!["web".to_owned()],
        digest: digest(),
        health_checked: BTreeSet::new(),
        allow_zero_tasks: false,
    };
    Follow::new(expected, OLD.to_owned(), 15 * MINUTE)
}

fn deployment(id: &str, task_definition: &str, running: i32, rollout: Rollout) -> Deployment {
    Deployment {
        id: id.to_owned(),
        task_definition: task_definition.to_owned(),
        desired: 2,
        running,
        rollout,
        ..Deployment::default()
    }
}

fn primary(deployment: Deployment) -> Deployment {
    Deployment {
        primary: true,
        ..deployment
    }
}

fn task(number: u8) -> Task {
    Task {
        id: format!("t{number}"),
        started_by: "ecs-svc/2".to_owned(),
        task_definition: NEW.to_owned(),
        status: "RUNNING".to_owned(),
        addresses: BTreeSet::from([format!("10.0.0.{number}")]),
        containers: vec![Container {
            name: "web".to_owned(),
            digest: Some(digest().as_str().to_owned()),
            health: "UNKNOWN".to_owned(),
            ..Container::default()
        }],
        ..Task::default()
    }
}

fn group(arn: &str, port: i32, states: [&str; 2]) -> TargetGroup {
    TargetGroup {
        arn: arn.to_owned(),
        targets: states
            .iter()
            .zip(1..)
            .map(|(state, number)| Target {
                id: format!("10.0.0.{number}"),
                port,
                state: (*state).to_owned(),
                reason: match *state {
                    "unhealthy" => "Target.ResponseCodeMismatch".to_owned(),
                    _ => String::new(),
                },
                description: match *state {
                    "unhealthy" => "Health checks failed with these codes: [500]".to_owned(),
                    _ => String::new(),
                },
            })
            .collect(),
    }
}

/// Our deployment is complete with two running tasks behind one healthy target group.
fn healthy() -> Seen {
    Seen {
        service: Service {
            name: "web".to_owned(),
            status: "ACTIVE".to_owned(),
            desired: 2,
            running: 2,
            rolls_back: true,
            deployments: vec![primary(deployment("ecs-svc/2", NEW, 2, Rollout::Completed))],
            attachments: vec![Attachment {
                groups: vec![WEB.to_owned()],
                container: "web".to_owned(),
                port: 3000,
            }],
            ..Service::default()
        },
        tasks: vec![task(1), task(2)],
        groups: vec![group(WEB, 3000, ["healthy", "healthy"])],
        record: None,
    }
}

fn changed(change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = healthy();
    change(&mut seen);
    seen
}

/// What is waited for after one look.
fn waits(change: impl FnOnce(&mut Seen)) -> String {
    match follow().next(MINUTE, &changed(change)) {
        Next::Wait(missing) => missing.join("; "),
        Next::Done(verdict) => panic!("{verdict:?}"),
    }
}

fn ends(change: impl FnOnce(&mut Seen)) -> Verdict {
    match follow().next(MINUTE, &changed(change)) {
        Next::Done(verdict) => verdict,
        Next::Wait(missing) => panic!("{missing:?}"),
    }
}

#[test]
fn complete_running_and_healthy_is_success() {
    assert_eq!(ends(|_| {}), Verdict::Succeeded);
}

#[test]
fn nothing_less_is_success() {
    type Change = Box<dyn FnOnce(&mut Seen)>;
    let cases: [(&str, Change); 12] = [
        (
            "ECS to complete the deployment",
            Box::new(|seen| seen.service.deployments[0].rollout = Rollout::InProgress),
        ),
        (
            "ECS to complete the deployment",
            Box::new(|seen| seen.service.deployments[0].rollout = Rollout::Unknown),
        ),
        (
            "deployment ecs-svc/2 to use web:8, it uses web:7",
            Box::new(|seen| seen.service.deployments[0].task_definition = OLD.to_owned()),
        ),
        (
            "web:7 to stop, running: 1",
            Box::new(|seen| {
                seen.service
                    .deployments
                    .push(deployment("ecs-svc/1", OLD, 1, Rollout::Completed));
            }),
        ),
        (
            "2 running tasks, there are 1",
            Box::new(|seen| drop(seen.tasks.pop())),
        ),
        (
            "2 running tasks, there are 2",
            Box::new(|seen| seen.service.running = 1),
        ),
        (
            "2 running tasks, there are 1",
            Box::new(|seen| seen.tasks[0].started_by = "ecs-svc/1".to_owned()),
        ),
        (
            "2 running tasks, there are 1; task t1 to run, it is PENDING",
            Box::new(|seen| seen.tasks[0].status = "PENDING".to_owned()),
        ),
        (
            "task t2 to run sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, it runs sha256:0",
            Box::new(|seen| seen.tasks[1].containers[0].digest = Some("sha256:0".to_owned())),
        ),
        (
            "ECS to name the image digest of task t2",
            Box::new(|seen| seen.tasks[1].containers[0].digest = None),
        ),
        (
            "target 10.0.0.2:3000 of web to be healthy, it is unhealthy (Target.ResponseCodeMismatch: Health checks failed with these codes: [500])",
            Box::new(|seen| seen.groups[0] = group(WEB, 3000, ["healthy", "unhealthy"])),
        ),
        (
            "task t2 to be registered as a target of web",
            Box::new(|seen| drop(seen.groups[0].targets.pop())),
        ),
    ];
    for (missing, change) in cases {
        assert_eq!(waits(change), missing);
    }
}

#[test]
fn each_of_two_target_groups_must_be_healthy() {
    let both = |seen: &mut Seen, admin| {
        seen.service.attachments.push(Attachment {
            groups: vec![ADMIN.to_owned()],
            container: "web".to_owned(),
            port: 9000,
        });
        seen.groups.push(group(ADMIN, 9000, admin));
    };
    assert_eq!(
        ends(|seen| both(seen, ["healthy", "healthy"])),
        Verdict::Succeeded
    );
    assert_eq!(
        waits(|seen| both(seen, ["healthy", "initial"])),
        "target 10.0.0.2:9000 of admin to be healthy, it is initial"
    );
}

#[test]
fn an_alternate_target_group_counts_when_traffic_was_shifted_to_it() {
    let seen = changed(|seen| {
        seen.service.attachments[0].groups.push(ADMIN.to_owned());
        seen.groups = vec![
            group(WEB, 3000, ["unused", "unused"]),
            group(ADMIN, 3000, ["healthy", "healthy"]),
        ];
    });
    assert_eq!(follow().next(MINUTE, &seen), Next::Done(Verdict::Succeeded));
}

#[test]
fn on_instances_a_target_is_instance_and_bound_port() {
    let on_instance = |bound| {
        move |seen: &mut Seen| {
            seen.service.desired = 1;
            seen.tasks.truncate(1);
            seen.tasks[0].addresses.clear();
            seen.tasks[0].instance = Some("i-1".to_owned());
            seen.tasks[0].containers[0].bindings = vec![(3000, bound)];
            seen.groups[0].targets[0].id = "i-1".to_owned();
            seen.groups[0].targets[0].port = 32768;
        }
    };
    assert_eq!(ends(on_instance(32768)), Verdict::Succeeded);
    assert_eq!(
        waits(on_instance(32769)),
        "task t1 to be registered as a target of web"
    );
}

#[test]
fn without_a_load_balancer_running_is_enough_unless_there_is_a_health_check() {
    let alone = |seen: &mut Seen| {
        seen.service.attachments.clear();
        seen.groups.clear();
    };
    assert_eq!(ends(alone), Verdict::Succeeded);
    let mut follow = follow();
    follow.expected.health_checked.insert("web".to_owned());
    let mut seen = changed(alone);
    assert_eq!(
        follow.next(MINUTE, &seen),
        Next::Wait(
            ["t1", "t2"]
                .map(|task| format!("container web of task {task} to be HEALTHY, it is UNKNOWN"))
                .to_vec()
        )
    );
    for task in &mut seen.tasks {
        task.containers[0].health = "HEALTHY".to_owned();
    }
    assert_eq!(follow.next(MINUTE, &seen), Next::Done(Verdict::Succeeded));
}

#[test]
fn zero_desired_is_success_only_where_it_is_allowed() {
    let zero = changed(|seen| {
        seen.service.desired = 0;
        seen.service.running = 0;
        seen.tasks.clear();
    });
    let next = follow().next(MINUTE, &zero);
    assert!(
        matches!(&next, Next::Done(Verdict::Failed { reason }) if reason.contains("scaled to zero")),
        "{next:?}"
    );
    let mut allowed = follow();
    allowed.expected.allow_zero_tasks = true;
    assert_eq!(allowed.next(MINUTE, &zero), Next::Done(Verdict::Succeeded));
    // What ran before still runs, and what runs is still judged.
    let mut busy = zero.clone();
    busy.service
        .deployments
        .push(deployment("ecs-svc/1", OLD, 1, Rollout::Completed));
    for seen in [
        busy,
        changed(|seen| seen.tasks[0].containers[0].digest = None),
    ] {
        assert!(matches!(allowed.next(MINUTE, &seen), Next::Wait(_)));
    }
}

#[test]
fn every_container_of_the_image_must_run_it() {
    let mut follow = follow();
    follow.expected.containers.push("worker".to_owned());
    let with = |digest: Option<&str>| {
        changed(|seen| {
            for task in &mut seen.tasks {
                task.containers.push(Container {
                    name: "worker".to_owned(),
                    digest: digest.map(str::to_owned),
                    ..Container::default()
                });
            }
        })
    };
    let next = follow.next(MINUTE, &with(Some("sha256:0")));
    let Next::Wait(missing) = next else {
        panic!("{next:?}");
    };
    assert_eq!(missing.len(), 2);
    assert!(
        missing[0].starts_with("container worker of task t1 to run sha256:01"),
        "{missing:?}"
    );
    assert!(matches!(follow.next(MINUTE, &healthy()), Next::Wait(_)));
    let done = with(Some(digest().as_str()));
    assert_eq!(follow.next(MINUTE, &done), Next::Done(Verdict::Succeeded));
}

const BREAKER: &str = "ECS deployment circuit breaker: tasks failed to start.";

fn rollback(rollout: Rollout, ours_listed: bool) -> Seen {
    changed(|seen| {
        let mut back = primary(deployment("ecs-svc/3", OLD, 2, rollout));
        if rollout == Rollout::InProgress {
            back.reason = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."
                .to_owned();
        }
        seen.service.deployments = vec![back];
        if ours_listed {
            seen.service.deployments.push(Deployment {
                reason: BREAKER.to_owned(),
                ..deployment("ecs-svc/2", NEW, 0, Rollout::Failed)
            });
        }
    })
}

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
        to: OLD.to_owned(),
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
    follow.before = NEW.to_owned();
    assert!(matches!(
        follow.next(MINUTE, &rollback(Rollout::InProgress, true)),
        Next::Wait(_)
    ));
    let next = follow.next(MINUTE, &rollback(Rollout::Completed, true));
    assert!(
        matches!(&next, Next::Done(Verdict::RolledBack { to, .. }) if to == OLD),
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
    });
    for seen in [rollback(Rollout::Completed, true), by_event, by_record] {
        let next = follow().next(MINUTE, &seen);
        assert!(
            matches!(&next, Next::Done(Verdict::RolledBack { to, reason }) if to == OLD && reason.contains("tasks failed to start")),
            "{next:?}"
        );
    }
}

#[test]
fn a_rollback_that_fails_is_a_failure() {
    let verdict = follow().next(MINUTE, &rollback(Rollout::Failed, true));
    assert!(
        matches!(&verdict, Next::Done(Verdict::Failed { reason }) if reason.contains("the rollback to web:7 failed too")),
        "{verdict:?}"
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
    let newer = "arn:aws:ecs:r:1:task-definition/web:9";
    let superseded = |task_definition: &str| Verdict::Superseded {
        by: "ecs-svc/3".to_owned(),
        task_definition: task_definition.to_owned(),
    };
    // Ours still listed, ours gone, and somebody deploying the old version by hand.
    for (listed, definition) in [(true, newer), (false, newer), (false, OLD)] {
        let verdict = ends(|seen| {
            seen.service.deployments = vec![primary(deployment(
                "ecs-svc/3",
                definition,
                0,
                Rollout::InProgress,
            ))];
            if listed {
                seen.service
                    .deployments
                    .push(deployment("ecs-svc/2", NEW, 2, Rollout::InProgress));
            }
        });
        assert_eq!(verdict, superseded(definition));
    }
}

#[test]
fn a_fix_deployed_over_a_failed_deployment_is_no_rollback() {
    let newer = "arn:aws:ecs:r:1:task-definition/web:9";
    let verdict = ends(|seen| {
        seen.service.deployments = vec![
            primary(deployment("ecs-svc/3", newer, 0, Rollout::InProgress)),
            deployment("ecs-svc/2", NEW, 0, Rollout::Failed),
        ];
    });
    assert_eq!(verdict.word(), "superseded");
}

#[test]
fn a_stopped_deployment_and_a_deleted_service_are_failures() {
    let stopped = ends(|seen| {
        seen.service.deployments[0].rollout = Rollout::InProgress;
        seen.record = Some(Record {
            status: "STOPPED".to_owned(),
            reason: "stopped by a person".to_owned(),
            breaker: None,
        });
    });
    assert_eq!(
        stopped,
        Verdict::Failed {
            reason: "the deployment was stopped: stopped by a person".to_owned()
        }
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
    let slow = changed(|seen| seen.groups[0] = group(WEB, 3000, ["healthy", "initial"]));
    let mut follow = follow();
    assert!(matches!(
        follow.next(15 * MINUTE - Duration::from_secs(1), &slow),
        Next::Wait(_)
    ));
    assert_eq!(
        follow.next(15 * MINUTE, &slow),
        Next::Done(Verdict::TimedOut {
            waited_for: vec!["target 10.0.0.2:3000 of web to be healthy, it is initial".to_owned()]
        })
    );
    assert_eq!(
        follow.next(15 * MINUTE, &healthy()),
        Next::Done(Verdict::Succeeded)
    );
}
