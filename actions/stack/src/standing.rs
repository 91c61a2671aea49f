//! The actions that each status of a stack allows. Pure.
//!
//! The statuses and what each allows: AWS CloudFormation User Guide, "Stack status codes".

use crate::seen::Stack;
use kit::error::{Error, ErrorKind};

/// The status of a stack of which only change sets were made.
pub(crate) const REVIEW: &str = "REVIEW_IN_PROGRESS";

/// The kinds of change set for the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It makes the stack, which is not there or was only ever planned.
    Create,
    /// It changes the stack.
    Update,
}

impl Kind {
    /// Its name in CloudFormation.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
        }
    }
}

/// Decides what a change set for the stack has to be. `arguments` lead to the stack in a hint.
///
/// # Errors
/// Another operation is under way (exit 4), or the stack cannot be changed before somebody repaired it (exit 3).
pub(crate) fn change_set_kind(stack: Option<&Stack>, arguments: &str) -> Result<Kind, Box<Error>> {
    let Some(stack) = stack else {
        return Ok(Kind::Create);
    };
    let Stack { name, status, .. } = stack;
    let stuck = |why: &str| {
        let mut error = Error::refused(format!("the stack {name} cannot be changed: {status}"));
        if let Some(reason) = &stack.reason {
            error = error.cause(reason.clone());
        }
        Box::new(error.cause(why))
    };
    match status.as_str() {
        "REVIEW_IN_PROGRESS" => Ok(Kind::Create),
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Ok(Kind::Update),
        "ROLLBACK_COMPLETE" => Err(Box::new(
            stuck("its first creation failed and was rolled back; CloudFormation can only delete it")
                .hint(format!("see why it failed: slipway-stack status {arguments}"))
                .hint(format!("then delete what is left of it, and plan again: aws cloudformation delete-stack --stack-name {name}")),
        )),
        "CREATE_FAILED" | "ROLLBACK_FAILED" => Err(Box::new(
            stuck("its first creation failed, and resources are left of it")
                .hint(format!("see what is left: slipway-stack status {arguments}"))
                .hint(format!("then delete it, and plan again: aws cloudformation delete-stack --stack-name {name}")),
        )),
        "UPDATE_FAILED" => Err(Box::new(
            stuck("an update failed and was not rolled back")
                .hint(format!("roll it back, then plan again: aws cloudformation rollback-stack --stack-name {name}")),
        )),
        "UPDATE_ROLLBACK_FAILED" => Err(Box::new(
            stuck("an update failed, and so did its rollback")
                .hint(format!("see which resource could not be rolled back: slipway-stack status {arguments}"))
                .hint(format!("fix what stops it, then let the rollback finish, and plan again: slipway-stack recover {arguments}")),
        )),
        "IMPORT_ROLLBACK_FAILED" => Err(Box::new(
            stuck("an import failed, and so did its rollback")
                .hint(format!("let the rollback finish, then plan again: aws cloudformation continue-update-rollback --stack-name {name}")),
        )),
        "DELETE_FAILED" => Err(Box::new(
            stuck("its deletion stopped halfway")
                .hint(format!("see what could not be deleted: slipway-stack status {arguments}"))
                .hint(format!("then delete the rest of it, and plan again: aws cloudformation delete-stack --stack-name {name}")),
        )),
        _ if status.ends_with("_IN_PROGRESS") => Err(Box::new(busy(stack, arguments))),
        _ => Err(Box::new(
            stuck("Slipway does not know this status, so it changes nothing")
                .hint("use a newer Slipway, or the AWS CLI"),
        )),
    }
}

/// The error of an operation that somebody else's is in the way of.
pub(crate) fn busy(stack: &Stack, arguments: &str) -> Error {
    let Stack { name, status, .. } = stack;
    let mut error = Error::new(
        ErrorKind::Busy,
        format!("another operation on the stack {name} is under way: {status}"),
    );
    if let Some(reason) = &stack.reason {
        error = error.cause(reason.clone());
    }
    error.hint(format!(
        "wait for it, then run this again: slipway-stack status {arguments}"
    ))
}

/// Returns true if an operation has ended in this status.
pub(crate) fn is_terminal(status: &str) -> bool {
    !status.ends_with("_IN_PROGRESS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn stack(status: &str) -> Stack {
        Stack {
            name: "shop-dev".to_owned(),
            status: status.to_owned(),
            reason: Some("because".to_owned()),
            ..Stack::default()
        }
    }

    #[test]
    fn each_status_leads_to_one_decision() {
        assert_eq!(change_set_kind(None, "").unwrap(), Kind::Create);
        let names = [Kind::Create, Kind::Update].map(Kind::as_str);
        assert_eq!(names, ["CREATE", "UPDATE"]);
        for (status, wanted) in [
            ("REVIEW_IN_PROGRESS", Kind::Create),
            ("CREATE_COMPLETE", Kind::Update),
            ("UPDATE_COMPLETE", Kind::Update),
            ("UPDATE_ROLLBACK_COMPLETE", Kind::Update),
            ("IMPORT_COMPLETE", Kind::Update),
            ("IMPORT_ROLLBACK_COMPLETE", Kind::Update),
        ] {
            assert_eq!(
                change_set_kind(Some(&stack(status)), "").unwrap(),
                wanted,
                "{status}"
            );
        }
        for (status, exit, hint) in [
            ("ROLLBACK_COMPLETE", Exit::Refused, "delete-stack"),
            ("ROLLBACK_FAILED", Exit::Refused, "delete-stack"),
            ("CREATE_FAILED", Exit::Refused, "delete-stack"),
            ("UPDATE_FAILED", Exit::Refused, "rollback-stack"),
            (
                "UPDATE_ROLLBACK_FAILED",
                Exit::Refused,
                "slipway-stack recover",
            ),
            (
                "IMPORT_ROLLBACK_FAILED",
                Exit::Refused,
                "continue-update-rollback",
            ),
            ("DELETE_FAILED", Exit::Refused, "delete-stack"),
            ("SOMETHING_NEW", Exit::Refused, "newer Slipway"),
            ("CREATE_IN_PROGRESS", Exit::Busy, "wait for it"),
            ("UPDATE_IN_PROGRESS", Exit::Busy, "wait for it"),
            (
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
                Exit::Busy,
                "wait for it",
            ),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Exit::Busy, "wait for it"),
            ("DELETE_IN_PROGRESS", Exit::Busy, "wait for it"),
        ] {
            let error = change_set_kind(Some(&stack(status)), "--environment dev").unwrap_err();
            assert_eq!(error.exit(), exit, "{status}");
            assert!(
                error.hints.iter().any(|it| it.contains(hint)),
                "{status}: {error}"
            );
            let text = error.to_string();
            assert!(text.contains("because"), "{status}: {text}");
            // The role and the account of the hint are those of this run.
            let leads = !text.contains("slipway-stack") || text.contains("--environment dev");
            assert!(leads, "{status}: {text}");
        }
    }
}
