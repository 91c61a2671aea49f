//! The faults that a chain can have.

use serde::Serialize;
use std::fmt;

/// A fault of a chain, with its position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// The entry's bytes do not match its hash, or are not a record.
    Altered {
        /// The entry.
        seq: u64,
    },
    /// Entries are missing.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The entry is at another position, or in another chain, than it was written for.
    Reordered {
        /// Its actual position.
        seq: u64,
    },
    /// The entry does not follow the previous one: two histories meet here.
    Forked {
        /// The first entry of the other history.
        seq: u64,
    },
    /// The entry has no signature, and has to have one.
    Unsigned {
        /// The entry.
        seq: u64,
    },
    /// The entry's signature is not the ledger's key's.
    Forged {
        /// The entry.
        seq: u64,
    },
    /// The chain went on after the entry; 0 where nothing is left of it.
    CutOff {
        /// The last entry that is there.
        seq: u64,
    },
    /// The anchor holds another hash for the entry, or was written more than once.
    Replaced {
        /// The entry.
        seq: u64,
    },
    /// The anchor holds no hash for the entry, and has to hold one.
    Unanchored {
        /// The entry.
        seq: u64,
    },
    /// The entry says a later time than S3 says that its hash in the anchor was written.
    Postdated {
        /// The entry.
        seq: u64,
    },
    /// The evidence of the entry's decision is missing.
    EvidenceMissing {
        /// The entry.
        seq: u64,
    },
    /// The evidence found for the entry's decision is not the one that the entry names.
    EvidenceReplaced {
        /// The entry.
        seq: u64,
    },
    /// The entry's decision does not follow from its evidence.
    DecisionDiffers {
        /// The entry.
        seq: u64,
        /// The part that does not follow.
        why: String,
    },
    /// The entry's decision cannot be made again from what is there.
    Undecided {
        /// The entry.
        seq: u64,
        /// The reason why it cannot be made again.
        why: String,
    },
    /// The chain does not have the entry, which a GitHub Deployment names.
    Lost {
        /// The entry.
        seq: u64,
        /// The Deployment.
        deployment: u64,
        /// The one who made it.
        by: String,
    },
    /// A GitHub Deployment names another hash for the entry.
    Mismatched {
        /// The entry.
        seq: u64,
        /// The Deployment.
        deployment: u64,
        /// The one who made it.
        by: String,
    },
    /// A line of an export does not have the form of one; nothing after it was read.
    Malformed {
        /// The line, from 1.
        line: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Altered { seq } => write!(f, "record {seq} was altered"),
            Fault::Missing { from, to } if from == to => write!(f, "record {from} is missing"),
            Fault::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Fault::Reordered { seq } => write!(f, "record {seq} is at the wrong position"),
            Fault::Forked { seq } => {
                write!(f, "record {seq} does not follow the record before it")
            }
            Fault::Unsigned { seq } => write!(f, "record {seq} is not signed"),
            Fault::Forged { seq } => {
                write!(f, "record {seq} is signed, but not by the ledger's key")
            }
            Fault::CutOff { seq: 0 } => f.write_str("all records were removed"),
            Fault::CutOff { seq } => write!(f, "records after {seq} were removed"),
            Fault::Replaced { seq } => {
                write!(f, "record {seq} is not the one that was anchored")
            }
            Fault::Unanchored { seq } => write!(f, "record {seq} is not anchored"),
            Fault::Postdated { seq } => {
                write!(
                    f,
                    "record {seq} states a later time than the one at which it was anchored"
                )
            }
            Fault::EvidenceMissing { seq } => write!(f, "the evidence of record {seq} is missing"),
            Fault::EvidenceReplaced { seq } => {
                write!(
                    f,
                    "the evidence of record {seq} is not the one that it names"
                )
            }
            Fault::DecisionDiffers { seq, why } => {
                write!(f, "record {seq} does not follow from its evidence: {why}")
            }
            Fault::Undecided { seq, why } => {
                write!(f, "record {seq} cannot be decided again: {why}")
            }
            Fault::Lost {
                seq,
                deployment,
                by,
            } => write!(
                f,
                "record {seq} is not in the chain, and GitHub Deployment {deployment} of {by} names it"
            ),
            Fault::Mismatched {
                seq,
                deployment,
                by,
            } => write!(
                f,
                "record {seq} is not the one that GitHub Deployment {deployment} of {by} names"
            ),
            Fault::Malformed { line } => write!(f, "line {line} is not a line of an export"),
        }
    }
}

impl Fault {
    pub(crate) fn position(&self) -> (u64, Fault) {
        let at = match self {
            Fault::Altered { seq }
            | Fault::Reordered { seq }
            | Fault::Forked { seq }
            | Fault::Unsigned { seq }
            | Fault::Forged { seq }
            | Fault::Replaced { seq }
            | Fault::Unanchored { seq }
            | Fault::Postdated { seq }
            | Fault::EvidenceMissing { seq }
            | Fault::EvidenceReplaced { seq }
            | Fault::DecisionDiffers { seq, .. }
            | Fault::Undecided { seq, .. }
            | Fault::Lost { seq, .. }
            | Fault::Mismatched { seq, .. } => *seq,
            Fault::Missing { from, .. } => *from,
            // After everything else.
            Fault::CutOff { .. } | Fault::Malformed { .. } => u64::MAX,
        };
        (at, self.clone())
    }
}
