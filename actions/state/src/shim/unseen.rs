//! Why something in the surroundings of a call cannot be seen.

use crate::dependencies::Unreadable;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Why something in the surroundings of a call cannot be seen. It travels from the call to the step, so the reason of a reader is
/// kept as its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Unseen {
    /// A file of Terraform's own, with the answer of the file system or of the parser.
    #[error("{} cannot be read: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("{} cannot be read: its backend has no settings", path.display())]
    BackendWithoutSettings { path: PathBuf },
    #[error("{} is not a saved plan that this step can read", path.display())]
    NotAPlan { path: PathBuf },
    /// The user's code, with the answer of its reader, which names the file.
    #[error("{0}")]
    Code(String),
}

impl From<Unreadable> for Unseen {
    fn from(error: Unreadable) -> Self {
        Self::Code(error.to_string())
    }
}

impl Unseen {
    pub(super) fn file(path: impl Into<PathBuf>, why: impl ToString) -> Self {
        Self::File {
            path: path.into(),
            why: why.to_string(),
        }
    }
}
