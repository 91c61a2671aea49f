//! Archives that are compressed as a whole, as CI systems store them.

use super::tarball::{Tarball, compressed};
use crate::private_dir::PrivateDir;
use flate2::read::MultiGzDecoder;
use kit::env::Env;
use kit::{Context, Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

/// The archive, unpacked if it is compressed with gzip: members are read from any place, several at a time, which a
/// compressed stream does not allow.
///
/// # Errors
/// It is not a tar, compressed otherwise, or cut short.
pub(super) fn open(path: &Path, env: &Env) -> Result<Tarball> {
    let display = path.display();
    let unreadable = format!("cannot read {display}");
    let mut file = File::open(path).context(&unreadable)?;
    let mut start = Vec::new();
    (&mut file)
        .take(6)
        .read_to_end(&mut start)
        .context(&unreadable)?;
    file.rewind().context(&unreadable)?;
    match compressed(&start) {
        None => Tarball::read(path, file),
        Some(("gzip", _)) => Tarball::read(path, unpack(path, file, env)?),
        Some((format, tool)) => Err(Error::usage(format!(
            "{display} is a {format} file, not a tar"
        ))
        .hint(format!(
            "unpack it first, then pass image.tar: {tool} --decompress --stdout {display} > image.tar"
        ))),
    }
}

/// The content in a file that has no name, so that nothing of it is left behind.
fn unpack(path: &Path, file: File, env: &Env) -> Result<File> {
    let dir = PrivateDir::create(env)?;
    let to = dir.path().join("archive");
    let copy = || -> io::Result<File> {
        let mut unpacked = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&to)?;
        io::copy(
            &mut MultiGzDecoder::new(io::BufReader::new(file)),
            &mut unpacked,
        )?;
        Ok(unpacked)
    };
    copy().map_err(|error| {
        Error::usage(format!("{} cannot be unpacked", path.display()))
            .because(error)
            .hint("it is cut short or damaged, or the disk is full: gzip --test checks the file; RUNNER_TEMP names a folder with more room")
    })
}
