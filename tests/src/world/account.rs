//! Fills a world's accounts with what a team's infrastructure code would have made before the first delivery.

use serde_json::{Value, json};

use super::aws::{Aws, unless_there};
use super::policy::{self, AUDIENCE, GITHUB_ISSUER, Role, role_name};
use super::{Environment, World, keys};
use crate::fault::{Fault, Result};

const IAM: &str = "2010-05-08";
const ELB: &str = "2015-12-01";
/// The port the example service listens on.
const PORT: u16 = 8080;

/// The build account: identity provider, roles, keys, ledger and its anchor.
pub(super) async fn build(world: &World, aws: &Aws) -> Result<()> {
    identity_provider(aws).await?;
    for role in policy::build(world) {
        make_role(aws, &role).await?;
    }
    for key in keys::all(world) {
        keys::make(aws, &key).await?;
    }
    bucket(world, aws, &world.anchor_bucket()).await?;
    table(
        aws,
        World::LEDGER,
        &[("chain", "S", "HASH"), ("seq", "N", "RANGE")],
    )
    .await
}

/// An environment's account: identity provider, roles, state and secrets.
pub(super) async fn environment(world: &World, environment: &Environment, aws: &Aws) -> Result<()> {
    identity_provider(aws).await?;
    for role in policy::environment(world, environment) {
        make_role(aws, &role).await?;
    }
    bucket(world, aws, &environment.state_bucket).await?;
    table(aws, &environment.lock_table, &[("LockID", "S", "HASH")]).await?;
    secrets(world, environment, aws).await
}

async fn identity_provider(aws: &Aws) -> Result<()> {
    let url = format!("https://{GITHUB_ISSUER}");
    let parameters = [
        ("Url", url.as_str()),
        ("ClientIDList.member.1", AUDIENCE),
        (
            "ThumbprintList.member.1",
            "6938fd4d98bab03faadb97b34396831e3780aea1",
        ),
    ];
    let answer = aws
        .query("iam", IAM, "CreateOpenIDConnectProvider", &parameters)
        .await?;
    unless_there(
        answer,
        "creating GitHub's identity provider",
        &["EntityAlreadyExists"],
    )
    .map(drop)
}

pub(super) async fn make_role(aws: &Aws, role: &Role) -> Result<()> {
    let action = format!("creating the role {}", role.name);
    let trust = role.trust.to_string();
    let create = [
        ("RoleName", role.name.as_str()),
        ("AssumeRolePolicyDocument", &trust),
    ];
    let answer = aws.query("iam", IAM, "CreateRole", &create).await?;
    unless_there(answer, &action, &["EntityAlreadyExists"])?;
    if role.permissions["Statement"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        return Ok(());
    }
    permit(aws, &role.name, &role.name, &role.permissions).await
}

/// Deletes a role of [`make_role`]'s.
pub(super) async fn drop_role(aws: &Aws, role: &str) -> Result<()> {
    let policy = [("RoleName", role), ("PolicyName", role)];
    let answer = aws.query("iam", IAM, "DeleteRolePolicy", &policy).await?;
    let action = format!("deleting the role {role}");
    unless_there(answer, &action, &["NoSuchEntity"])?;
    let answer = aws.query("iam", IAM, "DeleteRole", &policy[..1]).await?;
    unless_there(answer, &action, &["NoSuchEntity"]).map(drop)
}

/// Replaces the trust policy of a role.
pub(super) async fn trust(aws: &Aws, role: &str, document: &Value) -> Result<()> {
    let document = document.to_string();
    let update = [("RoleName", role), ("PolicyDocument", &document)];
    let answer = aws
        .query("iam", IAM, "UpdateAssumeRolePolicy", &update)
        .await?;
    unless_there(
        answer,
        &format!("letting others assume the role {role}"),
        &[],
    )
    .map(drop)
}

/// Writes an inline policy of a role.
pub(super) async fn permit(aws: &Aws, role: &str, name: &str, document: &Value) -> Result<()> {
    let document = document.to_string();
    let put = [
        ("RoleName", role),
        ("PolicyName", name),
        ("PolicyDocument", &document),
    ];
    let answer = aws.query("iam", IAM, "PutRolePolicy", &put).await?;
    unless_there(answer, &format!("permitting the role {role}"), &[]).map(drop)
}

/// A bucket that keeps versions.
pub(super) async fn bucket(world: &World, aws: &Aws, name: &str) -> Result<()> {
    let configuration = format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
        world.region
    );
    let answer = aws.put(&format!("/{name}"), configuration).await?;
    unless_there(
        answer,
        &format!("creating the bucket {name}"),
        &["BucketAlreadyOwnedByYou"],
    )?;
    let versioning = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                      <Status>Enabled</Status></VersioningConfiguration>";
    let answer = aws
        .put(&format!("/{name}?versioning"), versioning.to_owned())
        .await?;
    unless_there(answer, &format!("keeping versions in {name}"), &[]).map(drop)
}

/// A table whose key attributes are given as name, type and part.
pub(super) async fn table(aws: &Aws, name: &str, key: &[(&str, &str, &str)]) -> Result<()> {
    let schema: Vec<Value> = key
        .iter()
        .map(|(name, _, part)| json!({"AttributeName": name, "KeyType": part}))
        .collect();
    let types: Vec<Value> = key
        .iter()
        .map(|(name, kind, _)| json!({"AttributeName": name, "AttributeType": kind}))
        .collect();
    let input = json!({
        "TableName": name,
        "KeySchema": schema,
        "AttributeDefinitions": types,
        "BillingMode": "PAY_PER_REQUEST",
    });
    let answer = aws
        .json("dynamodb", "DynamoDB_20120810.CreateTable", &input)
        .await?;
    unless_there(
        answer,
        &format!("creating the table {name}"),
        &["ResourceInUseException"],
    )
    .map(drop)
}

async fn secrets(world: &World, environment: &Environment, aws: &Aws) -> Result<()> {
    let name = format!("/{}/{}/database-url", world.service, environment.name);
    let input =
        json!({"Name": name, "Type": "SecureString", "Value": world.database_url(environment)});
    let answer = aws.json("ssm", "AmazonSSM.PutParameter", &input).await?;
    unless_there(
        answer,
        &format!("writing the parameter {name}"),
        &["ParameterAlreadyExists"],
    )?;

    let name = format!("{}/{}/api", world.service, environment.name);
    let value = json!({"token": world.api_token(environment)}).to_string();
    let input = json!({
        "Name": name,
        "SecretString": value,
        "ClientRequestToken": uuid::Uuid::new_v4().to_string(),
    });
    let answer = aws
        .json("secretsmanager", "secretsmanager.CreateSecret", &input)
        .await?;
    unless_there(
        answer,
        &format!("writing the secret {name}"),
        &["ResourceExistsException"],
    )
    .map(drop)
}

/// Cluster, load balancer and a service that runs the placeholder until the first delivery.
pub(super) async fn service(
    world: &World,
    environment: &Environment,
    aws: &Aws,
    placeholder: &str,
) -> Result<()> {
    let cluster = environment.cluster(&world.service);
    if serves(world, aws, &cluster).await? {
        return Ok(());
    }
    let logs = format!("/ecs/{cluster}");
    let answer = aws
        .json(
            "logs",
            "Logs_20140328.CreateLogGroup",
            &json!({"logGroupName": logs}),
        )
        .await?;
    unless_there(
        answer,
        &format!("creating the log group {logs}"),
        &["ResourceAlreadyExistsException"],
    )?;
    ecs(aws, "CreateCluster", &json!({"clusterName": cluster})).await?;
    let group = balance(environment, aws, &cluster).await?;
    let definition = task_definition(world, environment, placeholder, &logs);
    let registered = ecs(aws, "RegisterTaskDefinition", &definition).await?;
    let created = json!({
        "cluster": cluster,
        "serviceName": world.service,
        "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
        "desiredCount": 1,
        "launchType": "FARGATE",
        "healthCheckGracePeriodSeconds": 60,
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": true, "rollback": true},
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
        },
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets(environment), "assignPublicIp": "DISABLED"}},
        "loadBalancers": [{"targetGroupArn": group, "containerName": world.service, "containerPort": PORT}],
    });
    ecs(aws, "CreateService", &created).await.map(drop)
}

async fn serves(world: &World, aws: &Aws, cluster: &str) -> Result<bool> {
    let input = json!({"cluster": cluster, "services": [world.service]});
    let answer = aws
        .json(
            "ecs",
            "AmazonEC2ContainerServiceV20141113.DescribeServices",
            &input,
        )
        .await?;
    let found = unless_there(
        answer,
        "looking for the service",
        &["ClusterNotFoundException"],
    )?;
    Ok(found.is_some_and(|found| found["services"][0]["status"] == "ACTIVE"))
}

async fn ecs(aws: &Aws, operation: &str, input: &Value) -> Result<Value> {
    let answer = aws
        .json(
            "ecs",
            &format!("AmazonEC2ContainerServiceV20141113.{operation}"),
            input,
        )
        .await?;
    unless_there(answer, operation, &[])?
        .ok_or_else(|| Fault::new(format!("{operation} was answered with nothing")))
}

/// A load balancer with one listener and one target group; answers the group's ARN.
async fn balance(environment: &Environment, aws: &Aws, name: &str) -> Result<String> {
    let subnets = subnets(environment);
    let mut parameters = vec![
        ("Name", name),
        ("Type", "application"),
        ("Scheme", "internet-facing"),
    ];
    let members = ["Subnets.member.1", "Subnets.member.2"];
    parameters.extend(members.into_iter().zip(subnets.iter().map(String::as_str)));
    let balancer = made(aws, "CreateLoadBalancer", &parameters, "LoadBalancerArn").await?;
    let port = PORT.to_string();
    let group = made(
        aws,
        "CreateTargetGroup",
        &[
            ("Name", name),
            ("Protocol", "HTTP"),
            ("Port", &port),
            ("VpcId", "vpc-00000000000000001"),
            ("TargetType", "ip"),
            ("HealthCheckPath", "/healthz"),
            ("HealthCheckIntervalSeconds", "5"),
            // A task that a busy machine starves for some seconds is healthy all the same.
            ("HealthCheckTimeoutSeconds", "5"),
            ("HealthyThresholdCount", "2"),
            ("UnhealthyThresholdCount", "4"),
        ],
        "TargetGroupArn",
    )
    .await?;
    let listener = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", &group),
    ];
    made(aws, "CreateListener", &listener, "ListenerArn").await?;
    Ok(group)
}

/// Takes down what [`service`] made, but the log group.
pub(super) async fn tear_down(aws: &Aws, cluster: &str, service: &str) -> Result<()> {
    let body = json!({"cluster": cluster, "service": service, "force": true});
    ecs(aws, "DeleteService", &body).await?;
    for (look, by, arn, delete, parameter) in [
        (
            "DescribeLoadBalancers",
            "Names.member.1",
            "LoadBalancerArn",
            "DeleteLoadBalancer",
            "LoadBalancerArn",
        ),
        (
            "DescribeTargetGroups",
            "Names.member.1",
            "TargetGroupArn",
            "DeleteTargetGroup",
            "TargetGroupArn",
        ),
    ] {
        let found = made(aws, look, &[(by, cluster)], arn).await?;
        let answer = aws
            .query("elasticloadbalancing", ELB, delete, &[(parameter, &found)])
            .await?;
        unless_there(answer, delete, &[])?;
    }
    // ECS keeps a cluster until its last task has ended, and a service's name until it has drained.
    let looked = json!({"cluster": cluster, "services": [service]});
    for _ in 0..1200 {
        let found = ecs(aws, "DescribeServices", &looked).await?;
        if found["services"][0]["status"] == "DRAINING" {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            continue;
        }
        let answer = aws
            .json(
                "ecs",
                "AmazonEC2ContainerServiceV20141113.DeleteCluster",
                &json!({"cluster": cluster}),
            )
            .await?;
        let busy = [
            "ClusterContainsTasksException",
            "ClusterContainsServicesException",
        ];
        if unless_there(answer, "DeleteCluster", &busy)?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    Err(Fault::new(format!("cluster {cluster} does not end")))
}

/// The host and port of an environment's load balancer.
pub(super) async fn balancer(
    environment: &Environment,
    service: &str,
    aws: &Aws,
) -> Result<String> {
    let name = environment.cluster(service);
    made(
        aws,
        "DescribeLoadBalancers",
        &[("Names.member.1", name.as_str())],
        "DNSName",
    )
    .await
}

async fn made(
    aws: &Aws,
    action: &str,
    parameters: &[(&str, &str)],
    wanted: &str,
) -> Result<String> {
    let answer = aws
        .query("elasticloadbalancing", ELB, action, parameters)
        .await?;
    let text = unless_there(answer, action, &[])?.unwrap_or_default();
    element(&text, wanted)
        .ok_or_else(|| Fault::new(format!("{action} answered no {wanted}: {text}")))
}

/// The text of an XML element's first occurrence.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
}

/// Two subnets, for the two availability zones a load balancer asks for.
fn subnets(environment: &Environment) -> [String; 2] {
    let tail = environment.account.id.get(..12).unwrap_or_default();
    [1, 2].map(|zone| format!("subnet-0000{tail}{zone}"))
}

fn task_definition(world: &World, environment: &Environment, image: &str, logs: &str) -> Value {
    let account = &environment.account.id;
    let role = |kind| {
        format!(
            "arn:aws:iam::{account}:role/{}",
            role_name(world, environment, kind)
        )
    };
    let parameter = format!(
        "parameter/{}/{}/database-url",
        world.service, environment.name
    );
    json!({
        "family": environment.cluster(&world.service),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": role("execution"),
        "taskRoleArn": role("task"),
        "containerDefinitions": [{
            "name": world.service,
            "image": image,
            "essential": true,
            "portMappings": [{"containerPort": PORT, "protocol": "tcp"}],
            "environment": [
                {"name": "ENVIRONMENT", "value": environment.name},
                {"name": "PORT", "value": PORT.to_string()},
            ],
            "secrets": [
                {"name": "DATABASE_URL", "valueFrom": world.arn(account, "ssm", &parameter)},
            ],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": logs,
                    "awslogs-region": world.region,
                    "awslogs-stream-prefix": world.service,
                },
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_found_by_its_whole_name() {
        let xml = "<R><ArnList>x</ArnList><Arn>one</Arn><Arn>two</Arn></R>";
        assert_eq!(element(xml, "Arn").as_deref(), Some("one"));
        assert_eq!(element(xml, "None"), None);
    }

    #[test]
    fn a_task_gets_its_secret_by_reference_alone() {
        let world = World::named("w1", "");
        let environment = world.environment("dev").unwrap();
        let definition = task_definition(&world, environment, "image", "/ecs/x").to_string();
        assert!(definition.contains(":parameter/storefront/dev/database-url"));
        assert!(!definition.contains(&world.database_url(environment)));
    }
}
