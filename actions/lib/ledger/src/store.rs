//! The ledger's table. Key `chain` (text, `SERVICE#ENVIRONMENT`) and `seq` (number); attributes
//! `record`, `hash`, `prev`. Writing needs PutItem and ConditionCheckItem, but neither UpdateItem
//! nor DeleteItem.

use crate::chain::{Chain, Entry, verify};
use crate::record::Record;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use kit::error::{Error, Result};
use net::{Account, AwsContext};
use std::collections::HashMap;

/// Entries per request when more than the head is read.
const PAGE: i32 = 100;

/// How an append ended.
#[derive(Debug)]
pub enum Append {
    /// The record is in the chain.
    Done(Entry),
    /// Another run was first and nothing was written. Contains the new head, from which the caller
    /// starts over.
    Conflict(Option<Entry>),
}

/// A record of a chain, with the hash that the chain has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// SHA-256 of the entry, 64 hexadecimal digits.
    pub hash: String,
    /// The record.
    pub record: Record,
}

/// The table, accessed with one account's credentials.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Ledger {
    /// The ledger in `table` of `account`.
    pub fn new(account: &Account, table: impl Into<String>) -> Self {
        Self {
            client: Client::new(&account.config),
            table: table.into(),
        }
    }

    /// The newest entry.
    ///
    /// # Errors
    /// The table cannot be read, or the entry is not what was written (exit 3).
    pub async fn head(&self, chain: &Chain) -> Result<Option<Entry>> {
        Ok(self.newest(chain, 1, |_| false).await?.into_iter().next())
    }

    /// The newest record.
    ///
    /// # Errors
    /// As [`Ledger::head`].
    pub async fn newest_record(&self, chain: &Chain) -> Result<Option<Record>> {
        self.find(chain, 1, |_| true).await
    }

    /// The newest record that `wanted` accepts, among the newest `limit`.
    ///
    /// # Errors
    /// As [`Ledger::head`]; also where entries among those read are missing or forked.
    pub async fn find(
        &self,
        chain: &Chain,
        limit: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Option<Record>> {
        let picks = |entry: &Entry| entry.record(chain).is_ok_and(|record| wanted(&record));
        let read = self.newest(chain, limit, picks).await?;
        Ok(read
            .iter()
            .filter_map(|entry| entry.record(chain).ok())
            .find(|record| wanted(record)))
    }

    /// The newest records with their hashes, newest first: at most `limit`, and none beyond the page
    /// that holds the `last`.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub async fn recent(
        &self,
        chain: &Chain,
        limit: usize,
        last: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Recorded>> {
        let last = |entry: &Entry| entry.record(chain).is_ok_and(|record| last(&record));
        let read = self.newest(chain, limit, last).await?;
        let recorded = |entry: Entry| {
            let record = entry.record(chain).ok()?;
            Some(Recorded {
                hash: entry.hash,
                record,
            })
        };
        Ok(read.into_iter().filter_map(recorded).collect())
    }

    /// Writes `record` after `head`, in one transaction with the proof that `head` is still what
    /// the caller saw. The record's `seq` is set here.
    ///
    /// # Errors
    /// The table cannot be written. A lost race is not an error but [`Append::Conflict`].
    pub async fn append(
        &self,
        chain: &Chain,
        head: Option<&Entry>,
        mut record: Record,
    ) -> Result<Append> {
        record.seq = head.map_or(1, |head| head.seq + 1);
        let bytes = serde_json::to_string(&record)
            .map_err(|error| Error::failed("cannot write a record as JSON").because(error))?;
        let entry = Entry::after(head, bytes);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(self.item(chain, &entry)))
            .condition_expression("attribute_not_exists(#chain)")
            .expression_attribute_names("#chain", "chain")
            .build()
            .map_err(|error| Error::failed("cannot build a ledger write").because(error))?;
        let mut items = vec![TransactWriteItem::builder().put(put).build()];
        if let Some(head) = head {
            let proof = ConditionCheck::builder()
                .table_name(&self.table)
                .set_key(Some(self.key(chain, head.seq)))
                .condition_expression("#hash = :hash")
                .expression_attribute_names("#hash", "hash")
                .expression_attribute_values(":hash", AttributeValue::S(head.hash.clone()))
                .build()
                .map_err(|error| Error::failed("cannot build a ledger write").because(error))?;
            items.push(TransactWriteItem::builder().condition_check(proof).build());
        }
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Append::Done(entry)),
            Err(error) if lost_the_race(error.as_service_error()) => {
                Ok(Append::Conflict(self.head(chain).await?))
            }
            Err(error) => Err(error).cannot(format!(
                "append record {} to the ledger {} ({chain})",
                entry.seq, self.table
            )),
        }
    }

    /// The newest entries, newest first: at most `limit`, and none beyond the page that holds the
    /// `last`. Refuses what is broken.
    async fn newest(
        &self,
        chain: &Chain,
        limit: usize,
        last: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<Entry>> {
        let (mut entries, first) = self.pages(chain, limit, last).await?;
        entries.reverse();
        let faults = verify(chain, &entries, first);
        if faults.is_empty() {
            entries.reverse();
            return Ok(entries);
        }
        let mut error = Error::refused(format!(
            "chain {chain} of the ledger table {} is broken, so its records prove nothing",
            self.table
        ));
        for fault in faults {
            error = error.cause(fault.to_string());
        }
        Err(error.hint("compare with the hashes in the payloads of the GitHub Deployments, and find out in CloudTrail who wrote to the table"))
    }

    /// As [`Self::newest`], unchecked; with whether the table has no older one.
    async fn pages(
        &self,
        chain: &Chain,
        limit: usize,
        last: impl Fn(&Entry) -> bool,
    ) -> Result<(Vec<Entry>, bool)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut start = None;
        // Every page except the last has an entry, so there are at most as many pages as entries.
        for _ in 0..=limit {
            let wanted = i32::try_from(limit - entries.len()).unwrap_or(PAGE);
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#chain = :chain")
                .expression_attribute_names("#chain", "chain")
                .expression_attribute_values(":chain", AttributeValue::S(chain.as_str().to_owned()))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(wanted.min(PAGE))
                .set_exclusive_start_key(start)
                .send()
                .await
                .cannot(format!("read the ledger {} ({chain})", self.table))?;
            for item in answer.items.unwrap_or_default() {
                entries.push(self.entry(chain, &item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || entries.len() >= limit || entries.iter().any(&last) {
                return Ok((entries, start.is_none()));
            }
        }
        Err(Error::failed(format!(
            "the ledger {} returns an endless list for chain {chain}",
            self.table
        )))
    }

    fn key(&self, chain: &Chain, seq: u64) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (
                "chain".to_owned(),
                AttributeValue::S(chain.as_str().to_owned()),
            ),
            ("seq".to_owned(), AttributeValue::N(seq.to_string())),
        ])
    }

    fn item(&self, chain: &Chain, entry: &Entry) -> HashMap<String, AttributeValue> {
        let mut item = self.key(chain, entry.seq);
        for (name, value) in [
            ("record", &entry.bytes),
            ("hash", &entry.hash),
            ("prev", &entry.prev),
        ] {
            item.insert(name.to_owned(), AttributeValue::S(value.clone()));
        }
        item
    }

    fn entry(&self, chain: &Chain, item: &HashMap<String, AttributeValue>) -> Result<Entry> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let seq = item
            .get("seq")
            .and_then(|value| value.as_n().ok())
            .and_then(|digits| digits.parse().ok());
        match (seq, text("prev"), text("hash"), text("record")) {
            (Some(seq), Some(prev), Some(hash), Some(bytes)) => Ok(Entry {
                seq,
                prev,
                hash,
                bytes,
            }),
            _ => Err(Error::refused(format!(
                "the table {} contains an item in chain {chain} that is not a ledger record",
                self.table
            ))
            .hint("check the contract's ledger table")),
        }
    }
}

/// Whether a transaction was cancelled because the chain has a newer head, by its reasons
/// (Amazon DynamoDB API Reference, TransactWriteItems, "Cancellation reason codes").
fn lost_the_race(error: Option<&TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error else {
        return false;
    };
    cancelled.cancellation_reasons().iter().any(|reason| {
        matches!(
            reason.code(),
            Some("ConditionalCheckFailed" | "TransactionConflict")
        )
    })
}
