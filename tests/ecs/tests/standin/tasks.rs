//! Tasks alone: started, watched, stopped.

use serde_json::{Value, json};

use crate::bench::{Bench, definition, eventually, get};
use crate::parts::containers;

async fn run(bench: &Bench, overrides: Value) -> String {
    let input = json!({
        "cluster": "shop", "taskDefinition": "web", "launchType": "FARGATE", "overrides": overrides,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    });
    let answer = bench.ecs("RunTask", input).await;
    assert_eq!(answer["tasks"][0]["lastStatus"], "PROVISIONING");
    answer["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
}

async fn until(bench: &Bench, task: &str, status: &str) -> Value {
    eventually(status, async || {
        let answer = bench
            .ecs("DescribeTasks", json!({"cluster": "shop", "tasks": [task]}))
            .await;
        let task = answer["tasks"][0].clone();
        if task["lastStatus"] == status {
            Ok(task)
        } else {
            Err(task)
        }
    })
    .await
}

#[tokio::test]
async fn a_one_off_task_ends_with_its_exit_code_and_leaves_its_log() {
    let bench = Bench::start().await;
    bench.definition(&[]).await;
    let change = json!({"containerOverrides": [{
        "name": "app", "command": ["migrate", ""], "environment": [{"name": "CRASH", "value": "0"}],
    }]});
    let task = run(&bench, change).await;
    let stopped = until(&bench, &task, "STOPPED").await;
    assert_eq!(
        (&stopped["stopCode"], &stopped["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(0))
    );
    let id = task.rsplit('/').next().unwrap();
    let streams = bench
        .logs(
            "DescribeLogStreams",
            json!({"logGroupName": "/shop/web", "logStreamNamePrefix": "ecs/app/"}),
        )
        .await;
    assert_eq!(
        streams["logStreams"][0]["logStreamName"],
        format!("ecs/app/{id}")
    );
    let input = json!({"logGroupName": "/shop/web", "logStreamName": format!("ecs/app/{id}"), "limit": 1, "startFromHead": true});
    let first = bench.logs("GetLogEvents", input.clone()).await;
    assert_eq!(
        first["events"][0]["message"],
        "arguments [\"migrate\", \"\"]"
    );
    let mut next = input;
    next["nextToken"] = first["nextForwardToken"].clone();
    let second = bench.logs("GetLogEvents", next.clone()).await;
    assert_eq!(second["events"][0]["message"], "cannot reach the database");
    next["nextToken"] = second["nextForwardToken"].clone();
    let end = bench.logs("GetLogEvents", next).await;
    assert_eq!(
        (&end["events"], &end["nextForwardToken"]),
        (&json!([]), &second["nextForwardToken"])
    );
    bench.finish().await;
}

#[tokio::test]
async fn a_task_gets_its_secrets_and_stops_on_request() {
    let bench = Bench::start().await;
    let mut input = definition(&bench.image);
    input["containerDefinitions"][0]["secrets"] = json!([
        {"name": "KEY", "valueFrom": "arn:aws:ssm:ca-central-1:210987654321:parameter/shop/key"},
        {"name": "USER", "valueFrom": "arn:aws:secretsmanager:ca-central-1:210987654321:secret:shop-AbCdEf:user::"},
    ]);
    bench.ecs("RegisterTaskDefinition", input).await;
    let task = run(&bench, json!({})).await;
    let running = until(&bench, &task, "RUNNING").await;
    let ip = running["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
        .as_str()
        .unwrap()
        .to_owned();
    for (name, value) in [("KEY", "from ssm"), ("USER", "from secrets manager")] {
        let seen = eventually(name, async || {
            get(&format!("{ip}:8080"), &format!("/env/{name}")).await
        })
        .await;
        assert_eq!(seen.1, value);
    }
    bench
        .ecs(
            "StopTask",
            json!({"cluster": "shop", "task": task, "reason": "enough"}),
        )
        .await;
    let stopped = until(&bench, &task, "STOPPED").await;
    assert_eq!(
        (&stopped["stopCode"], &stopped["stoppedReason"]),
        (&json!("UserInitiated"), &json!("enough"))
    );
    assert_eq!(containers(&bench.label), Vec::<String>::new());
    bench.finish().await;
}

#[tokio::test]
async fn containers_of_a_task_share_its_network_and_start_in_their_order() {
    let bench = Bench::start().await;
    let mut input = definition(&bench.image);
    let app = input["containerDefinitions"][0].clone();
    let mut init = json!({"name": "init", "image": bench.image, "essential": false, "environment": [{"name": "CRASH", "value": "0"}]});
    init["logConfiguration"] = app["logConfiguration"].clone();
    let mut app = app;
    app["dependsOn"] = json!([{"containerName": "init", "condition": "SUCCESS"}]);
    let mount = json!([{"sourceVolume": "shared", "containerPath": "/shared"}]);
    app["mountPoints"] = mount.clone();
    let sidecar =
        json!({"name": "side", "image": bench.image, "essential": false, "mountPoints": mount});
    input["volumes"] = json!([{"name": "shared", "host": {}}]);
    input["containerDefinitions"] = json!([sidecar, app, init]);
    bench.ecs("RegisterTaskDefinition", input).await;
    let task = run(&bench, json!({})).await;
    // The sidecar listens on the port that the application holds, in the same network: it cannot start twice there.
    let running = eventually("the sidecar's end", async || {
        let answer = bench
            .ecs("DescribeTasks", json!({"cluster": "shop", "tasks": [task]}))
            .await;
        let task = answer["tasks"][0].clone();
        let ended = task["containers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one.get("exitCode").is_some())
            .count();
        if ended == 2 { Ok(task) } else { Err(task) }
    })
    .await;
    assert_eq!(
        running["lastStatus"], "RUNNING",
        "only essential containers end a task"
    );
    bench.finish().await;
}

#[tokio::test]
async fn a_new_stand_in_removes_what_an_earlier_one_left() {
    let bench = Bench::start().await;
    bench.definition(&[]).await;
    let task = run(&bench, json!({})).await;
    until(&bench, &task, "RUNNING").await;
    assert_eq!(containers(&bench.label).len(), 1);
    let next = standin_ecs::Ecs::start(bench.config.clone()).await.unwrap();
    assert_eq!(containers(&bench.label), Vec::<String>::new());
    next.shutdown().await.unwrap();
    bench.finish().await;
}
