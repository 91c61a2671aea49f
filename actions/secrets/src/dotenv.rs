//! A dotenv file: readable by this user alone, new, and gone after the job.

use kit::error::{Context, Error, Result};
use kit::secret::Secret;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file, which must not exist: what is there may be somebody's, or a link elsewhere.
/// `note` is called between the empty file and its content, so that whoever removes it later
/// knows of it before there is a secret in it, and of nothing that is not ours.
///
/// # Errors
/// The file exists (exit 2), or cannot be noted or written; then nothing of it is left.
pub(crate) fn write(
    path: &Path,
    values: &[(String, Secret)],
    note: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut text = String::new();
    for (name, value) in values {
        text.push_str(&line(name, value.expose()));
    }
    let text = Secret::new(text);
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
            _ => Error::failed(format!("cannot write {}", path.display())).because(&error),
        })?;
    note()
        .and_then(|()| {
            file.write_all(text.expose().as_bytes())
                .context(format!("cannot write {}", path.display()))
        })
        .inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// Removes the file; that it is gone already is fine.
///
/// # Errors
/// It is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::failed(format!("cannot remove {}", path.display())).because(&error))
        }
        _ => Ok(()),
    }
}

/// Double quotes with escapes, as dotenv readers and `set -a; . FILE` both understand: `$` and
/// backquotes are escaped for the shell.
fn line(name: &str, value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    format!("{name}=\"{quoted}\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_what_was_written_and_nobody_else_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let value = "a\"b\\c$HOME`x`\nline % é";
        let values = [("V".to_owned(), Secret::new(value.to_owned()))];
        let empty = || {
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
            Ok(())
        };
        write(&path, &values, empty).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let out = Command::new("sh")
            .args(["-c", &format!(". {}; printf %s \"$V\"", path.display())])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), value);
        // What is somebody else's is not noted, or the post step would remove it.
        let again = write(&path, &[], || panic!("noted"));
        assert_eq!(again.unwrap_err().exit, kit::Exit::Usage);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
