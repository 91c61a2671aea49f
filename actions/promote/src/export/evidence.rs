//! The evidence that the permits of a chain name, as files.

use crate::decisions::Decisions;
use kit::error::{Context, Error, Result};
use ledger::{Chain, LARGEST_EVIDENCE, Ledger, sha256};
use serde::Serialize;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// How many are named; `--json` has all.
const SHOWN: usize = 20;

/// Evidence that was not exported.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    hash: String,
    why: String,
}

/// Writes each into the folder, unless it is there. Returns those that cannot be had; somebody may have removed or changed them.
///
/// # Errors
/// A file of that name holds something else (exit 2), or the folder cannot be written.
pub(super) async fn write(
    ledger: &Ledger,
    chain: &Chain,
    decisions: &Decisions,
    folder: &Path,
) -> Result<Vec<Missing>> {
    std::fs::create_dir_all(folder).context(cannot("write to", folder))?;
    let mut missing = Vec::new();
    for hash in decisions.evidence() {
        let file = folder.join(format!("{hash}.json"));
        if is_there(&file, hash)? {
            continue;
        }
        let why = match ledger.evidence(chain, hash).await {
            Ok(Some(bytes)) if sha256(&bytes) == hash => {
                create(folder, &file, &bytes)?;
                continue;
            }
            Ok(Some(_)) => "what is there is something else".to_owned(),
            Ok(None) => "it is not there".to_owned(),
            Err(error) => error.message,
        };
        missing.push(Missing {
            hash: hash.to_owned(),
            why,
        });
    }
    Ok(missing)
}

/// The error of an export that lacks evidence.
pub(super) fn incomplete(missing: &[Missing]) -> Error {
    let shown = missing.iter().take(SHOWN);
    Error::refused("the export is written, but without evidence that its permits name")
        .with_causes(shown.map(|one| format!("{}: {}", one.hash, one.why)))
        .hint("see which permits that is about: slipway-promote verify")
}

fn cannot(action: &str, path: &Path) -> String {
    format!("cannot {action} {}", path.display())
}

/// Returns true if the file is there and has the hash in its name. A file with other content is not replaced: it may be the only copy.
fn is_there(path: &Path, hash: &str) -> Result<bool> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::failed(cannot("read", path)).because(error)),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_EVIDENCE as u64 + 1)
        .read_to_end(&mut bytes)
        .context(cannot("read", path))?;
    match sha256(&bytes) == hash {
        true => Ok(true),
        false => Err(Error::usage(format!(
            "{} is not the evidence that its name says",
            path.display()
        ))
        .hint("look at it, and move it away, or name another folder")),
    }
}

/// Creates the file whole: one that was half written would not be what its name says.
fn create(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let part = folder.join(format!(".{}.part", std::process::id()));
    std::fs::write(&part, bytes).context(cannot("write to", folder))?;
    std::fs::rename(&part, path).context(cannot("write", path))
}
