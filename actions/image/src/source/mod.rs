//! Where an image's bytes come from: the Docker Engine, an OCI layout, or an archive of either kind.
//!
//! There are two shapes. A layout has every blob under its digest, can be read in any order and as often as wanted, and is
//! pushed as it is. An archive of Docker's is one stream, its layers uncompressed and only named at its end: it is read from
//! its start each time, each wanted layer is compressed on the way, and the manifest is made from what came out.

mod archive;
mod engine;
mod layout;
mod manifest;
mod reading;
mod split;
mod store;
mod tarball;
mod unpacked;
mod v1;
mod walk;

pub(crate) use archive::{Archive, Known};
pub(crate) use layout::Layout;

use bytes::Bytes;
use kit::id::Digest;
use kit::{Error, Result, env::Env};
use ring::digest::{Context, SHA256};
use std::path::Path;

/// The largest manifest that ECR takes, and far more than a configuration has.
const SMALL: u64 = 4 * 1024 * 1024;

/// An image (or an index of several) that can be pushed.
pub(crate) enum Source {
    Layout(Layout),
    Archive(Archive),
}

/// The reason why JSON cannot be read, without quoting any of it: a file that was given by mistake may hold a secret.
pub(crate) fn malformed(error: &serde_json::Error) -> String {
    let reason = match error.classify() {
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a member is missing or of another type",
        serde_json::error::Category::Io => "it cannot be read",
    };
    format!(
        "{reason} (line {}, column {})",
        error.line(),
        error.column()
    )
}

impl Source {
    /// An OCI layout in a folder or tar, or a docker archive.
    ///
    /// # Errors
    /// It is neither, or damaged (exit 2).
    pub(crate) fn open(path: &Path, env: &Env) -> Result<Self> {
        let what = path.display();
        let metadata = path.metadata().map_err(|error| {
            Error::usage(format!("there is no {what} to push"))
                .because(error)
                .hint("--layout names an OCI layout (folder or tar) or a docker archive that an earlier step wrote")
        })?;
        if metadata.is_dir() {
            return Layout::folder(path).map(Self::Layout);
        }
        if !metadata.is_file() {
            return Err(
                Error::usage(format!("{what} is neither a folder nor a file"))
                    .hint("a pipe can be read only once; write the image to a file"),
            );
        }
        let tar = unpacked::open(path, env)?;
        if !tar.has("manifest.json") {
            return Layout::tar(tar).map(Self::Layout);
        }
        let archive = archive::File::new(tar)?;
        if archive.is_layout()? {
            Layout::tar(archive.into_tar()).map(Self::Layout)
        } else {
            Ok(Self::Archive(Archive::file(archive)))
        }
    }

    /// Returns whether images can be read from the Docker Engine that `env` points at.
    ///
    /// # Errors
    /// It is one that cannot be reached from here (exit 2).
    pub(crate) async fn readable(env: &Env) -> Result<()> {
        engine::Engine::find(env).await.map(drop)
    }

    /// An image of the Docker Engine that `env` points at. `config` is the digest of its configuration, where the engine does
    /// not call it by that.
    ///
    /// # Errors
    /// The engine cannot be asked, or has no such image.
    pub(crate) async fn engine(env: &Env, image: &str, config: Option<Digest>) -> Result<Self> {
        let engine = engine::Engine::find(env).await?;
        let archive = Archive::engine(engine, image, config).await?;
        Ok(Self::Archive(archive))
    }
}

/// JSON without the byte order mark that some programs write before it.
fn without_mark(bytes: Bytes) -> Bytes {
    match bytes.starts_with("\u{feff}".as_bytes()) {
        true => bytes.slice("\u{feff}".len()..),
        false => bytes,
    }
}

/// The digest of bytes that are at hand.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    name(&ring::digest::digest(&SHA256, bytes))
}

/// The digest of bytes that went by.
pub(crate) fn digest_of(context: Context) -> Digest {
    name(&context.finish())
}

fn name(hash: &ring::digest::Digest) -> Digest {
    let hash = hash.as_ref().try_into();
    Digest::sha256(hash.unwrap_or_else(|_| unreachable!("SHA-256 has 32 bytes")))
}

/// The name of a layer together with all below it (OCI Image Specification, "Layer ChainID").
pub(crate) fn chain_id(below: Option<&Digest>, diff_id: &Digest) -> Digest {
    match below {
        None => diff_id.clone(),
        Some(below) => digest(format!("{below} {diff_id}").as_bytes()),
    }
}

/// The hexadecimal digits of a digest, as files are named.
pub(crate) fn hex(digest: &Digest) -> &str {
    digest.hex()
}

/// A blob or manifest as an OCI descriptor names it (OCI Image Specification, "Descriptors").
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// How layers of an archive are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// The media type of a layer (OCI Image Specification, "Image Layer Filesystem Changeset").
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// A layer that is about to come out of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Which reading of the archive can ask for it again.
    pub(crate) path: String,
    /// The digest of its uncompressed bytes, where it is known before they are read.
    pub(crate) diff_id: Option<Digest>,
    /// Bytes, uncompressed; of a layer in the engine's store those of its files alone.
    pub(crate) size: u64,
}

/// A message from a layer to its upload. A channel that closes without `End` is a layer that could not be read.
pub(crate) enum Chunk {
    Bytes(Bytes),
    End(Measured),
}

/// A layer after compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) media_type: String,
    /// Of the compressed bytes: the blob's name in a registry.
    pub(crate) digest: Digest,
    /// Of the compressed bytes.
    pub(crate) size: u64,
    /// Of the bytes it unpacks to, where it was unpacked or compressed here.
    pub(crate) diff_id: Option<Digest>,
}

/// The content of an archive, once it was read.
pub(crate) struct Contents {
    /// The image's configuration, byte for byte; its digest is the image ID.
    pub(crate) config: Bytes,
    /// Bottom layer first; one that is in the image twice is here twice.
    pub(crate) layers: Vec<Read>,
}

/// A layer of an archive after a reading.
pub(crate) struct Read {
    pub(crate) entry: Entry,
    /// Always known after a reading: the configuration lists them.
    pub(crate) diff_id: Digest,
    /// `None` where it was passed over, or its channel was closed by the receiver.
    pub(crate) measured: Option<Measured>,
}

#[cfg(test)]
mod tests;
