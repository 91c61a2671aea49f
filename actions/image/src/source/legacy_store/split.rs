//! A layer's tar, put together again from its unpacked files and the record of what else was in it.
//!
//! The record is lines of JSON in gzip: pieces of the tar that do not belong to a file's content (headers, padding), and in between the
//! files whose content comes next. Source: vbatts/tar-split, `tar/storage/entry.go` and `tar/asm/assemble.go`.

use super::walk::Folder;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A line holds the padding before a file and its header with all attributes. Old engines put a tar's whole tail into one
/// line; one that is longer than this is not worth the memory.
const LONGEST: u64 = 8 * 1024 * 1024;

/// One line of the record.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    /// In base64, where the name is not UTF-8.
    #[serde(borrow, default)]
    name_raw: Option<&'a str>,
    #[serde(default)]
    size: u64,
    /// Of a segment its bytes in base64.
    #[serde(borrow, default)]
    payload: Option<&'a str>,
}

const FILE: u8 = 1;
const SEGMENT: u8 = 2;

/// The tar, from its start to its end.
pub(super) struct Split {
    folder: Folder,
    record: BufReader<GzDecoder<File>>,
    now: Piece,
}

/// The source of the next bytes.
enum Piece {
    Segment(Cursor<Vec<u8>>),
    Content { file: File, remaining: u64 },
}

impl Split {
    /// Of the files in `folder`, by `record`.
    pub(super) fn new(folder: Folder, record: File) -> Self {
        Self {
            folder,
            record: BufReader::with_capacity(64 * 1024, GzDecoder::new(record)),
            now: Piece::Segment(Cursor::default()),
        }
    }

    /// The next piece of the tar, if there is one.
    fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let mut line = Vec::new();
            (&mut self.record)
                .take(LONGEST)
                .read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') {
                return Err(io::Error::other("the record of its tar has no end of line"));
            }
            let line: Line = serde_json::from_slice(&line)?;
            match line.kind {
                SEGMENT => {
                    let bytes = decoded(line.payload.unwrap_or_default())?;
                    return Ok(Some(Piece::Segment(Cursor::new(bytes))));
                }
                FILE if line.size > 0 => {
                    let name = match (line.name_raw, line.name) {
                        (Some(raw), _) => decoded(raw)?,
                        (None, Some(name)) => name.into_bytes(),
                        (None, None) => return Err(io::Error::other("a file without a name")),
                    };
                    return self.file(Path::new(OsStr::from_bytes(&name)), line.size);
                }
                // Folders, links and empty files are all header.
                FILE => {}
                kind => {
                    return Err(io::Error::other(format!(
                        "the record of its tar has an entry of type {kind}"
                    )));
                }
            }
        }
    }

    fn file(&mut self, name: &Path, size: u64) -> io::Result<Option<Piece>> {
        let strange =
            |why: String| io::Error::other(format!("{} in the store {why}", name.display()));
        let (file, actual) = self
            .folder
            .file(name)
            .map_err(|error| strange(format!("cannot be opened: {error}")))?;
        if actual != size {
            return Err(strange(format!("has {actual} bytes, and had {size}")));
        }
        Ok(Some(Piece::Content {
            file,
            remaining: size,
        }))
    }
}

fn decoded(base64: &str) -> io::Result<Vec<u8>> {
    BASE64_STANDARD.decode(base64).map_err(io::Error::other)
}

impl Read for Split {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.now {
                Piece::Segment(bytes) => {
                    let read = bytes.read(buffer)?;
                    if read > 0 {
                        return Ok(read);
                    }
                }
                Piece::Content { remaining: 0, .. } => {}
                Piece::Content { file, remaining } => {
                    let wanted = usize::try_from(*remaining)
                        .map_or(buffer.len(), |remaining| remaining.min(buffer.len()));
                    let read = file.read(&mut buffer[..wanted])?;
                    if read == 0 {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            format!("{remaining} bytes of a file in the store are missing"),
                        ));
                    }
                    *remaining -= read as u64;
                    return Ok(read);
                }
            }
            match self.next()? {
                Some(piece) => self.now = piece,
                None => return Ok(0),
            }
        }
    }
}
