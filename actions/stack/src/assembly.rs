//! A CDK cloud assembly, the folder that `cdk synth` writes: its stacks, with their templates and assets.

pub(crate) mod assets;
pub(crate) mod bootstrap;
pub(crate) mod manifest;
pub(crate) mod pack;
pub(crate) mod place;

pub(crate) use manifest::MANIFEST;

use crate::assembly::manifest::Stack;
use crate::assembly::place::Place;
use kit::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A cloud assembly with those nested in it.
#[derive(Debug, Clone)]
pub(crate) struct Assembly {
    /// Its path without links.
    pub(crate) root: PathBuf,
    /// Its path as it was given.
    pub(crate) shown: String,
    stacks: Vec<Stack>,
}

impl Assembly {
    /// Reads the manifests.
    ///
    /// # Errors
    /// One cannot be read, or is of a schema that this step does not know (exit 2).
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let root = path.canonicalize().map_err(|error| {
            Error::usage(format!("cannot read the cloud assembly {shown}")).because(error)
        })?;
        let mut stacks = Vec::new();
        manifest::read(&root, &root, 0, &mut stacks)
            .map_err(|error| error.under(format!("cannot read the cloud assembly {shown}")))?;
        Ok(Self {
            root,
            shown,
            stacks,
        })
    }

    /// The stack of this name for this place.
    ///
    /// # Errors
    /// There is none, or it is for another place.
    pub(crate) fn find(&self, name: &str, place: &Place) -> Result<&Stack> {
        let named: Vec<&Stack> = self.stacks.iter().filter(|it| it.name == name).collect();
        if named.is_empty() {
            let names: Vec<&str> = self.stacks.iter().map(|it| it.name.as_str()).collect();
            let hint = match names.is_empty() {
                true => "add a stack to the app, and run `cdk synth` again".to_owned(),
                false => format!(
                    "name one of its stacks, {}: --name NAME, or `name` of the contract's `stack`",
                    names.join(", ")
                ),
            };
            return Err(Error::usage(format!(
                "the cloud assembly {} has no stack {name}",
                self.shown
            ))
            .hint(hint));
        }
        let here: Vec<&Stack> = named
            .iter()
            .copied()
            .filter(|it| it.environment.is(place))
            .collect();
        match here.as_slice() {
            [only] => Ok(only),
            [] => Err(Error::refused(format!(
                "the stack {name} of the cloud assembly {} is for {}, and not for {place}",
                self.shown,
                named[0].environment
            ))
            .hint("plan it with the credentials of its account and in its region, or change `env` in the app")),
            _ => Err(Error::usage(format!(
                "the cloud assembly {} has several stacks {name} for {place}",
                self.shown
            ))
            .hint("give each stack a name of its own, `stackName` in the app")),
        }
    }
}

#[cfg(test)]
mod tests;
