//! How far the deployment of a function has come, and what a signal does there: before the alias is changed it ends the run,
//! after that it makes the run go back.

use crate::interrupt::Interruptible;
use kit::error::{Error, ErrorKind};

/// The changes made so far.
#[derive(Debug, Clone, Default)]
pub(super) enum Stage {
    #[default]
    Unchanged,
    /// The code of `$LATEST` is being changed, or a version published.
    Revising,
    Beginning {
        permit: u64,
        version: String,
        /// The command that records it as failed.
        record: String,
    },
    /// The alias is changed, and followed.
    Moving {
        version: String,
        /// The run goes back where it is cancelled.
        goes_back: bool,
    },
    GoingBack {
        version: String,
    },
}

impl Interruptible for Stage {
    fn goes_on(&self) -> bool {
        matches!(
            self,
            Self::Moving {
                goes_back: true,
                ..
            } | Self::GoingBack { .. }
        )
    }

    fn interrupted(&self, signal: &str, arguments: &str) -> Error {
        let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
        let status = format!("see what it serves: slipway-service status {arguments}");
        match self {
            Self::Unchanged => error.cause("nothing was changed"),
            Self::Revising => error.cause(
                "the code of $LATEST may have been changed and a version published; the alias was not, and nothing else uses them",
            ),
            Self::Beginning {
                permit,
                version,
                record,
            } => error
                .cause(format!(
                    "the record that permit {permit} is used for version {version} was being written; the alias was not changed"
                ))
                .hint("on GitHub, run the failed jobs again: they go on under it")
                .hint(format!("anywhere else, record the failure and get a new permit: {record}")),
            Self::Moving { version, goes_back } => error
                .cause(match goes_back {
                    true => format!("the alias was being moved to version {version}, and did not go back"),
                    false => format!("the alias was being moved to version {version}, and was left as it is"),
                })
                .hint(status)
                .hint("run the same deploy again: it goes on from there"),
            Self::GoingBack { version } => error
                .cause(format!("the alias was going back to version {version}; the end was not seen"))
                .hint(status),
        }
    }
}
