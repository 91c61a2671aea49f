//! Requests and answers against the service model.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{ACCOUNT, Bench};
use crate::parts::models;

/// A copy of the models in which `change` was made to ECS's.
fn changed_models(folder: &std::path::Path, change: impl Fn(&mut Value)) {
    for service in ["ecs", "elbv2", "logs"] {
        let from = std::fs::read_dir(models().join(service))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let to = folder.join(service).join(from.file_name());
        std::fs::create_dir_all(&to).unwrap();
        let packed = from.path().join("service-2.json.gz");
        let reader: Box<dyn std::io::Read> = if packed.exists() {
            Box::new(flate2::read::GzDecoder::new(
                std::fs::File::open(packed).unwrap(),
            ))
        } else {
            Box::new(std::fs::File::open(from.path().join("service-2.json")).unwrap())
        };
        let mut model: Value = serde_json::from_reader(reader).unwrap();
        if service == "ecs" {
            change(&mut model);
        }
        let mut file = std::fs::File::create(to.join("service-2.json")).unwrap();
        file.write_all(model.to_string().as_bytes()).unwrap();
    }
}

async fn violation(
    change: impl Fn(&mut Value),
) -> (Result<Value, (u16, String, String)>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    changed_models(folder.path(), change);
    let bench = Bench::with(folder.path().to_path_buf(), Duration::from_secs(1)).await;
    let answer = bench
        .try_ecs("CreateCluster", json!({"clusterName": "shop"}))
        .await;
    let violations = bench.ecs.violations();
    bench.ecs.shutdown().await.unwrap();
    (answer, violations)
}

#[tokio::test]
async fn an_answer_with_a_member_the_model_lacks_is_an_error_and_is_recorded() {
    let (answer, violations) = violation(|model| {
        model["shapes"]["Cluster"]["members"]
            .as_object_mut()
            .unwrap()
            .remove("activeServicesCount");
    })
    .await;
    let path = "CreateCluster: CreateClusterResponse.cluster.activeServicesCount: unknown member";
    assert_eq!(
        answer,
        Err((500, "StandInContractViolation".to_owned(), path.to_owned()))
    );
    assert_eq!(violations, [path]);
}

#[tokio::test]
async fn an_answer_without_a_required_member_or_of_a_wrong_type_or_enum_is_an_error() {
    let (_, violations) = violation(|model| {
        let shapes = &mut model["shapes"];
        shapes["Cluster"]["required"] = json!(["attachmentsStatus"]);
        shapes["Cluster"]["members"]["runningTasksCount"]["shape"] = json!("String");
        shapes["ClusterSettingName"]["enum"] = json!(["somethingElse"]);
    })
    .await;
    assert_eq!(
        violations,
        [
            "CreateCluster: CreateClusterResponse.cluster.runningTasksCount: expected String, found a number; \
          CreateClusterResponse.cluster.settings[0].name: \"containerInsights\" is not one of somethingElse; \
          CreateClusterResponse.cluster.attachmentsStatus: required member is missing"
        ]
    );
}

#[tokio::test]
async fn requests_that_the_model_does_not_allow_are_refused_as_aws_refuses_them() {
    let bench = Bench::start().await;
    let code = |answer: Result<Value, (u16, String, String)>| {
        answer.map_err(|(status, code, _)| (status, code))
    };
    let refused = |code: &str| Err((400, code.to_owned()));
    let unknown = bench
        .try_ecs("CreateCluster", json!({"clusterNam": "shop"}))
        .await;
    assert_eq!(code(unknown), refused("SerializationException"));
    let missing = bench.try_ecs("DescribeTaskDefinition", json!({})).await;
    assert_eq!(code(missing), refused("InvalidParameterException"));
    let no_operation = bench.try_ecs("DestroyCluster", json!({})).await;
    assert_eq!(code(no_operation), refused("UnknownOperationException"));
    let no_cluster = bench
        .try_ecs("ListServices", json!({"cluster": "absent"}))
        .await;
    assert_eq!(code(no_cluster), refused("ClusterNotFoundException"));
    let not_here = bench.try_ecs("ListAccountSettings", json!({})).await;
    assert_eq!(code(not_here), refused("StandInNotImplemented"));
    let (status, xml) = bench
        .elb("DescribeTargetHealth&TargetGroupArn=arn%3Aabsent")
        .await;
    assert_eq!(
        (status, crate::bench::tag(&xml, "Code").as_str()),
        (400, "TargetGroupNotFound")
    );
    let (status, xml) = bench.elb("DescribeTargetHealth&TargetGroup=x").await;
    assert_eq!(
        (status, crate::bench::tag(&xml, "Code").as_str()),
        (400, "ValidationError")
    );
    bench.finish().await;
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let bench = Bench::start().await;
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "x-amz-target",
        "AmazonEC2ContainerServiceV20141113.ListClusters"
            .parse()
            .unwrap(),
    );
    for (account, region, clusters) in [
        (ACCOUNT, "ca-central-1", 1),
        (ACCOUNT, "eu-west-1", 0),
        ("999999999999", "ca-central-1", 0),
    ] {
        let answer = bench
            .ecs
            .handle("ecs", account, region, &headers, b"{}")
            .await;
        let answer: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(
            answer["clusterArns"].as_array().unwrap().len(),
            clusters,
            "{account} {region}"
        );
    }
    bench.finish().await;
}
