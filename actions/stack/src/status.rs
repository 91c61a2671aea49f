//! The verb `status`: the status of the stack.

use crate::args;
use crate::cause::{Causes, causes};
use crate::identity::PREFIX;
use crate::locate::{self, Found};
use crate::report::regions;
use crate::report::status::{Status, report};
use crate::seen::Event;
use crate::watch::deepest;
use kit::error::Result;
use kit::{Cx, Report};
use net::Purpose;
use std::cell::{Cell, RefCell};

/// # Errors
/// There is no such stack, or CloudFormation does not answer.
pub(crate) async fn status(args: args::Status, cx: &Cx) -> Result<Report> {
    let defaults = cx.defaults_stack()?;
    let arguments = args.stack.arguments(cx);
    let mut all = Vec::new();
    for found in locate::find(cx, &defaults, &args.stack, Purpose::Read).await? {
        let region = found.account.region.clone();
        all.push((region, in_region(found, &arguments).await));
    }
    regions::each(all)
}

async fn in_region(found: Found, arguments: &str) -> Result<Report> {
    let stack = found.existing(arguments).await?;
    let Found {
        account, client, ..
    } = found;
    let operation = client.events(&stack.id, one_operation()).await?;
    let mut why = Causes::default();
    if stack.status.contains("FAILED") || stack.status.contains("ROLLBACK") {
        let begin = operation.first().map_or(i64::MIN, |event| event.millis);
        why = deepest(&client, causes(&operation), begin).await;
    }
    let policy = client.policy(&stack.id).await?;
    let mut open = client.change_sets(&stack.id).await?;
    open.retain(|set| set.name.starts_with(PREFIX) || set.execution == "AVAILABLE");
    Ok(report(&Status {
        account: &account,
        stack,
        operation,
        why,
        policy,
        open,
    }))
}

/// Ends the events at the first one, read back from the newest, that another operation caused.
fn one_operation() -> impl Fn(&Event) -> bool {
    let token: RefCell<Option<String>> = RefCell::new(None);
    let began = Cell::new(false);
    move |event: &Event| {
        let mut token = token.borrow_mut();
        // Operations started without a token have one of CloudFormation's own, or none; then the stack's own beginning ends them.
        let other = began.get()
            || token
                .as_ref()
                .is_some_and(|token| event.token.as_deref() != Some(token));
        if token.is_none() {
            token.clone_from(&event.token);
        }
        let first = [
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
            "IMPORT_IN_PROGRESS",
        ];
        if event.is_of_stack() && first.contains(&event.status.as_str()) {
            began.set(true);
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::tests::of_stack;

    #[test]
    fn the_last_operation_ends_where_another_one_begins() {
        let newest_first = [
            of_stack("UPDATE_COMPLETE", "b"),
            of_stack("UPDATE_IN_PROGRESS", "b"),
            of_stack("CREATE_COMPLETE", "a"),
        ];
        let end = one_operation();
        let found: Vec<bool> = newest_first.iter().map(end).collect();
        assert_eq!(found, [false, false, true]);
        let mut without = newest_first.clone();
        for event in &mut without {
            event.token = None;
        }
        let found: Vec<bool> = without.iter().map(one_operation()).collect();
        assert_eq!(found, [false, false, true]);
    }
}
