//! A deployment of ECS with real containers, healthy and rolled back by the circuit breaker: `slipway-service deploy` beside the
//! AWS CLI's `register-task-definition`, `update-service` and `wait services-stable`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::measure::Call;
use super::row::Row;
use super::stage::Stage;
use super::verdict::{Contender, Sample, Work, action};
use crate::fault::{Context, Fault, Result};
use crate::say::note;
use crate::world::aws::{Aws, unless_there};
use crate::world::runner::Variables;
use crate::world::{Environment, World};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";
const ROUNDS: usize = 3;
/// How long a service takes at most until it is steady.
const STEADY: Duration = Duration::from_secs(300);
/// The calls to read services that ECS takes in a second of an account (Amazon ECS API Reference, "Request throttling for the Amazon
/// ECS API").
const RATE: f64 = 20.0;
/// What ECS adds to a task definition, and does not take.
const OUTPUT_ONLY: [&str; 8] = [
    "compatibilities",
    "taskDefinitionArn",
    "requiresAttributes",
    "revision",
    "status",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];

/// How a deployment ends, with the command of its image, which a number makes another one.
struct Outcome {
    name: &'static str,
    command: fn(usize) -> String,
    /// The step's words and exit code.
    proof: &'static str,
    exit: i32,
}

const OUTCOMES: [Outcome; 2] = [
    Outcome {
        name: "a new digest",
        command: |number| format!("exec /bin/busybox httpd -f -p 8080 -h /www # {number}"),
        proof: "succeeded",
        exit: 0,
    },
    Outcome {
        name: "one that ECS rolls back",
        command: |number| format!("exit 3 # {number}"),
        proof: "was rolled back",
        exit: 5,
    },
];

#[derive(Clone, Copy)]
enum Tool {
    Ours,
    Cli,
    Action,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "slipway-service deploy",
            Self::Cli => "aws ecs wait services-stable",
            Self::Action => "the action",
        }
    }
}

pub(super) async fn rows(stage: &Stage<'_>) -> Result<Vec<Row>> {
    let family = "bench-service-";
    let name = format!(
        "{family}{}",
        &uuid::Uuid::new_v4().simple().to_string()[..6]
    );
    let _in_use = World::replace_earlier(stage.instance, family, &name).await?;
    let world = World::create(stage.instance, &name).await?;
    let dev = world.environment("dev")?;
    world.serve_in(stage.instance, dev).await?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let running = Running::new(stage, &world, dev, folder.path()).await?;
    let mut tools = vec![Tool::Ours, Tool::Cli];
    tools.extend(action().map(|_| Tool::Action));
    let mut rows = Vec::new();
    let mut number = 0;
    for outcome in &OUTCOMES {
        let mut contenders: Vec<Contender> = tools
            .iter()
            .map(|tool| Contender::new(tool.name()))
            .collect();
        for _ in 0..stage.rounds.unwrap_or(ROUNDS) {
            for (tool, kept) in tools.iter().zip(&mut contenders) {
                number += 1;
                kept.samples
                    .push(running.sample(*tool, outcome, number).await?);
            }
        }
        let work = Work {
            name: outcome.name,
            wall: None,
            exit: outcome.exit,
            alone: "ECS's own part",
            rate: Some(("ecs", RATE)),
        };
        rows.extend(work.rows(&contenders)?);
    }
    world.tear_down(stage.instance, dev).await?;
    Ok(rows)
}

/// A service that runs.
struct Running<'a> {
    stage: &'a Stage<'a>,
    world: &'a World,
    cluster: String,
    account: &'a str,
    aws: Aws,
    environment: Variables,
    folder: PathBuf,
}

impl<'a> Running<'a> {
    async fn new(
        stage: &'a Stage<'a>,
        world: &'a World,
        of: &'a Environment,
        folder: &Path,
    ) -> Result<Self> {
        let aws = world.administrator(stage.instance, &of.account).await?;
        let mut environment = world.variables(stage.instance);
        environment.extend(aws.variables());
        Ok(Self {
            stage,
            world,
            cluster: of.cluster(&world.service),
            account: &of.account.id,
            aws,
            environment,
            folder: folder.to_owned(),
        })
    }

    /// One deployment by one tool.
    async fn sample(&self, tool: Tool, outcome: &Outcome, number: usize) -> Result<Sample> {
        let service = self.steady().await?;
        let command = (outcome.command)(number);
        let shell = ["/bin/busybox", "sh", "-c", &command];
        let image = self.world.image(self.stage.instance, &shell).await?;
        let mut call = match tool {
            Tool::Ours => self.ours(&image, outcome)?,
            Tool::Cli => self.cli(&self.file(&service, &image).await?),
            Tool::Action => self.action(&self.file(&service, &image).await?)?,
        };
        call.environment.extend(self.environment.clone());
        note(&format!("{}: {}", outcome.name, tool.name()));
        let ended = async || self.ended().await.map(Some);
        Sample::of(self.stage, self.account, &call, "UpdateService", ended).await
    }

    fn ours(&self, image: &str, outcome: &Outcome) -> Result<Call> {
        let (_, digest) = image
            .split_once('@')
            .ok_or_else(|| Fault::new("an image without a digest"))?;
        let (cluster, service) = (&self.cluster, &self.world.service);
        let arguments = [
            "deploy",
            "--cluster",
            cluster,
            "--service",
            service,
            "--digest",
            digest,
        ];
        Ok(self.stage.step("service", &arguments, outcome.proof))
    }

    fn cli(&self, definition: &str) -> Call {
        let at = format!("--cluster '{}'", self.cluster);
        let service = &self.world.service;
        let script = format!(
            "new=$(\"$AWS\" ecs register-task-definition --cli-input-json 'file://{definition}' \
             --query taskDefinition.taskDefinitionArn --output text)\n\
             \"$AWS\" ecs update-service {at} --service {service} --task-definition \"$new\" --query service.status --output text\n\
             \"$AWS\" ecs wait services-stable {at} --services {service}"
        );
        self.stage.shell(&script, "ACTIVE")
    }

    /// The action, as a runner starts it.
    fn action(&self, definition: &str) -> Result<Call> {
        let program = format!("{}/dist/index.js", action().unwrap_or_default());
        let output = self.folder.join("output");
        std::fs::write(&output, "").context("making the output's file")?;
        let mut call = self.stage.node(&[&program], "");
        for (name, value) in [
            ("INPUT_TASK-DEFINITION", definition),
            ("INPUT_CLUSTER", &self.cluster),
            ("INPUT_SERVICE", &self.world.service),
            ("INPUT_WAIT-FOR-SERVICE-STABILITY", "true"),
            ("GITHUB_WORKSPACE", &self.folder.display().to_string()),
            ("GITHUB_OUTPUT", &output.display().to_string()),
        ] {
            call.environment.insert(name.to_owned(), value.to_owned());
        }
        Ok(call)
    }

    /// Writes the service's task definition with another image to a file.
    async fn file(&self, service: &Value, image: &str) -> Result<String> {
        let input = json!({"taskDefinition": service["taskDefinition"]});
        let answer = self.ecs("DescribeTaskDefinition", &input).await?;
        let mut definition = answer["taskDefinition"].clone();
        if let Some(members) = definition.as_object_mut() {
            members.retain(|name, _| !OUTPUT_ONLY.contains(&name.as_str()));
        }
        definition["containerDefinitions"][0]["image"] = json!(image);
        let file = self.folder.join("definition.json");
        std::fs::write(&file, definition.to_string()).context("writing the task definition")?;
        Ok(file.display().to_string())
    }

    /// Waits until nothing moves, and answers the service.
    async fn steady(&self) -> Result<Value> {
        let input = json!({"cluster": self.cluster, "services": [self.world.service]});
        let began = std::time::Instant::now();
        while began.elapsed() < STEADY {
            let service = self.ecs("DescribeServices", &input).await?["services"][0].take();
            let all = service["deployments"].as_array().map_or(0, Vec::len);
            let completed = service["deployments"][0]["rolloutState"] == "COMPLETED";
            if all == 1 && completed && service["runningCount"] == service["desiredCount"] {
                return Ok(service);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(Fault::new("the service does not become steady"))
    }

    /// When ECS ended its newest deployment.
    async fn ended(&self) -> Result<OffsetDateTime> {
        let began = std::time::Instant::now();
        let input = json!({"cluster": self.cluster, "service": self.world.service});
        while began.elapsed() < STEADY {
            let listed = self.ecs("ListServiceDeployments", &input).await?;
            let newest = &listed["serviceDeployments"][0];
            if let Some(seconds) = newest["finishedAt"].as_f64() {
                let nanos = (seconds * 1e9) as i128;
                return OffsetDateTime::from_unix_timestamp_nanos(nanos)
                    .context("reading when a deployment ended");
            }
            // A tool may end before.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(Fault::new("the deployment does not end"))
    }

    async fn ecs(&self, operation: &str, input: &Value) -> Result<Value> {
        let target = format!("{ECS}.{operation}");
        let answer = self.aws.json("ecs", &target, input).await?;
        Ok(unless_there(answer, operation, &[])?.unwrap_or_default())
    }
}
