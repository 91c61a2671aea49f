//! action.yml and the README tables, rendered from a step's own arguments so that they cannot
//! say anything else. A test compares bytes; `UPDATE_EXPECT=1` rewrites.

use crate::env::{Env, input_names};
use crate::host::variable;
use crate::inputs;
use crate::step::{Step, command};
use clap::{Arg, ArgAction, Command};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// One input of the action, merged over all verbs.
struct Input {
    help: String,
    verbs: Vec<String>,
    default: Option<String>,
}

/// The text of action.yml.
pub fn action_yml<S: Step>() -> String {
    let action = S::ACTION;
    let mut out = String::new();
    let _ = write!(
        out,
        "# Rendered from the arguments of slipway-{name}; UPDATE_EXPECT=1 cargo test -p slipway-{name} rewrites it.\n\
         name: Slipway {name}\n\
         description: {description}\n\
         author: slipway-delivery\n\
         branding:\n  icon: {icon}\n  color: blue\n",
        name = action.name,
        description = quoted(action.description),
        icon = action.icon,
    );
    out.push_str("inputs:\n");
    for (name, input) in inputs::<S>() {
        let _ = write!(
            out,
            "  {name}:\n    description: {}\n    required: false\n",
            quoted(&described(&input))
        );
        if let Some(default) = input.default {
            let _ = writeln!(out, "    default: {default}");
        }
    }
    // A node action does not learn its own path, so the launcher is told here which binary to run.
    let _ = write!(
        out,
        "  step:\n    description: {}\n    required: false\n    default: {}\n",
        quoted("Internal: the binary to run; do not set it"),
        action.name
    );
    if !action.outputs.is_empty() {
        out.push_str("outputs:\n");
        for (name, description) in action.outputs {
            let _ = write!(out, "  {name}:\n    description: {}\n", quoted(description));
        }
    }
    out.push_str("runs:\n  using: node24\n  main: ../launch/main.js\n");
    if action.post {
        out.push_str("  post: ../launch/post.js\n");
    }
    out
}

/// The README's tables of inputs and outputs.
pub fn readme_tables<S: Step>() -> String {
    let mut out =
        String::from("### Inputs\n\n| input | argument | meaning |\n| --- | --- | --- |\n");
    for (name, input) in inputs::<S>() {
        let argument = match name.as_str() {
            "command" => "first argument".to_owned(),
            "run" => "`-- COMMAND`".to_owned(),
            _ if S::ACTION.secrets.iter().any(|secret| secret.name == name) => {
                format!(
                    "`{}` in the environment",
                    name.to_uppercase().replace('-', "_")
                )
            }
            _ => format!("`--{name}`"),
        };
        let _ = writeln!(
            out,
            "| `{name}` | {argument} | {} |",
            described(&input).replace('|', "\\|")
        );
    }
    if !S::ACTION.outputs.is_empty() {
        out.push_str(
            "\n### Outputs\n\n| output | in a buildspec | meaning |\n| --- | --- | --- |\n",
        );
        for (name, description) in S::ACTION.outputs {
            let variable = variable(S::ACTION.name, name);
            let _ = writeln!(out, "| `{name}` | `${variable}` | {description} |");
        }
    }
    out
}

/// Every input of every verb, by name.
///
/// Arguments of the same name in two verbs must mean the same, since a workflow has one input
/// for both; [`check`] refuses otherwise.
fn inputs<S: Step>() -> BTreeMap<String, Input> {
    let mut command = command::<S>(&Env::default());
    command.build();
    let mut inputs = BTreeMap::new();
    collect::<S>(&command, None, &mut inputs);
    let verbs: Vec<String> = verbs(&command)
        .map(|verb| format!("`{}`", verb.get_name()))
        .collect();
    // An input that every verb takes need not list them.
    for input in inputs.values_mut() {
        if input.verbs.len() == verbs.len() {
            input.verbs.clear();
        }
    }
    if !verbs.is_empty() {
        inputs.insert(
            "command".to_owned(),
            Input {
                help: format!("Verb: {}", verbs.join(", ")),
                verbs: Vec::new(),
                default: None,
            },
        );
    }
    for secret in S::ACTION.secrets {
        inputs.insert(
            secret.name.to_owned(),
            Input {
                help: secret.description.to_owned(),
                verbs: Vec::new(),
                default: (!secret.default.is_empty()).then(|| secret.default.to_owned()),
            },
        );
    }
    inputs
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

fn collect<S: Step>(command: &Command, verb: Option<&str>, inputs: &mut BTreeMap<String, Input>) {
    for arg in command.get_arguments() {
        let Some(name) = input_name(arg) else {
            continue;
        };
        let input = inputs.entry(name).or_insert_with(|| Input {
            help: help::<S>(arg),
            verbs: Vec::new(),
            default: None,
        });
        if let Some(verb) = verb
            && !arg.is_global_set()
        {
            input.verbs.push(verb.to_owned());
        }
    }
    for verb in verbs(command) {
        collect::<S>(verb, Some(verb.get_name()), inputs);
    }
}

/// The input an argument becomes; a trailing `-- COMMAND` becomes `run`.
fn input_name(arg: &Arg) -> Option<String> {
    match arg.get_long() {
        Some("help" | "version" | "json" | "verbose") => None,
        Some(long) => Some(long.to_owned()),
        None if arg.is_last_set() => Some("run".to_owned()),
        None => None,
    }
}

fn help<S: Step>(arg: &Arg) -> String {
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if arg.is_last_set() {
        help = match S::SHELL {
            ["bash", ..] => format!("{help} (a bash script, run with -euo pipefail)"),
            shell => format!("{help} (a script, run there with {})", shell.join(" ")),
        };
    }
    let values: Vec<String> = match arg.get_action() {
        ArgAction::SetTrue => Vec::new(),
        _ => arg
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect(),
    };
    if !values.is_empty() {
        help = format!("{help}: {}", values.join(", "));
    }
    if arg.get_value_delimiter() == Some('\n') {
        help.push_str("; one per line");
    }
    let defaults: Vec<String> = match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Vec::new(),
        _ => arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect(),
    };
    if !defaults.is_empty() {
        help = format!("{help} [default: {}]", defaults.join(", "));
    }
    help
}

fn described(input: &Input) -> String {
    if input.verbs.is_empty() {
        input.help.clone()
    } else {
        format!("{} (for {})", input.help, input.verbs.join(", "))
    }
}

/// A YAML double-quoted scalar: JSON's strings are a subset of it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Compares action.yml and the tables between the markers of README.md in the step's folder with
/// what its arguments say; `UPDATE_EXPECT=1` rewrites them. Called from each step's tests.
///
/// # Errors
/// A file that differs, or two verbs that give one argument two meanings.
pub fn check<S: Step>(folder: &str) -> Result<(), String> {
    consistent::<S>()?;
    accepted::<S>()?;
    let folder = Path::new(folder);
    let action = action_yml::<S>();
    for event in saphyr_parser::Parser::new_from_str(&action) {
        event.map_err(|error| format!("action.yml is not YAML: {error}"))?;
    }
    same(&folder.join("action.yml"), &action)?;
    let readme = folder.join("README.md");
    let text = std::fs::read_to_string(&readme)
        .map_err(|error| format!("{}: {error}", readme.display()))?;
    let (begin, end) = ("<!-- rendered: inputs -->\n", "<!-- /rendered -->");
    let rendered = text
        .split_once(begin)
        .and_then(|(before, rest)| {
            let (_, after) = rest.split_once(end)?;
            Some(format!(
                "{before}{begin}{}{end}{after}",
                readme_tables::<S>()
            ))
        })
        .ok_or_else(|| format!("{}: no `{}` … `{end}`", readme.display(), begin.trim_end()))?;
    same(&readme, &rendered)
}

/// Makes sure that the step accepts each input of its action.yml, for each verb that has it.
fn accepted<S: Step>() -> Result<(), String> {
    let secrets: Vec<&str> = S::ACTION.secrets.iter().map(|secret| secret.name).collect();
    for (name, input) in inputs::<S>() {
        for verb in &input.verbs {
            let given = [("INPUT_COMMAND", verb.as_str())];
            let given = given
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let [variable, _] = input_names(&name);
            let env: Env = given.chain([(variable, "x".to_owned())]).collect();
            if let Some(error) = inputs::unknown(&command::<S>(&Env::default()), &secrets, &env) {
                return Err(error.message);
            }
        }
    }
    Ok(())
}

fn consistent<S: Step>() -> Result<(), String> {
    let mut command = command::<S>(&Env::default());
    command.build();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut pending: Vec<&Command> = vec![&command];
    while let Some(command) = pending.pop() {
        for arg in command.get_arguments() {
            if let Some(name) = input_name(arg) {
                let meaning = help::<S>(arg);
                if meaning.is_empty() {
                    return Err(format!("--{name} has no help"));
                }
                match seen.get(&name) {
                    Some(other) if name != "run" && *other != meaning => {
                        return Err(format!(
                            "--{name} means two things: {other:?} and {meaning:?}"
                        ));
                    }
                    _ => drop(seen.insert(name, meaning)),
                }
            }
        }
        pending.extend(verbs(command));
    }
    Ok(())
}

fn same(path: &Path, wanted: &str) -> Result<(), String> {
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found == wanted {
        return Ok(());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return std::fs::write(path, wanted)
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    Err(format!(
        "{} is not what the arguments say; UPDATE_EXPECT=1 cargo test rewrites it",
        path.display()
    ))
}
