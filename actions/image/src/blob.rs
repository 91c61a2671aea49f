//! A blob as a registry keeps it, and a layer on its way to becoming one.

use bytes::Bytes;
use kit::id::Digest;

/// A blob or manifest as an OCI descriptor names it (OCI Image Specification, "Descriptors").
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// How layers of an archive are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
