//! The inputs of an action, compared with the arguments of its step. The runner only warns of a name
//! under `with:` that the action does not have, and a step that works without it does something else
//! than was asked for: a misspelled `dry-run` pushes an image.
//!
//! The runner hands an input over as a variable, and a variable of the job can have such a name too:
//! `INPUT_TARGET: ${{ inputs.target }}` for a script. Nothing tells the two apart, so the error says
//! how to hide a variable from the step. Only names with a hyphen are inputs for certain.

use crate::contract::nearest;
use crate::env::{Env, input_names};
use crate::error::Error;
use clap::Command;
use std::collections::BTreeMap;

/// The error for the inputs that a job gives and the step does not have, if there are any. `secrets`
/// are the inputs that are not arguments.
pub(crate) fn unknown(command: &Command, secrets: &[&str], env: &Env) -> Option<Error> {
    let verbs: BTreeMap<&str, Vec<String>> = command
        .get_subcommands()
        .map(|verb| (verb.get_name(), names(verb)))
        .collect();
    let mut common = names(command);
    common.push("command".to_owned());
    common.extend(secrets.iter().map(ToString::to_string));
    let verb = env.input("command").filter(|verb| verbs.contains_key(verb));
    let (mut wrong, mut hints, mut perhaps) = (Vec::new(), Vec::new(), Vec::new());
    for given in env.inputs() {
        let takes = |names: &[String]| names.iter().any(|name| input_names(name).contains(given));
        let of: Vec<&str> = verbs
            .iter()
            .filter(|(_, names)| takes(names))
            .map(|(verb, _)| *verb)
            .collect();
        if takes(&common) || verb.map_or(!of.is_empty(), |verb| of.contains(&verb)) {
            continue;
        }
        let name = given.trim_start_matches("INPUT_").to_lowercase();
        let known = common.iter().chain(verbs.values().flatten());
        hints.push(match nearest(&name, known.map(String::as_str)) {
            _ if !of.is_empty() => format!("`{name}` belongs to {}", of.join(", ")),
            Some(near) => format!("`{name}`: did you mean `{near}`?"),
            None => format!("remove `{name}` from the step's `with:`"),
        });
        if !name.contains('-') {
            perhaps.push(format!("{given}: \"\""));
        }
        wrong.push(format!("`{name}`"));
    }
    if wrong.is_empty() {
        return None;
    }
    if !perhaps.is_empty() {
        hints.push(format!(
            "or, for a variable of the job that has such a name, hide it from the step: `env: {{ {} }}`",
            perhaps.join(", ")
        ));
    }
    let subject = verb.map_or_else(|| "the action".to_owned(), |verb| format!("`{verb}`"));
    let noun = if wrong.len() == 1 { "input" } else { "inputs" };
    let message = format!("{subject} does not have the {noun} {}", wrong.join(", "));
    Some(hints.into_iter().fold(Error::usage(message), Error::hint))
}

/// The inputs that the arguments of a command become; a trailing `-- COMMAND` becomes `run`.
fn names(command: &Command) -> Vec<String> {
    command
        .get_arguments()
        .filter_map(|arg| match arg.get_long() {
            Some("help" | "version") => None,
            Some(long) => Some(long.to_owned()),
            None => arg.is_last_set().then(|| "run".to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn command() -> Command {
        let long = |name: &'static str| Arg::new(name).long(name);
        Command::new("slipway-x")
            .arg(long("environment"))
            .subcommand(
                Command::new("publish")
                    .arg(long("dry-run"))
                    .arg(long("tag")),
            )
            .subcommand(Command::new("run").arg(Arg::new("argv").last(true)))
    }

    fn error_for(variables: &[(&str, &str)]) -> String {
        let env: Env = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        unknown(&command(), &["github-token"], &env).map_or_else(String::new, |error| {
            let mut lines = vec![error.message];
            lines.extend(error.hints);
            lines.join("\n")
        })
    }

    #[test]
    fn every_input_of_the_verb_in_either_spelling_is_known() {
        let publish = ("INPUT_COMMAND", "publish");
        for variables in [
            &[
                publish,
                ("INPUT_DRY-RUN", "true"),
                ("INPUT_DRY_RUN", "true"),
            ][..],
            &[
                publish,
                ("INPUT_ENVIRONMENT", "dev"),
                ("INPUT_GITHUB-TOKEN", "t"),
            ],
            &[("INPUT_COMMAND", "run"), ("INPUT_RUN", "make")],
            // The runner sets every input that the action has, and an empty one was not given.
            &[publish, ("INPUT_RUN", ""), ("INPUT_ANYTHING", "")],
            // The runner writes an input's name in capitals, so this one is a variable of the job.
            &[publish, ("INPUT_target", "x"), ("MY_INPUT_X", "x")],
            // Clap reports a verb that is not one.
            &[("INPUT_COMMAND", "publsh"), ("INPUT_TAG", "x")],
        ] {
            assert_eq!(error_for(variables), "", "{variables:?}");
        }
    }

    #[test]
    fn an_input_that_the_action_does_not_have_is_named_with_the_nearest() {
        let publish = ("INPUT_COMMAND", "publish");
        assert_eq!(
            error_for(&[publish, ("INPUT_DRY-RUM", "true")]),
            "`publish` does not have the input `dry-rum`\n`dry-rum`: did you mean `dry-run`?"
        );
        assert_eq!(
            error_for(&[publish, ("INPUT_CACHE-FROM", "x"), ("INPUT_TAGS", "y")]),
            "`publish` does not have the inputs `cache-from`, `tags`\n\
             remove `cache-from` from the step's `with:`\n\
             `tags`: did you mean `tag`?\n\
             or, for a variable of the job that has such a name, hide it from the step: `env: { INPUT_TAGS: \"\" }`"
        );
        assert_eq!(
            error_for(&[("INPUT_SSH-KEY", "x")]),
            "the action does not have the input `ssh-key`\nremove `ssh-key` from the step's `with:`"
        );
    }

    #[test]
    fn an_input_of_another_verb_is_refused_as_its_argument_would_be() {
        assert_eq!(
            error_for(&[
                ("INPUT_COMMAND", "run"),
                ("INPUT_RUN", "x"),
                ("INPUT_DRY-RUN", "true")
            ]),
            "`run` does not have the input `dry-run`\n`dry-run` belongs to publish"
        );
    }
}
