//! The location of the state according to a folder of infrastructure code: the one it declares, the one it was
//! initialized with, and whether a state was written into the folder itself.

use crate::backend::{Backend, Encryption, Locking};
use crate::block::{self, Block, Declared, Setting, Value};
use kit::Cx;
use kit::error::{Context, Error, Location, Result};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder and the state that a command in it is to change.
#[derive(Debug)]
pub(crate) struct Folder<'a> {
    path: &'a Path,
    /// Where Terraform keeps what `init` decided.
    data: PathBuf,
    backend: &'a Backend,
    /// The state file in the folder itself, as it was before the command.
    local: Option<(u64, SystemTime)>,
}

impl<'a> Folder<'a> {
    /// Looks at the folder before the command.
    ///
    /// # Errors
    /// It would have its state elsewhere than where the lock is (exit 3), or cannot be read.
    pub(crate) fn before(path: &'a Path, data_dir: &str, backend: &'a Backend) -> Result<Self> {
        let folder = Self {
            path,
            data: path.join(data_dir).join("terraform.tfstate"),
            backend,
            local: local(path),
        };
        folder.initialised()?;
        if folder.is_local()? {
            return Err(Error::refused(format!(
                "{} declares no backend \"s3\", so its state would be a file that is gone after the job",
                path.display()
            ))
            .hint(BLOCK));
        }
        Ok(folder)
    }

    /// Looks again after a command that succeeded.
    ///
    /// # Errors
    /// The command wrote a state into the folder, or left it without a backend (exit 1).
    pub(crate) fn after(&self) -> Result<()> {
        let written = local(self.path);
        let outcome = if written.is_some() && written != self.local {
            format!("wrote a state into {}", self.path.display())
        } else if self.is_local()? {
            format!("left {} without a backend \"s3\"", self.path.display())
        } else {
            return Ok(());
        };
        Err(Error::failed(format!("the command {outcome}"))
            .cause(format!(
                "the command succeeded, but did not use s3://{}/{}, the state that was locked",
                self.backend.bucket, self.backend.key
            ))
            .hint(BLOCK))
    }

    /// Returns true if there is code here with a backend.
    pub(crate) fn has_backend(&self) -> bool {
        matches!(declared(self.path), Ok(Declared::Block(_)))
    }

    /// Refuses a folder that was initialised for another state than the one that is locked:
    /// Terraform would change that other one, without a lock.
    fn initialised(&self) -> Result<()> {
        let text = match std::fs::read_to_string(&self.data) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).context(format!("cannot read {}", self.data.display()));
            }
        };
        let again = format!("remove {} and run init again", self.data.display());
        let state: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            Error::refused(format!(
                "the state that {} was initialised for cannot be read: {} is not JSON",
                self.path.display(),
                self.data.display()
            ))
            .because(error)
            .hint(&again)
        })?;
        let config = &state["backend"]["config"];
        for (name, found, wanted) in [
            ("the backend", &state["backend"]["type"], "s3"),
            ("bucket", &config["bucket"], &self.backend.bucket),
            ("key", &config["key"], &self.backend.key),
            (
                "dynamodb_table",
                &config["dynamodb_table"],
                &self.backend.table,
            ),
        ] {
            let found = found.as_str().unwrap_or_default();
            if found != wanted {
                return Err(Error::refused(format!(
                    "{} was initialised for another state: {name} is `{found}`, the lock is for `{wanted}`",
                    self.path.display()
                ))
                .hint(&again));
            }
        }
        let role = config["assume_role"]["role_arn"]
            .as_str()
            .unwrap_or_default();
        match &self.backend.role {
            // `init` refuses a backend that changes, in words about migrating a state.
            Some(wanted) if *wanted != role => Err(Error::refused(format!(
                "{} was initialised for another role: the backend assumes `{role}`, the step `{wanted}`",
                self.path.display()
            ))
            .hint(&again)),
            _ => Ok(()),
        }
    }

    /// Returns true if there is code here that keeps its state in a file.
    fn is_local(&self) -> Result<bool> {
        Ok(match declared(self.path)? {
            Declared::NoCode => false,
            Declared::NoBackend => true,
            Declared::Block(block) => block.kind != "s3",
        })
    }
}

/// The backend that the code of a folder declares, for whichever tool it is written. Terragrunt
/// writes the declaration by itself.
fn declared(folder: &Path) -> Result<Declared> {
    if folder.join("terragrunt.hcl").exists() {
        return Ok(Declared::NoCode);
    }
    match block::declared(folder, false)? {
        Declared::NoCode => block::declared(folder, true),
        found => Ok(found),
    }
}

/// The way of locking that the code and the step have in common: both where the code asks for the
/// lock file and the step for the table.
///
/// # Errors
/// The code names another state or another lock (exit 3), unless `overrides` says that the step's
/// goes before the code's.
pub(crate) fn agreed(
    folder: &Path,
    backend: &Backend,
    overrides: bool,
    cx: &Cx,
) -> Result<Locking> {
    let Declared::Block(block) = declared(folder)? else {
        return Ok(backend.locking);
    };
    let found = compare(&block, backend);
    if found.differences.is_empty() {
        return Ok(found.locking);
    }
    if overrides {
        for (line, difference) in &found.differences {
            let file = block.file.display();
            cx.host
                .info(format!("{file}:{line}: {difference}: overridden, as asked"));
        }
        return Ok(backend.locking);
    }
    let mut error = Error::refused(format!(
        "the backend in {} is not the one of this step",
        block.file.display()
    ));
    for (line, difference) in found.differences {
        error = error.cause(format!("{}:{line}: {difference}", block.file.display()));
        error.locations.push(Location {
            file: shown(&block.file),
            line,
            column: 1,
            message: difference,
        });
    }
    Err(error
        .hint("change the step's arguments or the contract; or remove the line, since the step gives `init` what the block leaves out")
        .hint("to put the step's values before the code's in `run`: --override-backend"))
}

/// A file as GitHub knows it: by its path from the top, without a dot in front.
fn shown(file: &Path) -> String {
    file.strip_prefix(".").unwrap_or(file).display().to_string()
}

/// A backend block compared with the step's backend.
#[derive(Debug, PartialEq, Eq)]
struct Compared {
    locking: Locking,
    /// By line.
    differences: Vec<(usize, String)>,
}

fn compare(block: &Block, backend: &Backend) -> Compared {
    let mut locking = backend.locking;
    let mut differences = Vec::new();
    for (name, wanted) in [
        ("bucket", Some(backend.bucket.as_str())),
        ("key", Some(backend.key.as_str())),
        ("region", Some(backend.region.as_str())),
        (
            "dynamodb_table",
            Some(backend.table.as_str()).filter(|_| backend.locking.uses_table()),
        ),
        ("use_lockfile", None),
    ] {
        let Some(Setting { value, line }) = block.settings.get(name) else {
            continue;
        };
        let difference = match (name, value, wanted) {
            (_, Value::Null, _) => continue,
            (_, Value::Expression, _) => {
                format!("{name} is an expression, which the step cannot read")
            }
            ("use_lockfile", Value::Literal(value), _) => {
                match (value.as_str(), backend.locking.uses_file()) {
                    ("true", false) => locking = Locking::Both,
                    ("false", true) => {
                        differences.push((
                            *line,
                            "use_lockfile is off, and the step locks with the lock file".to_owned(),
                        ));
                    }
                    _ => {}
                }
                continue;
            }
            (_, Value::Literal(value), Some(wanted)) if value == wanted => continue,
            (_, Value::Literal(value), Some(wanted)) => {
                format!("{name} is `{value}`, and the step's is `{wanted}`")
            }
            (_, Value::Literal(value), None) if value.is_empty() => continue,
            (_, Value::Literal(value), None) => {
                format!(
                    "{name} is `{value}`, and the step uses no table (--locking both --table {value})"
                )
            }
        };
        differences.push((*line, difference));
    }
    differences.extend(encrypted_otherwise(block, &backend.encryption));
    Compared {
        locking,
        differences,
    }
}

/// How Terraform's writes would be encrypted otherwise than the step's own. A step that asks for
/// nothing leaves it to the block.
fn encrypted_otherwise(block: &Block, encryption: &Encryption) -> Vec<(usize, String)> {
    if *encryption == Encryption::Bucket {
        return Vec::new();
    }
    let settings = [
        ("encrypt", "true"),
        ("kms_key_id", encryption.kms_key().unwrap_or_default()),
    ];
    let differs = |(name, wanted): (&str, &str)| {
        let Setting { value, line } = block.settings.get(name)?;
        let difference = match value {
            Value::Null => return None,
            Value::Literal(value) if value == wanted => return None,
            Value::Literal(value) if wanted.is_empty() => {
                format!("{name} is `{value}`, and the step asks for S3's own key")
            }
            Value::Literal(value) => format!("{name} is `{value}`, and the step's is `{wanted}`"),
            Value::Expression => format!("{name} is an expression, which the step cannot read"),
        };
        Some((*line, difference))
    };
    settings.into_iter().filter_map(differs).collect()
}

const BLOCK: &str = "add to the code: terraform { backend \"s3\" {} } (bucket, key, region and table come from this step)";

/// The state file that Terraform writes without a backend. One that was migrated away stays
/// behind empty.
fn local(folder: &Path) -> Option<(u64, SystemTime)> {
    let meta = std::fs::metadata(folder.join("terraform.tfstate")).ok()?;
    (meta.len() > 0).then_some((meta.len(), meta.modified().ok()?))
}

#[cfg(test)]
mod tests;
