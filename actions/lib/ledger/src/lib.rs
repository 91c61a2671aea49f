//! The promotion ledger: one append-only, hash-chained list of records for each environment of a
//! service, in a DynamoDB table of the build account. `promote` writes it; other steps read it.

mod chain;
mod record;
mod store;

pub use chain::{Chain, Entry, Fault, sha256};
pub use record::{Actor, Record, Verdict};
pub use store::{Append, Ledger};
