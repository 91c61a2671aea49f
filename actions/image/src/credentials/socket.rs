//! Sockets in deep folders. A socket's path has at most 107 bytes (unix(7)), while a temporary folder's may be longer, so
//! the folder is opened, and the socket is reached through its descriptor.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Binds or connects at a short path that leads to `socket`.
pub(super) fn via_short_path<T>(
    socket: &Path,
    open: impl FnOnce(PathBuf) -> Result<T>,
) -> Result<T> {
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "no path of a socket"));
    };
    let folder = File::open(folder)?;
    open(
        Path::new("/proc/self/fd")
            .join(folder.as_raw_fd().to_string())
            .join(name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_socket_works_however_long_its_path_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x".repeat(200)).join("y".repeat(200));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("socket");
        assert!(
            UnixListener::bind(&socket).is_err(),
            "this one needs no way round"
        );
        let listener = via_short_path(&socket, UnixListener::bind).unwrap();
        assert!(socket.exists());
        let mut stream = via_short_path(&socket, UnixStream::connect).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        stream.write_all(b"heard").unwrap();
        drop(stream);
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "heard");
    }

    #[test]
    fn a_socket_in_a_missing_folder_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gone").join("socket");
        let error = via_short_path(&socket, UnixListener::bind).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(via_short_path(Path::new("/"), UnixListener::bind).is_err());
    }
}
