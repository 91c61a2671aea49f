//! The content of an archive, before and after it was read.

use crate::blob::Measured;
use bytes::Bytes;
use kit::Error;
use kit::id::Digest;

/// The largest manifest that ECR takes, and far more than a configuration has.
pub(super) const SMALL: u64 = 4 * 1024 * 1024;

/// The content of an archive, as far as it is known before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) config: Digest,
    /// Bottom layer first.
    pub(crate) diff_ids: Vec<Digest>,
}

/// A layer that is about to come out of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The path in the archive, by which another reading can ask for it again.
    pub(crate) path: String,
    /// The digest of its uncompressed bytes, where it is known before they are read.
    pub(crate) diff_id: Option<Digest>,
    /// Bytes, uncompressed; of a layer in the engine's store those of its files alone.
    pub(crate) size: u64,
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

/// A member that an archive does not have.
pub(super) fn missing(name: &str, source: &str) -> Error {
    Error::usage(format!("{name} is missing in {source}")).hint(
        "the archive is cut short or damaged; write it again, and check that the disk is not full",
    )
}
