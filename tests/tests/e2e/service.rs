//! The service step and deployments that do not go well: what it says, how it ends, and what runs afterwards.

mod back;
mod daemon;
mod given_up;
mod missing;
mod pair;
mod recorded;
mod shift;
mod task;
mod verified;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sandbox::world::World;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use crate::gateway;
use crate::job::Job;
use crate::support::{TIMEOUT, ends, instance, session, until, wait, world};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";

/// The service of one environment of the world of these tests, and a job that may deploy there.
struct Setting {
    world: &'static World,
    environment: &'static str,
    aws: Aws,
    job: Job,
    /// Tests of one environment change its service and make its calls fail: one at a time.
    _turn: MutexGuard<'static, ()>,
}

impl Setting {
    fn new(environment: &'static str) -> Self {
        static TURNS: [Mutex<()>; 3] = [const { Mutex::new(()) }; 3];
        let index = World::ENVIRONMENTS
            .iter()
            .position(|name| *name == environment)
            .unwrap();
        let turn = TURNS[index].lock().unwrap_or_else(PoisonError::into_inner);
        static WORLD: OnceLock<World> = OnceLock::new();
        let world = WORLD.get_or_init(|| {
            wait(TIMEOUT, async {
                let world = world("service").await;
                world.serve(instance()).await.unwrap();
                for environment in &world.environments {
                    let may = world.deploys_anything(instance(), environment);
                    may.await.unwrap();
                }
                world
            })
        });
        let (aws, keys) = wait(TIMEOUT, async {
            let account = &world.environment(environment).unwrap().account;
            let aws = world.administrator(instance(), account).await.unwrap();
            (aws, session(world, environment, "slipway-deploy").await)
        });
        let mut variables = world.variables(instance());
        variables.extend(keys.variables());
        let setting = Self {
            world,
            environment,
            aws,
            job: Job::new(variables),
            _turn: turn,
        };
        // ECS goes back only to a deployment that it has completed.
        until("the service has what it can go back to", TIMEOUT, || {
            let service = setting.service();
            let mut deployments = service["deployments"].as_array()?.iter();
            let completed = deployments.any(|it| it["rolloutState"] == "COMPLETED");
            completed.then_some(())
        });
        setting
    }

    /// The digest of a new image that runs this.
    fn image(&self, command: &[&str]) -> String {
        let put = self.world.image(instance(), command);
        let reference = wait(TIMEOUT, put).unwrap();
        reference.split_once('@').unwrap().1.to_owned()
    }

    /// A value that ECS gives to the service's tasks, and that no log may show.
    fn secret(&self) -> String {
        let environment = self.world.environment(self.environment).unwrap();
        self.world.database_url(environment)
    }

    fn cluster(&self) -> String {
        format!("{}-{}", self.world.service, self.environment)
    }

    fn command(&self, verb: &str, service: &str, further: &[&str]) -> Command {
        let cluster = self.cluster();
        let mut all = vec![verb, "--cluster", &cluster, "--service", service];
        all.extend(further);
        self.job.command("slipway-service", &all)
    }

    fn deploy(&self, digest: &str, further: &[&str]) -> Command {
        let mut all = vec!["--digest", digest];
        all.extend(further);
        self.command("deploy", &self.world.service, &all)
    }

    fn ecs(&self, operation: &str, input: &Value) -> Value {
        let target = format!("{ECS}.{operation}");
        let call = self.aws.json("ecs", &target, input);
        wait(TIMEOUT, call).unwrap().unwrap()
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": self.cluster(), "services": [self.world.service]});
        self.ecs("DescribeServices", &input)["services"][0].clone()
    }
}

/// Sets a fault for the next calls of one operation in an environment's account.
fn fault(setting: &Setting, service: &str, operation: &str, times: u32, fault: &Value) {
    let account = &setting
        .world
        .environment(setting.environment)
        .unwrap()
        .account
        .id;
    let body = json!({"account": account, "service": service, "operation": operation,
                      "times": times, "fault": fault});
    gateway::tell("faults", &body);
}

#[test]
fn crashing_or_missing_images_are_rolled_back_with_the_reason() {
    let setting = Setting::new("dev");
    let before = setting.service()["taskDefinition"].clone();
    let script = "echo cannot reach $DATABASE_URL; exit 3";
    let crashing = setting.image(&["/bin/busybox", "sh", "-c", script]);
    let output = ends(
        &mut setting.deploy(&crashing, &[]),
        5,
        &[
            "did not become healthy and was rolled back",
            "Essential container in task exited",
            "container storefront: exit 3",
            "last lines of container storefront (",
            "  | cannot reach ***",
            "circuit breaker",
            "slipway-service status --cluster",
        ],
    );
    let summary = setting.job.read("summary");
    assert!(
        summary.contains("rolled back") && summary.contains("**Why**"),
        "{summary}"
    );
    assert!(summary.contains("| cannot reach ***"), "{summary}");
    let secret = setting.secret();
    assert!(!output.contains(&secret) && !summary.contains(&secret));
    let missing = format!("sha256:{}", "0".repeat(64));
    ends(
        &mut setting.deploy(&missing, &[]),
        5,
        &["was rolled back", "CannotPullContainerError"],
    );
    assert_eq!(setting.service()["taskDefinition"], before);
    // A failed deployment says so in its outputs, and what runs.
    let outputs = step_job::entries(&setting.job.read("output"));
    let of = |wanted: &str| -> Vec<&str> {
        let found = outputs.iter().filter(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(of("verdict"), ["rolled-back", "rolled-back"]);
    assert_eq!(of("task-definition-arn"), [before.as_str().unwrap(); 2]);
    let name = setting.world.service.clone();
    ends(
        &mut setting.command("status", &name, &[]),
        0,
        &["rolled back", "healthy"],
    );
    let serving = setting.image(&["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]);
    ends(&mut setting.deploy(&serving, &[]), 0, &["succeeded"]);
    assert!(setting.job.read("output").contains("task-definition-arn"));
}

#[test]
fn targets_that_answer_wrongly_fail_the_deployment_and_their_answer_is_reported() {
    let setting = Setting::new("staging");
    // ECS looks away from a target's health for as long as this.
    setting.ecs(
        "UpdateService",
        &json!({"cluster": setting.cluster(), "service": setting.world.service,
                "healthCheckGracePeriodSeconds": 0}),
    );
    let wrong = setting.image(&["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/bin"]);
    ends(
        &mut setting.deploy(&wrong, &[]),
        5,
        &[
            "was rolled back",
            "is unhealthy in (target-group storefront-staging)",
            "Health checks failed with these codes: [404]",
        ],
    );
}

#[test]
fn a_worker_without_a_load_balancer_is_healthy_when_its_tasks_run() {
    let setting = Setting::new("dev");
    let image = setting.image(&["/bin/busybox", "sleep", "600"]);
    let service = setting.service();
    let definition = setting.ecs(
        "DescribeTaskDefinition",
        &json!({"taskDefinition": service["taskDefinition"]}),
    );
    let mut definition = definition["taskDefinition"].clone();
    let mut container = definition["containerDefinitions"][0].take();
    container["portMappings"] = json!([]);
    container["image"] = json!(format!("{}/placeholder@{image}", setting.world.registry));
    let registered = setting.ecs(
        "RegisterTaskDefinition",
        &json!({
            "family": "worker", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "executionRoleArn": definition["executionRoleArn"],
            "containerDefinitions": [container],
        }),
    );
    setting.ecs(
        "CreateService",
        &json!({
            "cluster": setting.cluster(), "serviceName": "worker", "desiredCount": 1, "launchType": "FARGATE",
            "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
            "networkConfiguration": service["networkConfiguration"],
            "deploymentConfiguration": service["deploymentConfiguration"],
        }),
    );
    let next = setting.image(&["/bin/busybox", "sleep", "601"]);
    let output = ends(
        &mut setting.command("deploy", "worker", &["--digest", &next]),
        0,
        &["succeeded", &next],
    );
    assert!(!output.contains("address"), "{output}");
    let crashing = setting.image(&["/bin/busybox", "sh", "-c", "exit 4"]);
    ends(
        &mut setting.command("deploy", "worker", &["--digest", &crashing]),
        5,
        &["was rolled back", "container storefront: exit 4"],
    );
}
