//! The arguments of a step: from the command line, the inputs of an action and the environment, and
//! what is said of wrong ones.

use crate::action::Action;
use crate::env::{Env, input_names};
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Exit;
use crate::host::{Host, Kind};
use crate::id::Invalid;
use crate::inputs;
use clap::error::{ContextKind, ContextValue, ErrorKind as Parsing};
use clap::{Args, Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments of every step.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Environment of the contract to work on, e.g. dev
    #[arg(long, global = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// Path of the contract; most steps read it only with --environment [default: delivery.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub contract: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Log each call: service, operation, account, region, duration, attempt and request ID
    #[arg(long, global = true)]
    pub verbose: bool,
}

#[derive(Parser)]
pub(crate) struct Cli<A: Args> {
    #[command(flatten)]
    pub(crate) args: A,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The clap command, every argument of which also comes as an action input or as `SLIPWAY_*`.
pub(crate) fn command<A: Args>(action: &Action, env: &Env) -> Command {
    let command = Cli::<A>::command()
        .name(format!("slipway-{}", action.name))
        .about(action.description)
        .version(env!("CARGO_PKG_VERSION"))
        .term_width(100);
    from_environment(command, env)
}

fn from_environment(command: Command, env: &Env) -> Command {
    command
        .mut_args(|arg| match arg.get_long() {
            Some(long) if !matches!(long, "help" | "version") => {
                let [hyphens, underscores] = input_names(long);
                let plain = format!("SLIPWAY_{}", long.to_uppercase().replace('-', "_"));
                // The first that is there: clap treats a variable that is set but empty as given.
                match [hyphens, underscores, plain]
                    .into_iter()
                    .find(|name| env.get(name).is_some())
                {
                    Some(name) => arg.env(name).hide_env(true),
                    None => arg,
                }
            }
            _ => arg,
        })
        .mut_subcommands(|subcommand| from_environment(subcommand, env))
}

/// The argument list. A `uses:` step has none: its verb is the input `command`, and the script
/// that a verb runs is the input `run`, for `shell`.
pub(crate) fn argv(env: &Env, shell: &[&str]) -> Vec<OsString> {
    let mut argv: Vec<OsString> = std::env::args_os().collect();
    if argv.len() == 1 {
        if let Some(verb) = env.input("command") {
            argv.push(verb.into());
        }
        if let Some(script) = env.input("run") {
            argv.push("--".into());
            argv.extend(shell.iter().map(OsString::from));
            argv.push(script.into());
        }
    }
    argv
}

/// # Errors
/// The job gives inputs that the action does not have (exit 2).
pub(crate) fn know_inputs(
    action: &Action,
    command: &Command,
    env: &Env,
    host: &Host,
) -> Result<()> {
    let secrets: Vec<&str> = action.secrets.iter().map(|secret| secret.name).collect();
    match inputs::unknown(command, &secrets, env) {
        // act hands the inputs of a composite action to the steps in it as well; GitHub does not.
        Some(error) if env.get("ACT") == Some("true") => host.warn(error.message),
        Some(error) => return Err(error),
        None => {}
    }
    Ok(())
}

/// Returns true if the command line is one of a verb that runs a command of the user's.
pub(crate) fn runs_a_command(command: &Command, argv: &[OsString]) -> bool {
    let mut words = argv.iter().skip(1);
    let verb = words.find_map(|word| command.find_subcommand(word));
    match verb {
        Some(verb) => verb.get_positionals().any(clap::Arg::is_last_set),
        None => argv.iter().any(|word| word == "--"),
    }
}

pub(crate) fn refuse_arguments<A: Args>(
    action: &Action,
    host: &Host,
    error: &clap::Error,
    usage: ErrorKind,
) -> Exit {
    if !error.use_stderr() {
        // `--help` and `--version`: data, so standard output.
        return match error.print() {
            Err(unwritten) if unwritten.kind() != std::io::ErrorKind::BrokenPipe => {
                let message = "cannot write the help to standard output";
                host.error(action.name, &Error::failed(message).because(unwritten));
                Exit::Failed
            }
            _ => Exit::Done,
        };
    }
    let missing = matches!(
        error.kind(),
        Parsing::MissingSubcommand | Parsing::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if missing && host.kind() == Kind::GitHub {
        let verbs = A::augment_args(Command::new(action.name));
        let verbs: Vec<&str> = verbs.get_subcommands().map(Command::get_name).collect();
        let error = Error::new(usage, "the input `command` is not given")
            .hint(format!("it is one of: {}", verbs.join(", ")));
        host.error(action.name, &error);
        return usage.exit();
    }
    if error.kind() == Parsing::DisplayHelpOnMissingArgumentOrSubcommand {
        // Nothing was asked for, so nothing was asked wrongly: the help says what can be.
        let _ = error.print();
        return usage.exit();
    }
    let mut wrong =
        missing_inputs(host, error).unwrap_or_else(|| wrong_arguments::<A>(action, host, error));
    wrong.kind = usage;
    host.error(action.name, &wrong);
    let words = std::env::args().skip(1).take_while(|word| word != "--");
    if words.into_iter().any(|word| word == "--json") {
        host.error_json(&wrong);
    }
    usage.exit()
}

/// The inputs that a `uses:` step leaves out. Clap names them as arguments, and the script of a verb as `<COMMAND>`,
/// which nobody can write in a workflow.
fn missing_inputs(host: &Host, error: &clap::Error) -> Option<Error> {
    let uses = host.kind() == Kind::GitHub && std::env::args_os().len() == 1;
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if !uses || error.kind() != Parsing::MissingRequiredArgument {
        return None;
    }
    let input = |argument: &String| match argument.strip_prefix("--") {
        Some(long) => format!("`{}`", long.split(' ').next().unwrap_or(long)),
        None => "`run`".to_owned(),
    };
    let inputs: Vec<String> = missing.iter().map(input).collect();
    let (noun, verb) = match inputs.len() {
        1 => ("input", "is"),
        _ => ("inputs", "are"),
    };
    let error = Error::usage(format!("the {noun} {} {verb} not given", inputs.join(", ")));
    Some(match inputs.iter().any(|input| input == "`run`") {
        true => error.hint("write the script to run under `with:`, as `run: |`"),
        false => error.hint("write it under the step's `with:`"),
    })
}

/// The error about a value that is not a name of its kind, such as a digest, with the hints of that kind.
fn invalid_name(error: &clap::Error) -> Option<Error> {
    let invalid: &Invalid = std::error::Error::source(error)?.downcast_ref()?;
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let argument = argument.split(' ').next().unwrap_or(argument);
    let mut wrong = Error::from(invalid.clone());
    wrong.message = format!("{argument}: {}", wrong.message);
    Some(wrong)
}

/// Clap's message about wrong arguments, with a hint that names a command or a page.
fn wrong_arguments<A: Args>(action: &Action, host: &Host, error: &clap::Error) -> Error {
    if let Some(wrong) = invalid_name(error) {
        return wrong;
    }
    let text = error.render().to_string();
    let text = text.trim_end().strip_prefix("error: ").unwrap_or(&text);
    let text = text
        .rsplit_once("\n\nFor more information, try")
        .map_or(text, |(text, _)| text);
    let name = action.name;
    let hint = if host.kind() == Kind::GitHub {
        let repository = env!("CARGO_PKG_REPOSITORY");
        format!("the inputs of the action: {repository}/blob/main/actions/{name}/README.md")
    } else {
        let verbs = A::augment_args(Command::new(name));
        let verb = std::env::args().find(|word| verbs.find_subcommand(word).is_some());
        let verb = verb.map_or_else(String::new, |verb| format!("{verb} "));
        format!("see the arguments: slipway-{name} {verb}--help")
    };
    Error::usage(text.trim_end()).hint(hint)
}
