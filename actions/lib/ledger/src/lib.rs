//! The promotion ledger: one append-only, hash-chained list of records for each environment of a
//! service, in a DynamoDB table of the build account, signed by a key and anchored in a bucket where
//! the contract names them. `promote` writes it; other steps read it. Beside the lists stands which
//! commits an image is the content of, which `image` writes. docs/ledger.md specifies the format.

mod anchor;
pub mod applied;
mod audit;
mod chain;
mod content;
mod contention;
mod entry;
mod evidence;
pub mod export;
mod fault;
mod item;
mod keyed;
mod order;
pub mod permit;
mod proof;
mod record;
mod store;
mod strict;
mod trial;
mod trust;
mod walk;

pub use anchor::AnchorLocation;
pub use audit::{Anchors, Audit};
pub use chain::Chain;
pub use content::{Content, Noted};
pub use contention::{attempts, busy};
pub use entry::{Entry, GENESIS, Recorded, sha256};
pub use evidence::{LARGEST_EVIDENCE, evidence_hash, evidence_name, part};
pub use fault::Fault;
pub use permit::policy;
pub use record::{Actor, BreakGlass, Permit, Record, Request, Rollback, Verdict};
pub use store::{Append, LOOK_BACK, Ledger};
pub use strict::reads_alike;
pub use trust::Trust;
pub use walk::Walked;
