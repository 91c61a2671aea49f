//! The registry itself (`/v2`, OCI Distribution Specification): its token, blobs, manifests and
//! what refers to them.
//!
//! Each request is one attempt, and its failure is a [`Fault`] that says what the failure means. A caller that needs several
//! requests for one purpose makes them inside [`Client::retry`], the only code that tries again.

mod attempt;
mod blobs;
mod body;
mod client;
mod endpoint;
mod fault;
mod manifests;
mod rate;
mod referrers;
mod request;
mod retry;
mod token;

pub(crate) use blobs::Mount;
pub(crate) use body::{Body, Moved};
pub(crate) use client::{Client, Repo};
pub(crate) use endpoint::Registry;
pub(crate) use fault::{Fault, Kind};
pub(crate) use manifests::{MANIFESTS, Manifest};
pub(crate) use referrers::{list_tag, listed, signer_tags};
#[cfg(test)]
pub(crate) use retry::RetryPolicy;
pub(crate) use token::{Pass, Token};

/// The bytes a pull of this one image transfers, from its manifest; `None` for an index.
pub(crate) fn size(manifest: &[u8]) -> Option<u64> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    let config = manifest.pointer("/config/size")?.as_u64()?;
    manifest
        .get("layers")?
        .as_array()?
        .iter()
        .map(|layer| layer.get("size")?.as_u64())
        .try_fold(config, |sum, size| sum.checked_add(size?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_no_size_of_its_own() {
        assert_eq!(
            size(br#"{"config":{"size":10},"layers":[{"size":1},{"size":2}]}"#),
            Some(13)
        );
        assert_eq!(size(br#"{"manifests":[]}"#), None);
        assert_eq!(size(b"x"), None);
    }
}
