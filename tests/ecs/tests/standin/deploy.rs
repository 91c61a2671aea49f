//! Deployments that succeed, are superseded, or are stopped.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::json;

use crate::bench::{Bench, eventually, get, messages, service, tag};

#[tokio::test]
async fn a_deployment_completes_and_answers_through_the_load_balancer() {
    let bench = Bench::start().await;
    let (group, address) = bench.balancer().await;
    assert_eq!(get(&address, "/").await.unwrap().0, 503);
    let first = bench.definition(&[("VERSION", "one")]).await;
    let created = bench
        .ecs("CreateService", service(&first, Some(&group)))
        .await;
    let primary = &created["service"]["deployments"][0];
    let id = primary["id"].as_str().unwrap();
    assert_eq!(primary["rolloutState"], "IN_PROGRESS");
    assert_eq!(
        primary["rolloutStateReason"],
        format!("ECS deployment {id} in progress.")
    );

    let done = bench.until_rollout("COMPLETED").await;
    assert_eq!(
        done["deployments"][0]["rolloutStateReason"],
        format!("ECS deployment {id} completed.")
    );
    assert_eq!(
        (&done["runningCount"], &done["pendingCount"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(get(&address, "/").await.unwrap(), (200, "one".to_owned()));

    let task = &bench.tasks("RUNNING").await[0];
    let digest = bench.image.split_once('@').unwrap().1;
    assert_eq!(
        (&task["lastStatus"], &task["containers"][0]["imageDigest"]),
        (&json!("RUNNING"), &json!(digest))
    );
    let details = task["attachments"][0]["details"].as_array().unwrap();
    let ip = &details
        .iter()
        .find(|one| one["name"] == "privateIPv4Address")
        .unwrap()["value"];
    let (_, health) = bench
        .elb(&format!("DescribeTargetHealth&TargetGroupArn={group}"))
        .await;
    assert_eq!(
        (json!(tag(&health, "Id")), tag(&health, "State")),
        (ip.clone(), "healthy".to_owned())
    );

    let task_id = task["taskArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let events: Vec<String> = messages(&done).into_iter().rev().collect();
    assert_eq!(
        events,
        [
            format!("(service web) has started 1 tasks: (task {task_id})."),
            format!("(service web) registered 1 targets in (target-group {group})"),
            format!("(service web) (deployment {id}) deployment completed."),
            "(service web) has reached a steady state.".to_owned(),
        ]
    );

    recorded_as_successful(&bench, &first).await;
    bench.finish().await;
}

/// Expects the record of a deployment that completed, with the definition and the image it runs.
async fn recorded_as_successful(bench: &Bench, definition: &str) {
    let digest = bench.image.split_once('@').unwrap().1;
    let rollout = bench.rollout().await;
    assert_eq!(rollout["status"], "SUCCESSFUL");
    assert_eq!(
        rollout["deploymentCircuitBreaker"],
        json!({"status": "MONITORING_COMPLETE", "failureCount": 0, "threshold": 3})
    );
    let revision = &rollout["targetServiceRevision"]["arn"];
    let revision = bench
        .ecs(
            "DescribeServiceRevisions",
            json!({"serviceRevisionArns": [revision]}),
        )
        .await;
    let images = &revision["serviceRevisions"][0]["containerImages"][0];
    assert_eq!(
        (
            &revision["serviceRevisions"][0]["taskDefinition"],
            &images["imageDigest"]
        ),
        (&json!(definition), &json!(digest))
    );
}

#[tokio::test]
async fn a_rolling_update_never_interrupts_the_service() {
    let bench = Bench::start().await;
    let (group, address) = bench.balancer().await;
    let first = bench.definition(&[("VERSION", "one")]).await;
    bench
        .ecs("CreateService", service(&first, Some(&group)))
        .await;
    bench.until_rollout("COMPLETED").await;
    let second = bench.definition(&[("VERSION", "two")]).await;
    let updated = bench
        .ecs(
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "taskDefinition": second}),
        )
        .await;
    let statuses = |index: usize| {
        updated["service"]["deployments"][index]["status"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(
        (statuses(0), statuses(1)),
        (Some("PRIMARY".to_owned()), Some("ACTIVE".to_owned()))
    );

    let seen = RefCell::new(Vec::new());
    eventually("the update", async || {
        let (status, version) = get(&address, "/").await.unwrap();
        assert_eq!(status, 200);
        if seen.borrow().last() != Some(&version) {
            seen.borrow_mut().push(version);
        }
        let service = bench.service().await;
        match service["deployments"][0]["rolloutState"] == "COMPLETED" {
            true => Ok(()),
            false => Err((service, bench.ecs.unanswered())),
        }
    })
    .await;
    let seen = seen.into_inner();
    assert_eq!(
        (
            seen.first().unwrap().as_str(),
            seen.last().unwrap().as_str()
        ),
        ("one", "two")
    );
    let done = bench.service().await;
    assert_eq!(done["deployments"].as_array().unwrap().len(), 1);
    let stopped = &bench.tasks("STOPPED").await[0];
    assert_eq!(stopped["stopCode"], "ServiceSchedulerInitiated");
    let id = done["deployments"][0]["id"].as_str().unwrap();
    assert_eq!(
        stopped["stoppedReason"],
        format!("Scaling activity initiated by (deployment {id})")
    );
    assert!(
        messages(&done)
            .contains(&"(service web) has begun draining connections on 1 tasks.".to_owned())
    );
    bench.finish().await;
}

#[tokio::test]
async fn an_update_keeps_between_the_minimum_and_the_maximum() {
    let bench = Bench::start().await;
    let mut input = service(&bench.definition(&[]).await, None);
    input["desiredCount"] = json!(2);
    input["deploymentConfiguration"]["minimumHealthyPercent"] = json!(50);
    input["deploymentConfiguration"]["maximumPercent"] = json!(100);
    bench.ecs("CreateService", input).await;
    bench.until_rollout("COMPLETED").await;
    let second = bench.definition(&[("VERSION", "two")]).await;
    bench
        .ecs(
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "taskDefinition": second}),
        )
        .await;
    eventually("the update", async || {
        let service = bench.service().await;
        let running = service["runningCount"].as_u64().unwrap();
        let total = running + service["pendingCount"].as_u64().unwrap();
        assert!(running >= 1 && total <= 2, "{service:#}");
        if service["deployments"][0]["rolloutState"] == "COMPLETED" {
            Ok(())
        } else {
            Err(service)
        }
    })
    .await;
    bench.finish().await;
}

#[tokio::test]
async fn a_newer_deployment_supersedes_one_in_progress() {
    let bench = Bench::unhurried().await;
    bench
        .ecs("CreateService", service(&bench.definition(&[]).await, None))
        .await;
    bench.until_rollout("COMPLETED").await;
    let mut ids = Vec::new();
    for version in ["two", "three"] {
        let definition = bench.definition(&[("VERSION", version)]).await;
        let updated = bench
            .ecs(
                "UpdateService",
                json!({"cluster": "shop", "service": "web", "taskDefinition": definition}),
            )
            .await;
        ids.push(updated["service"]["deployments"][0]["id"].clone());
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let done = bench.until_rollout("COMPLETED").await;
    assert_eq!(done["deployments"][0]["id"], ids[1]);
    assert_eq!(
        done["deployments"].as_array().unwrap().len(),
        1,
        "the superseded deployment is gone: {done:#}"
    );
    let listed = bench
        .ecs(
            "ListServiceDeployments",
            json!({"cluster": "shop", "service": "web"}),
        )
        .await;
    let statuses: Vec<_> = listed["serviceDeployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(statuses, ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]);
    bench.finish().await;
}

#[tokio::test]
async fn a_stopped_deployment_rolls_back() {
    let bench = Bench::unhurried().await;
    let first = bench.definition(&[]).await;
    let mut input = service(&first, None);
    input["deploymentConfiguration"] = json!({});
    bench.ecs("CreateService", input).await;
    let before = bench.until_rollout("COMPLETED").await["deployments"][0]["id"].clone();
    let broken = bench.definition(&[("CRASH", "1")]).await;
    bench
        .ecs(
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "taskDefinition": broken}),
        )
        .await;
    let rollout = bench.rollout().await;
    let stop =
        json!({"serviceDeploymentArn": rollout["serviceDeploymentArn"], "stopType": "ROLLBACK"});
    bench.ecs("StopServiceDeployment", stop.clone()).await;
    let done = eventually("the rollback", async || {
        let rollout = bench.rollout().await;
        if rollout["status"] == "ROLLBACK_SUCCESSFUL" {
            Ok(bench.service().await)
        } else {
            Err(rollout)
        }
    })
    .await;
    assert_eq!(done["taskDefinition"], first);
    assert_ne!(done["deployments"][0]["id"], before);
    let again = bench
        .try_ecs("StopServiceDeployment", stop)
        .await
        .unwrap_err();
    assert_eq!((again.0, again.1.as_str()), (400, "ConflictException"));
    bench.finish().await;
}

#[tokio::test]
async fn scaling_and_unchanged_updates_begin_no_deployment_and_force_does() {
    let bench = Bench::start().await;
    let definition = bench.definition(&[]).await;
    bench.ecs("CreateService", service(&definition, None)).await;
    let id = bench.until_rollout("COMPLETED").await["deployments"][0]["id"].clone();
    let same = json!({"cluster": "shop", "service": "web", "taskDefinition": definition, "desiredCount": 2});
    let scaled = bench.ecs("UpdateService", same).await;
    assert_eq!(scaled["service"]["deployments"][0]["id"], id);
    eventually("two tasks", async || {
        let service = bench.service().await;
        if service["runningCount"] == 2 {
            Ok(())
        } else {
            Err(service)
        }
    })
    .await;
    let forced = bench
        .ecs(
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "forceNewDeployment": true}),
        )
        .await;
    assert_ne!(forced["service"]["deployments"][0]["id"], id);
    let refused = bench
        .try_ecs(
            "DeleteService",
            json!({"cluster": "shop", "service": "web"}),
        )
        .await
        .unwrap_err();
    assert_eq!(
        refused.2,
        "The service cannot be stopped while it is scaled above 0."
    );
    bench
        .ecs(
            "DeleteService",
            json!({"cluster": "shop", "service": "web", "force": true}),
        )
        .await;
    eventually("the end of the service", async || {
        let service = bench.service().await;
        if service["status"] == "INACTIVE" {
            Ok(())
        } else {
            Err(service)
        }
    })
    .await;
    bench.finish().await;
}
