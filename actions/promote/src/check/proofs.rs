//! The contract's requirements on an image's provenance.

use kit::aws::{AccountId, KmsKey};
use kit::contract::Build;
use serde::{Deserialize, Serialize};

/// The contract's requirements on provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proofs {
    /// The key that signs it.
    pub(crate) key: KmsKey,
    /// The build account, which holds the key, the images and the projects that build.
    pub(crate) account: AccountId,
    /// The workflow file that images are built by, if the contract names one.
    pub(crate) workflow: Option<String>,
    /// Whether an image passes that another tool built and nobody compared with the commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) prebuilt: bool,
}

impl Proofs {
    /// The requirements, if the contract names a key.
    pub(crate) fn of(build: &Build) -> Option<Self> {
        Some(Self {
            key: build.keys.provenance.clone()?,
            account: build.account.clone(),
            workflow: build.workflow.clone(),
            prebuilt: build.prebuilt,
        })
    }
}
