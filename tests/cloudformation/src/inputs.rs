//! Pure: what a change set gives its stack.

use std::collections::BTreeMap;

use crate::state::{ChangeSet, Stack};
use crate::template::resolve::Inputs;

/// Where a change set's stack is and what the change set gives it.
pub(crate) fn of(
    account: &str,
    region: &str,
    stack: &Stack,
    set: &ChangeSet,
    exports: BTreeMap<String, String>,
) -> Inputs {
    Inputs {
        account: account.to_owned(),
        region: region.to_owned(),
        stack_name: stack.name.clone(),
        stack_id: stack.id.clone(),
        notification_arns: set.notification_arns.clone(),
        parameters: set.parameters.clone(),
        exports,
    }
}
