//! The values of a template's parameters, and the capabilities that it needs. Pure.

use crate::client::Value;
use crate::hidden::is_reference;
use crate::readable::hides;
use crate::seen::{Stack, Template};
use kit::Secret;
use kit::contract::Capability;
use kit::error::Error;
use std::collections::BTreeMap;

/// The values given for a template's parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    pub(crate) plain: BTreeMap<String, String>,
    pub(crate) secret: BTreeMap<String, Secret>,
    /// Parameters that keep the value that the stack has.
    pub(crate) kept: Vec<String>,
}

/// Decides the value of each parameter. A parameter for which nothing is given gets the template's default, never the value
/// that the stack happens to have.
///
/// # Errors
/// Every value that does not fit the template, at once (exit 2).
pub(crate) fn parameters(
    template: &Template,
    given: &Given,
    stack: Option<&Stack>,
) -> Result<BTreeMap<String, Value>, Box<Error>> {
    let mut wrong = undeclared(template, given);
    let mut hints = Vec::new();
    let mut values = BTreeMap::new();
    for parameter in &template.parameters {
        let name = &parameter.name;
        let plain = given.plain.get(name);
        let secret = given.secret.get(name);
        let kept = given.kept.contains(name);
        let has = stack.is_some_and(|stack| stack.parameters.contains_key(name));
        let value = match (plain, secret, kept) {
            (Some(_), Some(_), _) | (Some(_), _, true) | (_, Some(_), true) => {
                wrong.push(format!("the parameter `{name}` is given twice"));
                continue;
            }
            (Some(value), None, false) if parameter.no_echo && !is_reference(value) => {
                wrong.push(format!(
                    "the parameter `{name}` is NoEcho, and its value is given where anybody can read it"
                ));
                hints.push(format!(
                    "put the value into a variable of the environment, and name that: --secret-parameter {name}=VARIABLE"
                ));
                continue;
            }
            (Some(value), None, false) => Value::Given(value.clone()),
            (None, Some(_), false) if !parameter.no_echo => {
                wrong.push(format!(
                    "the parameter `{name}` is given a secret, and CloudFormation would show its value to everybody"
                ));
                hints.push(format!(
                    "add `NoEcho: true` to the parameter {name} in the template"
                ));
                continue;
            }
            (None, Some(value), false) => Value::Secret(value.clone()),
            (None, None, true) if !parameter.no_echo && hides(stack, name) => {
                wrong.push(format!(
                    "the parameter `{name}` keeps a value that the stack hides, and the template would show it: it has no NoEcho for it any more"
                ));
                hints.push(format!(
                    "add `NoEcho: true` to the parameter {name} again, or give it a value that is not a secret: --parameter {name}=VALUE"
                ));
                continue;
            }
            (None, None, true) if has => Value::Kept,
            (None, None, true) => {
                wrong.push(format!(
                    "the stack has no value of the parameter `{name}` to keep"
                ));
                continue;
            }
            (None, None, false) if parameter.has_default => continue,
            (None, None, false) => {
                wrong.push(format!("the parameter `{name}` has no value"));
                hints.push(match (parameter.no_echo, has) {
                    (true, _) => format!("give its value: --secret-parameter {name}=VARIABLE"),
                    (false, _) => format!("give its value: --parameter {name}=VALUE"),
                });
                if has {
                    hints.push(format!(
                        "or keep the value that the stack has: --keep-parameter {name}"
                    ));
                }
                continue;
            }
        };
        values.insert(name.clone(), value);
    }
    if wrong.is_empty() {
        return Ok(values);
    }
    let mut error = match wrong.as_slice() {
        [only] => Error::usage(only.clone()),
        many => Error::usage("the parameters do not fit the template").with_causes(many.to_vec()),
    };
    error.hints = hints;
    Err(Box::new(error))
}

/// The values for parameters that the template does not have, each as a line.
fn undeclared(template: &Template, given: &Given) -> Vec<String> {
    let declared = |name: &&String| template.parameters.iter().any(|it| it.name == **name);
    let names = given.plain.keys().chain(given.secret.keys());
    names
        .chain(&given.kept)
        .filter(|name| !declared(name))
        .map(|name| format!("the template has no parameter `{name}`"))
        .collect()
}

/// The capabilities that a template needs and that are not acknowledged.
pub(crate) fn missing_capabilities(template: &Template, given: &[Capability]) -> Vec<Capability> {
    let needed = Capability::ALL.into_iter();
    needed
        .filter(|one| {
            template
                .capabilities
                .iter()
                .any(|name| name == one.as_str())
        })
        .filter(|one| match one {
            // To acknowledge resources with names of their own is to acknowledge the resources.
            Capability::Iam => !given.contains(one) && !given.contains(&Capability::NamedIam),
            _ => !given.contains(one),
        })
        .collect()
}

/// The differences between two sets of values by name, each as a line, with the values as `show` says.
pub(crate) fn differences(
    noun: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    show: impl Fn(&str, &str) -> String,
) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let mut lines = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old != new => {
                let (old, new) = (show(name, old), show(name, new));
                lines.push(format!("{noun} {name}: {old:?} → {new:?}"));
            }
            (None, Some(new)) => {
                lines.push(format!("{noun} {name}: {:?} (new)", show(name, new)));
            }
            (Some(old), None) => {
                lines.push(format!("{noun} {name}: {:?} → gone", show(name, old)));
            }
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Declared;
    use kit::Exit;

    fn declared(name: &str, has_default: bool, no_echo: bool) -> Declared {
        Declared {
            name: name.to_owned(),
            has_default,
            no_echo,
        }
    }

    fn template() -> Template {
        Template {
            parameters: vec![
                declared("Size", true, false),
                declared("Image", false, false),
                declared("Password", false, true),
            ],
            ..Template::default()
        }
    }

    fn given(plain: &[(&str, &str)], secret: &[&str], kept: &[&str]) -> Given {
        Given {
            plain: plain
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            secret: secret
                .iter()
                .map(|name| ((*name).to_owned(), Secret::new("hunter2".to_owned())))
                .collect(),
            kept: kept.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn stack() -> Stack {
        Stack {
            parameters: [("Size", "9"), ("Image", "old"), ("Password", "****")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Stack::default()
        }
    }

    #[test]
    fn a_parameter_gets_what_is_given_or_the_templates_default() {
        let stack = stack();
        let given = given(&[("Image", "i")], &["Password"], &[]);
        let values = parameters(&template(), &given, Some(&stack)).unwrap();
        // `Size` is left to the template, although the stack has another value.
        assert_eq!(values.keys().collect::<Vec<_>>(), ["Image", "Password"]);
        assert!(matches!(&values["Image"], Value::Given(value) if value == "i"));
        assert!(matches!(&values["Password"], Value::Secret(_)));
        assert!(!format!("{values:?}").contains("hunter2"));
    }

    #[test]
    fn the_stacks_value_is_kept_only_if_somebody_says_so() {
        let given = given(&[], &[], &["Image", "Password"]);
        let values = parameters(&template(), &given, Some(&stack())).unwrap();
        assert!(values.values().all(|value| matches!(value, Value::Kept)));
        let error = parameters(&template(), &given, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the stack has no value of the parameter `Image` to keep"),
            "{error}"
        );
    }

    #[test]
    fn a_hidden_value_is_not_kept_where_the_template_would_show_it() {
        let mut template = template();
        template.parameters[2].no_echo = false;
        let given = given(&[("Image", "i")], &[], &["Password"]);
        let error = parameters(&template, &given, Some(&stack())).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit(), Exit::Usage);
        for piece in [
            "`Password` keeps a value that the stack hides",
            "NoEcho: true",
        ] {
            assert!(text.contains(piece), "{text}");
        }
    }

    #[test]
    fn a_reference_to_a_secret_is_not_a_secret() {
        let given = given(
            &[("Image", "i"), ("Password", "{{resolve:ssm-secure:/db}}")],
            &[],
            &[],
        );
        assert!(parameters(&template(), &given, None).is_ok());
    }

    #[test]
    fn all_mismatches_are_reported_at_once() {
        for (given, message, hint) in [
            (
                given(&[("Imag", "i")], &["Password"], &[]),
                "the template has no parameter `Imag`",
                "--parameter Image=VALUE",
            ),
            (
                given(&[("Image", "i")], &[], &[]),
                "the parameter `Password` has no value",
                "--secret-parameter Password=VARIABLE",
            ),
            (
                given(&[("Image", "i")], &[], &[]),
                "the parameter `Password` has no value",
                "--keep-parameter Password",
            ),
            (
                given(&[("Image", "i"), ("Password", "p")], &[], &[]),
                "is NoEcho",
                "--secret-parameter Password=VARIABLE",
            ),
            (
                given(&[], &["Image", "Password"], &[]),
                "would show its value to everybody",
                "NoEcho: true",
            ),
            (
                given(&[("Image", "i")], &["Password"], &["Image"]),
                "`Image` is given twice",
                "",
            ),
        ] {
            let error = parameters(&template(), &given, Some(&stack())).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(text.contains(message) && text.contains(hint), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_missing_capability_is_named() {
        use Capability::{AutoExpand, Iam, NamedIam};
        let template = |names: &[&str]| Template {
            capabilities: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Template::default()
        };
        for (needed, given, missing) in [
            (&[][..], &[][..], &[][..]),
            (&["CAPABILITY_IAM"], &[], &[Iam]),
            (&["CAPABILITY_IAM"], &[NamedIam], &[]),
            (&["CAPABILITY_NAMED_IAM"], &[Iam], &[NamedIam]),
            (
                &["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"],
                &[Iam],
                &[AutoExpand],
            ),
        ] {
            assert_eq!(
                missing_capabilities(&template(needed), given),
                missing,
                "{needed:?} {given:?}"
            );
        }
    }

    #[test]
    fn differences_are_named() {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        assert_eq!(
            differences(
                "tag",
                &map(&[("a", "1"), ("b", "2"), ("d", "4")]),
                &map(&[("a", "1"), ("b", "3"), ("c", "4")]),
                |_, value| value.to_owned()
            ),
            [
                "tag b: \"2\" → \"3\"",
                "tag c: \"4\" (new)",
                "tag d: \"4\" → gone"
            ]
        );
    }
}
