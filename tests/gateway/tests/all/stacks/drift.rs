//! Resources that somebody changed or deleted beside CloudFormation.

use std::time::Duration;

use aws_sdk_ssm::Client;

use super::{Stacks, TEMPLATE, one};

impl Stacks {
    /// Detects drift; answers the detection's end.
    async fn detect(&self, stack: &str) -> String {
        let begun = self.done("DetectStackDrift", &[("StackName", stack)]).await;
        let id = one(&begun, "StackDriftDetectionId");
        for _ in 0..600 {
            let form = [("StackDriftDetectionId", &*id)];
            let text = self.done("DescribeStackDriftDetectionStatus", &form).await;
            if one(&text, "DetectionStatus") != "DETECTION_IN_PROGRESS" {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("drift was not detected within thirty seconds")
    }
}

#[tokio::test]
async fn drift_is_what_the_services_have_in_fact() {
    let stacks = Stacks::new().await;
    stacks.plan("drift", "CREATE", TEMPLATE, &[]).await;
    stacks.apply("drift").await;
    let found = stacks.detect("drift").await;
    assert_eq!(
        one(&found, "DetectionStatus"),
        "DETECTION_COMPLETE",
        "{found}"
    );
    assert_eq!(one(&found, "StackDriftStatus"), "IN_SYNC", "{found}");

    let ssm = Client::new(&stacks.world.sdk(&stacks.caller).await);
    let put = ssm
        .put_parameter()
        .name("/drift/size")
        .value("9")
        .overwrite(true);
    put.send().await.unwrap();
    let queue = one(
        &stacks
            .done(
                "DescribeStackResource",
                &[("StackName", "drift"), ("LogicalResourceId", "Queue")],
            )
            .await,
        "PhysicalResourceId",
    );
    let delete = format!("{{\"QueueUrl\": \"{queue}\"}}");
    let headers = [
        ("x-amz-target", "AmazonSQS.DeleteQueue"),
        ("content-type", "application/x-amz-json-1.0"),
    ];
    let (status, text) = stacks
        .world
        .call(&stacks.caller, "sqs", &headers, &delete)
        .await;
    assert_eq!(status, 200, "{text}");

    let found = stacks.detect("drift").await;
    assert_eq!(one(&found, "StackDriftStatus"), "DRIFTED", "{found}");
    assert_eq!(one(&found, "DriftedStackResourceCount"), "2", "{found}");
    let drifts = stacks
        .done("DescribeStackResourceDrifts", &[("StackName", "drift")])
        .await;
    for (tag, wanted) in [
        ("PropertyPath", "/Value"),
        ("ExpectedValue", "1"),
        ("ActualValue", "9"),
        ("DifferenceType", "NOT_EQUAL"),
    ] {
        assert_eq!(one(&drifts, tag), wanted, "{drifts}");
    }
    let form = [
        ("StackName", "drift"),
        ("StackResourceDriftStatusFilters.member.1", "DELETED"),
    ];
    let gone = stacks.done("DescribeStackResourceDrifts", &form).await;
    assert_eq!(one(&gone, "LogicalResourceId"), "Queue", "{gone}");
    let stack = stacks
        .done("DescribeStacks", &[("StackName", "drift")])
        .await;
    assert_eq!(one(&stack, "StackDriftStatus"), "DRIFTED");
}
