//! The fields of each mapping of the contract. The names are those of the JSON Schema; a test
//! compares the two.

use super::declared::{
    Anchor, Approve, BreakGlass, Build, BuildKeys, BuildRoles, Declared, DeclaredPerson, Deploy,
    Environment, Formerly, Freeze, Gate, Image, PersonEntry, Roles, Rollback, Stack, State,
    StateRoles, Type, Variable,
};
use super::decode::{Decode, Decoder};
use super::diagnostics::{At, Mistake, nearest};
use super::model::{Capability, Sink, Weekday};
use super::secret::{From, Secret, SecretEntry};
use super::tree::{Data, Node};

/// Reads one of a closed list of words.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr),* $(,)? }) => {
        impl Decode for $type {
            fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
                let text = decoder.text(node, false)?;
                match text {
                    $($word => Some($value),)*
                    _ => {
                        let words = [$($word),*];
                        let message = format!("{} cannot be `{text}`", decoder.name());
                        let hint = match nearest(text, words) {
                            Some(word) => format!("did you mean `{word}`?"),
                            None => format!("one of {}", words.join(", ")),
                        };
                        decoder.wrong(Mistake::new(node.span.clone(), message).hint(hint))
                    }
                }
            }
        }
    };
}

words!(Type {
    "string" => Type::String,
    "integer" => Type::Integer,
    "boolean" => Type::Boolean,
    "cidr" => Type::Cidr,
    "domain" => Type::Domain,
    "region" => Type::Region,
    "enum" => Type::Enum,
    "pattern" => Type::Pattern,
    "url" => Type::Url,
    "port" => Type::Port,
});
words!(Sink {
    "task" => Sink::Task,
    "exec" => Sink::Exec,
    "env" => Sink::Env,
    "file" => Sink::File,
});

words!(Capability {
    "CAPABILITY_IAM" => Capability::Iam,
    "CAPABILITY_NAMED_IAM" => Capability::NamedIam,
    "CAPABILITY_AUTO_EXPAND" => Capability::AutoExpand,
});
words!(Weekday {
    "monday" => Weekday::Monday,
    "tuesday" => Weekday::Tuesday,
    "wednesday" => Weekday::Wednesday,
    "thursday" => Weekday::Thursday,
    "friday" => Weekday::Friday,
    "saturday" => Weekday::Saturday,
    "sunday" => Weekday::Sunday,
});

impl Decode for From {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Data::Scalar { text, .. } = &node.data else {
            return decoder.expected("text", node);
        };
        match Self::parse(text) {
            Ok(from) => Some(from),
            Err(malformed) => decoder
                .wrong(Mistake::new(node.span.clone(), malformed.message).hint(malformed.hint)),
        }
    }
}

impl Decode for SecretEntry {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::Table(_) => Secret::decode(node, decoder).map(Self),
            _ => At::<From>::decode(node, decoder).map(Self::short),
        }
    }
}

impl Decode for PersonEntry {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.data {
            Data::Table(_) => DeclaredPerson::decode(node, decoder).map(Self),
            _ => Some(Self(DeclaredPerson {
                aws: Some(Vec::decode(node, decoder)?),
                ..DeclaredPerson::default()
            })),
        }
    }
}

/// Reads a mapping field by field, by the names the schema has.
macro_rules! mapping {
    ($type:ident { $($presence:ident $field:ident: $key:literal),* $(,)? }) => {
        impl Decode for $type {
            fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
                let mut fields = decoder.fields(node)?;
                let value = Self { $($field: fields.$presence($key, decoder)),* };
                fields.finish(decoder);
                Some(value)
            }
        }

        #[cfg(test)]
        impl $type {
            /// Every key with whether it is required, for comparison with the schema.
            pub(super) const KEYS: &'static [(&'static str, &'static str)] =
                &[$(($key, stringify!($presence))),*];
        }
    };
}

mapping!(Declared {
    required version: "version",
    required service: "service",
    optional moved_from: "moved-from",
    required build: "build",
    required environments: "environments",
    optional variables: "variables",
    optional secrets: "secrets",
    optional image: "image",
    optional state: "state",
    optional deploy: "deploy",
    optional stack: "stack",
    optional people: "people",
    optional apps: "apps",
    optional allow_long_lived_keys: "allow-long-lived-keys",
});
mapping!(Build {
    required account: "account",
    required region: "region",
    optional roles: "roles",
    optional ledger: "ledger",
    optional keys: "keys",
    optional anchor: "anchor",
    optional workflow: "workflow",
    optional project: "project",
    optional prebuilt: "prebuilt",
});
mapping!(BuildKeys { optional ledger: "ledger", optional provenance: "provenance" });
mapping!(Anchor { required bucket: "bucket", optional prefix: "prefix" });
mapping!(BuildRoles { optional read: "read", optional publish: "publish", optional permit: "permit" });
mapping!(Environment {
    required account: "account",
    optional follows: "follows",
    optional region: "region",
    optional gate: "gate",
    optional roles: "roles",
    optional state: "state",
    optional deploy: "deploy",
    optional stack: "stack",
});
mapping!(Gate {
    optional approvals: "approvals",
    optional reviewers: "reviewers",
    optional checks: "checks",
    optional branch: "branch",
    optional formerly: "formerly",
    optional workflow: "workflow",
    optional since: "since",
    optional accepted_commits: "accepted-commits",
    optional soak: "soak",
    optional still_running: "still-running",
    optional freeze: "freeze",
    optional calendars: "calendars",
    optional rollback: "rollback",
    optional break_glass: "break-glass",
    optional approve: "approve",
    optional unpinned: "unpinned",
    optional plan: "plan",
});
mapping!(DeclaredPerson {
    optional id: "id",
    optional accounts: "accounts",
    optional emails: "emails",
    optional aws: "aws",
});
mapping!(Freeze {
    required time_zone: "time-zone",
    optional weekdays: "weekdays",
    optional from: "from",
    optional to: "to",
    optional first: "first",
    optional last: "last",
    optional reason: "reason",
});
mapping!(Formerly { required branch: "branch", required until: "until" });
mapping!(Rollback { optional approvals: "approvals" });
mapping!(BreakGlass { required people: "people", optional expires: "expires" });
mapping!(Approve {
    optional count: "count",
    required people: "people",
    optional expires: "expires",
    optional notify: "notify",
    optional repository: "repository",
});
mapping!(Roles { optional read: "read", optional deploy: "deploy" });
mapping!(Variable {
    required kind: "type",
    optional value: "value",
    optional default: "default",
    optional environments: "environments",
    optional values: "values",
    optional pattern: "pattern",
});
mapping!(Secret { required from: "from", optional to: "to", optional required: "required" });
mapping!(Image {
    optional context: "context",
    optional dockerfile: "dockerfile",
    optional repository: "repository",
    optional platforms: "platforms",
});
mapping!(State {
    optional directory: "directory",
    optional bucket: "bucket",
    optional table: "table",
    optional account: "account",
    optional region: "region",
    optional roles: "roles",
    optional key: "key",
    optional encrypt: "encrypt",
    optional kms_key_id: "kms-key-id",
});
mapping!(StateRoles { required read: "read", required deploy: "deploy" });
mapping!(Deploy {
    optional cluster: "cluster",
    optional service: "service",
    optional container: "container",
    optional function: "function",
    optional alias: "alias",
});
mapping!(Stack {
    optional name: "name",
    optional template: "template",
    optional parameters: "parameters",
    optional secret_parameters: "secret-parameters",
    optional tags: "tags",
    optional capabilities: "capabilities",
    optional termination_protection: "termination-protection",
    optional policy: "policy",
    optional regions: "regions",
    optional bucket: "bucket",
    optional role: "role",
});
