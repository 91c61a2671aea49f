//! What a command would change, as far as the files around it tell.

use super::choice::{self, Known, Way};
use super::saved;
use crate::args::Hold;
use crate::backend::Backend;
use kit::step::Cx;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A command, seen before it runs.
#[derive(Debug)]
pub(crate) struct Covered {
    /// The folder it works in.
    pub(crate) folder: PathBuf,
    known: Known,
}

impl Covered {
    /// Looks at what `command` would do in `directory` with the state of `backend`.
    pub(crate) fn by(directory: &Path, command: &[String], backend: &Backend, cx: &Cx) -> Self {
        let (folder, astray) = match choice::way(command) {
            Way::Here => (directory.to_owned(), false),
            // One that is yet to be made says nothing.
            Way::To(folder) if directory.join(folder).is_dir() => (directory.join(folder), false),
            Way::To(_) | Way::Astray => (directory.to_owned(), true),
        };
        let data_dir = cx.env.get("TF_DATA_DIR").unwrap_or(".terraform");
        let application = [directory, &folder]
            .into_iter()
            .any(|folder| folder.join("cdktf.json").exists());
        let known = Known {
            // The command gets the workspace of the state that is locked.
            workspace: match backend.workspace {
                Some(_) => None,
                None => workspace(&folder, data_dir, cx),
            },
            stacks: choice::stacks(command)
                .or(application.then_some("an application of cdktf or cdktn"))
                .map(str::to_owned),
            astray: astray || choice::chooses_workspace(command),
            planned: choice::words(command).find_map(|word| planned(&folder, word, backend)),
        };
        Self { folder, known }
    }

    /// Whether each of several stacks has a state of its own.
    pub(crate) fn has_stacks(&self) -> bool {
        self.known.stacks.is_some()
    }

    /// The lock to hold, and why.
    ///
    /// # Errors
    /// Why the lock that is wanted would not do.
    pub(crate) fn choose(&self, wanted: Option<Hold>) -> Result<(Hold, String), String> {
        choice::choose(wanted, &self.known)
    }
}

/// The workspace that is selected, unless it is the default one (terraform
/// `internal/command/meta.go`, `WorkspaceOverridden`).
fn workspace(directory: &Path, data_dir: &str, cx: &Cx) -> Option<String> {
    let selected = || {
        let text = std::fs::read_to_string(directory.join(data_dir).join("environment"));
        text.ok().map(|text| text.trim().to_owned())
    };
    cx.env
        .get("TF_WORKSPACE")
        .map(str::to_owned)
        .or_else(selected)
        .filter(|name| !name.is_empty() && name != "default")
}

/// The state that a saved plan is for, where `word` names one and it is not `backend`'s.
fn planned(folder: &Path, word: &str, backend: &Backend) -> Option<String> {
    if word.starts_with('-') {
        return None;
    }
    let mut file = std::fs::File::open(folder.join(word)).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = [0; 4];
    file.read_exact(&mut head).ok()?;
    if !saved::is_archive(&head) {
        return None;
    }
    let mut rest = head.to_vec();
    file.read_to_end(&mut rest).ok()?;
    let saved = saved::read(&rest)?;
    let ours = saved.workspace.as_deref() == backend.other_workspace()
        && (&saved.bucket, &saved.key) == (&backend.bucket, &backend.key);
    (!ours).then(|| match saved.workspace {
        None => format!("{}/{}", saved.bucket, saved.key),
        Some(workspace) => format!("workspace `{workspace}` of {}/{}", saved.bucket, saved.key),
    })
}
