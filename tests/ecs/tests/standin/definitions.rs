//! Task definitions.

use serde_json::{Value, json};

use crate::bench::{Bench, definition};

/// Everything that ECS adds to a definition by itself, at the top.
const OUTPUT_ONLY: [&str; 7] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
];

#[tokio::test]
async fn a_definition_with_odd_members_comes_back_as_it_was_sent() {
    let bench = Bench::start().await;
    let mut sent = definition("public.example/odd:1");
    let odd = &mut sent["containerDefinitions"][0];
    odd["command"] = json!(["sh", "-c", ""]);
    odd["entryPoint"] = json!([""]);
    odd["environment"] =
        json!([{"name": "EMPTY", "value": ""}, {"name": "LINES", "value": "a\nb"}]);
    odd["dockerLabels"] = json!({"empty": ""});
    odd["restartPolicy"] =
        json!({"enabled": true, "ignoredExitCodes": [0], "restartAttemptPeriod": 60});
    odd["versionConsistency"] = json!("disabled");
    odd["firelensConfiguration"] = json!({"type": "fluentbit", "options": {}});
    odd["credentialSpecs"] = json!(["credentialspec:file:///odd"]);
    odd["pseudoTerminal"] = json!(false);
    sent["enableFaultInjection"] = json!(true);
    sent["ephemeralStorage"] = json!({"sizeInGiB": 30});
    sent["runtimePlatform"] =
        json!({"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"});
    sent["volumes"] = json!([{"name": "shared", "configuredAtLaunch": true}]);
    sent["tags"] = json!([{"key": "team", "value": ""}]);
    bench.ecs("RegisterTaskDefinition", sent.clone()).await;

    let answer = bench
        .ecs(
            "DescribeTaskDefinition",
            json!({"taskDefinition": "web", "include": ["TAGS"]}),
        )
        .await;
    assert_eq!(answer["tags"], sent["tags"]);
    let mut got = answer["taskDefinition"].clone();
    for name in OUTPUT_ONLY {
        assert!(
            got.as_object_mut().unwrap().remove(name).is_some(),
            "{name}"
        );
    }
    // ECS fills in these defaults where nothing was sent.
    let container = &mut sent["containerDefinitions"][0];
    for name in ["mountPoints", "volumesFrom", "systemControls"] {
        container[name] = json!([]);
    }
    container["cpu"] = json!(0);
    container["essential"] = json!(true);
    container["portMappings"] =
        json!([{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}]);
    sent["placementConstraints"] = json!([]);
    sent.as_object_mut().unwrap().remove("tags");
    assert_eq!(got, sent);
    bench.finish().await;
}

#[tokio::test]
async fn revisions_count_up_and_a_deregistered_one_is_not_used() {
    let bench = Bench::start().await;
    for revision in 1..=3 {
        let answer = bench
            .ecs("RegisterTaskDefinition", definition("public.example/a:1"))
            .await;
        assert_eq!(answer["taskDefinition"]["revision"], revision);
    }
    bench
        .ecs(
            "DeregisterTaskDefinition",
            json!({"taskDefinition": "web:3"}),
        )
        .await;
    let latest = bench
        .ecs("DescribeTaskDefinition", json!({"taskDefinition": "web"}))
        .await;
    assert_eq!(latest["taskDefinition"]["revision"], 2);
    let gone = bench
        .ecs("DescribeTaskDefinition", json!({"taskDefinition": "web:3"}))
        .await;
    assert_eq!(gone["taskDefinition"]["status"], "INACTIVE");
    let listed = bench
        .ecs(
            "ListTaskDefinitions",
            json!({"familyPrefix": "web", "sort": "DESC", "maxResults": 1}),
        )
        .await;
    assert!(
        listed["taskDefinitionArns"][0]
            .as_str()
            .unwrap()
            .ends_with("task-definition/web:2"),
        "{listed}"
    );
    assert!(listed["nextToken"].is_string());
    bench.finish().await;
}

/// A change to a definition, and the words with which ECS then refuses it.
type Case = (fn(&mut Value), &'static str);

#[tokio::test]
async fn definitions_that_fargate_cannot_run_are_refused() {
    let bench = Bench::start().await;
    let cases: [Case; 5] = [
        (
            |d| d["networkMode"] = json!("bridge"),
            "Fargate only supports network mode ‘awsvpc’.",
        ),
        (
            |d| d["memory"] = json!("300"),
            "No Fargate configuration exists for given values: 256 CPU, 300 memory. See the Amazon ECS documentation for the valid values.",
        ),
        (
            |d| drop(d.as_object_mut().unwrap().remove("cpu")),
            "Fargate requires that 'cpu' be defined at the task level.",
        ),
        (
            |d| drop(d.as_object_mut().unwrap().remove("executionRoleArn")),
            "Fargate requires task definition to have execution role ARN to support ECR images.",
        ),
        (
            |d| d["containerDefinitions"][0]["essential"] = json!(false),
            "TaskDefinition must contain at least one essential container.",
        ),
    ];
    for (change, message) in cases {
        let mut input = definition(&bench.image);
        change(&mut input);
        let refused = bench.try_ecs("RegisterTaskDefinition", input).await;
        assert_eq!(
            refused,
            Err((400, "ClientException".to_owned(), message.to_owned()))
        );
    }
    bench.finish().await;
}
