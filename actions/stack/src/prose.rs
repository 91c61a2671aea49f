//! The one place that reads CloudFormation's sentences. Each is read only where no code and no status says the same. Pure.

/// Returns true if the answer with the code `ValidationError` says that there is no such stack. CloudFormation has one code for
/// every mistake in a request (API Reference, DescribeStacks: "If the stack doesn't exist, a ValidationError is returned").
pub(crate) fn no_such_stack(message: &str) -> bool {
    message.contains("does not exist")
}

/// Returns true if a change set failed because it would change nothing. CloudFormation has no status for that, and two texts
/// (API Reference, CreateChangeSet, and the answer of UpdateStack, which appears with transforms).
pub(crate) fn changes_nothing(reason: &str) -> bool {
    reason.contains("The submitted information didn't contain changes")
        || reason.contains("No updates are to be performed")
}

/// Returns true if a resource failed only because another one did: "Resource creation cancelled", "Resource update cancelled"
/// (User Guide, "Troubleshooting CloudFormation"). The status is that of any other failure.
pub(crate) fn cancelled(reason: &str) -> bool {
    reason.starts_with("Resource ") && reason.ends_with(" cancelled")
}

/// The reason of a failure with each value that a service repeats in it replaced by `shown(property, value)`. No document
/// of AWS defines the form. It is that of the answers to a value which a service's model does not allow: `1 validation error
/// detected: Value 'x' at 'masterUserPassword' failed to satisfy constraint`.
pub(crate) fn replaced_values<'a>(
    reason: &'a str,
    shown: impl Fn(&str, &'a str) -> &'a str,
) -> String {
    let mut text = String::new();
    let mut rest = reason;
    while let Some((before, after)) = rest.split_once("alue '") {
        text.push_str(before);
        text.push_str("alue '");
        rest = after;
        let Some((value, place)) = after.split_once("' at '") else {
            continue;
        };
        let Some((property, _)) = place.split_once('\'') else {
            continue;
        };
        text.push_str(shown(property, value));
        rest = &after[value.len()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_stack_is_distinguished_from_other_errors() {
        for (message, missing) in [
            ("Stack with id shop-dev does not exist", true),
            ("Stack [shop-dev] does not exist", true),
            ("Template format error: unsupported structure.", false),
            ("", false),
        ] {
            assert_eq!(no_such_stack(message), missing, "{message}");
        }
    }

    #[test]
    fn both_texts_of_an_empty_change_set_are_known() {
        for (reason, empty) in [
            (
                "The submitted information didn't contain changes. Submit different information to create a change set.",
                true,
            ),
            ("No updates are to be performed.", true),
            ("Parameters: [A] must have values", false),
            ("", false),
        ] {
            assert_eq!(changes_nothing(reason), empty, "{reason}");
        }
    }

    #[test]
    fn only_a_resource_that_was_cancelled_failed_because_of_another() {
        for (reason, because) in [
            ("Resource creation cancelled", true),
            ("Resource update cancelled", true),
            ("The order was cancelled", false),
            ("Resource handler returned message: it exists", false),
            ("", false),
        ] {
            assert_eq!(cancelled(reason), because, "{reason}");
        }
    }

    #[test]
    fn each_repeated_value_is_replaced_by_what_may_be_shown() {
        let shown = |property: &str, value| match property {
            "password" => "…",
            _ => value,
        };
        for (reason, wanted) in [
            (
                "1 error: Value 'x' at 'password' failed; Value 'y' at 'name' failed",
                "1 error: Value '…' at 'password' failed; Value 'y' at 'name' failed",
            ),
            (
                "Invalid value 'it' at 'password'.",
                "Invalid value '…' at 'password'.",
            ),
            ("Value 'x' is not allowed", "Value 'x' is not allowed"),
            ("Value 'x' at 'password", "Value 'x' at 'password"),
            ("", ""),
        ] {
            assert_eq!(replaced_values(reason, shown), wanted);
        }
    }
}
