//! One test's own stand-in: a registry that asks for a password, an image in it, and a network address of its own.

use std::future::Future;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Value, json};
use standin_ecs::{AlarmQuery, Config, Ecs, Timings, Upstream, UpstreamCall, UpstreamError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::parts::{
    PASSWORD, TIMEOUT, address, containers, docker, docker_socket, images, models, push_image, run,
    start_registry,
};

pub(crate) const ACCOUNT: &str = "210987654321";
pub(crate) const REGION: &str = "ca-central-1";

pub(crate) struct Bench {
    pub(crate) ecs: Ecs,
    pub(crate) registry: String,
    pub(crate) label: String,
    pub(crate) config: Config,
    /// `registry/shop/app@sha256:…`, pushed and known to no engine.
    pub(crate) image: String,
    /// Names of the alarms that are in the state ALARM.
    pub(crate) alarming: Arc<Mutex<Vec<String>>>,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// One with the cluster `shop`.
    pub(crate) async fn start() -> Self {
        Self::with_cluster(Duration::from_secs(1)).await
    }

    /// One whose deployments take a while to complete. On a busy machine a task takes longer than a second to crash, and a test
    /// to look at a deployment that is in progress.
    pub(crate) async fn unhurried() -> Self {
        Self::with_cluster(Duration::from_secs(10)).await
    }

    async fn with_cluster(settle: Duration) -> Self {
        let bench = Self::with(models(), settle).await;
        bench
            .ecs("CreateCluster", json!({"clusterName": "shop"}))
            .await;
        bench
    }

    pub(crate) async fn with(models_dir: PathBuf, settle: Duration) -> Self {
        let (number, ip) = address();
        let registry = format!("{ip}:5000");
        let folder = tempfile::tempdir().unwrap();
        let process = start_registry(folder.path(), &registry);
        let image = push_image(folder.path(), &registry);
        let label = format!("standin-test-{}-{number}", std::process::id());
        let alarming = Arc::<Mutex<Vec<String>>>::default();
        let config = Config {
            alarms: alarms(alarming.clone()),
            models_dir,
            docker_socket: docker_socket(),
            ip,
            first_lb_port: 4100,
            registry: registry.clone(),
            label: label.clone(),
            upstream: upstream(),
            timings: Timings {
                settle,
                minute: Duration::from_millis(1500),
                ..Timings::default()
            },
        };
        let ecs = Ecs::start(config.clone()).await.unwrap_or_else(|error| {
            panic!(
                "these tests need Docker Engine and AWS's service models: {error}: {:?}",
                std::error::Error::source(&error)
            )
        });
        Self {
            ecs,
            registry,
            label,
            config,
            image,
            alarming,
            process,
            _folder: folder,
        }
    }

    /// Ends the test: every answer fitted the model, and no container is left.
    pub(crate) async fn finish(self) {
        assert_eq!(self.ecs.violations(), Vec::<String>::new());
        self.ecs.shutdown().await.unwrap();
        assert_eq!(containers(&self.label), Vec::<String>::new());
        let mut volumes = docker();
        volumes.args([
            "volume",
            "ls",
            "-q",
            "--filter",
            &format!("label=slipway.sandbox={}", self.label),
        ]);
        assert_eq!(run(&mut volumes), "");
    }

    pub(crate) async fn try_ecs(
        &self,
        operation: &str,
        input: Value,
    ) -> Result<Value, (u16, String, String)> {
        json_call(
            &self.ecs,
            "ecs",
            &format!("AmazonEC2ContainerServiceV20141113.{operation}"),
            &input,
        )
        .await
    }

    pub(crate) async fn ecs(&self, operation: &str, input: Value) -> Value {
        self.try_ecs(operation, input.clone())
            .await
            .unwrap_or_else(|error| panic!("{operation} {input}: {error:?}"))
    }

    pub(crate) async fn logs(&self, operation: &str, input: Value) -> Value {
        json_call(
            &self.ecs,
            "logs",
            &format!("Logs_20140328.{operation}"),
            &input,
        )
        .await
        .unwrap()
    }

    /// The XML of a query call.
    pub(crate) async fn elb(&self, form: &str) -> (u16, String) {
        let body = format!("Version=2015-12-01&Action={form}");
        let answer = self
            .ecs
            .handle(
                "elasticloadbalancing",
                ACCOUNT,
                REGION,
                &HeaderMap::new(),
                body.as_bytes(),
            )
            .await;
        (
            answer.status().as_u16(),
            String::from_utf8(answer.body().to_vec()).unwrap(),
        )
    }

    /// A target group by this name: its ARN.
    pub(crate) async fn group(&self, name: &str) -> String {
        let form = format!(
            "CreateTargetGroup&Name={name}&Protocol=HTTP&Port=8080&VpcId=vpc-1&TargetType=ip&HealthCheckPath=%2Fhealth\
             &HealthCheckIntervalSeconds=2&HealthCheckTimeoutSeconds=2&HealthyThresholdCount=2&UnhealthyThresholdCount=4"
        );
        let (_, group) = self.elb(&form).await;
        tag(&group, "TargetGroupArn")
    }

    /// The group's ARN and the balancer's address of a load balancer with a target group behind it. Targets are checked every two
    /// seconds and have some time to begin to answer.
    pub(crate) async fn balancer(&self) -> (String, String) {
        let (_, balancer) = self
            .elb("CreateLoadBalancer&Name=web&Subnets.member.1=subnet-1&Subnets.member.2=subnet-2")
            .await;
        let group = self.group("web").await;
        let form = format!(
            "CreateListener&LoadBalancerArn={}&Protocol=HTTP&Port=80&DefaultActions.member.1.Type=forward\
             &DefaultActions.member.1.TargetGroupArn={group}",
            tag(&balancer, "LoadBalancerArn")
        );
        let (status, listener) = self.elb(&form).await;
        assert_eq!(status, 200, "{listener}");
        (group, tag(&balancer, "DNSName"))
    }

    /// Registers a Fargate definition of the test image with these variables, and returns its ARN.
    pub(crate) async fn definition(&self, environment: &[(&str, &str)]) -> String {
        self.definition_of(&self.image, environment).await
    }

    pub(crate) async fn definition_of(&self, image: &str, environment: &[(&str, &str)]) -> String {
        let environment: Vec<Value> = environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut input = definition(image);
        input["containerDefinitions"][0]["environment"] = json!(environment);
        let answer = self.ecs("RegisterTaskDefinition", input).await;
        answer["taskDefinition"]["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn service(&self) -> Value {
        self.ecs(
            "DescribeServices",
            json!({"cluster": "shop", "services": ["web"]}),
        )
        .await["services"][0]
            .clone()
    }

    pub(crate) async fn rollout(&self) -> Value {
        let brief = self
            .ecs(
                "ListServiceDeployments",
                json!({"cluster": "shop", "service": "web"}),
            )
            .await;
        let arn = &brief["serviceDeployments"][0]["serviceDeploymentArn"];
        self.ecs(
            "DescribeServiceDeployments",
            json!({"serviceDeploymentArns": [arn]}),
        )
        .await["serviceDeployments"][0]
            .clone()
    }

    /// Described tasks of the service with this desired status, newest first.
    pub(crate) async fn tasks(&self, desired: &str) -> Vec<Value> {
        let listed = self
            .ecs(
                "ListTasks",
                json!({"cluster": "shop", "serviceName": "web", "desiredStatus": desired}),
            )
            .await;
        if listed["taskArns"] == json!([]) {
            return Vec::new();
        }
        let described = self
            .ecs(
                "DescribeTasks",
                json!({"cluster": "shop", "tasks": listed["taskArns"]}),
            )
            .await;
        described["tasks"].as_array().unwrap().clone()
    }

    /// Waits until the PRIMARY deployment is in this rollout state, and returns the service.
    pub(crate) async fn until_rollout(&self, state: &str) -> Value {
        let start = Instant::now();
        loop {
            let service = self.service().await;
            if service["deployments"][0]["rolloutState"] == state {
                return service;
            }
            if start.elapsed() > TIMEOUT {
                let stopped = self.tasks("STOPPED").await;
                let running = self.tasks("RUNNING").await;
                let unanswered = self.ecs.unanswered();
                let engine = run(docker().args(["ps", "-a", "--no-trunc"]));
                panic!(
                    "waited in vain for rollout {state}\nservice: {service:#}\nstopped tasks: {stopped:#?}\n\
                     tasks: {running:#?}\ntargets without an answer: {unanswered:#?}\ncontainers:\n{engine}"
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let remaining = containers(&self.label);
        if !remaining.is_empty() {
            let _ = docker().args(["rm", "-f", "-v"]).args(remaining).output();
        }
        let _ = docker()
            .args(["rmi", "-f"])
            .args(images(&self.registry))
            .output();
    }
}

/// Polls until `look` is satisfied; after a while the test fails with what was seen last.
pub(crate) async fn eventually<T, S: std::fmt::Debug, F: Future<Output = Result<T, S>>>(
    operation: &str,
    look: impl Fn() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(seen) if start.elapsed() > TIMEOUT => {
                panic!("waited in vain for {operation}; last seen: {seen:#?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

pub(crate) fn definition(image: &str) -> Value {
    json!({
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/execution"),
        "containerDefinitions": [{
            "name": "app",
            "image": image,
            "portMappings": [{"containerPort": 8080}],
            "linuxParameters": {"initProcessEnabled": true},
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/shop/web", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs",
            }},
        }],
    })
}

/// Status and body of `GET http://address/path`, over a connection of its own.
pub(crate) async fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    get_with(address, path, "Accept: */*").await
}

/// The same with a header.
pub(crate) async fn get_with(
    address: &str,
    path: &str,
    header: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    ))
}

/// Input of CreateService for a service `web` in the cluster `shop`.
pub(crate) fn service(definition: &str, group: Option<&str>) -> Value {
    let mut input = json!({
        "cluster": "shop",
        "serviceName": "web",
        "taskDefinition": definition,
        "desiredCount": 1,
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"]}},
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
    });
    if let Some(group) = group {
        input["loadBalancers"] =
            json!([{"targetGroupArn": group, "containerName": "app", "containerPort": 8080}]);
        // A container that is slow to begin is not given up for it.
        input["healthCheckGracePeriodSeconds"] = json!(120);
    }
    input
}

pub(crate) fn messages(service: &Value) -> Vec<String> {
    service["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

/// The text of the first element of this name.
pub(crate) fn tag(xml: &str, name: &str) -> String {
    let after = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name} in {xml}"))
        .1;
    after
        .split_once(&format!("</{name}>"))
        .unwrap()
        .0
        .to_owned()
}

async fn json_call(
    ecs: &Ecs,
    service: &str,
    target: &str,
    input: &Value,
) -> Result<Value, (u16, String, String)> {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", target.parse().unwrap());
    let answer = ecs
        .handle(
            service,
            ACCOUNT,
            REGION,
            &headers,
            input.to_string().as_bytes(),
        )
        .await;
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    if answer.status().is_success() {
        return Ok(body);
    }
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Err((answer.status().as_u16(), text("__type"), text("message")))
}

/// CloudWatch, as far as ECS asks it.
fn alarms(alarming: Arc<Mutex<Vec<String>>>) -> standin_ecs::Alarms {
    Arc::new(move |query: AlarmQuery| {
        let mut alarming = alarming.lock().unwrap().clone();
        alarming.retain(|name| query.names.contains(name));
        Box::pin(async move { alarming })
    })
}

/// Answers as SSM, Secrets Manager and ECR would for the execution role, and refuses anybody else.
fn upstream() -> Upstream {
    Arc::new(|call: UpstreamCall| Box::pin(async move { answer_upstream(&call) }))
}

fn answer_upstream(call: &UpstreamCall) -> Result<Value, UpstreamError> {
    let refused = |code: &str, message: &str| UpstreamError {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    if call.role != format!("arn:aws:iam::{ACCOUNT}:role/execution")
        || call.account != ACCOUNT
        || call.region != REGION
    {
        return Err(refused("AccessDeniedException", "not the execution role"));
    }
    match (call.target, &call.body) {
        ("AmazonSSM.GetParameters", body) if body["Names"] == json!(["/shop/key"]) => Ok(
            json!({"Parameters": [{"Name": "/shop/key", "Value": "from ssm"}], "InvalidParameters": []}),
        ),
        ("AmazonSSM.GetParameters", body) => {
            Ok(json!({"Parameters": [], "InvalidParameters": body["Names"]}))
        }
        ("secretsmanager.GetSecretValue", _) => {
            Ok(json!({"SecretString": "{\"user\":\"from secrets manager\"}"}))
        }
        _ => {
            let token = STANDARD.encode(format!("AWS:{PASSWORD}"));
            Ok(json!({"authorizationData": [{"authorizationToken": token}]}))
        }
    }
}
