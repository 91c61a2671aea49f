//! Deployments that shift traffic between two target groups.

use serde_json::{Value, json};

use crate::bench::{Bench, eventually, get, get_with, service, tag};

/// A load balancer with two target groups, a rule for test traffic, and a service that deploys as configured.
struct Shifting {
    bench: Bench,
    address: String,
    groups: [String; 2],
    rules: [String; 2],
}

impl Shifting {
    /// Runs version `one`.
    async fn start(configuration: Value) -> Self {
        let bench = Bench::start().await;
        let (blue, address) = bench.balancer().await;
        let green = bench.group("green").await;
        let (_, listeners) = bench.elb("DescribeListeners").await;
        let listener = tag(&listeners, "ListenerArn");
        let (_, test) = bench
            .elb(&format!(
                "CreateRule&ListenerArn={listener}&Priority=1&Conditions.member.1.Field=http-header\
                 &Conditions.member.1.HttpHeaderConfig.HttpHeaderName=x-test\
                 &Conditions.member.1.HttpHeaderConfig.Values.member.1=yes&Actions.member.1.Type=forward\
                 &Actions.member.1.TargetGroupArn={blue}"
            ))
            .await;
        let test = tag(&test, "RuleArn");
        let (_, rules) = bench
            .elb(&format!("DescribeRules&ListenerArn={listener}"))
            .await;
        let default = rules.split_once("<Priority>default</Priority>").unwrap().0;
        let production = default.rsplit_once("<RuleArn>").unwrap().1;
        let production = production.split_once('<').unwrap().0.to_owned();
        let one = bench.definition(&[("VERSION", "one")]).await;
        let mut input = service(&one, Some(&blue));
        input["loadBalancers"][0]["advancedConfiguration"] = json!({
            "alternateTargetGroupArn": green,
            "productionListenerRule": production,
            "testListenerRule": test,
            "roleArn": "arn:aws:iam::210987654321:role/balancers",
        });
        for (name, value) in configuration.as_object().unwrap() {
            input["deploymentConfiguration"][name] = value.clone();
        }
        bench.ecs("CreateService", input).await;
        let shifting = Self {
            bench,
            address,
            groups: [blue, green],
            rules: [production, test],
        };
        shifting.until("SUCCESSFUL").await;
        shifting
    }

    async fn deploy(&self, environment: &[(&str, &str)]) -> String {
        let definition = self.bench.definition(environment).await;
        self.bench
            .ecs(
                "UpdateService",
                json!({"cluster": "shop", "service": "web", "taskDefinition": definition}),
            )
            .await;
        definition
    }

    async fn until(&self, status: &str) -> Value {
        eventually(status, async || {
            let rollout = self.bench.rollout().await;
            if rollout["status"] == status {
                Ok(rollout)
            } else {
                Err((rollout, self.bench.service().await["events"].clone()))
            }
        })
        .await
    }

    async fn until_stage(&self, stage: &str) -> Value {
        eventually(stage, async || {
            let rollout = self.bench.rollout().await;
            if rollout["lifecycleStage"] == stage {
                Ok(rollout)
            } else {
                Err(rollout)
            }
        })
        .await
    }

    /// How many of 100 requests the new version answers.
    async fn share(&self, version: &str) -> usize {
        let mut hits = 0;
        for _ in 0..100 {
            let (status, seen) = get(&self.address, "/").await.unwrap();
            assert_eq!(status, 200);
            hits += usize::from(seen == version);
        }
        hits
    }

    /// Weights of the two target groups in the rule for production traffic.
    async fn weights(&self) -> Vec<String> {
        let (_, rule) = self
            .bench
            .elb(&format!(
                "DescribeRules&RuleArns.member.1={}",
                self.rules[0]
            ))
            .await;
        self.groups
            .iter()
            .map(|group| {
                let end = rule
                    .split("<member>")
                    .find(|part| part.contains(group) && part.contains("<Weight>"));
                end.map_or_else(String::new, |part| tag(part, "Weight"))
            })
            .collect()
    }
}

#[tokio::test]
async fn a_canary_gets_its_share_and_then_everything() {
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
        "canaryConfiguration": {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 4}});
    let shifting = Shifting::start(canary).await;
    assert_eq!(shifting.weights().await, ["100", "0"]);
    shifting.deploy(&[("VERSION", "two")]).await;
    let rollout = eventually("the canary's step", async || {
        let rollout = shifting.bench.rollout().await;
        if rollout["targetServiceRevision"]["requestedProductionTrafficWeight"] == 20.0 {
            Ok(rollout)
        } else {
            Err(rollout)
        }
    })
    .await;
    assert_eq!(rollout["lifecycleStage"], "PRODUCTION_TRAFFIC_SHIFT");
    let source = &rollout["sourceServiceRevisions"][0];
    assert_eq!(
        (
            &source["requestedProductionTrafficWeight"],
            &source["requestedTestTrafficWeight"]
        ),
        (&json!(80.0), &json!(0.0))
    );
    assert_eq!(
        (&source["runningTaskCount"], &source["requestedTaskCount"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(shifting.weights().await, ["80", "20"]);
    let share = shifting.share("two").await;
    assert!((18..=22).contains(&share), "{share}");
    let test = get_with(&shifting.address, "/", "x-test: yes")
        .await
        .unwrap();
    assert_eq!(test, (200, "two".to_owned()));

    shifting.until_stage("BAKE_TIME").await;
    assert_eq!(shifting.share("two").await, 100);
    let done = shifting.until("SUCCESSFUL").await;
    assert_eq!(done.get("lifecycleStage"), None);
    assert_eq!(shifting.weights().await, ["0", "100"]);
    let revision = &done["targetServiceRevision"]["arn"];
    let revision = shifting
        .bench
        .ecs(
            "DescribeServiceRevisions",
            json!({"serviceRevisionArns": [revision]}),
        )
        .await;
    let resolved = &revision["serviceRevisions"][0]["resolvedConfiguration"]["loadBalancers"][0];
    assert_eq!(
        resolved,
        &json!({"targetGroupArn": shifting.groups[1], "productionListenerRule": shifting.rules[0]})
    );
    // The next one comes back to the first target group.
    shifting.deploy(&[("VERSION", "three")]).await;
    shifting.until("SUCCESSFUL").await;
    assert_eq!(shifting.weights().await, ["100", "0"]);
    assert_eq!(shifting.share("three").await, 100);
    shifting.bench.finish().await;
}

#[tokio::test]
async fn a_pause_hook_waits_for_its_answer() {
    let shifting = Shifting::start(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})).await;
    let hook = json!({"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]});
    let configured = json!({"cluster": "shop", "service": "web", "deploymentConfiguration": {"lifecycleHooks": [hook]}});
    shifting.bench.ecs("UpdateService", configured).await;
    shifting.deploy(&[("VERSION", "two")]).await;
    let paused = paused(&shifting).await;
    assert_eq!(paused["lifecycleStage"], "POST_TEST_TRAFFIC_SHIFT");
    let hook = &paused["lifecycleHookDetails"][0];
    assert_eq!(
        (&hook["targetType"], &hook["timeoutAction"]),
        (&json!("PAUSE"), &json!("ROLLBACK"))
    );
    assert_eq!(shifting.share("two").await, 0);

    let arn = &paused["serviceDeploymentArn"];
    let wrong = json!({"serviceDeploymentArn": arn, "hookId": "ecs-pause-other"});
    let refused = shifting
        .bench
        .try_ecs("ContinueServiceDeployment", wrong)
        .await;
    assert_eq!(refused.unwrap_err().1, "InvalidParameterException");
    let right =
        json!({"serviceDeploymentArn": arn, "hookId": hook["hookId"], "action": "CONTINUE"});
    shifting
        .bench
        .ecs("ContinueServiceDeployment", right.clone())
        .await;
    let done = shifting.until("SUCCESSFUL").await;
    assert_eq!(done["lifecycleHookDetails"][0]["status"], "SUCCEEDED");
    assert_eq!(shifting.share("two").await, 100);
    let again = shifting
        .bench
        .try_ecs("ContinueServiceDeployment", right)
        .await;
    assert_eq!(again.unwrap_err().1, "InvalidParameterException");

    // The answer can be to go back.
    shifting.deploy(&[("VERSION", "three")]).await;
    let paused = self::paused(&shifting).await;
    let back = json!({"serviceDeploymentArn": paused["serviceDeploymentArn"],
        "hookId": paused["lifecycleHookDetails"][0]["hookId"], "action": "ROLLBACK"});
    shifting.bench.ecs("ContinueServiceDeployment", back).await;
    shifting.until("ROLLBACK_SUCCESSFUL").await;
    assert_eq!(shifting.share("two").await, 100);
    shifting.bench.finish().await;
}

async fn paused(shifting: &Shifting) -> Value {
    eventually("the pause", async || {
        let rollout = shifting.bench.rollout().await;
        if rollout["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION" {
            Ok(rollout)
        } else {
            Err(rollout)
        }
    })
    .await
}

#[tokio::test]
async fn an_alarm_rolls_back_and_the_earlier_version_serves_all_the_time() {
    let linear = json!({"strategy": "LINEAR", "bakeTimeInMinutes": 60,
        "linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": 1},
        "alarms": {"alarmNames": ["errors", "latency"], "enable": true, "rollback": true}});
    let mut linear_quick = linear.clone();
    linear_quick["bakeTimeInMinutes"] = json!(0);
    let shifting = Shifting::start(linear_quick).await;
    let slow = json!({"cluster": "shop", "service": "web", "deploymentConfiguration": linear});
    shifting.bench.ecs("UpdateService", slow).await;
    let before = shifting.bench.tasks("RUNNING").await[0]["taskArn"].clone();
    shifting.deploy(&[("VERSION", "two")]).await;
    let baking = shifting.until_stage("BAKE_TIME").await;
    assert_eq!(
        baking["alarms"],
        json!({"status": "MONITORING", "alarmNames": ["errors", "latency"], "triggeredAlarmNames": []})
    );
    assert_eq!(shifting.share("two").await, 100);
    shifting
        .bench
        .alarming
        .lock()
        .unwrap()
        .push("latency".to_owned());
    let back = eventually("the way back", async || {
        let (status, _) = get(&shifting.address, "/").await.unwrap();
        assert_eq!(status, 200);
        let rollout = shifting.bench.rollout().await;
        if rollout["status"] == "ROLLBACK_SUCCESSFUL" {
            Ok(rollout)
        } else {
            Err(rollout)
        }
    })
    .await;
    assert_eq!(
        back["alarms"],
        json!({"status": "TRIGGERED", "alarmNames": ["errors", "latency"], "triggeredAlarmNames": ["latency"]})
    );
    assert_eq!(
        back["rollback"]["serviceRevisionArn"],
        back["sourceServiceRevisions"][0]["arn"]
    );
    assert_eq!(shifting.share("one").await, 100);
    assert_eq!(shifting.bench.tasks("RUNNING").await[0]["taskArn"], before);
    // An alarm that is in ALARM already when a deployment begins is not watched.
    let quick = json!({"cluster": "shop", "service": "web", "deploymentConfiguration": {"bakeTimeInMinutes": 0}});
    shifting.bench.ecs("UpdateService", quick).await;
    shifting.deploy(&[("VERSION", "three")]).await;
    let done = shifting.until("SUCCESSFUL").await;
    assert_eq!(done["alarms"]["status"], "DISABLED");
    shifting.bench.finish().await;
}

#[tokio::test]
async fn a_version_that_crashes_gets_no_traffic_and_trips_the_breaker() {
    let shifting = Shifting::start(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})).await;
    shifting.deploy(&[("VERSION", "two"), ("CRASH", "1")]).await;
    let back = eventually("the rollback", async || {
        assert_eq!(
            get(&shifting.address, "/").await.unwrap(),
            (200, "one".to_owned())
        );
        let rollout = shifting.bench.rollout().await;
        if rollout["status"] == "ROLLBACK_SUCCESSFUL" {
            Ok(rollout)
        } else {
            Err(rollout)
        }
    })
    .await;
    assert_eq!(back["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    let after = shifting.bench.service().await;
    assert_eq!(
        after["deployments"].as_array().unwrap().len(),
        1,
        "{after:#}"
    );
    assert_eq!(after["deployments"][0]["rolloutState"], "COMPLETED");
    shifting.bench.finish().await;
}

#[tokio::test]
async fn a_newer_deployment_first_clears_away_the_one_it_supersedes() {
    let shifting = Shifting::start(json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})).await;
    let slow = json!({"cluster": "shop", "service": "web", "deploymentConfiguration": {"bakeTimeInMinutes": 600}});
    shifting.bench.ecs("UpdateService", slow).await;
    shifting.deploy(&[("VERSION", "two")]).await;
    shifting.until_stage("BAKE_TIME").await;
    assert_eq!(shifting.share("two").await, 100);
    shifting.deploy(&[("VERSION", "three")]).await;
    let reconciling = shifting.until_stage("RECONCILE_SERVICE").await;
    assert_eq!(
        reconciling["sourceServiceRevisions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    shifting.until_stage("BAKE_TIME").await;
    assert_eq!(shifting.share("three").await, 100);
    let rollout = shifting.bench.rollout().await;
    let stop =
        json!({"serviceDeploymentArn": rollout["serviceDeploymentArn"], "stopType": "ROLLBACK"});
    shifting.bench.ecs("StopServiceDeployment", stop).await;
    let back = shifting.until("ROLLBACK_SUCCESSFUL").await;
    assert_eq!(shifting.share("one").await, 100);
    assert_eq!(
        back["targetServiceRevision"]["requestedProductionTrafficWeight"],
        0.0
    );
    shifting.bench.finish().await;
}

#[tokio::test]
async fn what_ecs_refuses_is_refused() {
    let bench = Bench::start().await;
    let (group, _) = bench.balancer().await;
    let definition = bench.definition(&[]).await;
    for (configuration, words) in [
        (
            json!({"strategy": "BLUE_GREEN"}),
            "bakeTimeInMinutes must be provided",
        ),
        (
            json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}),
            "advancedConfiguration must have alternateTargetGroupArn",
        ),
        (
            json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.05}}),
            "canaryPercent must be a multiple of 0.1",
        ),
        (
            json!({"linearConfiguration": {"stepPercent": 10.0}}),
            "only valid with the deployment strategy LINEAR",
        ),
        (
            json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1,
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"]}]}),
            "PAUSE hooks cannot be configured at the stage PRODUCTION_TRAFFIC_SHIFT",
        ),
    ] {
        let mut input = service(&definition, Some(&group));
        input["deploymentConfiguration"] = configuration;
        let refused = bench.try_ecs("CreateService", input).await.unwrap_err();
        assert_eq!(refused.1, "InvalidParameterException");
        assert!(refused.2.contains(words), "{refused:?}");
    }
    bench.finish().await;
}
