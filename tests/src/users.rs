//! The commands that are using a sandbox. Each holds a lock on a file of its own that names it, so that nobody else replaces or
//! ends a part under it. The lock goes when the process does, however it ends.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::fault::{Context, Result};
use crate::instance::Instance;
use crate::parts::engine;
use crate::state::lock;

/// Marks this process as a user for as long as the value lives.
#[derive(Debug)]
pub struct User {
    _file: File,
}

/// A command that uses a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Other {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// Marks this process as a user of the sandbox. The caller holds the sandbox's lock.
pub(crate) fn register(instance: &Instance) -> Result<User> {
    mark(&folder(instance))
}

/// Marks this process as a user of the machine's Docker Engine, which all sandboxes share.
pub(crate) fn of_engine() -> Result<User> {
    let _held = lock(engine::LOCK.as_ref())?;
    mark(engine::USERS.as_ref())
}

/// Returns the other users of the sandbox. The caller holds the sandbox's lock.
pub(crate) fn other_users(instance: &Instance) -> Result<Vec<Other>> {
    found(&folder(instance))
}

/// Returns the other users of the machine's Docker Engine. The caller holds the engine's lock.
pub(crate) fn other_engine_users() -> Result<Vec<Other>> {
    found(engine::USERS.as_ref())
}

fn folder(instance: &Instance) -> PathBuf {
    instance.dir.join("users")
}

fn mark(folder: &Path) -> Result<User> {
    fs::create_dir_all(folder).context(format!("creating {}", folder.display()))?;
    let path = folder.join(std::process::id().to_string());
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .context(format!("creating {}", path.display()))?;
    // A file of this name is an earlier process's, which has ended, or this process's own, which shares.
    file.lock_shared()
        .context(format!("locking {}", path.display()))?;
    file.set_len(0)
        .context(format!("writing {}", path.display()))?;
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let command: Vec<String> = std::iter::once(program).chain(words).collect();
    (&file)
        .write_all(command.join(" ").as_bytes())
        .context(format!("writing {}", path.display()))?;
    Ok(User { _file: file })
}

fn found(folder: &Path) -> Result<Vec<Other>> {
    let mut other_users = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(other_users);
    };
    for entry in entries {
        let path = entry
            .context(format!("reading {}", folder.display()))?
            .path();
        let pid = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else {
            continue;
        };
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => {
                // Its process has ended. A file that cannot be removed does no harm.
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock) => {
                let mut command = String::new();
                file.read_to_string(&mut command)
                    .context(format!("reading {}", path.display()))?;
                other_users.push(Other { pid, command });
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(format!("looking at {}", path.display()));
            }
        }
    }
    other_users.sort_by_key(|other| other.pid);
    Ok(other_users)
}

/// Another user of a folder, for tests: a process that holds a lock until it is killed.
#[cfg(test)]
pub(crate) fn holder(instance: &Instance) -> std::process::Child {
    use std::io::BufRead;
    let folder = folder(instance);
    fs::create_dir_all(&folder).unwrap();
    let script =
        "printf 'e2e --exact' > $$; exec flock --no-fork $$ sh -c 'echo ready; exec sleep 600'";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.as_mut().unwrap();
    std::io::BufReader::new(output)
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_until_its_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::of(folder.path(), folder.path());
        let _own = register(&instance).unwrap();
        let _again = register(&instance).unwrap();
        assert_eq!(other_users(&instance).unwrap(), []);
        let mut holder = holder(&instance);
        let seen = other_users(&instance).unwrap();
        let [other] = seen.as_slice() else {
            panic!("{seen:?}")
        };
        assert_eq!(other.pid, holder.id());
        assert!(other.to_string().ends_with("(e2e --exact)"), "{other}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(other_users(&instance).unwrap(), []);
        assert!(
            !instance
                .dir
                .join("users")
                .join(holder.id().to_string())
                .exists()
        );
    }
}
