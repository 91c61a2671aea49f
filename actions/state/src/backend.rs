//! The backend of one state, as `init` is told of it. Pure.

use crate::key;

/// Where one state object and its lock are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Backend {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// The workspace that was named: the command works in it, whichever is selected.
    pub(crate) workspace: Option<String>,
    /// Empty where the object beside the state is the only lock.
    pub(crate) table: String,
    pub(crate) region: String,
    pub(crate) locking: Locking,
}

/// Which lock is held around a command.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hold {
    /// Terraform's own, so that it is told not to lock
    Native,
    /// One beside it, so that Terraform locks for itself
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
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Locking {
    /// An item in a DynamoDB table (`dynamodb_table`)
    #[default]
    Dynamodb,
    /// An object beside the state (`use_lockfile`)
    File,
    /// Both
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

    /// The lock's key.
    pub(crate) fn lock_id(&self) -> String {
        format!("{}/{}", self.bucket, self.object_key())
    }

    /// The settings of Terraform's backend. Nothing is said of encryption: `encrypt` asks for S3's
    /// own keys, past the KMS key that is the bucket's default.
    pub(crate) fn settings(&self, path_style: bool) -> Vec<(&'static str, &str)> {
        let mut settings = vec![
            ("bucket", self.bucket.as_str()),
            ("key", &self.key),
            ("region", &self.region),
        ];
        if self.locking.uses_table() {
            settings.push(("dynamodb_table", &self.table));
        }
        if self.locking.uses_file() {
            settings.push(("use_lockfile", "true"));
        }
        if path_style {
            settings.push(("use_path_style", "true"));
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
