//! The digests of bytes.

use kit::id::Digest;
use ring::digest::{Context, SHA256};

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
