//! Statements that a verifier can check without trusting where they are kept: the provenance of images,
//! in DSSE envelopes signed by a key in KMS and verified with its public half. Knows no step.

mod artifact;
mod call;
mod dsse;
mod ecr;
mod key;
mod kms;
mod provenance;
mod signature;
mod signer;
mod statement;
mod verify;

pub use artifact::{Artifact, Image, is_tag, tag, tag_of, tag_prefix};
pub use dsse::{Envelope, Malformed};
pub use ecr::find;
pub use key::{PublicKey, Unproven};
pub use kms::public_key;
pub use provenance::{Builder, Origin, Provenance};
pub use signature::{Signature, pae};
pub use signer::Signer;
pub use statement::Unfit;
pub use verify::{Unverified, envelope, repository, verified};
