//! The rules of the section `stack` that need no value from outside.

use super::declared::{Declared, Stack};
use super::diagnostics::{Mistake, Mistakes};
use super::model::Sink;

/// Checks the section at the top and that of each environment.
pub(super) fn check(declared: &Declared, mistakes: &mut Mistakes) {
    let environments = declared.environments.value.0.iter();
    let own = environments.filter_map(|(_, environment)| environment.stack.as_ref());
    for stack in declared.stack.iter().chain(own) {
        check_secrets(declared, stack, mistakes);
        for (key, _) in stack.tags.iter().flat_map(|all| &all.0) {
            if key.value.0.starts_with("aws:") {
                mistakes.add(
                    Mistake::new(
                        key.span.clone(),
                        "tags that begin with `aws:` are AWS's own",
                    )
                    .hint("give the tag another name"),
                );
            }
        }
    }
}

/// A parameter's secret is one of the contract's that may reach the environment of a process, and the only value it has.
fn check_secrets(declared: &Declared, stack: &Stack, mistakes: &mut Mistakes) {
    let secrets = || declared.secrets.iter().flat_map(|all| &all.0);
    for (parameter, secret) in stack.secret_parameters.iter().flat_map(|all| &all.0) {
        let name = secret.value.0.as_str();
        match secrets().find(|(found, _)| found.value.0 == name) {
            _ if name.is_empty() => {}
            None => mistakes.add(
                Mistake::new(
                    secret.span.clone(),
                    format!("`secrets` has no `{name}`"),
                )
                .hint("name a secret of the contract: its value reaches the parameter through the environment of the process"),
            ),
            Some((_, entry)) => {
                let reaches = |sink: &Sink| matches!(sink, Sink::Exec | Sink::Env);
                if !entry.sinks().iter().any(reaches) {
                    mistakes.add(
                        Mistake::new(
                            secret.span.clone(),
                            format!("`{name}` may go neither to `exec` nor to `env`"),
                        )
                        .hint("add `exec` to its `to`: slipway-secrets exec hands it to slipway-stack"),
                    );
                }
            }
        }
        let plain = stack.parameters.iter().flat_map(|all| &all.0);
        let mut twice = plain.filter(|(other, _)| other.value.0 == parameter.value.0);
        if let Some((other, _)) = twice.next() {
            mistakes.add(
                Mistake::new(
                    parameter.span.clone(),
                    format!("`{}` has two values", parameter.value.0),
                )
                .related(other.span.clone(), "the other")
                .hint("keep one of the two"),
            );
        }
    }
}
