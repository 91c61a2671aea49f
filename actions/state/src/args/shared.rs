//! Arguments that several verbs of slipway-state share.

use crate::backend::{Hold, Locking};
use crate::tool::name::Name;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use kit::error::{Error, Result};

/// Where the state is.
#[derive(Debug, clap::Args)]
pub(crate) struct Storage {
    /// State bucket [default: the contract's, else TF_STATE_BUCKET]
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,
    /// DynamoDB lock table; without one the lock is the file KEY.tflock beside the state [default: the contract's; without a contract TF_LOCK_TABLE]
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// How the state is locked: `file` (KEY.tflock beside the state), `dynamodb` (deprecated by Terraform; `move-lock` moves), `both` [default: dynamodb if there is a table, else file]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "HOW")]
    pub(crate) locking: Option<Locking>,
    /// Region of bucket and table, which need not be the command's [default: the contract's, else AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<kit::aws::Region>,
    /// Role to assume instead of the contract's, as an ARN
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<kit::aws::RoleArn>,
    /// Role that this role assumes to reach bucket and table, where they are in another account, as an ARN [default: the contract's]
    #[arg(long, value_name = "ARN")]
    pub(crate) state_role: Option<kit::aws::RoleArn>,
    /// Ask for encryption at every write, with S3's own key unless --kms-key-id names another [default: the contract's; else the bucket decides]
    #[arg(long)]
    pub(crate) encrypt: bool,
    /// KMS key to ask for at every write, by ARN or ID [default: the contract's]
    #[arg(long, value_name = "KEY")]
    pub(crate) kms_key_id: Option<String>,
}

impl ValueEnum for Locking {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Dynamodb, Self::File, Self::Both]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Hold {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Native, Self::Beside]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Terraform, Self::Tofu]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let maker = match self {
            Self::Terraform => "HashiCorp's",
            Self::Tofu => "The Linux Foundation's",
        };
        Some(PossibleValue::new(self.command()).help(maker))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Object {
    /// Key of the state object, instead of the contract's
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Workspace whose state it is, as `terraform workspace list` names it [default: the default one]
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
}

/// The state that a verb is about.
#[derive(Debug, clap::Args)]
pub(crate) struct State {
    #[command(flatten)]
    pub(crate) storage: Storage,
    #[command(flatten)]
    pub(crate) object: Object,
}

/// The same, under its lock.
#[derive(Debug, clap::Args)]
pub(crate) struct Locked {
    #[command(flatten)]
    pub(crate) state: State,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// How long to wait for a lock that somebody holds, e.g. 90s, 10m or 0s
    #[arg(long, default_value = "10m", value_parser = kit::clock::parse_duration, value_name = "TIME")]
    pub(crate) lock_timeout: std::time::Duration,
    /// How long a run that sends no heartbeat still counts as alive, e.g. 90s
    #[arg(long, default_value = "3m", value_parser = lease, value_name = "TIME")]
    pub(crate) lease: std::time::Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Kind {
    /// Lock to hold: `native` (Terraform's own) or `beside` (one beside it, and Terraform locks for itself) [default: native]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "KIND")]
    pub(crate) hold: Option<Hold>,
}

/// The lock that was looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The lock's ID, as `lock`, `status` or Terraform named it
    #[arg(long, value_name = "ID")]
    pub(crate) lock_id: Option<String>,
}

impl Which {
    /// The ID.
    ///
    /// # Errors
    /// None was given (exit 2).
    pub(crate) fn id(&self) -> Result<&str> {
        self.lock_id.as_deref().ok_or_else(|| {
            Error::usage("--lock-id is missing")
                .hint("find it: slipway-state status --environment NAME")
        })
    }
}

/// A lock that an earlier step or job took.
#[derive(Debug, clap::Args)]
pub(crate) struct Adopt {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The lock's version number, as `lock` or `park` named it: refused if somebody used the lock since
    #[arg(long, requires = "lock_id", value_name = "RVN")]
    pub(crate) rvn: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keep {
    /// Longest time that the lock is kept, even if its run is still active, e.g. 90m
    #[arg(long, default_value = "6h", value_parser = kit::clock::parse_duration, value_name = "TIME")]
    pub(crate) max: std::time::Duration,
}

/// Shorter ones would be over before an answer that is late.
fn lease(text: &str) -> std::result::Result<std::time::Duration, String> {
    let lease = kit::clock::parse_duration(text)?;
    if lease < std::time::Duration::from_secs(2) {
        return Err(format!("`{text}` is too short for a lease: 2s at least"));
    }
    if lease > std::time::Duration::from_secs(24 * 60 * 60) {
        return Err(format!(
            "`{text}` is too long for a lease: 24h at most, because the lock of a run that was killed blocks others for a whole lease"
        ));
    }
    Ok(lease)
}
