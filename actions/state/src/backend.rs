//! The backend of one state, as `init` is told of it. Pure.

use crate::key;
use kit::aws::{AccountId, Region, RoleArn};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where one state object and its lock are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backend {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The workspace that was named: the command works in it, whichever is selected.
    pub(crate) workspace: Option<String>,
    /// Empty where the object beside the state is the only lock.
    pub(crate) table: String,
    pub(crate) region: Region,
    pub(crate) locking: Locking,
    /// The role that reaches bucket and table, which the command's credentials assume. `None`: these
    /// reach them themselves.
    pub(crate) role: Option<RoleArn>,
    /// The account that the bucket must belong to, if it is known.
    pub(crate) owner: Option<AccountId>,
    pub(crate) encryption: Encryption,
}

/// A state in S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateObject {
    pub(crate) bucket: String,
    /// The object's key, its workspace included.
    pub(crate) key: String,
    pub(crate) workspace: String,
}

/// The encryption that a write of the state asks S3 for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Encryption {
    /// Nothing: the bucket decides, which may name a KMS key.
    #[default]
    Bucket,
    /// S3's own key.
    Aes256,
    /// A key of KMS, by ARN or ID.
    Kms(String),
}

impl Encryption {
    /// The setting of `encrypt` and `kms_key_id` together. A key alone would do nothing.
    pub(crate) fn new(encrypt: bool, kms_key_id: Option<String>) -> Self {
        match (kms_key_id, encrypt) {
            (Some(key), _) => Self::Kms(key),
            (None, true) => Self::Aes256,
            (None, false) => Self::Bucket,
        }
    }

    /// The KMS key, if it is one's.
    pub(crate) fn kms_key(&self) -> Option<&str> {
        match self {
            Self::Kms(key) => Some(key),
            Self::Bucket | Self::Aes256 => None,
        }
    }
}

/// The lock that is held around a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hold {
    /// Terraform's own, so that it is told not to lock.
    Native,
    /// One beside it, so that Terraform locks for itself.
    Beside,
}

impl Hold {
    /// As an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Beside => "beside",
        }
    }
}

/// How Terraform locks the state (developer.hashicorp.com, "Backend Type: s3", State Locking).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Locking {
    /// An item in a DynamoDB table (`dynamodb_table`).
    #[default]
    Dynamodb,
    /// An object beside the state (`use_lockfile`).
    File,
    /// Both.
    Both,
}

impl Locking {
    pub(crate) fn uses_table(self) -> bool {
        self != Self::File
    }

    pub(crate) fn uses_file(self) -> bool {
        self != Self::Dynamodb
    }

    /// As an argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dynamodb => "dynamodb",
            Self::File => "file",
            Self::Both => "both",
        }
    }

    /// The lock's storage, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Dynamodb => "the lock table",
            Self::File => "the lock file",
            Self::Both => "both the lock table and the lock file",
        }
    }
}

/// A word as a person types it into a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Backend {
    /// The workspace, unless it is the default one, whose state has no other key.
    pub(crate) fn other_workspace(&self) -> Option<&str> {
        self.workspace.as_deref().filter(|name| *name != "default")
    }

    /// The key of the state object: each workspace has one of its own (developer.hashicorp.com,
    /// "Backend Type: s3", `workspace_key_prefix`).
    pub(crate) fn object_key(&self) -> String {
        match self.other_workspace() {
            Some(workspace) => key::of_workspace(key::PREFIX, workspace, &self.key),
            None => self.key.clone(),
        }
    }

    /// The arguments with which a person names this state and its lock to a step of ours in a shell.
    pub(crate) fn shell_arguments(&self) -> String {
        let mut arguments = format!(
            "--region {} --bucket {} --key {}",
            self.region,
            self.bucket,
            quoted(&self.key)
        );
        if let Some(workspace) = &self.workspace {
            arguments.push_str(&format!(" --workspace {workspace}"));
        }
        if self.locking.uses_table() {
            arguments.push_str(&format!(" --table {}", self.table));
        }
        if self.locking.uses_file() {
            arguments.push_str(&format!(" --locking {}", self.locking.name()));
        }
        if let Some(role) = &self.role {
            arguments.push_str(&format!(" --state-role {role}"));
        }
        match &self.encryption {
            Encryption::Bucket => {}
            Encryption::Aes256 => arguments.push_str(" --encrypt"),
            Encryption::Kms(key) => arguments.push_str(&format!(" --kms-key-id {key}")),
        }
        arguments
    }

    /// The lock's key.
    pub(crate) fn lock_id(&self) -> String {
        format!("{}/{}", self.bucket, self.object_key())
    }

    /// The settings of Terraform's backend. Of encryption nothing is said that nobody asked for:
    /// `encrypt` alone asks for S3's own key, past the KMS key that is the bucket's default.
    pub(crate) fn settings(&self, path_style: bool) -> Vec<(&'static str, Cow<'_, str>)> {
        let on = Cow::Borrowed("true");
        let mut settings = vec![
            ("bucket", Cow::from(&self.bucket)),
            ("key", Cow::from(&self.key)),
            ("region", Cow::from(self.region.as_str())),
        ];
        if self.locking.uses_table() {
            settings.push(("dynamodb_table", Cow::from(&self.table)));
        }
        if self.locking.uses_file() {
            settings.push(("use_lockfile", on.clone()));
        }
        if let Some(role) = &self.role {
            // A setting that is not text is read as an expression (terraform
            // `internal/command/meta_config.go`, `configValueFromCLI`), and `role_arn` of old is gone.
            let role = format!("{{role_arn=\"{role}\"}}");
            settings.push(("assume_role", role.into()));
        }
        if self.encryption != Encryption::Bucket {
            settings.push(("encrypt", on.clone()));
        }
        if let Some(key) = self.encryption.kms_key() {
            settings.push(("kms_key_id", key.into()));
        }
        if path_style {
            settings.push(("use_path_style", on));
        }
        settings
    }

    /// The settings as arguments of `init`.
    pub(crate) fn arguments(&self, path_style: bool) -> Vec<String> {
        self.settings(path_style)
            .into_iter()
            .map(|(name, value)| format!("-backend-config={name}={value}"))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The backend of a state that only has a place.
    pub(crate) fn backend() -> Backend {
        Backend {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            workspace: None,
            table: String::new(),
            region: "eu-west-1".parse().unwrap(),
            locking: Locking::default(),
            role: None,
            owner: None,
            encryption: Encryption::default(),
        }
    }

    #[test]
    fn role_and_encryption_are_passed_to_terraform_only_if_set() {
        let with = |role: Option<&str>, encryption| Backend {
            locking: Locking::File,
            role: role.map(|role| role.parse().unwrap()),
            encryption,
            ..backend()
        };
        let own = "bucket=b key=k region=eu-west-1 use_lockfile=true";
        for (role, encryption, wanted) in [
            (None, Encryption::Bucket, ""),
            (None, Encryption::new(true, None), " encrypt=true"),
            (
                Some("arn:aws:iam::222222222222:role/states"),
                Encryption::new(false, Some("key-1".to_owned())),
                " assume_role={role_arn=\"arn:aws:iam::222222222222:role/states\"} encrypt=true kms_key_id=key-1",
            ),
        ] {
            let arguments = with(role, encryption).arguments(false).join(" ");
            let shown = arguments.replace("-backend-config=", "");
            assert_eq!(shown, format!("{own}{wanted}"));
        }
    }
}
