//! The text of the template: that of a file, or that of a stack in a cloud assembly.

use crate::args;
use crate::assembly::{Assembly, MANIFEST};
use crate::files::{fits, read};
use crate::locate::located;
use kit::Defaults;
use kit::contract::WithStack;
use kit::error::{Error, Result};

/// The template that was named.
#[derive(Debug)]
pub(crate) enum Named {
    File(String),
    Assembly(Assembly),
}

/// Reads what `--template`, else the contract, names.
///
/// # Errors
/// It is missing, cannot be read, or CloudFormation does not take it (exit 2).
pub(crate) fn named(
    defaults: &Defaults<WithStack>,
    args: &args::Plan,
    has_bucket: bool,
) -> Result<Named> {
    let folder = args.directory.as_deref();
    let path = args
        .template
        .clone()
        .or_else(|| located(defaults, folder, |stack| Some(&stack.template)));
    let Some(path) = path else {
        return Err(Error::usage("--template is missing").hint(match defaults {
            Defaults::None => "give --template, or --environment NAME to take it from the contract",
            Defaults::Contract(_) => "give --template, or add `stack:` to the contract",
        }));
    };
    if path.is_dir() {
        if !path.join(MANIFEST).exists() {
            return Err(Error::usage(format!(
                "the folder {} is not a cloud assembly: it has no {MANIFEST}",
                path.display()
            ))
            .hint(
                "name a template's file, or the folder that `cdk synth` writes, such as cdk.out",
            ));
        }
        return Assembly::open(&path).map(Named::Assembly);
    }
    let text = read(&path, "template")?;
    fits(&text, &path.display().to_string(), has_bucket)?;
    Ok(Named::File(text))
}
