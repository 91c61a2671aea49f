//! The contract as it is written, before anything is filled in. The JSON Schema is derived from
//! these types; their doc comments are what editors show.

mod gate;

pub(super) use gate::{Approve, BreakGlass, Formerly, Freeze, Gate, Rollback};

use super::diagnostics::At;
use super::model::Capability;
use super::secret::SecretEntry;
use super::template::{InAccount, InRegion, InVariable, PerEnvironment, Shared, Templated};
use super::text::{
    AccessKeyId, AccountNumber, Email, EnvironmentName, Kind, Login, ParameterName, Pattern,
    Platform, Principal, ProjectName, RelativePath, RepositoryPath, ServiceName, TagKey, Text,
    VariableName, WorkflowPath,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A mapping with names of one kind as keys, in the order it is written.
#[derive(Debug, Clone)]
pub(super) struct Entries<K, V>(pub(super) Vec<(At<Text<K>>, V)>);

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// An environment's name where it is written.
pub(super) type EnvironmentKey = At<Text<EnvironmentName>>;

/// The delivery contract: what a service is, where it goes, and who decides.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(
    rename_all = "kebab-case",
    deny_unknown_fields,
    title = "Slipway delivery contract"
)]
pub(super) struct Declared {
    /// Version of this format: 1.
    #[schemars(extend("const" = 1))]
    pub(super) version: At<u32>,
    /// Name of the service; default name of its image repository, ECS service and container.
    pub(super) service: At<Text<ServiceName>>,
    /// The path from the repository's root that this file had before it was moved; permits that came from there go on here.
    pub(super) moved_from: Option<At<Text<RepositoryPath>>>,
    /// The account that holds the image repository and the ledger.
    pub(super) build: Build,
    /// The environments, each with the one a digest must have been healthy in before.
    #[schemars(extend("minProperties" = 1))]
    pub(super) environments: At<Entries<EnvironmentName, Environment>>,
    /// Typed values for the infrastructure run, which gets them as TF_VAR_<name>.
    pub(super) variables: Option<Entries<VariableName, Variable>>,
    /// Secrets by the variable they arrive in: where each comes from, never its value.
    pub(super) secrets: Option<Entries<VariableName, SecretEntry>>,
    /// The image to build, and the repository it is kept in.
    pub(super) image: Option<Image>,
    /// Terraform and where its state is kept.
    pub(super) state: Option<State>,
    /// Where the service runs.
    pub(super) deploy: Option<Deploy>,
    /// The CloudFormation stack, where the infrastructure is one.
    pub(super) stack: Option<Stack>,
    /// People by GitHub login, with the principals they act as in AWS, or all that they are known by.
    pub(super) people: Option<Entries<Login, PersonEntry>>,
    /// Apps by the number of their GitHub account: the login of the person each acts for, or nobody.
    pub(super) apps: Option<Entries<AccountNumber, At<Text<Login>>>>,
    /// Access keys without an end that are accepted all the same, by their IDs.
    pub(super) allow_long_lived_keys: Option<Vec<At<Text<AccessKeyId>>>>,
}

/// The account that holds the image repository and the ledger.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Build {
    /// Its twelve digits, or var:NAME.
    pub(super) account: At<Templated<InAccount>>,
    /// Its region, and that of every environment which names no other.
    pub(super) region: At<Templated<InRegion>>,
    /// Roles in the build account.
    pub(super) roles: Option<BuildRoles>,
    /// DynamoDB table of the promotion ledger; slipway-ledger when not given.
    pub(super) ledger: Option<At<Templated<Shared>>>,
    /// Keys of KMS in the build account, by alias or ARN.
    pub(super) keys: Option<BuildKeys>,
    /// Where the hash of each record of the ledger is kept a second time; nowhere when not given.
    pub(super) anchor: Option<Anchor>,
    /// The workflow file that images are built by; with a provenance key, any on the protected branch when neither this nor `project` is given.
    pub(super) workflow: Option<At<Text<WorkflowPath>>>,
    /// The CodeBuild project of the build account that images are built by; with a provenance key, any when neither this nor `workflow` is given.
    pub(super) project: Option<At<Text<ProjectName>>>,
    /// True if a gate accepts images that another tool built and nobody compared with the commit; false when not given.
    pub(super) prebuilt: Option<At<bool>>,
}

/// Keys of KMS in the build account, by alias or ARN.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct BuildKeys {
    /// Signs each record of the ledger; records are not signed when not given.
    pub(super) ledger: Option<At<Templated<Shared>>>,
    /// Signs the provenance of each image; images have none when not given.
    pub(super) provenance: Option<At<Templated<Shared>>>,
}

/// An S3 bucket in the build account that keeps the hash of each record of the ledger.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Anchor {
    /// The bucket.
    pub(super) bucket: At<Templated<Shared>>,
    /// The prefix of the keys; empty when not given.
    pub(super) prefix: Option<At<Templated<Shared>>>,
}

/// Roles in the build account, by name or ARN.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct BuildRoles {
    /// Reads the ledger; slipway-read when not given.
    pub(super) read: Option<At<Templated<Shared>>>,
    /// Creates repositories, pushes images and reads the ledger; slipway-publish when not given.
    pub(super) publish: Option<At<Templated<Shared>>>,
    /// Reads the ledger and appends to the chain of one environment; slipway-permit-{environment} when not given.
    pub(super) permit: Option<At<Templated<PerEnvironment>>>,
}

/// One environment.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Environment {
    /// Its account: twelve digits, or var:NAME.
    pub(super) account: At<Templated<InAccount>>,
    /// The environment a digest must have been healthy in before it may come here.
    pub(super) follows: Option<At<Text<EnvironmentName>>>,
    /// Its region; the build account's when not given.
    pub(super) region: Option<At<Templated<InRegion>>>,
    /// The conditions under which a digest may be promoted to this environment.
    pub(super) gate: Option<Gate>,
    /// Roles in this account.
    pub(super) roles: Option<Roles>,
    /// The settings that differ here from `state` at the top.
    pub(super) state: Option<State>,
    /// The settings that differ here from `deploy` at the top.
    pub(super) deploy: Option<Deploy>,
    /// The settings that differ here from `stack` at the top; parameters and tags are added to those there.
    pub(super) stack: Option<Stack>,
}

/// Roles in an environment's account, by name or ARN.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Roles {
    /// Looks, changes nothing; slipway-read when not given.
    pub(super) read: Option<At<Templated<PerEnvironment>>>,
    /// Changes infrastructure and service; slipway-deploy when not given.
    pub(super) deploy: Option<At<Templated<PerEnvironment>>>,
}

/// The type of a variable's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Type {
    /// Any text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// true or false.
    Boolean,
    /// A network such as 10.20.0.0/16.
    Cidr,
    /// A DNS name such as shop.example.com.
    Domain,
    /// An AWS region.
    Region,
    /// One of `values`.
    Enum,
    /// Text that matches `pattern` as a whole.
    Pattern,
    /// An http or https address.
    Url,
    /// A TCP port, 1 to 65535.
    Port,
}

/// A typed value. For an environment it is what `environments` says, else `value`, else `default`.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("allOf" = [
    {"if": {"properties": {"type": {"const": "enum"}}},
     "then": {"required": ["values"]}, "else": {"properties": {"values": false}}},
    {"if": {"properties": {"type": {"const": "pattern"}}},
     "then": {"required": ["pattern"]}, "else": {"properties": {"pattern": false}}},
]))]
pub(super) struct Variable {
    /// The type of its value.
    #[schemars(rename = "type")]
    pub(super) kind: At<Type>,
    /// Its value: text with placeholders, or var:NAME.
    pub(super) value: Option<At<Templated<InVariable>>>,
    /// Its value if nothing else gives one.
    pub(super) default: Option<At<Templated<InVariable>>>,
    /// Values by environment.
    pub(super) environments: Option<Entries<EnvironmentName, At<Templated<InVariable>>>>,
    /// For type enum: what it may be.
    #[schemars(extend("minItems" = 1))]
    pub(super) values: Option<Vec<At<Plain>>>,
    /// For type pattern: a regular expression that the whole value must match.
    pub(super) pattern: Option<At<Text<Pattern>>>,
}

/// Text as it is written, number or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Plain(pub(super) String);

impl JsonSchema for Plain {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Plain".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// The long form of a person.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DeclaredPerson {
    /// Number of the GitHub account, which stays when the login changes hands; needed by each person whom `reviewers`, `approve` or `break-glass` names.
    pub(super) id: Option<At<u32>>,
    /// Further GitHub accounts of the same person, by login, with their numbers.
    pub(super) accounts: Option<Entries<Login, At<u32>>>,
    /// E-mail addresses in commits that belong to no GitHub account.
    pub(super) emails: Option<Vec<At<Text<Email>>>>,
    /// Principals the person acts as in AWS, each by its whole ARN.
    pub(super) aws: Option<Vec<At<Text<Principal>>>>,
}

/// A person in the long form; the short form is the list of principals in AWS.
#[derive(Debug, Clone, Default)]
pub(super) struct PersonEntry(pub(super) DeclaredPerson);

impl JsonSchema for PersonEntry {
    fn schema_name() -> Cow<'static, str> {
        "PersonEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<Vec<At<Text<Principal>>>>();
        let long = generator.subschema_for::<DeclaredPerson>();
        json_schema!({ "anyOf": [short, long] })
    }
}

/// The image to build, and the repository it is kept in.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Image {
    /// Build context, from the contract's folder; its folder itself when not given.
    pub(super) context: Option<At<Text<RelativePath>>>,
    /// Dockerfile, from the contract's folder; Dockerfile in the context when not given.
    pub(super) dockerfile: Option<At<Text<RelativePath>>>,
    /// ECR repository in the build account; {service} when not given.
    pub(super) repository: Option<At<Templated<Shared>>>,
    /// Platforms such as linux/arm64; the builder's own when not given.
    pub(super) platforms: Option<Vec<At<Text<Platform>>>>,
}

/// Terraform and where its state is kept.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct State {
    /// Folder of the infrastructure code, from the contract's folder; infra when not given.
    pub(super) directory: Option<At<Text<RelativePath>>>,
    /// S3 bucket; var:TF_STATE_BUCKET when not given.
    pub(super) bucket: Option<At<Templated<PerEnvironment>>>,
    /// DynamoDB lock table; when not given, the lock is the file beside the state, KEY.tflock.
    pub(super) table: Option<At<Templated<PerEnvironment>>>,
    /// Account of bucket and table; the environment's when not given.
    pub(super) account: Option<At<Templated<InAccount>>>,
    /// Region of bucket and table; the environment's when not given.
    pub(super) region: Option<At<Templated<InRegion>>>,
    /// Roles that reach bucket and table, assumed by the environment's own; these reach them themselves when not given.
    pub(super) roles: Option<StateRoles>,
    /// Key of the state; {service}/{environment}/terraform.tfstate when not given.
    pub(super) key: Option<At<Templated<PerEnvironment>>>,
    /// True if each write asks for encryption, with S3's own key unless kms-key-id names another; the bucket decides when not given.
    pub(super) encrypt: Option<At<bool>>,
    /// KMS key that each write asks for, by ARN or ID.
    pub(super) kms_key_id: Option<At<Templated<PerEnvironment>>>,
}

/// Roles in the account of bucket and table, by name or ARN.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StateRoles {
    /// Reads the state; assumed by the environment's role read.
    pub(super) read: At<Templated<PerEnvironment>>,
    /// Writes the state and its lock; assumed by the environment's role deploy.
    pub(super) deploy: At<Templated<PerEnvironment>>,
}

/// Where the service runs.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Deploy {
    /// ECS cluster; {service}-{environment} when not given.
    pub(super) cluster: Option<At<Templated<PerEnvironment>>>,
    /// ECS service; {service} when not given.
    pub(super) service: Option<At<Templated<PerEnvironment>>>,
    /// Container in the task definition that gets the image; {service} when not given.
    pub(super) container: Option<At<Templated<PerEnvironment>>>,
    /// Lambda function, in the place of cluster, service and container.
    pub(super) function: Option<At<Templated<PerEnvironment>>>,
    /// Alias of the function, which serves the version that is deployed; live when not given.
    pub(super) alias: Option<At<Templated<PerEnvironment>>>,
}

/// A CloudFormation stack, which `slipway-stack` changes.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Stack {
    /// Its name; {service}-{environment} when not given.
    pub(super) name: Option<At<Templated<PerEnvironment>>>,
    /// Its template, from the contract's folder; infra/stack.yaml when not given.
    pub(super) template: Option<At<Text<RelativePath>>>,
    /// Values of the template's parameters; a parameter without one has the template's default.
    pub(super) parameters: Option<Entries<ParameterName, At<Templated<InVariable>>>>,
    /// Parameters that get a secret: the name under `secrets` of each.
    pub(super) secret_parameters: Option<Entries<ParameterName, At<Text<VariableName>>>>,
    /// Tags of the stack and of all its resources; it keeps those that it has when not given.
    pub(super) tags: Option<Entries<TagKey, At<Templated<InVariable>>>>,
    /// The capabilities that CloudFormation asks to acknowledge; none when not given.
    pub(super) capabilities: Option<Vec<At<Capability>>>,
    /// True if the stack is protected from deletion; it stays as it is when not given.
    pub(super) termination_protection: Option<At<bool>>,
    /// Its stack policy, a JSON file from the contract's folder; it stays as it is when not given.
    pub(super) policy: Option<At<Text<RelativePath>>>,
    /// Regions of the stack, in the order in which they are changed; the environment's when not given.
    pub(super) regions: Option<Vec<At<Templated<InRegion>>>>,
    /// S3 bucket of the environment's account and region, for templates that do not fit into a request; none when not given.
    pub(super) bucket: Option<At<Templated<PerEnvironment>>>,
    /// The role that CloudFormation assumes to change resources, by name or ARN; the stack keeps the one that it has when not given.
    pub(super) role: Option<At<Templated<PerEnvironment>>>,
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<K: Kind, V: JsonSchema> JsonSchema for Entries<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Entries".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<V>();
        json_schema!({
            "type": "object",
            "patternProperties": { K::PATTERN: value },
            "additionalProperties": false,
        })
    }
}
