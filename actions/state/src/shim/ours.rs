//! The state whose lock is held, as the calls of a command are compared with it. Pure.

use crate::backend::Backend;
use crate::dependencies::Rule;
use kit::aws::AccountId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The state whose lock is held around a command, and how the command reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    pub(crate) backend: Backend,
    /// True if Terraform's own lock is held, so that a call on this state need not lock.
    pub(crate) native: bool,
    /// The ID of the held lock.
    pub(crate) lock_id: String,
    /// The account whose lock table it is.
    pub(crate) account: AccountId,
    /// The account whose credentials the command was given.
    pub(crate) caller: AccountId,
    /// The variables that choose credentials and endpoints, as the command was given them.
    pub(crate) variables: BTreeMap<String, String>,
    /// The folder that the step was given for its infrastructure code.
    pub(crate) folder: PathBuf,
    /// True if the step's backend goes before the one in the code.
    pub(crate) overrides: bool,
    pub(crate) path_style: bool,
    /// `BUCKET/KEY` of the states that were rescued under this lock and are to be repaired.
    pub(crate) to_repair: Vec<String>,
    /// The rule of the environment's gate for the code, if there is a gate.
    pub(crate) rule: Option<Rule>,
    /// The environment, if only a permitted plan changes anything there, and this is not the step that applies it.
    pub(crate) plans: Option<String>,
}

/// Returns true if a variable chooses an endpoint of AWS.
pub(super) fn is_endpoint(name: &str) -> bool {
    name.contains("ENDPOINT")
}

/// Returns true if a variable chooses an endpoint of AWS or the credentials. None of them holds a secret.
pub(crate) fn is_identity(name: &str) -> bool {
    const CREDENTIALS: [&str; 7] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    name.starts_with("AWS_") && (is_endpoint(name) || CREDENTIALS.contains(&name))
}
