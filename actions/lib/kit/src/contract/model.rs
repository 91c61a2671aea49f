//! The contract resolved for one environment: every default filled in, every reference followed.
//! This is what steps see; none of them reads YAML.

mod gate;

pub use gate::*;

use crate::aws::{AccountId, KmsKey, Principal, Region, RoleArn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One environment of the contract, ready for use.
#[derive(Debug, Clone, Serialize)]
pub struct Resolved {
    /// The service's name.
    pub service: String,
    /// The environment's name.
    pub environment: String,
    /// The contract's text, byte for byte as it was parsed, for whoever has to say which one it was.
    #[serde(skip)]
    pub contract: String,
    /// The contract's path in its repository, as far as the host says where that is.
    #[serde(skip)]
    pub contract_path: String,
    /// The path that it had there before, if it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// The contract's folder, which the paths in it start from.
    pub directory: PathBuf,
    /// The environment a digest must have been healthy in before it may come here.
    pub follows: Option<String>,
    /// The account the environment lives in.
    pub account: AccountId,
    /// The environment's region.
    pub region: Region,
    /// The roles of this environment, as ARNs.
    pub roles: Roles,
    /// The role in the build account that reads the ledger and appends to this environment's chain, and can neither change
    /// nor delete.
    pub permit: RoleArn,
    /// The build account: registry and ledger.
    pub build: Build,
    /// The image to build, and the repository it is kept in.
    pub image: Image,
    /// Folder of the infrastructure code, relative to the contract's folder; also in [`State`], for whoever prints it.
    #[serde(skip)]
    pub infrastructure: String,
    /// Where the service runs.
    pub deploy: Deploy,
    /// The conditions under which a digest may be promoted to this environment.
    pub gate: Gate,
    /// Secrets this environment needs.
    pub secrets: Vec<SecretSpec>,
    /// People by GitHub login.
    pub people: BTreeMap<String, Person>,
    /// Whom an app acts for, by the number of its GitHub account.
    pub apps: BTreeMap<u64, StandsFor>,
    /// Access key IDs with no end that are allowed all the same, each by name.
    pub allow_long_lived_keys: Vec<String>,
}

/// Everything that one person is known by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The number of the GitHub account.
    pub id: Option<u64>,
    /// Further GitHub accounts of the same person, with their numbers.
    pub accounts: BTreeMap<String, u64>,
    /// E-mail addresses in commits that belong to no GitHub account.
    pub emails: Vec<String>,
    /// Principals the person acts as in AWS.
    pub aws: Vec<Principal>,
}

/// Whom an app acts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandsFor {
    /// A person, by the login under `people`.
    Person(String),
    /// Nobody, such as an app that updates dependencies.
    Nobody,
}

/// One environment of the contract with what an infrastructure run by Terraform needs.
#[derive(Debug, Clone, Serialize)]
pub struct Complete {
    /// The settings that any step may need.
    #[serde(flatten)]
    pub resolved: Resolved,
    /// Terraform and where its state is.
    pub state: State,
    /// Typed variables, as text, by name.
    pub variables: BTreeMap<String, String>,
}

impl Complete {
    /// The variables of the infrastructure run: service, environment, region and the typed
    /// variables, under the names Terraform, OpenTofu and CDKTF read (`TF_VAR_<name>`).
    pub fn terraform_variables(&self) -> Vec<(String, String)> {
        terraform_variables(&self.resolved, &self.variables)
    }
}

/// One environment with all of its infrastructure, Terraform's and CloudFormation's.
#[derive(Debug, Clone, Serialize)]
pub struct Everything {
    /// The settings that any step may need.
    #[serde(flatten)]
    pub resolved: Resolved,
    /// Where Terraform's state is; `None` where the contract declares a stack and no state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Typed variables, as text, by name.
    pub variables: BTreeMap<String, String>,
    /// The stack, if one is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
}

impl Everything {
    /// The variables of the infrastructure run, as of [`Complete`].
    pub fn terraform_variables(&self) -> Vec<(String, String)> {
        terraform_variables(&self.resolved, &self.variables)
    }
}

fn terraform_variables(
    resolved: &Resolved,
    variables: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    [
        ("service", resolved.service.as_str()),
        ("environment", &resolved.environment),
        ("region", resolved.region.as_str()),
    ]
    .into_iter()
    .chain(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
    .map(|(name, value)| (format!("TF_VAR_{name}"), value.to_owned()))
    .collect()
}

/// Roles in one account, by purpose.
#[derive(Debug, Clone, Serialize)]
pub struct Roles {
    /// Looks, changes nothing.
    pub read: RoleArn,
    /// Changes infrastructure and service.
    pub deploy: RoleArn,
}

/// The build account.
#[derive(Debug, Clone, Serialize)]
pub struct Build {
    /// The account that holds registry and ledger.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// The role that reads the ledger.
    pub read: RoleArn,
    /// The role that creates repositories and pushes images, and reads the ledger.
    pub publish: RoleArn,
    /// The ledger's table.
    pub ledger: String,
    /// The keys of KMS.
    #[serde(skip_serializing_if = "Keys::is_empty")]
    pub keys: Keys,
    /// Where the hash of each record of the ledger is kept a second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// The workflow file that images are built by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The CodeBuild project that images are built by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// True if a gate accepts images that another tool built and nobody compared with the commit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prebuilt: bool,
}

/// Keys of KMS in the build account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// The key that signs each record of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<KmsKey>,
    /// The key that signs the provenance of each image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<KmsKey>,
}

impl Keys {
    /// Returns true if no key is named.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An S3 bucket in the build account's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anchor {
    /// The bucket.
    pub bucket: String,
    /// The prefix of the keys, without a slash at either end; may be empty.
    pub prefix: String,
}

/// The settings for publishing an image, the same for all environments.
#[derive(Debug, Clone, Serialize)]
pub struct Publishing {
    /// The account the image goes to.
    pub build: Build,
    /// The image to build, and the repository it is kept in.
    pub image: Image,
    /// Access key IDs with no end that are allowed all the same, each by name.
    pub allow_long_lived_keys: Vec<String>,
}

/// The image.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// ECR repository name in the build account.
    pub repository: String,
    /// Build context, relative to the contract's folder.
    pub context: String,
    /// Dockerfile, relative to the contract's folder.
    pub dockerfile: String,
    /// Platforms such as `linux/amd64`; empty means the builder's own.
    pub platforms: Vec<String>,
}

/// Infrastructure state.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// Folder of the infrastructure code, relative to the contract's folder.
    pub directory: String,
    /// S3 bucket.
    pub bucket: String,
    /// Key of the state object, scoped by environment.
    pub key: String,
    /// DynamoDB lock table. `None`: the lock is the file beside the state.
    pub table: Option<String>,
    /// The table that `TF_LOCK_TABLE` names although the contract names none.
    #[serde(skip)]
    pub undeclared_table: Option<String>,
    /// Account of bucket and table.
    pub account: AccountId,
    /// Region of bucket and table.
    pub region: Region,
    /// Roles that reach bucket and table, which the environment's own assume. `None`: these reach
    /// them themselves.
    pub roles: Option<Roles>,
    /// True if each write asks for encryption. If not, the bucket decides.
    pub encrypt: bool,
    /// The KMS key that each write asks for, by ARN or ID.
    pub kms_key_id: Option<String>,
}

/// Where the service runs.
#[derive(Debug, Clone, Serialize)]
pub struct Deploy {
    /// ECS cluster.
    pub cluster: String,
    /// ECS service.
    pub service: String,
    /// Container in the task definition that gets the image.
    pub container: String,
    /// The Lambda function in the place of the ECS service, if one is declared.
    pub function: Option<Function>,
}

/// A Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The alias that serves the version that is deployed.
    pub alias: String,
}

/// One environment of the contract with the stack that it declares.
#[derive(Debug, Clone, Serialize)]
pub struct WithStack {
    /// The settings that any step may need.
    #[serde(flatten)]
    pub resolved: Resolved,
    /// The stack, if one is declared.
    pub stack: Option<Stack>,
}

/// A CloudFormation stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its template, relative to the contract's folder.
    pub template: String,
    /// Values of the template's parameters.
    pub parameters: BTreeMap<String, String>,
    /// The variable that holds the secret of a parameter, by the parameter's name.
    pub secret_parameters: BTreeMap<String, String>,
    /// Tags of the stack and of all its resources; if there are none, the stack keeps those that it has.
    pub tags: BTreeMap<String, String>,
    /// The capabilities that are acknowledged.
    pub capabilities: Vec<Capability>,
    /// The wanted protection from deletion. `None`: it stays as it is.
    pub termination_protection: Option<bool>,
    /// The file of its stack policy, relative to the contract's folder. `None`: it stays as it is.
    pub policy: Option<String>,
    /// Its regions, in the order in which they are changed. Empty: the environment's.
    pub regions: Vec<Region>,
    /// The bucket for templates that do not fit into a request.
    pub bucket: Option<String>,
    /// The role that CloudFormation assumes. `None`: the stack keeps the one that it has.
    pub role: Option<RoleArn>,
}

/// A capability, which CloudFormation asks to acknowledge before it makes such resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum Capability {
    /// IAM resources.
    #[serde(rename = "CAPABILITY_IAM")]
    Iam,
    /// IAM resources with names of their own.
    #[serde(rename = "CAPABILITY_NAMED_IAM")]
    NamedIam,
    /// Macros in nested stacks.
    #[serde(rename = "CAPABILITY_AUTO_EXPAND")]
    AutoExpand,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Iam, Self::NamedIam, Self::AutoExpand];

    /// Its name in CloudFormation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "CAPABILITY_IAM",
            Self::NamedIam => "CAPABILITY_NAMED_IAM",
            Self::AutoExpand => "CAPABILITY_AUTO_EXPAND",
        }
    }
}

/// The places that a secret may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// A reference in the task definition; the value never passes through here.
    Task,
    /// The environment of one child process.
    Exec,
    /// The environment of later workflow steps.
    Env,
    /// A file in the format of its reader, on request.
    File,
}

/// The place that holds a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An SSM parameter, by name, `name:version` or `name:label`.
    Ssm(String),
    /// A Secrets Manager secret, by name or ARN, with the key of a JSON value where given.
    SecretsManager {
        /// Name or ARN.
        id: String,
        /// Key inside the secret's JSON object.
        key: Option<String>,
    },
    /// A variable of the process environment, such as a GitHub secret passed by name.
    Env(String),
}

/// One secret the service needs.
#[derive(Debug, Clone, Serialize)]
pub struct SecretSpec {
    /// The variable it arrives in.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// Where it may go.
    pub sinks: Vec<Sink>,
    /// True if its absence is an error.
    pub required: bool,
}
