//! The permissions that calls need, as the Service Authorization Reference has them.

use axum::body::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::*;
use crate::lock;

/// A call of a JSON service in the account 1.
fn json_call(service: &str, operation: &str, input: &Value) -> Call {
    let mut headers = HeaderMap::new();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AK/20260101/r/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    headers.insert("authorization", scope.parse().unwrap());
    headers.insert("x-amz-target", format!("T.{operation}").parse().unwrap());
    let signed = crate::sigv4::read(&headers, "");
    let body = Bytes::from(input.to_string());
    Call::read(
        Method::POST,
        "/".into(),
        String::new(),
        headers,
        body,
        signed,
    )
}

/// A call of S3.
fn s3_call(method: Method, path: &str, query: &str, header: Option<(&'static str, &str)>) -> Call {
    let mut headers = HeaderMap::new();
    let scope = "AWS4-HMAC-SHA256 Credential=AK/20260101/r/s3/aws4_request, SignedHeaders=host, Signature=0";
    headers.insert("authorization", scope.parse().unwrap());
    headers.insert("host", "127.0.0.1".parse().unwrap());
    if let Some((name, value)) = header {
        headers.insert(name, value.parse().unwrap());
    }
    let signed = crate::sigv4::read(&headers, query);
    Call::read(
        method,
        path.into(),
        query.into(),
        headers,
        Bytes::new(),
        signed,
    )
}

/// A call of Lambda, whose operation its method and path name.
fn lambda_call(method: Method, path: &str, query: &str, input: &Value) -> Call {
    let mut headers = HeaderMap::new();
    let scope = "AWS4-HMAC-SHA256 Credential=AK/20260101/r/lambda/aws4_request, SignedHeaders=host, Signature=0";
    headers.insert("authorization", scope.parse().unwrap());
    let signed = crate::sigv4::read(&headers, query);
    let body = Bytes::from(input.to_string());
    Call::read(method, path.into(), query.into(), headers, body, signed)
}

/// `ACTION RESOURCE KEY=VALUE…` of each need; `None` where a call is not known.
fn described_needs(call: &Call) -> Option<Vec<String>> {
    let facts = Facts::default();
    let schema = json!({"TableName": "ledger", "KeySchema": [{"AttributeName": "chain", "KeyType": "HASH"}]});
    facts.tables.learn("1", "r", &schema);
    lock(&facts.buckets.owners).insert("theirs".to_owned(), "2".to_owned());
    let scene = Scene {
        tables: &facts.tables,
        buckets: &facts.buckets,
        call,
        account: "1",
        stack: None,
        input: call.json(),
    };
    let tell = |need: Need| {
        let mut text = format!("{} {}", need.action, need.resource);
        if need.owner != "1" {
            text.push_str(&format!(" of {}", need.owner));
        }
        for (key, values) in need.keys {
            text.push_str(&format!(" {key}={}", values.join(",")));
        }
        text
    };
    scene
        .needs()
        .map(|needs| needs.into_iter().map(tell).collect())
}

#[derive(Default)]
struct Facts {
    tables: crate::leading::Tables,
    buckets: crate::buckets::Buckets,
}

#[track_caller]
fn check(call: &Call, expected: &[&str]) {
    assert_eq!(
        described_needs(call).unwrap(),
        expected,
        "{}",
        call.operation
    );
}

#[test]
fn lambda_names_functions_with_their_qualifiers_and_passed_roles() {
    let functions = "/2015-03-31/functions";
    let call = |method, rest: &str, query: &str, input: Value| {
        lambda_call(method, &format!("{functions}{rest}"), query, &input)
    };
    let role = json!({"FunctionName": "f", "Role": "arn:aws:iam::1:role/r", "Code": {}});
    check(
        &call(Method::POST, "", "", role),
        &[
            "lambda:CreateFunction arn:aws:lambda:r:1:function:f",
            "iam:PassRole arn:aws:iam::1:role/r iam:PassedToService=lambda.amazonaws.com",
        ],
    );
    let alias = json!({"FunctionVersion": "2"});
    check(
        &call(Method::PUT, "/f/aliases/live", "", alias),
        &["lambda:UpdateAlias arn:aws:lambda:r:1:function:f"],
    );
    check(
        &call(Method::GET, "/f", "Qualifier=3", Value::Null),
        &["lambda:GetFunction arn:aws:lambda:r:1:function:f:3"],
    );
    check(
        &call(
            Method::POST,
            "/arn:aws:lambda:r:2:function:f:live/invocations",
            "",
            json!({}),
        ),
        &["lambda:InvokeFunction arn:aws:lambda:r:2:function:f:live of 2"],
    );
    assert_eq!(
        described_needs(&call(Method::GET, "/f/code", "", Value::Null)),
        None
    );
}

#[test]
fn ecs_names_clusters_revisions_and_passed_roles() {
    let ecs = |operation: &str, input: Value| json_call("ecs", operation, &input);
    let cluster = "ecs:cluster=arn:aws:ecs:r:1:cluster/c";
    check(
        &ecs(
            "UpdateService",
            json!({"cluster": "c", "service": "s", "taskDefinition": "f:7"}),
        ),
        &[&format!(
            "ecs:UpdateService arn:aws:ecs:r:1:service/c/s {cluster} ecs:task-definition=arn:aws:ecs:r:1:task-definition/f:7"
        )],
    );
    check(
        &ecs(
            "UpdateService",
            json!({"cluster": "arn:aws:ecs:r:1:cluster/c", "service": "arn:aws:ecs:r:1:service/c/s"}),
        ),
        &[&format!(
            "ecs:UpdateService arn:aws:ecs:r:1:service/c/s {cluster}"
        )],
    );
    check(
        &ecs(
            "CreateService",
            json!({"cluster": "c", "serviceName": "s", "taskDefinition": "f:7", "tags": [{"key": "a", "value": "b"}]}),
        ),
        &[
            &format!(
                "ecs:CreateService arn:aws:ecs:r:1:service/c/s {cluster} ecs:task-definition=arn:aws:ecs:r:1:task-definition/f:7"
            ),
            "ecs:TagResource arn:aws:ecs:r:1:service/c/s ecs:CreateAction=CreateService",
        ],
    );
    check(
        &ecs(
            "RegisterTaskDefinition",
            json!({"family": "f", "taskRoleArn": "arn:aws:iam::2:role/t", "executionRoleArn": "e", "tags": [{"key": "a", "value": "b"}]}),
        ),
        &[
            "ecs:RegisterTaskDefinition arn:aws:ecs:r:1:task-definition/f:*",
            "ecs:TagResource arn:aws:ecs:r:1:task-definition/f:* ecs:CreateAction=RegisterTaskDefinition",
            "iam:PassRole arn:aws:iam::2:role/t of 2 iam:PassedToService=ecs-tasks.amazonaws.com",
            "iam:PassRole arn:aws:iam::1:role/e iam:PassedToService=ecs-tasks.amazonaws.com",
        ],
    );
    check(
        &ecs("DescribeTasks", json!({"cluster": "c", "tasks": ["t1"]})),
        &[&format!(
            "ecs:DescribeTasks arn:aws:ecs:r:1:task/c/t1 {cluster}"
        )],
    );
    assert_eq!(described_needs(&ecs("ExecuteCommand", json!({}))), None);
}

#[test]
fn dynamodb_names_partitions_operation_by_operation() {
    let table = "arn:aws:dynamodb:r:1:table/ledger";
    let dynamodb = |operation: &str, input: Value| json_call("dynamodb", operation, &input);
    let key = |chain: &str| json!({"chain": {"S": chain}, "seq": {"N": "1"}});
    check(
        &dynamodb("PutItem", json!({"TableName": table, "Item": key("a")})),
        &[&format!("dynamodb:PutItem {table} dynamodb:LeadingKeys=a")],
    );
    check(
        &dynamodb(
            "TransactWriteItems",
            json!({"TransactItems": [
            {"ConditionCheck": {"TableName": "ledger", "Key": key("a")}},
            {"Put": {"TableName": "ledger", "Item": key("b")}}]}),
        ),
        &[
            &format!("dynamodb:ConditionCheckItem {table} dynamodb:LeadingKeys=a"),
            &format!("dynamodb:PutItem {table} dynamodb:LeadingKeys=b"),
        ],
    );
    check(
        &dynamodb(
            "BatchWriteItem",
            json!({"RequestItems": {"ledger": [
            {"PutRequest": {"Item": key("b")}}, {"DeleteRequest": {"Key": key("a")}}]}}),
        ),
        &[&format!(
            "dynamodb:BatchWriteItem {table} dynamodb:LeadingKeys=a,b"
        )],
    );
    check(
        &dynamodb("Query", json!({"TableName": "ledger", "IndexName": "i"})),
        &[&format!("dynamodb:Query {table}/index/i")],
    );
    assert_eq!(
        described_needs(&dynamodb("ExecuteStatement", json!({}))),
        None
    );
}

#[test]
fn s3_tells_versions_copies_and_settings_apart() {
    let get = |path: &str, query: &str| s3_call(Method::GET, path, query, None);
    check(&get("/b/k/l", ""), &["s3:GetObject arn:aws:s3:::b/k/l"]);
    check(
        &get("/b/k", "versionId=1"),
        &["s3:GetObjectVersion arn:aws:s3:::b/k"],
    );
    check(
        &get("/theirs", "list-type=2&prefix=dev%2F"),
        &["s3:ListBucket arn:aws:s3:::theirs of 2 s3:prefix=dev/"],
    );
    check(
        &get("/b", "encryption"),
        &["s3:GetEncryptionConfiguration arn:aws:s3:::b"],
    );
    check(
        &s3_call(
            Method::PUT,
            "/b/k",
            "",
            Some(("x-amz-copy-source", "theirs/a%20b?versionId=2")),
        ),
        &[
            "s3:PutObject arn:aws:s3:::b/k",
            "s3:GetObjectVersion arn:aws:s3:::theirs/a b of 2",
        ],
    );
    check(
        &s3_call(Method::POST, "/b", "delete", None),
        &["s3:DeleteObject arn:aws:s3:::b/*"],
    );
    assert_eq!(
        described_needs(&get("/b", "replication&cors")).map(|needs| needs.len()),
        Some(1)
    );
    assert_eq!(
        described_needs(&s3_call(Method::PUT, "/b", "cors", None)),
        None
    );
    check(
        &s3_call(
            Method::PUT,
            "/b/k",
            "",
            Some(("x-amz-server-side-encryption", "aws:kms")),
        ),
        &["s3:PutObject arn:aws:s3:::b/k s3:x-amz-server-side-encryption=aws:kms"],
    );
}

#[test]
fn other_services_name_parameters_repositories_streams_and_projects() {
    for (service, operation, input, expected) in [
        (
            "ssm",
            "GetParameters",
            json!({"Names": ["/a/b", "c:2"]}),
            vec![
                "ssm:GetParameters arn:aws:ssm:r:1:parameter/a/b",
                "ssm:GetParameters arn:aws:ssm:r:1:parameter/c",
            ],
        ),
        (
            "secretsmanager",
            "GetSecretValue",
            json!({"SecretId": "s/api"}),
            vec!["secretsmanager:GetSecretValue arn:aws:secretsmanager:r:1:secret:s/api"],
        ),
        (
            "logs",
            "PutLogEvents",
            json!({"logGroupName": "/ecs/c", "logStreamName": "s/1"}),
            vec!["logs:PutLogEvents arn:aws:logs:r:1:log-group:/ecs/c:log-stream:s/1"],
        ),
        (
            "codebuild",
            "BatchGetBuilds",
            json!({"ids": ["p:1", "arn:aws:codebuild:r:1:build/p:2"]}),
            vec!["codebuild:BatchGetBuilds arn:aws:codebuild:r:1:project/p"],
        ),
        (
            "ecr",
            "PutImage",
            json!({"repositoryName": "acme/web", "registryId": "2"}),
            vec!["ecr:PutImage arn:aws:ecr:r:2:repository/acme/web of 2"],
        ),
        (
            "ecr",
            "CreateRepository",
            json!({"repositoryName": "w", "tags": [{"Key": "a", "Value": "b"}]}),
            vec![
                "ecr:CreateRepository arn:aws:ecr:r:1:repository/w",
                "ecr:TagResource arn:aws:ecr:r:1:repository/w",
            ],
        ),
    ] {
        check(&json_call(service, operation, &input), &expected);
    }
    for service in ["ssm", "sqs", "iam"] {
        assert_eq!(
            described_needs(&json_call(service, "NoSuchThing", &json!({}))),
            None
        );
    }
}

/// A call of a service that is told by method and path.
fn rest_call(service: &str, method: Method, path: &str) -> Call {
    let mut headers = HeaderMap::new();
    let scope = format!(
        "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    headers.insert("authorization", scope.parse().unwrap());
    let signed = crate::sigv4::read(&headers, "");
    Call::read(
        method,
        path.into(),
        String::new(),
        headers,
        Bytes::new(),
        signed,
    )
}

#[test]
fn names_follow_from_method_and_path() {
    let zone = "/2013-04-01/hostedzone/Z1";
    let call = |method: Method, path: &str| rest_call("route53", method, path);
    check(
        &call(Method::POST, "/2013-04-01/hostedzone"),
        &["route53:CreateHostedZone *"],
    );
    check(
        &call(Method::POST, &format!("{zone}/rrset/")),
        &["route53:ChangeResourceRecordSets arn:aws:route53:::hostedzone/Z1"],
    );
    check(
        &call(Method::DELETE, zone),
        &["route53:DeleteHostedZone arn:aws:route53:::hostedzone/Z1"],
    );
    assert_eq!(
        described_needs(&call(Method::POST, "/2013-04-01/healthcheck")),
        None
    );
    let acm = |operation: &str, input: Value| json_call("acm", operation, &input);
    check(
        &acm(
            "RequestCertificate",
            json!({"DomainName": "a.example", "Tags": [{"Key": "a", "Value": "b"}]}),
        ),
        &["acm:RequestCertificate *", "acm:AddTagsToCertificate *"],
    );
}
