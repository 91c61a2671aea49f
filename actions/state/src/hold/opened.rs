//! A lock with the credentials to change it.

use crate::access::{Access, access};
use crate::backend::{Hold, Locking};
use crate::locate::LocatedState;
use crate::lock::{Item, Location, Lock, Object};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use kit::error::{Error, Failure, Result};
use kit::step::Cx;
use net::{Account, Net};
use std::time::Duration;

/// The time after which a call about the lock is repeated if it has no answer. Its payload is small, and a network
/// that drops one call may answer the next.
const ANSWER: Duration = Duration::from_secs(10);

/// A lock with the credentials to change it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) net: Net,
    pub(crate) access: Access,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) lock: Lock,
    pub(crate) hold: Hold,
}

/// Opens the lock with new credentials: those of an earlier call may have expired.
///
/// # Errors
/// No credentials, or another account's.
pub(crate) async fn open(located: &LocatedState, hold: Hold, cx: &Cx) -> Result<Opened> {
    let net = Net::new(cx)?;
    let backend = &located.backend;
    let access = access(&net, &located.target, backend.role.as_ref()).await?;
    let s3 = crate::s3::client(&access.state, &backend.region, &backend.encryption, cx);
    let lock = lock_of(located, hold, &access.state, &s3);
    Ok(Opened {
        net,
        access,
        s3,
        lock,
        hold,
    })
}

impl Opened {
    /// The same state's lock of another kind.
    pub(super) fn other(&self, located: &LocatedState, hold: Hold) -> Lock {
        lock_of(located, hold, &self.access.state, &self.s3)
    }

    /// The name of this run's actor, for messages.
    pub(super) fn actor(&self, cx: &Cx) -> String {
        cx.host
            .actor()
            .unwrap_or_else(|| self.access.account.arn.to_string())
    }
}

/// Returns true if AWS said that the credentials have ended.
pub(super) fn expired(error: &Error) -> bool {
    error.failure() == Some(Failure::Expired)
}

fn lock_of(located: &LocatedState, hold: Hold, account: &Account, s3: &aws_sdk_s3::Client) -> Lock {
    let backend = &located.backend;
    let suffix = match hold {
        Hold::Native => "",
        Hold::Beside => "#hold",
    };
    let id = format!("{}{suffix}", backend.lock_id());
    let timeouts = account
        .config
        .timeout_config()
        .map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
        .operation_attempt_timeout(ANSWER)
        .build();
    let dynamodb = aws_sdk_dynamodb::config::Builder::from(&account.config)
        .region(aws_sdk_dynamodb::config::Region::new(
            backend.region.to_string(),
        ))
        .retry_classifier(net::ClockWasSet)
        .timeout_config(timeouts.clone());
    let item = || Item {
        client: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
        table: backend.table.clone(),
        id: id.clone(),
    };
    let object = || {
        Object::new(
            aws_sdk_s3::Client::from_conf(
                s3.config().to_builder().timeout_config(timeouts).build(),
            ),
            backend.bucket.clone(),
            format!("{}{suffix}.tflock", backend.object_key()),
        )
    };
    let location = match (backend.locking, hold) {
        (Locking::File, _) => Location::File(object()),
        (Locking::Both, Hold::Native) => Location::Both {
            item: item(),
            object: object(),
        },
        // A lock beside Terraform's own is stored in one place only.
        (Locking::Dynamodb, _) | (Locking::Both, Hold::Beside) => Location::Table(item()),
    };
    Lock {
        location,
        id,
        arguments: backend.shell_arguments(),
    }
}
