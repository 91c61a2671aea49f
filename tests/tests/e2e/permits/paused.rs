//! A deployment under a permit that pauses: it goes on only under a permit that is in force, in whichever run.

use std::process::Command;

use serde_json::{Value, json};

use super::Setting;
use super::roles::by_infrastructure;
use crate::support::{TIMEOUT, element, ends, until, wait};

const ELB: &str = "2015-12-01";

impl Setting {
    fn elb(&self, action: &str, parameters: &[(&str, &str)], wanted: &str) -> String {
        let query = self
            .aws
            .query("elasticloadbalancing", ELB, action, parameters);
        element(&wait(TIMEOUT, query).unwrap().unwrap(), wanted).unwrap()
    }

    /// Changes the service as its infrastructure does, and waits until ECS has no deployment in progress.
    fn configure(&self, more: &Value) {
        let mut input = json!({"cluster": self.cluster(), "service": self.world.service});
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        self.ecs("UpdateService", &input);
        until("no deployment is in progress", TIMEOUT, || {
            self.service()["currentServiceDeployment"]
                .is_null()
                .then_some(())
        });
    }

    /// The load balancer entry of the service with a second target group, as a service that shifts traffic needs it.
    fn alternate(&self, entry: &Value) -> Value {
        let digest = self.digest.trim_start_matches("sha256:");
        let name = format!("{}-alternate-{:.8}", self.environment, digest);
        let alternate = [
            ("Name", name.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", "vpc-00000000000000001"),
            ("TargetType", "ip"),
            ("HealthCheckPath", "/healthz"),
            ("HealthCheckIntervalSeconds", "5"),
        ];
        let alternate = self.elb("CreateTargetGroup", &alternate, "TargetGroupArn");
        let balancer = [("Names.member.1", self.cluster())];
        let balancer = balancer
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let balancer = self.elb("DescribeLoadBalancers", &balancer, "LoadBalancerArn");
        let listener = [("LoadBalancerArn", balancer.as_str())];
        let listener = self.elb("DescribeListeners", &listener, "ListenerArn");
        let rule = self.elb("DescribeRules", &[("ListenerArn", &listener)], "RuleArn");
        let mut entry = entry.clone();
        entry["advancedConfiguration"] = json!({
            "alternateTargetGroupArn": alternate, "productionListenerRule": rule,
            "roleArn": "arn:aws:iam::123456789012:role/balancers",
        });
        entry
    }

    /// Lets deployments pause once their tasks run. Answers the load balancer entry that the service had.
    pub(super) fn pauses(&self) -> Value {
        let before = self.service()["loadBalancers"][0].clone();
        let after = self.alternate(&before);
        let shifts = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0});
        self.configure(&json!({"loadBalancers": [after], "deploymentConfiguration": shifts}));
        let pause = json!({"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]});
        self.configure(&json!({"deploymentConfiguration": {"lifecycleHooks": [pause]}}));
        before
    }

    /// Lets deployments pause no longer.
    pub(super) fn pauses_no_longer(&self, before: &Value) {
        let rolling = json!({"strategy": "ROLLING", "lifecycleHooks": []});
        self.configure(&json!({"loadBalancers": [before], "deploymentConfiguration": rolling}));
    }

    /// The hook at which the newest deployment of the job paused.
    pub(super) fn hook(&self) -> String {
        let outputs = step_job::entries(&self.job.read("output"));
        let hook = outputs.into_iter().rfind(|(name, _)| name == "hook");
        hook.unwrap().1
    }

    /// Continues the deployment in another run than the one that began it.
    fn proceed(&self, permit: &str) -> Command {
        let mut command = self.under("continue", permit, &["--hook", &self.hook()]);
        command
            .env("GITHUB_RUN_ID", "4713")
            .env("GITHUB_ACTOR", "grace");
        command
    }

    fn roll_back(&self) -> Command {
        let all = ["rollback", "--environment", self.environment];
        self.job.command("slipway-service", &all)
    }
}

#[test]
fn a_paused_deployment_goes_on_in_another_run_only_under_a_permit_that_is_in_force() {
    let setting = Setting::new("staging", "paused");
    let before = setting.pauses();
    let earlier = setting.service()["taskDefinition"].clone();

    let number = setting.permit(&json!({"permit": {"requests": [77]}}));
    let permit = number.to_string();
    let paused = ["is paused at POST_SCALE_UP and waits for an answer"];
    let command = format!(
        "slipway-service continue --environment staging --digest {} --hook ecs-pause-",
        setting.digest
    );
    let named = [paused[0], &command, &format!(" --permit {permit}")];
    ends(&mut setting.deploy(&permit, &[]), 8, &named);
    // The deployment is still the first run's, and only its answer is anybody's who may give it.
    ends(
        &mut setting.deploy_again(&permit),
        3,
        &["began a deployment under it"],
    );
    ends(
        &mut setting.proceed(""),
        3,
        &["staging has a gate", "slipway-promote grant"],
    );
    cannot_answer_without_a_permit(&setting);

    // The request that the permit rests on is withdrawn while the deployment waits.
    setting.plant(&json!({"verdict": "withdrawn", "answers": 77}));
    let withdrawn = ["go on", "request 77 was withdrawn"];
    ends(&mut setting.proceed(&permit), 3, &withdrawn);
    assert_eq!(setting.started(number).len(), 1);
    // To go back needs no permit.
    ends(
        &mut setting.roll_back(),
        0,
        &["stop the deployment of", "rolled back"],
    );
    assert_eq!(setting.service()["taskDefinition"], earlier);
    setting.plant(&json!({"verdict": "rolled_back", "under": number}));

    let number = setting.permit(&json!({}));
    let permit = number.to_string();
    ends(&mut setting.deploy(&permit, &[]), 8, &paused);
    let used = format!("permit {permit} is used up by record");
    let went_on = ["answer hook ecs-pause-", &used, "succeeded"];
    ends(&mut setting.proceed(&permit), 0, &went_on);
    let started = setting.started(number);
    assert_eq!(started.len(), 2);
    assert_eq!(started[0]["actor"]["login"], "grace");
    assert!(setting.image().ends_with(&setting.digest));
    // The run that began it is over.
    ends(
        &mut setting.deploy(&permit, &[]),
        3,
        &["grace at 20", "began a deployment under it"],
    );
    setting.plant(&json!({"verdict": "healthy", "under": number}));
    // The last healthy version is what runs; going back from it needs a permit where there is another one.
    setting.pauses_no_longer(&before);
}

/// A session of the deploy role without the permit's tag may not answer.
fn cannot_answer_without_a_permit(setting: &Setting) {
    let record = setting.service()["currentServiceDeployment"].clone();
    let described = json!({"serviceDeploymentArns": [record]});
    let described = setting.ecs("DescribeServiceDeployments", &described);
    let hook = &described["serviceDeployments"][0]["lifecycleHookDetails"][0]["hookId"];
    let input = json!({"serviceDeploymentArn": record, "hookId": hook});
    let refused = by_infrastructure(setting, "ContinueServiceDeployment", &input).unwrap_err();
    assert!(refused.contains("AccessDenied"), "{refused}");
}
