//! Tables of looks at a service and the verdict they must lead to.

mod given_up;
mod rollback;
mod shift;
mod success;

use super::*;
use crate::samples;
use ecs::{Attachment, Breaker, Container, Event, Record, Service, Target, TargetGroup, Task};
use kit::id::Digest;
use std::collections::BTreeSet;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEW: u64 = 8;
const OLD: u64 = 7;
const MINUTE: Duration = Duration::from_secs(60);

fn digest() -> Digest {
    Digest::parse(&format!("sha256:{HEX}")).unwrap()
}

fn follow() -> Follow {
    let expected = Expected {
        deployment: "ecs-svc/2".to_owned(),
        task_definition: samples::revision(NEW),
        containers: vec!["web".to_owned()],
        digest: digest(),
        health_checked: BTreeSet::new(),
        allow_zero_tasks: false,
        wanted: None,
    };
    Follow::new(expected, samples::revision(OLD), 15 * MINUTE)
}

fn deployment(id: &str, revision: u64, running: i32, rollout: Rollout) -> Deployment {
    Deployment {
        id: id.to_owned(),
        task_definition: samples::revision(revision),
        desired: 2,
        running,
        rollout,
        ..samples::deployment()
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
        task_definition: samples::revision(NEW),
        addresses: BTreeSet::from([format!("10.0.0.{number}")]),
        containers: vec![Container {
            name: "web".to_owned(),
            digest: Some(digest().as_str().to_owned()),
            health: "UNKNOWN".to_owned(),
            ..Container::default()
        }],
        ..samples::task()
    }
}

fn group(name: &str, port: i32, states: [&str; 2]) -> TargetGroup {
    TargetGroup {
        arn: samples::group(name),
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
            desired: 2,
            running: 2,
            rolls_back: true,
            deployments: vec![primary(deployment("ecs-svc/2", NEW, 2, Rollout::Completed))],
            attachments: vec![Attachment {
                groups: vec![samples::group("web")],
                container: "web".to_owned(),
                port: 3000,
            }],
            ..samples::service()
        },
        tasks: vec![task(1), task(2)],
        groups: vec![group("web", 3000, ["healthy", "healthy"])],
        record: None,
    }
}

fn changed(change: impl FnOnce(&mut Seen)) -> Seen {
    let mut seen = healthy();
    change(&mut seen);
    seen
}

/// The conditions that are missing after one look.
fn waits(change: impl FnOnce(&mut Seen)) -> String {
    match follow().next(MINUTE, &changed(change)) {
        Next::Wait(missing) => missing.join("; "),
        next => panic!("{next:?}"),
    }
}

fn ends(change: impl FnOnce(&mut Seen)) -> Verdict {
    match follow().next(MINUTE, &changed(change)) {
        Next::Done(verdict) => verdict,
        next => panic!("{next:?}"),
    }
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
