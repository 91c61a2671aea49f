//! The evidence that is reported of a failed deployment.

use super::*;
use crate::samples;
use ecs::{Attachment, Container, Event, Record, Service, TargetGroup};
use expect_test::expect;

fn stopped(id: &str, code: &str, reason: &str, exit: Option<i32>, why: Option<&str>) -> Task {
    Task {
        id: id.to_owned(),
        started_by: "ecs-svc/2".to_owned(),
        stop_code: code.to_owned(),
        stopped_reason: reason.to_owned(),
        containers: vec![Container {
            name: "web".to_owned(),
            exit_code: exit,
            reason: why.map(str::to_owned),
            ..Container::default()
        }],
        ..samples::task()
    }
}

fn target(number: u8, state: &str) -> Target {
    Target {
        id: format!("10.0.0.{number}"),
        port: 3000,
        state: state.to_owned(),
        reason: "Target.ResponseCodeMismatch".to_owned(),
        description: "Health checks failed with these codes: [500]".to_owned(),
    }
}

fn look(targets: Vec<Target>, events: &[&str]) -> Seen {
    Seen {
        service: Service {
            attachments: vec![Attachment {
                groups: vec![samples::group("web")],
                container: "web".to_owned(),
                port: 3000,
            }],
            events: events
                .iter()
                .map(|event| Event {
                    id: (*event).to_owned(),
                    message: format!("event {event}"),
                })
                .collect(),
            ..samples::service()
        },
        tasks: (1..=2)
            .map(|number| Task {
                id: number.to_string(),
                started_by: "ecs-svc/2".to_owned(),
                addresses: BTreeSet::from([format!("10.0.0.{number}")]),
                ..samples::task()
            })
            .collect(),
        groups: vec![TargetGroup {
            arn: samples::group("web"),
            targets,
        }],
        record: Some(Record {
            rollback: None,
            breaker: Some(Breaker {
                status: "TRIGGERED".to_owned(),
                failures: 3,
                threshold: 3,
            }),
            ..Record::default()
        }),
    }
}

/// Tasks that stopped for different reasons; two of them by no fault of the deployment.
fn stops() -> Vec<Task> {
    vec![
        stopped(
            "1111111111",
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(1),
            None,
        ),
        stopped(
            "2222222222",
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(1),
            None,
        ),
        stopped(
            "3333333333",
            "EssentialContainerExited",
            "Essential container in task exited",
            Some(137),
            Some("OutOfMemoryError: killed"),
        ),
        stopped(
            "4444444444",
            "TaskFailedToStart",
            "CannotPullContainerError: not found",
            None,
            Some("CannotPullContainerError"),
        ),
        stopped(
            "5555555555",
            "ServiceSchedulerInitiated",
            "Scaling activity initiated by (deployment ecs-svc/2)",
            Some(0),
            None,
        ),
        stopped(
            "6666666666",
            "ServiceSchedulerInitiated",
            "Task failed ELB health checks in (target-group x)",
            Some(0),
            None,
        ),
        Task {
            started_by: "ecs-svc/1".to_owned(),
            ..stopped("7", "UserInitiated", "x", None, None)
        },
    ]
}

#[test]
fn the_same_cause_is_reported_once() {
    let mut evidence = Evidence::new("ecs-svc/2", &look(Vec::new(), &["old"]));
    let first = look(
        vec![
            target(1, "unhealthy"),
            target(2, "unhealthy"),
            target(9, "unhealthy"),
        ],
        &["b", "a", "old"],
    );
    assert_eq!(evidence.add(&first), ["event a", "event b"]);
    // The rollback is done and the targets are gone, the evidence is not.
    assert!(
        evidence
            .add(&look(Vec::new(), &["b", "a", "old"]))
            .is_empty()
    );
    evidence.stopped(stops());
    expect![[r#"
        3 tasks stopped: EssentialContainerExited: Essential container in task exited
          container web: exit 1 (11111111, 22222222)
          container web: exit 137, OutOfMemoryError: killed (33333333)
        1 task stopped: ServiceSchedulerInitiated: Task failed ELB health checks in (target-group x)
          container web: exit 0 (66666666)
        1 task stopped: TaskFailedToStart: CannotPullContainerError: not found
          container web (44444444)
        2 targets of web unhealthy: Target.ResponseCodeMismatch: Health checks failed with these codes: [500] (10.0.0.1:3000, 10.0.0.2:3000)
        circuit breaker triggered: 3 of 3 failures
        last events:
          event a
          event b"#]]
    .assert_eq(&evidence.lines().join("\n"));
    assert_eq!(
        evidence.json()["stopped_tasks"].as_array().unwrap().len(),
        5
    );
}

#[test]
fn a_pull_error_is_reported_once() {
    let mut evidence = Evidence::new("ecs-svc/2", &samples::seen());
    let why = "CannotPullContainerError: failed to resolve ref web@sha256:ab: not found";
    let mut seen = look(Vec::new(), &[]);
    for message in [
        format!("(service web) (task 1) failed to start: {why}."),
        "(service web) is unable to consistently start tasks successfully.".to_owned(),
    ] {
        let id = message.clone();
        seen.service.events.push(Event { id, message });
    }
    evidence.add(&seen);
    evidence.stopped(vec![
        stopped("1111111111", "TaskFailedToStart", why, None, Some(why)),
        stopped("2222222222", "TaskFailedToStart", why, None, Some(why)),
    ]);
    let text = evidence.lines().join("\n");
    assert_eq!(text.matches("CannotPull").count(), 1, "{text}");
    assert!(
        text.contains("container web (11111111, 22222222)"),
        "{text}"
    );
    assert!(text.contains("is unable to consistently"), "{text}");
}

#[test]
fn a_target_outlives_its_task() {
    let mut evidence = Evidence::new("ecs-svc/2", &samples::seen());
    evidence.add(&look(Vec::new(), &[]));
    let mut gone = look(vec![target(1, "unhealthy")], &[]);
    gone.tasks.clear();
    evidence.add(&gone);
    assert!(evidence.lines()[0].starts_with("1 target of web unhealthy"));
}

#[test]
fn a_target_that_became_healthy_is_not_reported() {
    let mut evidence = Evidence::new("ecs-svc/2", &samples::seen());
    evidence.add(&look(vec![target(1, "unhealthy")], &[]));
    evidence.add(&look(vec![target(1, "healthy")], &[]));
    assert!(!evidence.lines().join("\n").contains("unhealthy"));
}

#[test]
fn events_end_with_the_failure_and_name_groups_shortly() {
    let mut evidence = Evidence::new("ecs-svc/2", &samples::seen());
    let mut seen = look(Vec::new(), &[]);
    let messages = [
        "(service web) registered 1 targets in (target-group arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/web/12ab)",
        "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
        "(service web) rolling back to deployment ecs-svc/1.",
        "(service web) (deployment ecs-svc/3) deployment completed.",
    ];
    seen.service.events = messages
        .iter()
        .rev()
        .map(|message| Event {
            id: (*message).to_owned(),
            message: (*message).to_owned(),
        })
        .collect();
    evidence.add(&seen);
    assert_eq!(
        evidence.json()["events"],
        serde_json::json!([
            "(service web) registered 1 targets in (target-group web)",
            messages[1]
        ])
    );
}
