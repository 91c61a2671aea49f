//! The promotion ledger: one append-only, hash-chained list of records for each environment of a
//! service, in a DynamoDB table of the build account. `promote` writes it; other steps read it. Beside
//! the lists stands which commits an image is the content of, which `image` writes.

mod chain;
mod content;
mod record;
mod store;

pub use chain::{Chain, Entry, Fault, GENESIS, sha256};
pub use content::{Content, Noted};
pub use record::{Actor, BreakGlass, Record, Rollback, Verdict};
pub use store::{Append, Ledger, Recorded};
