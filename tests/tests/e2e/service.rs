//! The service step and deployments that do not go well: what it says, how it ends, and what runs afterwards.

mod missing;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::Signal;
use sandbox::instance::port;
use sandbox::world::World;
use sandbox::world::aws::Aws;
use sandbox::world::http_client;
use serde_json::{Value, json};

use crate::job::Job;
use crate::record::calls;
use crate::support::{PATIENCE, Started, instance, log, session, until, wait, world};

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
            wait(PATIENCE, async {
                let world = world("service").await;
                world.serve(instance()).await.unwrap();
                for environment in &world.environments {
                    let may = world.deploys_anything(instance(), environment);
                    may.await.unwrap();
                }
                world
            })
        });
        let (aws, keys) = wait(PATIENCE, async {
            let account = &world.environment(environment).unwrap().account;
            let aws = world.administrator(instance(), account).await.unwrap();
            (aws, session(world, environment, "slipway-deploy").await)
        });
        let mut variables = world.variables(instance());
        variables.extend(keys.variables());
        Self {
            world,
            environment,
            aws,
            job: Job::new(variables),
            _turn: turn,
        }
    }

    /// The digest of a new image that runs this.
    fn image(&self, command: &[&str]) -> String {
        let put = self.world.image(instance(), command);
        let reference = wait(PATIENCE, put).unwrap();
        reference.split_once('@').unwrap().1.to_owned()
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
        wait(PATIENCE, call).unwrap().unwrap()
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": self.cluster(), "services": [self.world.service]});
        self.ecs("DescribeServices", &input)["services"][0].clone()
    }
}

/// A service of a test's own in the environment's cluster, without a load balancer: two containers of one repository.
struct Pair<'a> {
    setting: &'a Setting,
    name: &'static str,
}

impl<'a> Pair<'a> {
    /// Creates it with these percentages and this many tasks, and waits until it is complete.
    fn new(setting: &'a Setting, name: &'static str, percent: [u32; 2], desired: u32) -> Self {
        let pair = Self { setting, name };
        let image = setting.image(&["/bin/busybox", "sleep", "600"]);
        let definition = pair.register(&image, &json!({}));
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
        until(
            "the service of two containers is complete",
            PATIENCE,
            || (pair.service()["deployments"][0]["rolloutState"] == "COMPLETED").then_some(()),
        );
        pair
    }

    /// Registers a revision as infrastructure does, with members of the definition and of its first container.
    fn register(&self, image: &str, more: &Value) -> String {
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

    fn deploy(&self, digest: &str, further: &[&str]) -> Command {
        let mut all = vec!["--digest", digest];
        all.extend(further);
        self.setting.command("deploy", self.name, &all)
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": self.setting.cluster(), "services": [self.name]});
        self.setting.ecs("DescribeServices", &input)["services"][0].clone()
    }

    /// The containers of the definition that the service uses.
    fn containers(&self) -> Value {
        let definition = json!({"taskDefinition": self.service()["taskDefinition"]});
        let found = self.setting.ecs("DescribeTaskDefinition", &definition);
        found["taskDefinition"]["containerDefinitions"].clone()
    }
}

/// What the next calls of one operation in an environment's account meet.
fn fault(setting: &Setting, service: &str, operation: &str, times: u32, fault: &Value) {
    let account = &setting
        .world
        .environment(setting.environment)
        .unwrap()
        .account
        .id;
    let body = json!({"account": account, "service": service, "operation": operation,
                      "times": times, "fault": fault});
    let url = format!("{}/_sandbox/faults", instance().url(port::GATEWAY));
    let answer = wait(PATIENCE, async {
        let http = http_client().unwrap();
        http.post(&url).json(&body).send().await.unwrap()
    });
    assert!(answer.status().is_success(), "{answer:?}");
}

/// Runs it, and expects how it ends and what it says.
#[track_caller]
fn ends(command: &mut Command, exit: i32, said: &[&str]) -> String {
    let output = Started::new(command).end(PATIENCE);
    let text = format!(
        "{}{}",
        log(&output),
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(output.status.code(), Some(exit), "{text}");
    for piece in said {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    text
}

#[test]
fn what_crashes_or_cannot_be_pulled_is_rolled_back_and_the_reason_told() {
    let setting = Setting::new("dev");
    let before = setting.service()["taskDefinition"].clone();
    let crashing = setting.image(&["/bin/busybox", "sh", "-c", "exit 3"]);
    ends(
        &mut setting.deploy(&crashing, &[]),
        5,
        &[
            "did not become healthy and was rolled back",
            "Essential container in task exited",
            "container storefront: exit 3",
            "circuit breaker",
            "slipway-service status --cluster",
        ],
    );
    let summary = setting.job.read("summary");
    assert!(
        summary.contains("rolled back") && summary.contains("**Why**"),
        "{summary}"
    );
    let missing = format!("sha256:{}", "0".repeat(64));
    ends(
        &mut setting.deploy(&missing, &[]),
        5,
        &["was rolled back", "CannotPullContainerError"],
    );
    assert_eq!(setting.service()["taskDefinition"], before);
    // What failed leaves no outputs.
    assert_eq!(setting.job.read("output"), "");
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
fn targets_that_answer_wrongly_fail_the_deployment_and_their_answer_is_told() {
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
fn whoever_stops_following_says_that_the_deployment_goes_on() {
    let setting = Setting::new("production");
    let never = setting.image(&["/bin/busybox", "sleep", "600"]);
    let words = ["within 5 s", "still waiting for", "a longer --timeout"];
    ends(&mut setting.deploy(&never, &["--timeout", "5s"]), 1, &words);
    // The same deploy again follows the same deployment.
    let deployments = setting.service()["deployments"].clone();
    let count = deployments.as_array().unwrap().len();
    assert_eq!(count, 2, "{deployments}");
    let cluster = setting.cluster();
    let account = &setting.world.environment("production").unwrap().account.id;
    let looks = || {
        let calls = wait(PATIENCE, calls(setting.world));
        let looks = calls.iter().filter(|call| {
            call.account.as_ref() == Some(account) && call.operation == "DescribeTargetHealth"
        });
        looks.count()
    };
    let earlier = looks();
    let following = Started::new(&mut setting.deploy(&never, &[]));
    // Once before it decides; what it looks at after that it follows.
    until("it follows the deployment", PATIENCE, || {
        (looks() >= earlier + 4).then_some(())
    });
    following.signal(Signal::INT);
    let ended = following.end(PATIENCE);
    let said = log(&ended);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    for piece in ["goes on in ECS; nothing was taken back", &cluster] {
        assert!(said.contains(piece), "no {piece} in\n{said}");
    }
    assert_eq!(
        setting.service()["deployments"].as_array().unwrap().len(),
        2
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
    let said = ends(
        &mut setting.command("deploy", "worker", &["--digest", &next]),
        0,
        &["succeeded", &next],
    );
    assert!(!said.contains("address"), "{said}");
    let crashing = setting.image(&["/bin/busybox", "sh", "-c", "exit 4"]);
    ends(
        &mut setting.command("deploy", "worker", &["--digest", &crashing]),
        5,
        &["was rolled back", "container storefront: exit 4"],
    );
}

/// Lets the world's permit role of dev record a service of another name too.
async fn records_as(world: &World, service: &str) {
    let aws = world.administrator(instance(), &world.build).await.unwrap();
    let document = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Action": ["dynamodb:PutItem", "dynamodb:ConditionCheckItem"],
        "Resource": "*",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [format!("{service}#dev")]}},
    }]});
    let document = document.to_string();
    let parameters = [
        ("RoleName", "slipway-permit-dev"),
        ("PolicyName", service),
        ("PolicyDocument", document.as_str()),
    ];
    let put = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
    put.await.unwrap().unwrap();
}

/// After a deployment that failed, the service runs what it ran before: that is what is promoted, not what failed.
#[test]
fn a_promotion_without_a_digest_takes_what_ran_healthy_last() {
    let setting = Setting::new("dev");
    let world = setting.world;
    wait(PATIENCE, records_as(world, "recorded"));
    let job = |environment: &str| {
        let stage = world.codebuild_session(instance(), environment, "e2e");
        let mut variables = world.variables(instance());
        variables.extend(world.repository_variables());
        variables.extend(world.environment_variables(world.environment(environment).unwrap()));
        variables.extend(wait(PATIENCE, stage).unwrap().variables());
        // GitHub is asked for everything else, which is not what this is about.
        variables.insert("GITHUB_TOKEN".to_owned(), "ghs_nobodys".to_owned());
        variables.insert("GITHUB_API_URL".to_owned(), instance().url(port::GITHUB));
        let job = Job::new(variables);
        let contract = include_str!("../../../docs/examples/storefront/delivery.yaml");
        // Another service's ledger, so that no other test of this world writes it.
        let contract = contract.replace("service: storefront", "service: recorded");
        // Nothing was built here, so nothing is signed.
        let signed = |line: &&str| line.trim_start().starts_with("keys:");
        let unsigned: Vec<&str> = contract.lines().filter(|line| !signed(line)).collect();
        std::fs::write(job.file("delivery.yaml"), unsigned.join("\n")).unwrap();
        job
    };
    let (dev, staging) = (job("dev"), job("staging"));
    until("dev's service is as it should be", PATIENCE, || {
        let deployments = &setting.service()["deployments"];
        let steady = deployments[0]["rolloutState"] == "COMPLETED";
        (steady && deployments.as_array()?.len() == 1).then_some(())
    });
    let running = setting.service()["taskDefinition"].clone();
    let running = setting.ecs(
        "DescribeTaskDefinition",
        &json!({"taskDefinition": running}),
    );
    let image = running["taskDefinition"]["containerDefinitions"][0]["image"].clone();
    let healthy = image
        .as_str()
        .unwrap()
        .split_once('@')
        .unwrap()
        .1
        .to_owned();
    let failed = format!("sha256:{}", "f".repeat(64));
    let commit = "4711".repeat(10);
    let record = |digest: &str, verdict: &str| {
        let record = [
            "record",
            "--environment",
            "dev",
            "--digest",
            digest,
            "--verdict",
            verdict,
            "--commit",
            &commit,
            "--cluster",
            &setting.cluster(),
            "--service",
            &world.service,
            "--container",
            &world.service,
        ];
        dev.command("slipway-promote", &record)
    };
    let refusal = [
        "is not seen running",
        "to run sha256:ffff",
        "nothing was recorded",
    ];
    ends(&mut record(&failed, "healthy"), 3, &refusal);
    let denied =
        json!({"kind": "status", "status": 400, "code": "AccessDeniedException", "message": "no"});
    for (service, operation) in [
        ("ecs", "DescribeTasks"),
        ("elasticloadbalancing", "DescribeTargetHealth"),
    ] {
        fault(&setting, service, operation, 1, &denied);
        let needs = format!("the call needs {service}:{operation}");
        ends(&mut record(&healthy, "healthy"), 1, &[&needs]);
    }
    ends(&mut record(&healthy, "healthy"), 0, &[&healthy]);
    ends(&mut record(&failed, "failed"), 0, &[&failed]);
    let check = ["check", "--environment", "staging", "--json"];
    let ended = staging.run(&mut staging.command("slipway-promote", &check));
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), log(&ended));
    assert!(said.contains(&healthy) && !said.contains(&failed), "{said}");
}

/// What infrastructure registered since the last deployment comes with the next one, in every container of the image, and
/// is shown without values; an equal deploy after it changes nothing.
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
    let said = ends(&mut pair.deploy(&next, &["--dry-run"]), 0, &changed);
    assert!(!said.contains("hunter2"), "{said}");
    let said = ends(
        &mut pair.deploy(&next, &[]),
        0,
        &[&changed[..], &["succeeded"]].concat(),
    );
    assert!(!said.contains("hunter2"), "{said}");
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
    let one = ["--container", "web"];
    ends(
        &mut pair.deploy(&last, &one),
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

/// What arithmetic says can never begin is refused, and zero tasks are deployed to only where that is asked for.
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
        &["not healthy: missing a desired count above zero"],
    );
}
