//! Deployments that fail, and why.

use serde_json::json;

use crate::bench::{Bench, eventually, get, messages, service, tag};

#[tokio::test]
async fn a_crashing_image_trips_the_breaker_and_rolls_back() {
    let bench = Bench::unhurried().await;
    let good = bench.definition(&[]).await;
    bench.ecs("CreateService", service(&good, None)).await;
    let completed = bench.until_rollout("COMPLETED").await;
    let completed = completed["deployments"][0]["id"].as_str().unwrap();
    let bad = bench.definition(&[("CRASH", "42")]).await;
    let updated = bench
        .ecs(
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "taskDefinition": bad}),
        )
        .await;
    let failed = updated["service"]["deployments"][0]["id"].as_str().unwrap();

    let during = eventually("the rollback", async || {
        let service = bench.service().await;
        if service["deployments"][0]["id"] != failed {
            Ok(service)
        } else {
            Err(service)
        }
    })
    .await;
    let (back, broken) = (&during["deployments"][0], &during["deployments"][1]);
    let back_id = back["id"].as_str().unwrap();
    assert!(
        back_id != completed && back["taskDefinition"] == good,
        "{during:#}"
    );
    assert_eq!(
        back["rolloutStateReason"],
        format!("ECS deployment circuit breaker: rolling back to deploymentId {completed}.")
    );
    assert_eq!(
        (&broken["id"], &broken["status"], &broken["rolloutState"]),
        (&json!(failed), &json!("ACTIVE"), &json!("FAILED"))
    );
    assert_eq!(
        broken["rolloutStateReason"],
        "ECS deployment circuit breaker: tasks failed to start."
    );
    assert_eq!(broken["failedTasks"], 3);

    let done = bench.until_rollout("COMPLETED").await;
    assert_eq!(
        (&done["deployments"][0]["id"], &done["taskDefinition"]),
        (&json!(back_id), &json!(good))
    );
    let events = messages(&done);
    let expected = [
        format!("(service web) (deployment {failed}) deployment failed: tasks failed to start."),
        format!("(service web) rolling back to deployment {completed}."),
        format!("(service web) (deployment {back_id}) deployment completed."),
    ];
    for message in expected {
        assert!(events.contains(&message), "{message} in {events:#?}");
    }
    let rollout = bench.rollout().await;
    assert_eq!(rollout["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        rollout["statusReason"],
        "Service deployment rolled back because the circuit breaker threshold was exceeded."
    );
    assert_eq!(
        rollout["deploymentCircuitBreaker"],
        json!({"status": "TRIGGERED", "failureCount": 3, "threshold": 3})
    );
    assert_eq!(
        rollout["rollback"]["serviceRevisionArn"],
        rollout["sourceServiceRevisions"][0]["arn"]
    );

    crashed_three_times(&bench, &bad).await;
    bench.finish().await;
}

/// Expects that the tasks of a definition ended by themselves, and that their log says why.
async fn crashed_three_times(bench: &Bench, definition: &str) {
    let stopped = bench.tasks("STOPPED").await;
    let crashed: Vec<_> = stopped
        .iter()
        .filter(|task| task["taskDefinitionArn"] == definition)
        .collect();
    assert_eq!(crashed.len(), 3);
    assert_eq!(crashed[0]["stopCode"], "EssentialContainerExited");
    assert_eq!(
        crashed[0]["stoppedReason"],
        "Essential container in task exited"
    );
    assert_eq!(crashed[0]["containers"][0]["exitCode"], 42);
    let id = crashed[0]["taskArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let stream = json!({"logGroupName": "/shop/web", "logStreamName": format!("ecs/app/{id}"), "startFromHead": true});
    let log = bench.logs("GetLogEvents", stream).await;
    assert_eq!(
        log["events"][1]["message"], "cannot reach the database",
        "{log:#}"
    );
}

#[tokio::test]
async fn a_missing_image_cannot_be_pulled_and_without_rollback_the_deployment_stays_failed() {
    let bench = Bench::start().await;
    let absent = format!("{}/shop/app@sha256:{}", bench.registry, "0".repeat(64));
    let mut input = service(&bench.definition_of(&absent, &[]).await, None);
    input["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"] = json!(false);
    bench.ecs("CreateService", input).await;
    let failed = bench.until_rollout("FAILED").await;
    assert_eq!(failed["deployments"][0]["failedTasks"], 3);
    let stopped = bench.tasks("STOPPED").await;
    let reason = format!(
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {absent}: {absent}: not found"
    );
    assert_eq!(
        (&stopped[0]["stopCode"], &stopped[0]["stoppedReason"]),
        (&json!("TaskFailedToStart"), &json!(reason))
    );
    assert_eq!(
        (
            &stopped[0]["containers"][0]["reason"],
            stopped[0]["containers"][0].get("exitCode")
        ),
        (&json!(reason), None)
    );
    assert_eq!(bench.rollout().await["status"], "STOPPED");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        bench.tasks("STOPPED").await.len(),
        3,
        "a failed deployment starts nothing"
    );
    bench.finish().await;
}

#[tokio::test]
async fn targets_that_answer_wrongly_are_unhealthy_and_fail_the_deployment() {
    let bench = Bench::start().await;
    let (group, address) = bench.balancer().await;
    let mut input = service(&bench.definition(&[("HEALTH", "404")]).await, Some(&group));
    // The task runs for as long as ECS looks away.
    input["healthCheckGracePeriodSeconds"] = json!(3600);
    bench.ecs("CreateService", input).await;
    let health = eventually("an unhealthy target", async || {
        let (_, xml) = bench
            .elb(&format!("DescribeTargetHealth&TargetGroupArn={group}"))
            .await;
        if xml.contains("<Reason>Target.ResponseCodeMismatch</Reason>") {
            Ok(xml)
        } else {
            Err((xml, bench.ecs.unanswered()))
        }
    })
    .await;
    assert_eq!(tag(&health, "State"), "unhealthy");
    assert_eq!(
        tag(&health, "Description"),
        "Health checks failed with these codes: [404]"
    );
    // An application load balancer with nothing but unhealthy targets sends requests to them all the same.
    assert_eq!(
        get(&address, "/env/HEALTH").await.unwrap(),
        (200, "404".to_owned())
    );

    let update = json!({"cluster": "shop", "service": "web", "healthCheckGracePeriodSeconds": 0});
    bench.ecs("UpdateService", update).await;
    let failed = bench.until_rollout("FAILED").await;
    let stopped = bench.tasks("STOPPED").await;
    assert_eq!(
        stopped.last().unwrap()["stopCode"],
        "ServiceSchedulerInitiated"
    );
    assert_eq!(
        stopped.last().unwrap()["stoppedReason"],
        format!("Task failed ELB health checks in (target-group {group})")
    );
    let events = messages(&failed);
    let unhealthy = format!(
        "(port 8080) is unhealthy in (target-group {group}) due to (reason Health checks failed with these codes: [404])."
    );
    assert!(
        events.iter().any(|event| event.ends_with(&unhealthy)),
        "{events:#?}"
    );
    let rollout = bench.rollout().await;
    assert_eq!(
        (&rollout["status"], &rollout["statusReason"]),
        (
            &json!("ROLLBACK_FAILED"),
            &json!("No rollback candidate was found to run the rollback.")
        )
    );
    bench.finish().await;
}

#[tokio::test]
async fn a_secret_that_is_not_there_keeps_the_task_from_starting() {
    let bench = Bench::start().await;
    let mut definition = crate::bench::definition(&bench.image);
    definition["containerDefinitions"][0]["secrets"] =
        json!([{"name": "KEY", "valueFrom": "/shop/absent"}]);
    bench.ecs("RegisterTaskDefinition", definition).await;
    bench.ecs("CreateService", service("web", None)).await;
    bench.until_rollout("FAILED").await;
    let stopped = bench.tasks("STOPPED").await;
    let reason = stopped[0]["stoppedReason"].as_str().unwrap();
    assert!(
        reason.starts_with("ResourceInitializationError: unable to pull secrets or registry auth"),
        "{reason}"
    );
    assert!(
        reason.ends_with("invalid parameters: /shop/absent"),
        "{reason}"
    );
    assert_eq!(stopped[0]["stopCode"], "TaskFailedToStart");
    bench.finish().await;
}
