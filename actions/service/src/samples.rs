//! Samples of a service and its parts; a test sets only the fields that it is about.

use ecs::{Deployment, Rollout, Seen, Service, Strategy, Task};
use kit::aws::{Arn, TaskDefinitionArn};
use std::collections::BTreeSet;

/// The ARN of a revision.
pub(crate) const REVISION: &str = "arn:aws:ecs:eu-west-1:111111111111:task-definition/web:7";

fn arn(text: &str) -> Arn {
    text.parse().unwrap()
}

/// A revision of the family `web`.
pub(crate) fn revision(number: u64) -> TaskDefinitionArn {
    let (family, _) = REVISION.rsplit_once(':').unwrap();
    format!("{family}:{number}").parse().unwrap()
}

/// A target group.
pub(crate) fn group(name: &str) -> Arn {
    arn(&format!(
        "arn:aws:elasticloadbalancing:eu-west-1:111111111111:targetgroup/{name}/1"
    ))
}

/// An active service that wants nothing.
pub(crate) fn service() -> Service {
    Service {
        arn: arn("arn:aws:ecs:eu-west-1:111111111111:service/dev/web"),
        name: "web".to_owned(),
        cluster_arn: arn("arn:aws:ecs:eu-west-1:111111111111:cluster/dev"),
        status: "ACTIVE".to_owned(),
        controller: "ECS".to_owned(),
        task_definition: revision(7),
        daemon: false,
        desired: 0,
        running: 0,
        pending: 0,
        percent: None,
        strategy: Strategy::default(),
        rolls_back: false,
        deployments: Vec::new(),
        current: None,
        attachments: Vec::new(),
        classic: None,
        events: Vec::new(),
    }
}

/// A deployment without tasks.
pub(crate) fn deployment() -> Deployment {
    Deployment {
        id: String::new(),
        primary: false,
        task_definition: revision(7),
        desired: 0,
        running: 0,
        pending: 0,
        failed: 0,
        rollout: Rollout::Unknown,
        created_at: None,
        reason: String::new(),
    }
}

/// A running task without containers.
pub(crate) fn task() -> Task {
    Task {
        id: String::new(),
        started_by: String::new(),
        task_definition: revision(7),
        status: "RUNNING".to_owned(),
        desired: "RUNNING".to_owned(),
        addresses: BTreeSet::new(),
        instance: None,
        instance_arn: None,
        containers: Vec::new(),
        stop_code: String::new(),
        stopped_reason: String::new(),
    }
}

/// A look at a service of which nothing runs.
pub(crate) fn seen() -> Seen {
    Seen {
        service: service(),
        tasks: Vec::new(),
        groups: Vec::new(),
        record: None,
    }
}
