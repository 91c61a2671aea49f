//! A service of two containers of one repository, without a load balancer.

use std::process::Command;

use serde_json::{Value, json};

use super::{Setting, ends, fault};
use crate::support::{TIMEOUT, until};

/// A service of a test's own in the environment's cluster, without a load balancer: two containers of one repository.
pub(super) struct Pair<'a> {
    setting: &'a Setting,
    name: &'static str,
}

impl<'a> Pair<'a> {
    /// Creates it with these percentages and this many tasks, and waits until it is complete.
    pub(super) fn new(
        setting: &'a Setting,
        name: &'static str,
        percent: [u32; 2],
        desired: u32,
    ) -> Self {
        let pair = Self { setting, name };
        let image = setting.image(&["/bin/busybox", "sleep", "600"]);
        pair.create(&image, percent, desired);
        pair
    }

    /// One that the test creates itself.
    pub(super) fn named(setting: &'a Setting, name: &'static str) -> Self {
        Self { setting, name }
    }

    /// Creates it with this image.
    pub(super) fn create(&self, image: &str, percent: [u32; 2], desired: u32) {
        let Self { setting, name } = self;
        let definition = self.register(image, &json!({}));
        let service = setting.service();
        setting.ecs(
            "CreateService",
            &json!({
                "cluster": setting.cluster(), "serviceName": name, "desiredCount": desired,
                "launchType": "FARGATE", "taskDefinition": definition,
                "networkConfiguration": service["networkConfiguration"],
                "deploymentConfiguration": {
                    "minimumHealthyPercent": percent[0], "maximumPercent": percent[1],
                    "deploymentCircuitBreaker": {"enable": true, "rollback": true},
                },
            }),
        );
        until("the service of two containers is complete", TIMEOUT, || {
            (self.service()["deployments"][0]["rolloutState"] == "COMPLETED").then_some(())
        });
    }

    /// Registers a revision as infrastructure does, with members of the definition and of its first container.
    pub(super) fn register(&self, image: &str, more: &Value) -> String {
        let running = self.setting.service();
        let running = json!({"taskDefinition": running["taskDefinition"]});
        let running = self.setting.ecs("DescribeTaskDefinition", &running);
        let image = format!("{}/placeholder@{image}", self.setting.world.registry);
        let mut web = json!({"name": "web", "image": image});
        for (name, value) in more.as_object().unwrap() {
            web[name] = value.clone();
        }
        let registered = self.setting.ecs(
            "RegisterTaskDefinition",
            &json!({
                "family": self.name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
                "cpu": "256", "memory": "512",
                "executionRoleArn": running["taskDefinition"]["executionRoleArn"],
                "containerDefinitions": [web, {"name": "worker", "image": image}],
            }),
        );
        let arn = &registered["taskDefinition"]["taskDefinitionArn"];
        arn.as_str().unwrap().to_owned()
    }

    pub(super) fn deploy(&self, digest: &str, further: &[&str]) -> Command {
        let mut all = vec!["--digest", digest];
        all.extend(further);
        self.setting.command("deploy", self.name, &all)
    }

    pub(super) fn service(&self) -> Value {
        let input = json!({"cluster": self.setting.cluster(), "services": [self.name]});
        self.setting.ecs("DescribeServices", &input)["services"][0].clone()
    }

    /// The containers of the definition that the service uses.
    pub(super) fn containers(&self) -> Value {
        let definition = json!({"taskDefinition": self.service()["taskDefinition"]});
        let found = self.setting.ecs("DescribeTaskDefinition", &definition);
        found["taskDefinition"]["containerDefinitions"].clone()
    }
}

/// Changes that infrastructure registered since the last deployment come with the next one, in every container of the repository, and are
/// shown without values; an equal deploy after it changes nothing.
#[test]
fn the_newest_revision_is_deployed_to_all_containers_of_the_repository() {
    let setting = Setting::new("staging");
    let pair = Pair::new(&setting, "pair", [100, 200], 1);
    let placeholder = setting.image(&["/bin/busybox", "sleep", "600"]);
    let more = json!({
        "environment": [{"name": "LOG_LEVEL", "value": "hunter2"}, {"name": "A", "value": "1"}],
        "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 2048}],
    });
    let newer = pair.register(&placeholder, &more);
    let next = setting.image(&["/bin/busybox", "sleep", "602"]);
    let changed = [
        "containers web, worker, which run the same repository",
        "pair:2 is newer than pair:1",
        "containerDefinitions[web].environment[LOG_LEVEL]: added",
        "containerDefinitions[web].ulimits[nofile]: added",
    ];
    let output = ends(&mut pair.deploy(&next, &["--dry-run"]), 0, &changed);
    assert!(!output.contains("hunter2"), "{output}");
    let output = ends(
        &mut pair.deploy(&next, &[]),
        0,
        &[&changed[..], &["succeeded"]].concat(),
    );
    assert!(!output.contains("hunter2"), "{output}");
    let summary = setting.job.read("summary");
    assert!(
        summary.contains("environment[LOG_LEVEL]: added") && !summary.contains("hunter2"),
        "{summary}"
    );
    let containers = pair.containers();
    for container in containers.as_array().unwrap() {
        let image = container["image"].as_str().unwrap();
        assert!(image.ends_with(&next), "{containers}");
    }
    // ECS answers variables in an order of its own.
    let sorted = json!([{"name": "A", "value": "1"}, {"name": "LOG_LEVEL", "value": "hunter2"}]);
    assert_eq!(containers[0]["environment"], sorted);
    assert_ne!(pair.service()["taskDefinition"], json!(newer));
    let keeps = ["change nothing in the service", "succeeded"];
    ends(&mut pair.deploy(&next, &[]), 0, &keeps);
    ends(
        &mut setting.command("status", "pair", &[]),
        0,
        &[": healthy", &format!("worker: {next}")],
    );
    // A change without a new image arrives as well, and a container that is named goes alone.
    pair.register(&placeholder, &json!({"stopTimeout": 7}));
    let last = setting.image(&["/bin/busybox", "sleep", "603"]);
    let container_flag = ["--container", "web"];
    ends(
        &mut pair.deploy(&last, &container_flag),
        0,
        &[
            "containerDefinitions[web].stopTimeout: added, 7",
            "left as they are, because --container names others of the same repository: worker",
        ],
    );
    let containers = pair.containers();
    assert_eq!(containers[0]["stopTimeout"], 7);
    let image = |index: usize| containers[index]["image"].as_str().unwrap();
    assert!(
        image(0).ends_with(&last) && image(1).ends_with(&placeholder),
        "{containers}"
    );
}

/// Throttling and errors of the service pass, before the deployment and while it is followed; a refusal does not.
#[test]
fn throttled_calls_are_repeated_and_denied_ones_name_their_permission() {
    let setting = Setting::new("staging");
    let pair = Pair::new(&setting, "throttled", [100, 200], 1);
    let refused = |status: u16, code: &str| json!({"kind": "status", "status": status, "code": code, "message": "Rate exceeded"});
    for (service, operation, code) in [
        ("ecs", "RegisterTaskDefinition", "ThrottlingException"),
        ("ecs", "UpdateService", "ThrottlingException"),
        ("ecs", "ListTasks", "ThrottlingException"),
    ] {
        fault(&setting, service, operation, 6, &refused(400, code));
    }
    fault(
        &setting,
        "ecs",
        "DescribeServices",
        4,
        &refused(500, "ServerException"),
    );
    let next = setting.image(&["/bin/busybox", "sleep", "604"]);
    ends(
        &mut pair.deploy(&next, &[]),
        0,
        &[
            "(ThrottlingException); trying again",
            "(ServerException); trying again",
            "succeeded",
        ],
    );
    let denied = refused(400, "AccessDeniedException");
    fault(&setting, "ecs", "ListTasks", 1, &denied);
    ends(
        &mut setting.command("status", "throttled", &[]),
        1,
        &["AccessDeniedException", "the role needs ecs:ListTasks"],
    );
}

/// A rollout that can never begin, by its percentages, is refused, and a deploy to zero tasks needs `--allow-zero-tasks`.
#[test]
fn a_rollout_that_cannot_begin_and_a_service_without_tasks_are_refused_before_anything_changes() {
    let setting = Setting::new("production");
    let next = setting.image(&["/bin/busybox", "sleep", "605"]);
    let stuck = Pair::new(&setting, "stuck", [50, 150], 1);
    let before = stuck.service()["taskDefinition"].clone();
    let refusal = [
        "can never replace a task",
        "a maximum of 150% allows 1",
        "maximumPercent=200",
    ];
    ends(&mut stuck.deploy(&next, &[]), 3, &refusal);
    assert_eq!(stuck.service()["taskDefinition"], before);
    let idle = Pair::new(&setting, "idle", [100, 200], 0);
    let before = idle.service()["taskDefinition"].clone();
    let refusal = ["has a desired count of 0", "--allow-zero-tasks"];
    ends(&mut idle.deploy(&next, &[]), 3, &refusal);
    assert_eq!(idle.service()["taskDefinition"], before);
    ends(
        &mut idle.deploy(&next, &["--allow-zero-tasks"]),
        0,
        &["0 of 0 running, as --allow-zero-tasks accepts"],
    );
    assert_ne!(idle.service()["taskDefinition"], before);
    ends(
        &mut setting.command("status", "idle", &[]),
        0,
        &["not healthy: the desired count is 0"],
    );
}
