//! Reads secrets at run time. All are resolved and checked before any reaches its sink; if one is
//! missing, none does.

mod args;
mod fetch;
mod file;
mod format;
mod select;
mod value;

use args::{Args, Verb, Wanted};
use format::Format;
use kit::action::Action;
use kit::child::{self, Program};
use kit::contract::{SecretSpec, Sink};
use kit::error::{Error, Result};
use kit::report::EnvValue;
use kit::signal::unless_interrupted;
use kit::{Cx, Report, Secret, Step};
use net::{Net, Purpose, Target};

/// The step.
pub struct Secrets;

impl Step for Secrets {
    type Args = Args;

    const ACTION: Action = Action {
        name: "secrets",
        description: "Hand secrets from SSM and Secrets Manager to the sink that the contract declares",
        icon: "lock",
        outputs: &[(
            "names",
            "Names of the variables that were set, separated by commas",
        )],
        secrets: &[],
        post: true,
    };

    fn handles_signals(args: &Args) -> bool {
        matches!(args.verb, Verb::Exec { .. })
    }

    async fn run(args: Args, cx: &Cx) -> Result<Report> {
        match args.verb {
            Verb::Exec { wanted, command } => {
                let mut program = Program::new(&command, &cx.env)?;
                let values = unless_interrupted(resolve(&wanted, Sink::Exec, cx)).await?;
                value::without_nul(&values)?;
                let names = names(&values);
                for (name, value) in values {
                    program = program.secret(name, value);
                }
                let status = program.start(&cx.host)?.wait().await?;
                child::verdict(program.shown(), status)?;
                Ok(report(&names, &format!("passed to `{}`", command[0])))
            }
            Verb::Export(wanted) => {
                cx.host.can_export("secrets")?;
                let values = resolve(&wanted, Sink::Env, cx).await?;
                value::without_nul(&values)?;
                value::maskable(&values)?;
                let mut report = report(&names(&values), "exported to later steps");
                report.env = values
                    .into_iter()
                    .map(|(name, value)| (name, EnvValue::Secret(value)))
                    .collect();
                Ok(report)
            }
            Verb::File {
                wanted,
                path,
                format,
            } => {
                let values = resolve(&wanted, Sink::File, cx).await?;
                if format != Format::Json {
                    value::without_nul(&values)?;
                }
                let text = format.render(&values)?;
                for (name, value) in &values {
                    cx.host.mask(name, value);
                }
                let shown = path.display().to_string();
                file::write(&path, &text, |own| cx.host.remember("file", &own.note()))?;
                Ok(report(&names(&values), &format!("written to {shown}")))
            }
        }
    }

    async fn post(cx: &Cx) -> Result<()> {
        let Some(own) = cx.host.remembered_own("file")? else {
            return Ok(());
        };
        if file::remove(&own)? {
            cx.host.warn(format!(
                "{} is not the file that the step wrote any more, so it was not removed; if it holds the secrets, remove it",
                own.path().display()
            ));
        }
        Ok(())
    }
}

async fn resolve(wanted: &Wanted, sink: Sink, cx: &Cx) -> Result<Vec<(String, Secret)>> {
    let defaults = cx.defaults()?;
    let resolved = defaults.contract();
    let declared = resolved.map_or(&[][..], |it| &it.secrets);
    let specs = select::select(declared, &wanted.source, sink)?;
    let target = Target::chosen(
        resolved,
        Purpose::Deploy,
        wanted.role.as_ref(),
        wanted.region.as_ref(),
    );
    fetch::all(&specs, &target, cx, &Net::new(cx)?).await
}

fn names(values: &[(String, Secret)]) -> Vec<String> {
    values.iter().map(|(name, _)| name.clone()).collect()
}

fn report(names: &[String], outcome: &str) -> Report {
    let joined = names.join(",");
    Report {
        text: format!(
            "{} {outcome}: {}",
            kit::report::count(names.len(), "secret"),
            names.join(", ")
        ),
        json: serde_json::json!({ "names": names }),
        ..Report::default()
    }
    .output("names", joined)
}

/// A problem with one secret: a line of the error that lists them all.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    name: String,
    reason: String,
    /// The command or setting that provides what is missing.
    create: Option<String>,
}

impl Problem {
    fn new(spec: &SecretSpec, reason: impl Into<String>) -> Self {
        Self {
            name: spec.name.clone(),
            reason: reason.into(),
            create: None,
        }
    }
}

/// One error for all problems: a person corrects a list faster than one at a time.
fn all_or_nothing(mut problems: Vec<Problem>, failure: &str) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by(|a, b| a.name.cmp(&b.name));
    let mut error = Error::failed(format!(
        "{} {failure}; nothing was handed over",
        kit::report::count(problems.len(), "secret")
    ));
    for problem in problems {
        error = error.cause(format!("{}: {}", problem.name, problem.reason));
        if let Some(create) = problem.create {
            error = error.hint(create);
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_and_readme_say_what_the_arguments_say() {
        kit::render::check::<Secrets>(env!("CARGO_MANIFEST_DIR")).unwrap();
    }
}
