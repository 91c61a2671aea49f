//! The providers of the resource types: how each is made, changed, deleted and read by calls to its service. Properties
//! that a provider does not act on are refused by name.

mod logs;
mod sns;
mod sqs;
mod ssm;

use serde_json::{Map, Value};

use crate::ids;
use crate::services::{Refusal, Services};

/// The properties of a resource, without functions.
pub(crate) type Properties = Map<String, Value>;

/// The types that have a provider.
pub(crate) const KINDS: [&str; 5] = [
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
];

/// The properties of a type that its provider acts on.
pub(crate) fn properties(kind: &str) -> &'static [&'static str] {
    match kind {
        "AWS::Logs::LogGroup" => &logs::PROPERTIES,
        "AWS::SNS::Topic" => &sns::PROPERTIES,
        "AWS::SQS::Queue" => &sqs::PROPERTIES,
        "AWS::SSM::Parameter" => &ssm::PROPERTIES,
        _ => &[],
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
    /// What `Ref` gives.
    pub(crate) physical: String,
    /// What `Fn::GetAtt` gives.
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
    match kind {
        "AWS::Logs::LogGroup" => logs::create(desk, properties).await,
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

/// The name that the template gives to a resource that it adds, if something has that name already. What cannot be
/// looked at does not count, as in AWS: the provider finds it when it makes the resource.
pub(crate) async fn taken(
    services: &Services,
    account: &str,
    kind: &str,
    properties: &Properties,
) -> Option<String> {
    let given = |name: &str| properties.get(name).and_then(Value::as_str);
    let region = &services.region;
    match kind {
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
    match kind {
        "AWS::Logs::LogGroup" => logs::update(desk, physical, old, new).await,
        "AWS::SNS::Topic" => sns::update(desk, physical, old, new).await,
        "AWS::SQS::Queue" => sqs::update(desk, physical, old, new).await,
        "AWS::SSM::Parameter" => ssm::update(desk, physical, old, new).await,
        _ => Err(unknown(kind)),
    }
}

/// Deletes a resource. One that is not there any more counts as deleted.
pub(crate) async fn delete(desk: &Desk, kind: &str, physical: &str) -> Result<(), Failure> {
    let deleted = match kind {
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
