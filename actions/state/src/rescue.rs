//! `errored.tfstate`: the state that Terraform could not write to its backend and left in the
//! folder instead (terraform `internal/command/views/state_locker.go` and `backend/local`). On a
//! runner that folder is gone with the job, and with it what was just created.

use crate::object::refused;
use kit::error::{Context, Error, Result};
use net::AwsContext;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const NAME: &str = "errored.tfstate";
/// How deep a `-chdir` or a stack of cdktf can be.
const DEPTH: usize = 4;

/// A state that was left in a folder, as one knows it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    length: u64,
    /// In nanoseconds since 1970.
    written: u64,
}

/// States that were left below `folder`, as far as it can be read.
pub(crate) fn find(folder: &Path) -> Vec<Left> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let name = entry.file_name();
            if kind.is_dir() && depth < DEPTH {
                let skipped = [".terraform", ".git", "node_modules"];
                if !skipped.iter().any(|other| name == *other) {
                    folders.push((entry.path(), depth + 1));
                }
            } else if kind.is_file() && name == NAME {
                let Ok(meta) = entry.metadata() else {
                    continue;
                };
                let written = meta.modified().ok().and_then(|at| {
                    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
                    u64::try_from(since.as_nanos()).ok()
                });
                found.push(Left {
                    path: entry.path(),
                    length: meta.len(),
                    written: written.unwrap_or_default(),
                });
            }
        }
    }
    found.sort();
    found
}

/// How many states can be kept beside one under one lock.
const KEPT: usize = 100;

/// Keeps the states beside the one they belong to, and sees that they are there. Returns where.
/// Nothing that was kept before is written over.
///
/// # Errors
/// A file that cannot be read, or S3's.
pub(crate) async fn keep(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
    lock_id: &str,
    files: &[PathBuf],
) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    let mut numbers = 0..KEPT;
    for file in files {
        let bytes = std::fs::read(file).context(format!("cannot read {}", file.display()))?;
        let place = loop {
            let Some(number) = numbers.next() else {
                return Err(Error::failed(format!(
                    "{KEPT} states are kept beside s3://{bucket}/{key} already"
                )));
            };
            let side = side(key, lock_id, number);
            let place = format!("s3://{bucket}/{side}");
            let answer = s3
                .put_object()
                .bucket(bucket)
                .key(&side)
                .content_type("application/json")
                .if_none_match("*")
                .body(bytes.clone().into())
                .send()
                .await;
            let taken = match answer {
                Ok(_) => false,
                Err(error) if refused(&error) => true,
                Err(error) => {
                    return Err(error).cannot(format!("rescue {} to {place}", file.display()));
                }
            };
            let there = s3
                .get_object()
                .bucket(bucket)
                .key(&side)
                .send()
                .await
                .cannot(format!("see whether {place} is there"))?
                .body
                .collect()
                .await
                .context(format!("cannot read {place}"))?;
            if there.into_bytes() == bytes {
                break place;
            }
            if !taken {
                return Err(Error::failed(format!(
                    "{place} is not what {} holds",
                    file.display()
                )));
            }
        };
        kept.push(place);
    }
    Ok(kept)
}

fn side(key: &str, lock_id: &str, number: usize) -> String {
    match number {
        0 => format!("{key}.errored-{lock_id}"),
        number => format!("{key}.errored-{lock_id}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_found_wherever_the_command_worked_and_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        };
        write("errored.tfstate");
        write("cdktf.out/stacks/app/errored.tfstate");
        write(".terraform/errored.tfstate");
        write("terraform.tfstate");
        let found = find(folder.path());
        let short: Vec<_> = found
            .iter()
            .map(|left| {
                left.path
                    .strip_prefix(folder.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect();
        assert_eq!(
            short,
            ["cdktf.out/stacks/app/errored.tfstate", "errored.tfstate"]
        );
        assert_eq!(find(folder.path()), found);
        std::fs::write(folder.path().join("errored.tfstate"), "{ }").unwrap();
        let later = find(folder.path());
        let new: Vec<_> = later.iter().filter(|left| !found.contains(left)).collect();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].path, folder.path().join("errored.tfstate"));
    }
}
