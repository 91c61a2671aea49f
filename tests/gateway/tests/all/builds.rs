//! Builds of CodeBuild: settings, requests and answers fit AWS's own model.

use serde_json::{Value, json};

use crate::support::{REGION, World, world};

async fn tell(world: &World, build: &Value) -> (u16, Value) {
    let setting = json!({"account": world.build_id, "region": REGION, "build": build});
    world.control("builds", &setting).await
}

async fn ask(world: &World, input: &Value) -> (u16, Value) {
    let headers = [
        ("x-amz-target", "CodeBuild_20161006.BatchGetBuilds"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let (status, answer) = world
        .call(&world.build, "codebuild", &headers, &input.to_string())
        .await;
    (status, serde_json::from_str(&answer).unwrap())
}

#[tokio::test]
async fn a_build_is_returned_in_its_account_and_region_as_last_set() {
    let world = world().await;
    let runs = json!({"id": "deploy:1", "buildStatus": "IN_PROGRESS", "buildComplete": false});
    let over = json!({"id": "deploy:1", "buildStatus": "STOPPED", "buildComplete": true, "buildNumber": 7, "endTime": 1_735_689_600.5});
    for build in [&runs, &over] {
        assert_eq!(tell(&world, build).await.0, 204);
    }
    let overrides = [
        ("account", json!(world.dev_id)),
        ("region", json!("eu-west-9")),
    ];
    for (number, (name, value)) in overrides.into_iter().enumerate() {
        let build = json!({"id": format!("deploy:{}", number + 2)});
        let mut setting = json!({"account": world.build_id, "region": REGION, "build": build});
        setting[name] = value;
        assert_eq!(world.control("builds", &setting).await.0, 204);
    }
    let account = &world.build_id;
    let arn = format!("arn:aws:codebuild:{REGION}:{account}:build/deploy:1");
    for id in ["deploy:1", arn.as_str()] {
        let ids = json!({"ids": [id, "deploy:2", "deploy:3"]});
        let wanted = json!({"builds": [over], "buildsNotFound": ["deploy:2", "deploy:3"]});
        assert_eq!(ask(&world, &ids).await, (200, wanted));
    }
}

#[tokio::test]
async fn a_build_in_a_form_that_codebuild_never_returns_is_refused() {
    let world = world().await;
    let right = json!({"id": "deploy:1", "buildStatus": "FAULT"});
    assert_eq!(tell(&world, &right).await.0, 204);
    for (name, value, why) in [
        ("id", Value::Null, "a build has an id"),
        ("buildStatus", json!("CRASHED"), "\"CRASHED\" is not one of"),
        ("status", json!("FAILED"), "status: unknown member"),
        ("buildComplete", json!("true"), "expected Boolean"),
        ("endTime", json!("2025-01-01"), "expected Timestamp"),
        (
            "phases",
            json!([{"phaseType": "TESTS"}]),
            "\"TESTS\" is not one of",
        ),
    ] {
        let mut wrong = right.clone();
        wrong[name] = value;
        let (status, answer) = tell(&world, &wrong).await;
        let message = answer["error"].as_str().unwrap_or_default();
        assert!(
            status == 400 && message.contains(why),
            "{status}: no {why} in {message}"
        );
    }
    let known = ask(&world, &json!({"ids": ["deploy:1"]})).await;
    assert_eq!(known.1["builds"], json!([right]));
}

#[tokio::test]
async fn a_question_that_codebuild_does_not_take_is_refused() {
    let world = world().await;
    let many: Vec<String> = (0..101).map(|number| format!("deploy:{number}")).collect();
    for input in [
        json!({}),
        json!({"ids": []}),
        json!({"ids": many}),
        json!({"ids": ["deploy:1"], "buildIds": []}),
    ] {
        let (status, answer) = ask(&world, &input).await;
        let wanted = (400, json!("InvalidInputException"));
        assert_eq!((status, answer["__type"].clone()), wanted, "{answer}");
    }
}
