//! The files of a build: context, Dockerfile and ignore file, from arguments and contract.

use crate::dockerfile;
use kit::contract::Image;
use kit::step::Cx;
use kit::{Error, Result};
use std::path::{Path, PathBuf};

/// The files that the builder reads.
pub(super) struct Files {
    pub(super) context: PathBuf,
    pub(super) dockerfile: PathBuf,
    pub(super) ignore_file: Option<PathBuf>,
}

impl Files {
    /// Finds the files. Unless `are_needed`, they need not exist.
    ///
    /// # Errors
    /// The context or the Dockerfile does not exist (exit 2).
    pub(super) fn find(
        context: Option<PathBuf>,
        dockerfile: Option<PathBuf>,
        image: Option<&Image>,
        cx: &Cx,
        are_needed: bool,
    ) -> Result<Self> {
        let base = cx.contract_path();
        let base = base.parent().unwrap_or(Path::new(""));
        let context = match (context, image) {
            (Some(context), _) => context,
            (None, Some(image)) => base.join(&image.context),
            (None, None) => PathBuf::from("."),
        };
        // A file of the same name in the context, which the contract could have meant.
        let mut other = None;
        let dockerfile = match (dockerfile, image) {
            (Some(file), _) => file,
            (None, Some(image)) => {
                let file = base.join(&image.dockerfile);
                other = Some(context.join(&image.dockerfile)).filter(|other| {
                    other.is_file() && other.canonicalize().ok() != file.canonicalize().ok()
                });
                file
            }
            (None, None) => context.join("Dockerfile"),
        };
        if are_needed {
            exist(&context, &dockerfile, other.as_deref())?;
            if let Some(other) = other {
                cx.host.warn(format!(
                    "{} is built, not {}: `dockerfile` is relative to the contract's folder",
                    dockerfile.display(),
                    other.display()
                ));
            }
        }
        Ok(Self {
            ignore_file: dockerfile::ignore_file(&context, &dockerfile),
            context,
            dockerfile,
        })
    }
}

fn exist(context: &Path, dockerfile: &Path, other: Option<&Path>) -> Result<()> {
    if !context.is_dir() {
        return Err(Error::usage(format!(
            "the build context {} is not a folder",
            context.display()
        ))
        .hint("give --context DIR; in a workflow, run actions/checkout first"));
    }
    if dockerfile.is_file() {
        return Ok(());
    }
    let error = Error::usage(format!(
        "there is no Dockerfile at {}",
        dockerfile.display()
    ));
    Err(match other {
        Some(other) => error.hint(format!(
            "`dockerfile` is relative to the contract's folder, not to the context: it is at {}",
            other.display()
        )),
        None => error.hint("give --file FILE"),
    })
}
