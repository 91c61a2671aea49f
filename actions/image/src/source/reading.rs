//! One reading of an archive: each layer goes to its receiver, and at the end all layers are compared with the
//! configuration.

use super::contents::{Contents, Entry, Read as Layer};
use super::tarball::compressed;
use crate::blob::{Chunk, Compression, Measured};
use crate::compress::{Compressor, Pending};
use crate::digest::digest_of;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use kit::id::Digest;
use kit::{Error, Result};
use ring::digest::{Context, SHA256};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use tokio::sync::mpsc;

/// The most bytes of manifests and configurations that are kept of a streamed archive.
pub(super) const SMALLS: u64 = 16 * 1024 * 1024;

/// Bytes of a layer that is handed on as it is.
const PIECE: usize = 256 * 1024;

pub(super) struct Reading<'a> {
    compressor: &'a mut Compressor,
    start: &'a mut dyn FnMut(&Entry) -> Option<mpsc::Sender<Chunk>>,
    /// By the member that held it.
    layers: HashMap<String, (Entry, State)>,
    /// True if the layers' own digests are known, so that a name that is none of them is the digest of what is stored.
    names_blobs: bool,
}

enum State {
    /// It has no receiver, or no longer has one.
    Skipped,
    Compressing(Pending),
    /// It was compressed already.
    Sent(Option<Measured>),
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        compressor: &'a mut Compressor,
        start: &'a mut dyn FnMut(&Entry) -> Option<mpsc::Sender<Chunk>>,
    ) -> Self {
        Self {
            compressor,
            start,
            layers: HashMap::new(),
            names_blobs: false,
        }
    }

    /// Takes a name that is not a layer's digest for the digest of what is stored.
    pub(super) fn with_named_blobs(mut self) -> Self {
        self.names_blobs = true;
        self
    }

    /// Reads the next layer of the archive.
    pub(super) fn layer(&mut self, entry: Entry, input: &mut dyn Read, source: &str) -> Result<()> {
        let Some(sink) = (self.start)(&entry) else {
            self.layers
                .insert(entry.path.clone(), (entry, State::Skipped));
            return Ok(());
        };
        let broken = |error: io::Error| {
            Error::failed(format!("layer {} of {source} cannot be read", entry.path))
                .because(error)
                .hint("the archive is cut short or damaged; write it again, and check that the disk is not full")
        };
        let mut start = Vec::new();
        (&mut *input)
            .take(6)
            .read_to_end(&mut start)
            .map_err(broken)?;
        let format = compressed(&start).map(|(format, _)| format);
        let mut input = start.as_slice().chain(input);
        // An upload that turns out to be another layer is not completed, so that it does not become a blob.
        let state = match format {
            None => {
                let mut found = None;
                let pending = self
                    .compressor
                    .layer(&mut input, sink, |diff_id| {
                        found = Some(diff_id.clone());
                        entry
                            .diff_id
                            .as_ref()
                            .is_none_or(|wanted| wanted == diff_id)
                    })
                    .map_err(broken)?;
                if let (Some(found), Some(wanted)) = (&found, &entry.diff_id) {
                    verify_digest(found, wanted, &entry.path, source)?;
                }
                pending.map_or(State::Skipped, State::Compressing)
            }
            Some(format) if format == "gzip" || (format == "zstd" && self.is_named(&entry)) => {
                let measured = forward_unchanged(&mut input, &sink, format).map_err(broken)?;
                if let Some(measured) = &measured {
                    if let Some(named) = entry.path.strip_prefix("blobs/sha256/")
                        && named != measured.digest.hex()
                    {
                        let other = format!("its bytes are {}", measured.digest);
                        return Err(broken(io::Error::other(other)));
                    }
                    if let (Some(found), Some(wanted)) = (&measured.diff_id, &entry.diff_id) {
                        verify_digest(found, wanted, &entry.path, source)?;
                    }
                }
                let end = |measured: &Measured| sink.blocking_send(Chunk::End(measured.clone()));
                State::Sent(measured.filter(|measured| end(measured).is_ok()))
            }
            Some(format) => {
                return Err(Error::usage(format!(
                    "layer {} of {source} is compressed with {format}",
                    entry.path
                ))
                .cause("only gzip is handed on from an archive")
                .hint("push it as an OCI layout: docker buildx build --output type=oci,tar=false,dest=DIR, then --layout DIR"));
            }
        };
        self.layers.insert(entry.path.clone(), (entry, state));
        Ok(())
    }

    /// Returns whether the archive names the layer by the digest of the bytes it has, as an OCI layout does.
    fn is_named(&self, entry: &Entry) -> bool {
        self.names_blobs && entry.diff_id.is_none() && entry.path.starts_with("blobs/sha256/")
    }

    /// Waits for the layers that are still being compressed, and compares every layer with the configuration. `resolve`
    /// follows links.
    pub(super) fn finish(
        mut self,
        names: &[String],
        config: Bytes,
        diff_ids: &[Digest],
        resolve: impl Fn(&str) -> Result<Option<String>>,
        source: &str,
    ) -> Result<Contents> {
        let mut done: HashMap<String, Option<Measured>> = HashMap::new();
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let path = resolve(name)?.unwrap_or_else(|| name.clone());
            let Some((entry, state)) = self.layers.get_mut(&path) else {
                return Err(
                    Error::failed(format!("layer {name} is missing in {source}"))
                        .hint("the archive is cut short or damaged; write it again"),
                );
            };
            if !done.contains_key(&path) {
                let measured = match std::mem::replace(state, State::Skipped) {
                    State::Skipped => None,
                    State::Sent(measured) => measured,
                    State::Compressing(pending) => {
                        // The receiver may have left; that the bytes are the layer's is known all the same.
                        verify_digest(&pending.diff_id, diff_id, name, source)?;
                        pending.wait().map_err(|error| {
                            Error::failed(format!("layer {name} of {source} cannot be compressed"))
                                .because(error)
                        })?
                    }
                };
                done.insert(path.clone(), measured);
            }
            let measured = done.get(&path).cloned().flatten();
            if let Some(known) = &entry.diff_id {
                verify_digest(known, diff_id, name, source)?;
            }
            if let Some(found) = measured.as_ref().and_then(|one| one.diff_id.as_ref()) {
                verify_digest(found, diff_id, name, source)?;
            }
            layers.push(Layer {
                entry: entry.clone(),
                diff_id: diff_id.clone(),
                measured,
            });
        }
        Ok(Contents { config, layers })
    }
}

/// Refuses a layer that is not the one the configuration lists.
fn verify_digest(found: &Digest, wanted: &Digest, name: &str, source: &str) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::failed(format!(
        "layer {name} of {source} is not the one that the image's configuration lists"
    ))
    .cause(format!("it is {found}, but {wanted} is listed"))
    .hint("the source is damaged: recreate the archive, or check the engine's disk and rebuild"))
}

/// Forwards a compressed layer unchanged, without `Chunk::End`. A gzip layer is unpacked to compute its diff ID; a zstd layer is
/// identified by its name alone, like every blob of a layout. `None` if the receiver is gone.
fn forward_unchanged(
    input: &mut dyn Read,
    sink: &mpsc::Sender<Chunk>,
    format: &str,
) -> io::Result<Option<Measured>> {
    let mut hash = Context::new(&SHA256);
    let mut size = 0;
    let compression = match format {
        "zstd" => Compression::Zstd,
        _ => Compression::Gzip,
    };
    let mut unpacked = (compression == Compression::Gzip)
        .then(|| MultiGzDecoder::new(Hash(Context::new(&SHA256))));
    loop {
        let mut piece = Vec::new();
        input.take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            break;
        }
        hash.update(&piece);
        size += piece.len() as u64;
        if let Some(unpacked) = &mut unpacked {
            unpacked.write_all(&piece)?;
        }
        if sink.blocking_send(Chunk::Bytes(piece.into())).is_err() {
            return Ok(None);
        }
    }
    let unpacked = unpacked.map(MultiGzDecoder::finish).transpose()?;
    Ok(Some(Measured {
        media_type: compression.media_type().to_owned(),
        digest: digest_of(hash),
        size,
        diff_id: unpacked.map(|hash| digest_of(hash.0)),
    }))
}

struct Hash(Context);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader of a tar's member that fails if the member ends before its size is reached.
pub(super) struct ExactReader<R> {
    pub(super) remaining: u64,
    pub(super) input: R,
}

impl<R: Read> Read for ExactReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.remaining)
            .map_or(buffer.len(), |remaining| remaining.min(buffer.len()));
        let read = self.input.read(&mut buffer[..wanted])?;
        self.remaining -= read as u64;
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} bytes of it are missing", self.remaining),
            ));
        }
        Ok(read)
    }
}
