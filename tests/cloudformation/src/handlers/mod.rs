//! The providers of the resource types: how each is made, changed, deleted and read by calls to its service. Properties
//! that a provider does not act on are refused by name.

mod apis;
mod balancing;
mod certificates;
mod dynamodb;
mod ec2;
mod ecs;
mod global_table;
mod iam;
mod kms;
mod lambda;
mod logs;
mod names;
mod retag;
mod s3;
mod sns;
mod sqs;
mod ssm;

use serde_json::{Map, Value};

use crate::ids;
use crate::services::{Refusal, Services};

/// The properties of a resource, without functions.
pub(crate) type Properties = Map<String, Value>;

/// The types that have a provider.
pub(crate) const KINDS: [&str; 44] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CertificateManager::Certificate",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::Cluster",
    "AWS::ECS::Service",
    "AWS::ECS::TaskDefinition",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::KMS::ReplicaKey",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::LogGroup",
    "AWS::Route53::HostedZone",
    "AWS::Route53::RecordSet",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
];

/// The family that a type belongs to, such as `EC2`. A family whose types share a provider has one file.
fn family(kind: &str) -> &str {
    kind.split("::").nth(1).unwrap_or_default()
}

/// The properties of a type that its provider acts on.
pub(crate) fn properties(kind: &str) -> &'static [&'static str] {
    match family(kind) {
        "ApiGatewayV2" => return apis::properties(kind),
        "EC2" => return ec2::properties(kind),
        "ECS" => return ecs::properties(kind),
        "ElasticLoadBalancingV2" => return balancing::properties(kind),
        "Lambda" => return lambda::properties(kind),
        "Route53" => return names::properties(kind),
        _ => {}
    }
    match kind {
        "AWS::CertificateManager::Certificate" => &certificates::PROPERTIES,
        "AWS::CloudFormation::Stack" => &["Parameters", "TemplateURL"],
        "AWS::DynamoDB::GlobalTable" => &global_table::PROPERTIES,
        "AWS::DynamoDB::Table" => &dynamodb::PROPERTIES,
        "AWS::IAM::ManagedPolicy" => &iam::MANAGED,
        "AWS::IAM::Policy" => &iam::POLICY,
        "AWS::IAM::Role" => &iam::ROLE,
        "AWS::KMS::Key" => &kms::KEY,
        "AWS::KMS::ReplicaKey" => &kms::REPLICA,
        "AWS::Logs::LogGroup" => &logs::PROPERTIES,
        "AWS::S3::Bucket" => &s3::PROPERTIES,
        "AWS::S3::BucketPolicy" => &s3::POLICY_PROPERTIES,
        "AWS::SNS::Topic" => &sns::PROPERTIES,
        "AWS::SQS::Queue" => &sqs::PROPERTIES,
        "AWS::SSM::Parameter" => &ssm::PROPERTIES,
        _ => &[],
    }
}

/// The stack's tags, if the type's provider puts tags on its resources.
pub(crate) fn tags_for<'a>(kind: &str, tags: &'a [(String, String)]) -> &'a [(String, String)] {
    match properties(kind).contains(&"Tags") {
        true => tags,
        false => &[],
    }
}

/// Where a resource is made, and by whom.
pub(crate) struct Desk {
    pub(crate) services: Services,
    pub(crate) account: String,
    pub(crate) stack: String,
    pub(crate) logical: String,
}

/// A resource that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    /// The value of `Ref`.
    pub(crate) physical: String,
    /// The values of `Fn::GetAtt`.
    pub(crate) attributes: Properties,
}

/// Why an operation on a resource failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// The registry's code for it, such as `AlreadyExists`.
    pub(crate) code: &'static str,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code,
        }
    }

    /// The status reason of the resource's event.
    pub(crate) fn reason(&self) -> String {
        format!(
            "Resource handler returned message: \"{}\" (RequestToken: {}, HandlerErrorCode: {})",
            self.message,
            ids::uuid(),
            self.code
        )
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            message: refusal.sentence(),
            code: refusal.handler_code(),
        }
    }
}

impl Desk {
    /// The name that CloudFormation makes up for a resource without one.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.stack, self.logical, ids::suffix())
    }

    /// The name that the template gives, or one that is made up.
    pub(crate) fn named(&self, properties: &Properties, property: &str) -> String {
        let given = properties.get(property).and_then(Value::as_str);
        given.map_or_else(|| self.name(), str::to_owned)
    }

    /// The ARN of something in the stack's account and region.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        let (region, account) = (&self.services.region, &self.account);
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    }

    /// The failure of a provider that finds what it should make.
    pub(crate) fn exists(&self, kind: &str, name: &str) -> Failure {
        Failure::new(
            "AlreadyExists",
            format!("Resource of type '{kind}' with identifier '{name}' already exists."),
        )
    }
}

/// Makes a resource.
pub(crate) async fn create(
    desk: &Desk,
    kind: &str,
    properties: &Properties,
) -> Result<Made, Failure> {
    match family(kind) {
        "ApiGatewayV2" => return apis::create(desk, kind, properties).await,
        "EC2" => return ec2::create(desk, kind, properties).await,
        "ECS" => return ecs::create(desk, kind, properties).await,
        "ElasticLoadBalancingV2" => return balancing::create(desk, kind, properties).await,
        "Lambda" => return lambda::create(desk, kind, properties).await,
        "Route53" => return names::create(desk, kind, properties).await,
        _ => {}
    }
    match kind {
        "AWS::CertificateManager::Certificate" => certificates::create(desk, properties).await,
        "AWS::DynamoDB::GlobalTable" => global_table::create(desk, properties).await,
        "AWS::DynamoDB::Table" => dynamodb::create(desk, properties).await,
        "AWS::IAM::ManagedPolicy" => iam::create_managed(desk, properties).await,
        "AWS::IAM::Policy" => iam::put_policy(desk, None, &Map::new(), properties).await,
        "AWS::IAM::Role" => iam::create_role(desk, properties).await,
        "AWS::KMS::Key" => kms::create(desk, properties).await,
        "AWS::KMS::ReplicaKey" => kms::replicate(desk, properties).await,
        "AWS::Logs::LogGroup" => logs::create(desk, properties).await,
        "AWS::S3::Bucket" => s3::create(desk, properties).await,
        "AWS::S3::BucketPolicy" => s3::create_policy(desk, properties).await,
        "AWS::SNS::Topic" => sns::create(desk, properties).await,
        "AWS::SQS::Queue" => sqs::create(desk, properties).await,
        "AWS::SSM::Parameter" => ssm::create(desk, properties).await,
        // The handle is an address, and nothing that any service keeps.
        "AWS::CloudFormation::WaitConditionHandle" => Ok(Made {
            physical: format!(
                "https://cloudformation-waitcondition-{}.s3.amazonaws.com/{}/{}",
                desk.services.region,
                desk.stack,
                desk.name()
            ),
            attributes: Map::new(),
        }),
        _ => Err(unknown(kind)),
    }
}

/// The name that the template gives to a resource that it adds, if something has that name already. A name that
/// cannot be looked up does not count, as in AWS: the provider finds it when it makes the resource.
pub(crate) async fn taken(
    services: &Services,
    account: &str,
    kind: &str,
    properties: &Properties,
) -> Option<String> {
    let given = |name: &str| properties.get(name).and_then(Value::as_str);
    let region = &services.region;
    match kind {
        "AWS::DynamoDB::GlobalTable" | "AWS::DynamoDB::Table" => {
            let name = given("TableName")?;
            dynamodb::exists(services, name)
                .await
                .then(|| name.to_owned())
        }
        "AWS::Lambda::Function" => {
            let name = given("FunctionName")?;
            lambda::exists(services, name)
                .await
                .then(|| name.to_owned())
        }
        "AWS::IAM::Role" => {
            let name = given("RoleName")?;
            iam::role_exists(services, name)
                .await
                .then(|| name.to_owned())
        }
        "AWS::S3::Bucket" => {
            let name = given("BucketName")?;
            s3::exists(services, name).await.then(|| name.to_owned())
        }
        "AWS::Logs::LogGroup" => {
            let name = given("LogGroupName")?;
            logs::exists(services, name).await.then(|| name.to_owned())
        }
        "AWS::SNS::Topic" => {
            let name = given("TopicName")?;
            let arn = format!("arn:aws:sns:{region}:{account}:{name}");
            sns::exists(services, &arn).await.then_some(arn)
        }
        "AWS::SQS::Queue" => {
            let name = given("QueueName")?;
            sqs::exists(services, name).await.then(|| name.to_owned())
        }
        "AWS::SSM::Parameter" => {
            let name = given("Name")?;
            ssm::exists(services, name).await.then(|| name.to_owned())
        }
        _ => None,
    }
}

/// Changes a resource in place.
pub(crate) async fn update(
    desk: &Desk,
    kind: &str,
    physical: &str,
    old: &Properties,
    new: &Properties,
) -> Result<Made, Failure> {
    match family(kind) {
        "ApiGatewayV2" => return apis::update(desk, kind, physical, old, new).await,
        "EC2" => return ec2::update(desk, kind, physical, old, new).await,
        "ECS" => return ecs::update(desk, kind, physical, old, new).await,
        "ElasticLoadBalancingV2" => return balancing::update(desk, kind, physical, old, new).await,
        "Lambda" => return lambda::update(desk, kind, physical, old, new).await,
        "Route53" => return names::update(desk, kind, physical, old, new).await,
        _ => {}
    }
    match kind {
        "AWS::CertificateManager::Certificate" => {
            certificates::update(desk, physical, old, new).await
        }
        "AWS::DynamoDB::GlobalTable" => global_table::update(desk, physical, old, new).await,
        "AWS::DynamoDB::Table" => dynamodb::update(desk, physical, old, new).await,
        "AWS::IAM::ManagedPolicy" => iam::update_managed(desk, physical, old, new).await,
        "AWS::IAM::Policy" => iam::put_policy(desk, Some(physical), old, new).await,
        "AWS::IAM::Role" => iam::update_role(desk, physical, old, new).await,
        "AWS::KMS::Key" | "AWS::KMS::ReplicaKey" => kms::update(desk, physical, old, new).await,
        "AWS::Logs::LogGroup" => logs::update(desk, physical, old, new).await,
        "AWS::S3::Bucket" => s3::update(desk, physical, old, new).await,
        "AWS::S3::BucketPolicy" => s3::create_policy(desk, new).await,
        "AWS::SNS::Topic" => sns::update(desk, physical, old, new).await,
        "AWS::SQS::Queue" => sqs::update(desk, physical, old, new).await,
        "AWS::SSM::Parameter" => ssm::update(desk, physical, old, new).await,
        _ => Err(unknown(kind)),
    }
}

/// Deletes a resource. One that is not there any more counts as deleted.
pub(crate) async fn delete(
    desk: &Desk,
    kind: &str,
    physical: &str,
    properties: &Properties,
) -> Result<(), Failure> {
    let deleted = match kind {
        _ if family(kind) == "ApiGatewayV2" => apis::delete(desk, kind, physical, properties).await,
        _ if family(kind) == "Lambda" => lambda::delete(desk, kind, physical, properties).await,
        _ if family(kind) == "EC2" => ec2::delete(desk, kind, physical, properties).await,
        _ if family(kind) == "ECS" => ecs::delete(desk, kind, physical, properties).await,
        _ if family(kind) == "ElasticLoadBalancingV2" => {
            balancing::delete(desk, kind, physical).await
        }
        _ if family(kind) == "Route53" => names::delete(desk, kind, physical, properties).await,
        "AWS::CertificateManager::Certificate" => certificates::delete(desk, physical).await,
        "AWS::DynamoDB::GlobalTable" => global_table::delete(desk, physical, properties).await,
        "AWS::DynamoDB::Table" => dynamodb::delete(desk, physical).await,
        "AWS::IAM::ManagedPolicy" => iam::delete_managed(desk, physical, properties).await,
        "AWS::IAM::Policy" => iam::delete_policy(desk, properties).await,
        "AWS::IAM::Role" => iam::delete_role(desk, physical, properties).await,
        "AWS::KMS::Key" | "AWS::KMS::ReplicaKey" => kms::delete(desk, physical, properties).await,
        "AWS::S3::Bucket" => s3::delete(desk, physical).await,
        "AWS::S3::BucketPolicy" => s3::delete_policy(desk, physical).await,
        "AWS::Logs::LogGroup" => logs::delete(desk, physical).await,
        "AWS::SNS::Topic" => sns::delete(desk, physical).await,
        "AWS::SQS::Queue" => sqs::delete(desk, physical).await,
        "AWS::SSM::Parameter" => ssm::delete(desk, physical).await,
        "AWS::CloudFormation::WaitConditionHandle" => Ok(()),
        _ => return Err(unknown(kind)),
    };
    match deleted {
        Err(refusal) if refusal.not_found() => Ok(()),
        other => other.map_err(Failure::from),
    }
}

/// The actual condition of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Actual {
    /// It is there, with these of the properties that can be compared.
    There(Properties),
    Gone,
    /// Its provider does not look.
    Unseen,
}

/// Reads a resource back.
pub(crate) async fn read(desk: &Desk, kind: &str, physical: &str) -> Result<Actual, Failure> {
    let found = match kind {
        "AWS::DynamoDB::Table" => dynamodb::read(desk, physical).await,
        "AWS::IAM::Role" => iam::read_role(desk, physical).await,
        "AWS::Logs::LogGroup" => {
            let found = logs::read(desk, physical).await?;
            return Ok(found.map_or(Actual::Gone, Actual::There));
        }
        "AWS::SNS::Topic" => sns::read(desk, physical).await,
        "AWS::SQS::Queue" => sqs::read(desk, physical).await,
        "AWS::SSM::Parameter" => ssm::read(desk, physical).await,
        _ => return Ok(Actual::Unseen),
    };
    match found {
        Ok(properties) => Ok(Actual::There(properties)),
        Err(refusal) if refusal.not_found() => Ok(Actual::Gone),
        Err(refusal) => Err(refusal.into()),
    }
}

fn unknown(kind: &str) -> Failure {
    Failure::new(
        "InvalidRequest",
        format!("the sandbox's CloudFormation has no provider of {kind}"),
    )
}

/// Copies the named properties that are there.
pub(crate) fn copied(properties: &Properties, names: &[&str]) -> Properties {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone())))
        .collect()
}
