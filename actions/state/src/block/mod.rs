//! The backend block of a folder of infrastructure code, and the files that `-backend-config`
//! names. A reader of HCL's tokens suffices: the block holds literals. Pure but for reading files.
//! Source: hashicorp/hcl `hclsyntax/spec.md`; terraform `internal/configs/parser_config_dir.go`.

mod hcl;
pub(crate) mod json;
#[cfg(test)]
mod tests;
pub(crate) mod tokens;

use kit::error::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A value that a block gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    /// A text, a number or a boolean, as text: Terraform converts one into the other.
    Literal(String),
    /// `null`, which is as good as absent.
    Null,
    /// Anything that has to be evaluated, or has parts.
    Expression,
}

/// A value and its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) line: usize,
}

/// A backend block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// `s3`, `local`, …; `cloud` for the block of that name.
    pub(crate) kind: String,
    pub(crate) file: PathBuf,
    pub(crate) settings: BTreeMap<String, Setting>,
}

/// The backend that the code of a folder declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Declared {
    /// There is no code.
    NoCode,
    /// There is code without a backend.
    NoBackend,
    Block(Block),
}

/// Reads the block that counts: that of an override file before others, and for OpenTofu that of
/// `NAME.tofu` instead of `NAME.tf`.
///
/// # Errors
/// Files that cannot be read.
pub(crate) fn declared(folder: &Path, tofu: bool) -> Result<Declared> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).context(cannot())? {
        paths.push(entry.context(cannot())?.path());
    }
    let mut found = Declared::NoCode;
    for file in files(paths, tofu) {
        let text = std::fs::read_to_string(&file.path)
            .context(format!("cannot read {}", file.path.display()))?;
        let blocks = if file.json {
            json::blocks(&text, &file.path)
        } else {
            hcl::blocks(&text, &file.path)
        };
        match (blocks.into_iter().next_back(), &found) {
            (Some(block), _) => found = Declared::Block(block),
            (None, Declared::NoCode) => found = Declared::NoBackend,
            (None, _) => {}
        }
    }
    Ok(found)
}

/// The settings of a file that `-backend-config` names.
///
/// # Errors
/// It cannot be read.
pub(crate) fn file(path: &Path) -> Result<BTreeMap<String, Setting>> {
    let text = std::fs::read_to_string(path).context(format!("cannot read {}", path.display()))?;
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            Error::failed(format!("{} is not JSON", path.display())).because(error)
        })?;
        return Ok(json::settings(&json, &text));
    }
    Ok(hcl::settings(&mut tokens::Tokens::of(&text)))
}

/// Those of a folder's files that the tool reads, in its order: override files come last, and for
/// OpenTofu `NAME.tofu` hides `NAME.tf`.
pub(crate) fn files(paths: Vec<PathBuf>, tofu: bool) -> Vec<File> {
    let mut files: Vec<File> = paths
        .into_iter()
        .filter_map(|path| File::of(path, tofu))
        .collect();
    files.sort_by(|a, b| (a.overrides, &a.path).cmp(&(b.overrides, &b.path)));
    let hidden: Vec<String> = files
        .iter()
        .filter(|file| file.tofu)
        .map(|file| file.stem.clone())
        .collect();
    files.retain(|file| file.tofu || !hidden.contains(&file.stem));
    files
}

/// A file of infrastructure code.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    stem: String,
    pub(crate) json: bool,
    tofu: bool,
    overrides: bool,
}

impl File {
    fn of(path: PathBuf, tofu: bool) -> Option<Self> {
        // A name that is not UTF-8 does not keep the tool from reading the file.
        let name = path.file_name()?.to_string_lossy().into_owned();
        // As Terraform's IsIgnoredFile; a name between two `#` has none of the endings below.
        if name.starts_with('.') || name.ends_with('~') {
            return None;
        }
        let (stem, is_tofu, json) = [
            (".tf", false, false),
            (".tf.json", false, true),
            (".tofu", true, false),
            (".tofu.json", true, true),
        ]
        .into_iter()
        .find_map(|(end, is_tofu, json)| Some((name.strip_suffix(end)?, is_tofu, json)))?;
        if is_tofu && !tofu {
            return None;
        }
        Some(Self {
            overrides: stem == "override" || stem.ends_with("_override"),
            stem: format!("{stem}{}", if json { ".json" } else { "" }),
            json,
            tofu: is_tofu,
            path,
        })
    }
}
