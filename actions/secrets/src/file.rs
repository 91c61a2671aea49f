//! A file of variables: readable by this user alone, new, and gone after the job.

use kit::error::{Context, Error, Result};
use kit::own::Own;
use kit::secret::Secret;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file, which must not exist: an existing one may belong to somebody else, or be a link. `note` is called
/// with the file after it is created and before it has any content, so that the post step knows of the file before it
/// holds a secret, and knows of no file that the step did not create.
///
/// # Errors
/// The file exists (exit 2), or cannot be noted or written; then nothing of it is left.
pub(crate) fn write(
    path: &Path,
    text: &Secret,
    note: impl FnOnce(&Own) -> Result<()>,
) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::usage(format!("{} exists already", path.display()))
                    .hint("remove it, or choose another --path")
            }
            _ => Error::failed(format!("cannot write {}", path.display())).because(error),
        })?;
    let failure = format!("cannot see {}", path.display());
    (file.metadata().context(failure))
        .and_then(|made| note(&Own::new(path, &made)))
        .and_then(|()| {
            file.write_all(text.expose().as_bytes())
                .context(format!("cannot write {}", path.display()))
        })
        .inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Removes the file, if it is still there. Returns whether another one has its name.
///
/// # Errors
/// It is there and cannot be removed.
pub(crate) fn remove(own: &Own) -> Result<bool> {
    let path = own.path();
    let failed = || format!("cannot remove {}", path.display());
    if !own.is_there().context(failed())? {
        return Ok(path.symlink_metadata().is_ok());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::failed(failed()).because(error))
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_can_read_it_and_what_is_there_already_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let text = Secret::new("V='x'\n".to_owned());
        let mut own = None;
        let empty = |file: &Own| {
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
            own = Some(file.clone());
            Ok(())
        };
        write(&path, &text, empty).unwrap();
        let own = own.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text.expose());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // A file of somebody else is not noted, or the post step would remove it.
        let again = write(&path, &text, |_| panic!("noted"));
        assert_eq!(again.unwrap_err().exit(), kit::Exit::Usage);
        assert!(!remove(&own).unwrap());
        assert!(!remove(&own).unwrap());
        // Somebody else's by now.
        std::fs::write(&path, "theirs").unwrap();
        assert!(remove(&own).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    }
}
