//! `errored.tfstate`: the state that Terraform could not write to its backend and left in the
//! folder instead (terraform `internal/command/views/state_locker.go` and `backend/local`). On a
//! runner that folder is gone with the job, and with it what was just created.

mod copies;

pub(crate) use copies::{Copies, workspace};

use crate::backend::{Backend, StateObject};
use crate::s3::refused;
use kit::error::{Context, Error, Result};
use net::AwsContext;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const NAME: &str = "errored.tfstate";
/// How deep a `-chdir` or a stack of cdktf can be.
const DEPTH: usize = 4;

/// A state that was left in a folder, with the values by which it is recognized again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ErroredState {
    pub(crate) path: PathBuf,
    length: u64,
    /// In nanoseconds since 1970.
    written: u64,
}

/// The state that was left in `folder` itself.
pub(crate) fn look(folder: &Path) -> Option<ErroredState> {
    let path = folder.join(NAME);
    let meta = std::fs::metadata(&path)
        .ok()
        .filter(|meta| meta.is_file())?;
    let written = meta.modified().ok().and_then(|at| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    });
    Some(ErroredState {
        path,
        length: meta.len(),
        written: written.unwrap_or_default(),
    })
}

/// States that were left below `folder`, as far as it can be read. Deeper and linked folders are
/// known from the calls that worked in them.
pub(crate) fn find(folder: &Path) -> Vec<ErroredState> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        found.extend(look(&folder));
        if depth == DEPTH {
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let skipped = [".terraform", ".git", "node_modules"];
            let name = entry.file_name();
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !skipped.iter().any(|other| name == *other)
            {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found.sort();
    found
}

/// Returns true if Terraform could leave a state in `folder`: it can be written to, and the disk is not full.
pub(crate) fn can_write_state(folder: &Path) -> bool {
    let name = format!(".slipway-{}", uuid::Uuid::new_v4().simple());
    let probe = folder.join(name);
    let written = std::fs::File::create_new(&probe).and_then(|mut file| {
        file.write_all(&[0; 1 << 16])?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&probe);
    let existing = OpenOptions::new().write(true).open(folder.join(NAME));
    let free = existing.map_or_else(|error| error.kind() == ErrorKind::NotFound, |_| true);
    written.is_ok() && free
}

/// The hint for a state that is in no file, or only in part.
pub(crate) const IN_THE_LOG: &str = "Terraform prints a state that it can write nowhere: save it from the log as errored.tfstate before the log is gone";

/// A file that was left, and the state that should have been written.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) file: PathBuf,
    /// `None` if it is unknown.
    pub(crate) state: Option<StateObject>,
    /// True if the file holds all of a state: a full disk cuts it off.
    pub(crate) complete: bool,
}

impl Origin {
    /// A file that belongs to `state`.
    pub(crate) fn new(file: &Path, state: Option<StateObject>) -> Self {
        let text = std::fs::read(file).unwrap_or_default();
        let complete = serde_json::from_slice::<BTreeMap<String, &RawValue>>(&text).is_ok();
        Self {
            file: file.to_owned(),
            state,
            complete,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        let left_behind = match self.complete {
            true => "was left",
            false => "only a part of it was left",
        };
        match &self.state {
            Some(state) => write!(
                f,
                "the state could not be written to s3://{}/{} (workspace `{}`), and {left_behind} in {file}",
                state.bucket, state.key, state.workspace
            ),
            None => write!(
                f,
                "the state could not be written, and {left_behind} in {file}; which state it belongs to could not be seen"
            ),
        }
    }
}

impl Origin {
    /// The key beside which a copy is kept: the key of its own state, in the bucket of the lock's state.
    fn key(&self, backend: &Backend) -> String {
        match &self.state {
            None => backend.object_key(),
            Some(state) if state.bucket == backend.bucket => state.key.clone(),
            Some(state) => copies::foreign_key(&state.bucket, &state.key),
        }
    }
}

/// How many states can be kept beside one under one lock.
const KEPT: usize = 100;

/// Keeps each state beside the one it belongs to, and verifies the copy. An earlier copy is never overwritten.
///
/// # Errors
/// A file that cannot be read, or S3's.
pub(crate) async fn keep(
    s3: &aws_sdk_s3::Client,
    backend: &Backend,
    lock_id: &str,
    files: &[Origin],
) -> Result<Copies> {
    let bucket = &backend.bucket;
    let mut kept = Vec::new();
    let mut numbers = 0..KEPT;
    for origin in files {
        let (file, key) = (&origin.file, origin.key(backend));
        let bytes = std::fs::read(file).context(format!("cannot read {}", file.display()))?;
        let location = loop {
            let Some(number) = numbers.next() else {
                return Err(Error::failed(format!(
                    "{KEPT} states are kept beside s3://{bucket}/{key} already"
                )));
            };
            let copy_key = copies::copy_key(&key, lock_id, number);
            let location = format!("s3://{bucket}/{copy_key}");
            let answer = s3
                .put_object()
                .bucket(bucket)
                .key(&copy_key)
                .content_type("application/json")
                .if_none_match("*")
                .body(bytes.clone().into())
                .send()
                .await;
            let taken = match answer {
                Ok(_) => false,
                Err(error) if refused(&error) => true,
                Err(error) => {
                    return Err(error).cannot(format!("rescue {} to {location}", file.display()));
                }
            };
            let there = s3
                .get_object()
                .bucket(bucket)
                .key(&copy_key)
                .send()
                .await
                .cannot(format!("see whether {location} is there"))?
                .body
                .collect()
                .await
                .context(format!("cannot read {location}"))?;
            if there.into_bytes() == bytes {
                break location;
            }
            if !taken {
                return Err(Error::failed(format!(
                    "{location} is not what {} holds",
                    file.display()
                )));
            }
        };
        kept.push(location);
    }
    Ok(Copies::at(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_tells_which_state_it_belongs_to() {
        let backend = Backend {
            bucket: "b".to_owned(),
            key: "app/dev".to_owned(),
            ..crate::backend::tests::backend()
        };
        let origin = |bucket: &str, key: &str| {
            let state = StateObject {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                workspace: "default".to_owned(),
            };
            Origin::new(Path::new("errored.tfstate"), Some(state))
        };
        for (bucket, key, workspace) in [
            ("b", "app/dev", None),
            ("b", "env:/blue/app/dev", Some("blue")),
            ("c", "net/dev.errored-x", None),
        ] {
            let copy_key = copies::copy_key(&origin(bucket, key).key(&backend), "0f-1", 2);
            let location = format!("s3://b/{copy_key}");
            let found = Copies::at(vec![location.clone()]).origins();
            assert_eq!(found, [format!("{bucket}/{key}")], "{location}");
            assert_eq!(super::workspace(&found[0]), workspace);
        }
    }

    #[test]
    fn a_partial_state_is_distinguished_from_a_complete_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        let text = "{\"version\": 4, \"serial\": 1, \"outputs\": {\"a\": {}}}\n";
        for (end, complete) in [(text.len(), true), (text.len() - 3, false), (0, false)] {
            std::fs::write(&file, &text[..end]).unwrap();
            let origin = Origin::new(&file, None);
            assert_eq!(origin.complete, complete, "{end}");
            let message = origin.to_string();
            assert_eq!(
                message.contains("only a part of it was left"),
                !complete,
                "{message}"
            );
        }
        assert!(!Origin::new(&folder.path().join("gone"), None).complete);
        assert!(can_write_state(folder.path()));
        assert!(!can_write_state(Path::new("/proc/self")));
    }

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
            .map(|state| {
                state
                    .path
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
        let new: Vec<_> = later
            .iter()
            .filter(|state| !found.contains(state))
            .collect();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].path, folder.path().join("errored.tfstate"));
    }
}
