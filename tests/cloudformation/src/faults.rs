//! Failures and delays on request, at an operation on a resource.

use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;

use crate::lock;

const OPERATIONS: [&str; 4] = ["create", "update", "delete", "rollback"];

/// A failure or a delay of an operation on a resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The stack's account.
    pub account: String,
    /// The stack's name.
    pub stack: String,
    /// The resource's logical ID.
    pub resource: String,
    /// `create`, `update`, `delete`, or `rollback` for the update that takes an update back.
    pub operation: String,
    /// The reason of the failure, as the resource's provider would say it. Without one the operation only takes longer.
    pub reason: Option<String>,
    /// Milliseconds that the operation takes longer.
    #[serde(default)]
    pub delay: u64,
    /// How many operations it meets; 1 by default.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// Why a fault cannot be injected.
#[derive(Debug, thiserror::Error)]
#[error("an operation is one of create, update, delete and rollback, not {0}")]
pub struct FaultError(String);

/// The faults in waiting.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

/// The effect of a fault on an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Struck {
    pub(crate) delay: Duration,
    pub(crate) reason: Option<String>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> Result<(), FaultError> {
        if !OPERATIONS.contains(&fault.operation.as_str()) {
            return Err(FaultError(fault.operation));
        }
        lock(&self.0).push(fault);
        Ok(())
    }

    /// Takes the first fault that meets the operation.
    pub(crate) fn strike(
        &self,
        account: &str,
        stack: &str,
        resource: &str,
        operation: &str,
    ) -> Struck {
        let mut waiting = lock(&self.0);
        let met = waiting.iter().position(|fault| {
            fault.account == account
                && fault.stack == stack
                && fault.resource == resource
                && fault.operation == operation
        });
        let Some(at) = met else {
            return Struck::default();
        };
        let struck = Struck {
            delay: Duration::from_millis(waiting[at].delay),
            reason: waiting[at].reason.clone(),
        };
        waiting[at].times = waiting[at].times.saturating_sub(1);
        if waiting[at].times == 0 {
            waiting.remove(at);
        }
        struck
    }
}
