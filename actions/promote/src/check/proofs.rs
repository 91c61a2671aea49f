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
    /// The CodeBuild project that images are built by, if the contract names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// True if the gate accepts an image that another tool built and nobody compared with the commit.
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
            project: build.project.clone(),
            prebuilt: build.prebuilt,
        })
    }

    /// Returns true if a builder is the one of its kind that the contract names. Where it names none, any is, unless it names one of the
    /// other kind.
    pub(super) fn names(&self, named: Option<&String>, builder: &str) -> bool {
        match named {
            Some(named) => named == builder,
            None => self.workflow.is_none() && self.project.is_none(),
        }
    }

    /// The builders that the contract names.
    pub(super) fn builders(&self) -> String {
        let project = self.project.as_ref();
        let project = project.map(|project| format!("the CodeBuild project {project}"));
        let named = self.workflow.iter().cloned().chain(project);
        named.collect::<Vec<_>>().join(" or ")
    }
}
