//! The contract resolved for one environment: every default filled in, every reference followed.
//! This is what steps see; none of them reads YAML.

use crate::aws::{AccountId, KmsKey, Principal, Region, RoleArn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
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

/// One environment of the contract with everything it declares.
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
        [
            ("service", self.resolved.service.as_str()),
            ("environment", &self.resolved.environment),
            ("region", self.resolved.region.as_str()),
        ]
        .into_iter()
        .chain(
            self.variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
        .map(|(name, value)| (format!("TF_VAR_{name}"), value.to_owned()))
        .collect()
    }
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
    /// Whether a gate accepts images that another tool built and nobody compared with the commit.
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
    /// Whether none is named.
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
    /// Whether each write asks for encryption. If not, the bucket decides.
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
    /// Whether it is protected from deletion. `None`: it stays as it is.
    pub termination_protection: Option<bool>,
    /// The file of its stack policy, relative to the contract's folder. `None`: it stays as it is.
    pub policy: Option<String>,
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

/// The conditions under which a digest may be promoted to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Is true if anything is checked. An environment that follows another is always gated.
    pub required: bool,
    /// The branch the commit must be on.
    pub branch: String,
    /// Approvals each pull request needs from people who did not write it.
    pub approvals: u32,
    /// Check runs that must have succeeded on the pull request's head, as `name` or `name@app-id`.
    pub checks: Vec<String>,
    /// The workflow file a promotion must come from, e.g. `.github/workflows/promote.yml`.
    pub workflow: Option<String>,
    // The settings below are not written if the gate does not declare them, so that the hash of a gate in older records stays the same.
    /// The name that the branch had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formerly: Option<Formerly>,
    /// The commit from which a first promotion is examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Commits that are accepted although no pull request, or an unproven merge, brought them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_commits: Vec<String>,
    /// How long, in seconds, a digest must have been healthy in the previous environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<u64>,
    /// Whether the previous environment must run the digest now, healthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub still_running: bool,
    /// Times in which nothing is promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// SSM Change Calendars that must all be open, by name or ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<String>,
    /// Reviews that a rollback needs: the count of `approve`, unless the contract says otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollback_approvals: u32,
    /// Who may promote although rules refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// Who approves each promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// Providers and modules of the infrastructure code that need not be pinned, by their sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned: Vec<String>,
    /// Whether infrastructure is applied only as a plan that the permit names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
}

impl Gate {
    /// A gate that asks for this many approvals of changes on `main`, and for nothing else.
    pub fn of_approvals(approvals: u32) -> Self {
        Self {
            required: true,
            branch: "main".to_owned(),
            approvals,
            checks: Vec::new(),
            workflow: None,
            formerly: None,
            since: None,
            accepted_commits: Vec::new(),
            soak: None,
            still_running: false,
            freeze: Vec::new(),
            calendars: Vec::new(),
            rollback_approvals: 0,
            break_glass: None,
            approve: None,
            unpinned: Vec::new(),
            plan: false,
        }
    }
}

/// The name that a gate's branch had before. GitHub keeps it in the pull requests that were merged then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formerly {
    /// That name.
    pub branch: String,
    /// The last day, in UTC, of merges under it, as `YYYY-MM-DD`.
    pub until: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Times in which nothing is promoted, in local time. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// IANA name of the time zone.
    pub time_zone: String,
    /// The weekdays; empty means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// `HH:MM` at which it begins; `None` is the beginning of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `HH:MM` at which it ends, on the next day if that is not after `from`; `None` is the end of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// First and last day, `YYYY-MM-DD`, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<(String, String)>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Who may promote although rules refuse, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Their GitHub logins.
    pub people: Vec<String>,
    /// Seconds for which they may go on before somebody else must review.
    pub expires: u64,
}

/// Who approves each promotion, on record, before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// How many of them must approve.
    pub count: u32,
    /// Those who may, by their names under `people`.
    pub people: Vec<String>,
    /// Teams on GitHub, ORGANIZATION/TEAM, whose members may too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Seconds for which a request can be approved and used.
    pub expires: u64,
    /// How they are told of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tell: Option<Tell>,
    /// Another repository on GitHub whose runs may answer requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// How people are told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// By an issue of the repository on GitHub.
    Issue,
    /// By the SNS topic of this name in the build account and region.
    Topic(String),
}

impl Tell {
    /// Reads what the contract says, which the pattern of the text has checked.
    pub(super) fn of(text: &str) -> Self {
        match text.strip_prefix("sns:") {
            Some(topic) => Self::Topic(topic.to_owned()),
            None => Self::Issue,
        }
    }
}

impl fmt::Display for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issue => f.write_str("issue"),
            Self::Topic(name) => write!(f, "sns:{name}"),
        }
    }
}

impl Serialize for Tell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tell {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let tell = Self::of(&text);
        match tell.to_string() == text {
            true => Ok(tell),
            false => Err(serde::de::Error::custom(format!(
                "`{text}` is not a way to tell people of a request"
            ))),
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
    /// Whether its absence is an error.
    pub required: bool,
}
