//! Signatures that a verifier can check without asking anybody: DSSE envelopes signed by a key in KMS
//! and verified with its public key. Knows no step.

mod dsse;
mod key;
mod kms;
mod signer;

pub use dsse::{Envelope, Malformed, Signature, pae};
pub use key::{PublicKey, Unproven};
pub use kms::public_key;
pub use signer::Signer;
