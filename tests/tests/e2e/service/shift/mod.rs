//! Deployments that shift traffic between two target groups: followed, paused, continued, rolled back.

mod back;
mod ends;
mod over;
mod pause;

use std::process::Command;

use serde_json::{Value, json};

use super::{Setting, ends, wait};
use crate::support::{Started, TIMEOUT, element, until};

const ELB: &str = "2015-12-01";

/// A service of a test's own behind a load balancer with two target groups.
struct Shifting<'a> {
    setting: &'a Setting,
    name: &'static str,
}

impl<'a> Shifting<'a> {
    /// Creates it with this deployment configuration, and waits until its first version runs.
    fn new(setting: &'a Setting, name: &'static str, configuration: &Value) -> Self {
        let serves = Self { setting, name }.version("1");
        let shifting = Self::create(setting, name, configuration, &serves);
        until("the first version runs", TIMEOUT, || {
            (shifting.record()["status"] == "SUCCESSFUL").then_some(())
        });
        shifting
    }

    /// Creates it with this first version.
    fn create(
        setting: &'a Setting,
        name: &'static str,
        configuration: &Value,
        digest: &str,
    ) -> Self {
        let shifting = Self { setting, name };
        let [blue, green] = ["blue", "green"].map(|color| shifting.group(color));
        let balancer = shifting.elb(
            "CreateLoadBalancer",
            &[
                ("Name", name),
                ("Subnets.member.1", "subnet-1"),
                ("Subnets.member.2", "subnet-2"),
            ],
            "LoadBalancerArn",
        );
        let listener = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &blue),
        ];
        let listener = shifting.elb("CreateListener", &listener, "ListenerArn");
        let rule = shifting.elb("DescribeRules", &[("ListenerArn", &listener)], "RuleArn");
        let service = setting.service();
        setting.ecs(
            "CreateService",
            &json!({
                "cluster": setting.cluster(), "serviceName": name, "desiredCount": 1,
                "launchType": "FARGATE", "taskDefinition": shifting.register(digest),
                "networkConfiguration": service["networkConfiguration"],
                "healthCheckGracePeriodSeconds": 60,
                "deploymentConfiguration": configuration,
                "loadBalancers": [{
                    "targetGroupArn": blue, "containerName": "web", "containerPort": 8080,
                    "advancedConfiguration": {
                        "alternateTargetGroupArn": green, "productionListenerRule": rule,
                        "roleArn": "arn:aws:iam::123456789012:role/balancers",
                    },
                }],
            }),
        );
        shifting
    }

    fn elb(&self, action: &str, parameters: &[(&str, &str)], wanted: &str) -> String {
        let query = self
            .setting
            .aws
            .query("elasticloadbalancing", ELB, action, parameters);
        let answer = wait(TIMEOUT, query).unwrap().unwrap();
        element(&answer, wanted).unwrap()
    }

    fn group(&self, color: &str) -> String {
        let name = format!("{}-{color}", self.name);
        let parameters = [
            ("Name", name.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", "vpc-1"),
            ("TargetType", "ip"),
            ("HealthCheckPath", "/healthz"),
            ("HealthCheckIntervalSeconds", "2"),
            ("HealthCheckTimeoutSeconds", "2"),
            ("HealthyThresholdCount", "2"),
            ("UnhealthyThresholdCount", "5"),
        ];
        self.elb("CreateTargetGroup", &parameters, "TargetGroupArn")
    }

    /// The digest of an image that serves, and differs by this word from others.
    fn version(&self, word: &str) -> String {
        let realm = format!("{}-{word}", self.name);
        let serve = [
            "/bin/busybox",
            "httpd",
            "-f",
            "-p",
            "8080",
            "-h",
            "/www",
            "-r",
            &realm,
        ];
        self.setting.image(&serve)
    }

    fn register(&self, digest: &str) -> String {
        let running = json!({"taskDefinition": self.setting.service()["taskDefinition"]});
        let running = self.setting.ecs("DescribeTaskDefinition", &running);
        let registered = self.setting.ecs(
            "RegisterTaskDefinition",
            &json!({
                "family": self.name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
                "cpu": "256", "memory": "512",
                "executionRoleArn": running["taskDefinition"]["executionRoleArn"],
                "containerDefinitions": [{
                    "name": "web", "image": format!("{}/placeholder@{digest}", self.setting.world.registry),
                    "portMappings": [{"containerPort": 8080}],
                }],
            }),
        );
        let arn = &registered["taskDefinition"]["taskDefinitionArn"];
        arn.as_str().unwrap().to_owned()
    }

    fn configure(&self, configuration: &Value) {
        let input = json!({"cluster": self.setting.cluster(), "service": self.name,
                           "deploymentConfiguration": configuration});
        self.setting.ecs("UpdateService", &input);
    }

    fn run(&self, verb: &str, further: &[&str]) -> Command {
        self.setting.command(verb, self.name, further)
    }

    fn deploy(&self, digest: &str, further: &[&str]) -> Command {
        self.run("deploy", &[&["--digest", digest], further].concat())
    }

    fn service(&self) -> Value {
        let input = json!({"cluster": self.setting.cluster(), "services": [self.name]});
        self.setting.ecs("DescribeServices", &input)["services"][0].clone()
    }

    /// ECS's records of its deployments, newest first.
    fn records(&self) -> Vec<Value> {
        let input = json!({"cluster": self.setting.cluster(), "service": self.name});
        let listed = self.setting.ecs("ListServiceDeployments", &input);
        listed["serviceDeployments"].as_array().unwrap().clone()
    }

    fn record(&self) -> Value {
        let records = self.records();
        let Some(newest) = records.first() else {
            return Value::Null;
        };
        let input = json!({"serviceDeploymentArns": [newest["serviceDeploymentArn"]]});
        self.setting.ecs("DescribeServiceDeployments", &input)["serviceDeployments"][0].clone()
    }

    fn at_stage(&self, stage: &str) {
        until(stage, TIMEOUT, || {
            (self.record()["lifecycleStage"] == stage).then_some(())
        });
    }

    /// The image that the service runs.
    fn runs(&self) -> String {
        let definition = json!({"taskDefinition": self.service()["taskDefinition"]});
        let found = self.setting.ecs("DescribeTaskDefinition", &definition);
        let image = &found["taskDefinition"]["containerDefinitions"][0]["image"];
        let (_, digest) = image.as_str().unwrap().split_once('@').unwrap();
        digest.to_owned()
    }
}

/// Blue and green at once, with a bake of so many minutes, which are two seconds each here.
fn blue_green(minutes: u32) -> Value {
    json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": minutes,
           "deploymentCircuitBreaker": {"enable": true, "rollback": true}})
}

/// The value of an output in the last run that wrote it.
fn output(setting: &Setting, wanted: &str) -> Option<String> {
    let outputs = step_job::entries(&setting.job.read("output"));
    let mut found = outputs.into_iter().filter(|(name, _)| name == wanted);
    found.next_back().map(|(_, value)| value)
}
