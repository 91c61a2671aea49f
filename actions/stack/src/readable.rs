//! Parameters whose value CloudFormation hides so far and would show after the plan, because its template drops `NoEcho`. Pure.

use crate::seen::{ChangeSet, Stack, Template};

/// Returns true if CloudFormation hides the value behind this text: it shows asterisks in the place of a `NoEcho` parameter's value
/// (User Guide, "Parameters section template reference syntax", `NoEcho`).
pub(crate) fn is_masked(shown: &str) -> bool {
    !shown.is_empty() && shown.bytes().all(|byte| byte == b'*')
}

/// Returns true if the stack hides its value of the parameter.
pub(crate) fn hides(stack: Option<&Stack>, name: &str) -> bool {
    let value = stack.and_then(|stack| stack.parameters.get(name));
    value.is_some_and(|value| is_masked(value))
}

/// The parameters of the template that the stack hides and that have no `NoEcho` any more.
pub(crate) fn declared_readable(template: &Template, stack: Option<&Stack>) -> Vec<String> {
    let plain = template.parameters.iter().filter(|it| !it.no_echo);
    plain
        .filter(|it| hides(stack, &it.name))
        .map(|it| it.name.clone())
        .collect()
}

/// The parameters that the stack hides and the change set shows.
pub(crate) fn revealed<'a>(stack: &Stack, set: &'a ChangeSet) -> Vec<&'a str> {
    let shown = set.parameters.iter().filter(|(_, value)| !is_masked(value));
    shown
        .filter(|(name, _)| hides(Some(stack), name))
        .map(|(name, _)| name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Declared;

    fn values(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_parameter_that_loses_its_mask_is_named() {
        let stack = Stack {
            parameters: values(&[("Password", "****"), ("Token", "*****"), ("Size", "1")]),
            ..Stack::default()
        };
        let set = ChangeSet {
            parameters: values(&[
                ("Password", "hunter2"),
                ("Token", "****"),
                ("Size", "2"),
                ("New", "3"),
            ]),
            ..ChangeSet::default()
        };
        assert_eq!(revealed(&stack, &set), ["Password"]);
        // A value that cannot be seen is not known to be hidden.
        let unseen = ChangeSet {
            parameters: values(&[("Password", "")]),
            ..ChangeSet::default()
        };
        assert_eq!(revealed(&stack, &unseen), ["Password"]);
        assert!(revealed(&Stack::default(), &set).is_empty());
        let declared = |name: &str, no_echo| Declared {
            name: name.to_owned(),
            has_default: false,
            no_echo,
        };
        let template = Template {
            parameters: vec![
                declared("Password", false),
                declared("Token", true),
                declared("Size", false),
            ],
            ..Template::default()
        };
        assert_eq!(declared_readable(&template, Some(&stack)), ["Password"]);
        assert!(declared_readable(&template, None).is_empty());
    }
}
