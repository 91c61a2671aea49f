//! The record, faults and latency, backends, and calls that nothing behind can answer.

use std::time::{Duration, Instant};

use aws_sdk_ssm::types::ParameterType;
use serde_json::json;

use crate::support::{refused, world};

#[tokio::test]
async fn a_call_is_recorded_with_account_role_session_resource_and_end() {
    let world = world().await;
    let ssm = aws_sdk_ssm::Client::new(&world.sdk(&world.dev).await);
    ssm.put_parameter()
        .name("/shop/dev/url")
        .value("x")
        .r#type(ParameterType::String)
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(ssm.get_parameter().name("/shop/dev/none").send().await).0,
        "ParameterNotFound"
    );
    let calls = world.calls().await;
    let [put, get] = calls.as_slice() else {
        panic!("{calls:#?}")
    };
    assert_eq!(put["operation"], "PutParameter");
    assert_eq!(put["resource"], "/shop/dev/url");
    assert_eq!(put["status"], 200);
    assert_eq!(put["account"], world.dev_id.as_str());
    assert_eq!(
        put["role"],
        format!(
            "arn:aws:iam::{}:role/OrganizationAccountAccessRole",
            world.dev_id
        )
    );
    assert_eq!(put["session"], "sandbox");
    assert_eq!(
        (&get["operation"], &get["status"], &get["error"]),
        (
            &json!("GetParameter"),
            &json!(400),
            &json!("ParameterNotFound")
        )
    );
    let since = format!(
        "{}/_sandbox/calls?world={}&since={}",
        world.parts.url, world.name, put["seq"]
    );
    let later: serde_json::Value = world
        .http
        .get(since)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(later["calls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_forbidden_answer_of_a_backend_is_listed_as_a_violation() {
    let world = world().await;
    let url = format!("{}/_sandbox/violations", world.parts.url);
    let violations = world.http.get(url).send().await.unwrap();
    let violations: Vec<String> = violations.json().await.unwrap();
    assert_eq!(violations, ["an answer that was too long"]);
}

#[tokio::test]
async fn accounts_do_not_see_each_others_parameters() {
    let world = world().await;
    let (build, dev) = (world.sdk(&world.build).await, world.sdk(&world.dev).await);
    let (build, dev) = (
        aws_sdk_ssm::Client::new(&build),
        aws_sdk_ssm::Client::new(&dev),
    );
    build
        .put_parameter()
        .name("/p")
        .value("build")
        .r#type(ParameterType::String)
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(dev.get_parameter().name("/p").send().await).0,
        "ParameterNotFound"
    );
}

#[tokio::test]
async fn faults_strike_as_asked_and_then_end() {
    let world = world().await;
    let ssm = aws_sdk_ssm::Client::new(&world.sdk(&world.dev).await);
    let put = |value: &str| {
        ssm.put_parameter()
            .name("/f")
            .value(value)
            .overwrite(true)
            .r#type(ParameterType::String)
            .send()
    };
    let fault = |fault: serde_json::Value| json!({"service": "ssm", "operation": "PutParameter", "account": world.dev_id, "fault": fault});
    let refusal = json!({"kind": "status", "status": 400, "code": "ThrottlingException"});
    assert_eq!(world.control("faults", &fault(refusal)).await.0, 204);
    assert_eq!(refused(put("1").await).0, "ThrottlingException");
    put("2").await.unwrap();
    let value = || async {
        ssm.get_parameter()
            .name("/f")
            .send()
            .await
            .unwrap()
            .parameter()
            .unwrap()
            .value()
            .unwrap()
            .to_owned()
    };
    world
        .control("faults", &fault(json!({"kind": "cut"})))
        .await;
    assert!(put("3").await.unwrap_err().as_service_error().is_none());
    assert_eq!(value().await, "2");
    world
        .control("faults", &fault(json!({"kind": "lost_answer"})))
        .await;
    assert!(put("4").await.unwrap_err().as_service_error().is_none());
    assert_eq!(value().await, "4");
    world
        .control("faults", &fault(json!({"kind": "delay", "millis": 300})))
        .await;
    let started = Instant::now();
    put("5").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn an_unsupported_operation_is_an_error_that_names_it_and_is_not_retried() {
    let world = world().await;
    let target = [
        ("x-amz-target", "AmazonSSM.NoSuchThing"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let (status, text) = world.call(&world.dev, "ssm", &target, "{}").await;
    assert_eq!(status, 400);
    assert!(
        text.contains("UnknownOperationException")
            && text.contains("evaluator of permissions does not implement ssm:NoSuchThing"),
        "{text}"
    );
    // moto would take a layer and keep it where no registry finds it.
    let target = [
        (
            "x-amz-target",
            "AmazonEC2ContainerRegistry_V20150921.InitiateLayerUpload",
        ),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let (status, text) = world
        .call(&world.dev, "ecr", &target, r#"{"repositoryName":"x"}"#)
        .await;
    assert_eq!(status, 400);
    assert!(
        text.contains("gateway does not implement ecr:InitiateLayerUpload"),
        "{text}"
    );
    let (status, text) = world
        .query(
            &world.dev,
            "iam",
            &[("Action", "NoSuchThing"), ("Version", "2010-05-08")],
        )
        .await;
    assert_eq!(status, 400);
    assert!(text.contains("<Code>InvalidAction</Code>"), "{text}");
}

#[tokio::test]
async fn a_backend_answers_its_service_and_learns_who_asks() {
    let world = world().await;
    let target = [(
        "x-amz-target",
        "AmazonEC2ContainerServiceV20141113.ListClusters",
    )];
    let (status, text) = world.call(&world.dev, "ecs", &target, "{}").await;
    let call: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, &call["operation"], &call["account"]),
        (200, &json!("ListClusters"), &json!(world.dev_id))
    );
    assert!(
        call["principal"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:sts::")
    );
}
