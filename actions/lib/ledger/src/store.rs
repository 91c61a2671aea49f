//! Reads and appends to the ledger's table. Writing needs PutItem and ConditionCheckItem, but neither UpdateItem nor
//! DeleteItem.

use crate::anchor::Anchor;
use crate::chain::Chain;
use crate::entry::{Entry, PAYLOAD_TYPE, Recorded, payload};
use crate::fault::Fault;
use crate::keyed::Keyed;
use crate::record::{Record, SignedPart, write};
use crate::walk::walk;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use kit::error::{Error, ErrorKind, Result};
use net::{Account, AwsContext};
use std::sync::Arc;

/// How many of a chain's newest records are read. Most reads end at the first page; what somebody appends
/// by cancelled runs must not push the version that runs out of sight.
pub const LOOK_BACK: usize = 20_000;

/// Entries of a first request when more than the head is read: what is looked for is mostly near the
/// head, and then a long chain costs no more than a short one.
const FIRST_PAGE: usize = 10;
/// Entries of every later request.
const PAGE: usize = 250;

/// How often a chain is read that grows while its anchor is read.
const LOOKS: usize = 100;

/// How an append ended.
#[derive(Debug)]
pub enum Append {
    /// The record is in the chain.
    Done(Entry),
    /// Another run was first and nothing was written. Contains the new head, from which the caller
    /// starts over.
    Conflict(Option<Entry>),
}

/// The table, accessed with one account's credentials.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) client: Client,
    /// Whose credentials it is accessed with.
    pub(crate) account: Account,
    pub(crate) table: String,
    /// The key that signs records, if one is named.
    pub(crate) key: Option<Arc<Keyed>>,
    /// Where their hashes are anchored, if anywhere.
    pub(crate) anchor: Option<Anchor>,
    /// The hash of a head that a person accepts although it is not proven.
    pub(crate) accept: Option<String>,
    /// True if a hash that a killed run left out of the anchor is written.
    pub(crate) completes: bool,
}

impl Ledger {
    /// The ledger in `table` of `account`.
    pub fn new(account: &Account, table: impl Into<String>) -> Self {
        Self {
            client: Client::new(&account.config),
            account: account.clone(),
            table: table.into(),
            key: None,
            anchor: None,
            accept: None,
            completes: false,
        }
    }

    /// The newest entry.
    ///
    /// # Errors
    /// The table cannot be read, or the entry is not what was written (exit 3).
    pub async fn head(&self, chain: &Chain) -> Result<Option<Entry>> {
        Ok(self.newest(chain, 1, |_| false).await?.into_iter().next())
    }

    /// The newest entry, whatever it is worth.
    pub(crate) async fn raw_head(&self, chain: &Chain) -> Result<Option<Entry>> {
        let (entries, _) = self.pages(chain, 1, &|_: &[Entry]| false).await?;
        Ok(entries.into_iter().next())
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
        let found = self.find_entry(chain, limit, wanted).await?;
        Ok(found.and_then(|entry| entry.record(chain).ok()))
    }

    /// As [`Ledger::find`], as it is stored.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub async fn find_entry(
        &self,
        chain: &Chain,
        limit: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Option<Entry>> {
        let picks = |entry: &Entry| entry.record(chain).is_ok_and(|record| wanted(&record));
        let any = |read: &[Entry]| read.iter().any(picks);
        let read = self.newest(chain, limit, any).await?;
        Ok(read.into_iter().find(picks))
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
        let read = self.entries(chain, limit, last).await?;
        let recorded = |entry: Entry| self.recorded(chain, entry);
        read.into_iter().map(recorded).collect()
    }

    /// As [`Ledger::recent`], each as it is stored.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub async fn entries(
        &self,
        chain: &Chain,
        limit: usize,
        last: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Entry>> {
        let last = |entry: &Entry| entry.record(chain).is_ok_and(|record| last(&record));
        let any = |read: &[Entry]| read.iter().any(last);
        self.newest(chain, limit, any).await
    }

    /// As [`Ledger::recent`], each as it is stored, up to the page with which `enough` accepts all that was read.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub async fn entries_until(
        &self,
        chain: &Chain,
        limit: usize,
        enough: impl Fn(&[Recorded]) -> bool,
    ) -> Result<Vec<Entry>> {
        let enough = |read: &[Entry]| {
            let records = read.iter().map(|entry| entry.recorded(chain));
            // What cannot be read is a fault of the chain, whatever else is read.
            let records: std::result::Result<Vec<Recorded>, _> = records.collect();
            records.is_ok_and(|records| enough(&records))
        };
        self.newest(chain, limit, enough).await
    }

    /// The record of an entry.
    pub(crate) fn recorded(&self, chain: &Chain, entry: Entry) -> Result<Recorded> {
        let record = entry.record(chain);
        Ok(Recorded {
            record: record.map_err(|fault| self.broken(chain, &[fault]))?,
            hash: entry.hash,
        })
    }

    /// Writes `record` after `head`, in one transaction with the proof that `head` is still what
    /// the caller saw. The record's `seq` is set here.
    ///
    /// With a key, the record is signed; with an anchor, its hash is there when this returns.
    ///
    /// # Errors
    /// The table or the anchor cannot be written, or the key does not sign. A lost race is not an
    /// error but [`Append::Conflict`].
    pub async fn append(
        &self,
        chain: &Chain,
        head: Option<&Entry>,
        record: Record,
    ) -> Result<Append> {
        let entry = self.signed(chain, head, record).await?;
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
            Ok(_) => {
                self.anchor_new(chain, &entry).await?;
                Ok(Append::Done(entry))
            }
            Err(error) if is_head_conflict(error.as_service_error()) => {
                Ok(Append::Conflict(self.head(chain).await?))
            }
            Err(error) => Err(error).cannot(format!(
                "append record {} to the ledger {} ({chain})",
                entry.seq, self.table
            )),
        }
    }

    /// The entry that appends `record` after `head`, signed if there is a key.
    async fn signed(
        &self,
        chain: &Chain,
        head: Option<&Entry>,
        mut record: Record,
    ) -> Result<Entry> {
        record.seq = head.map_or(1, |head| head.seq + 1);
        if let Some(before) = head.and_then(|head| head.record(chain).ok()) {
            crate::order::follow(&before, &mut record);
        }
        let part = self.signed_part(chain, head).await?;
        let bytes = write(&record, part.as_ref())
            .map_err(|error| Error::failed("cannot write a record as JSON").because(error))?;
        let mut entry = Entry::after(head, bytes);
        if let Some(key) = &self.key {
            let payload = payload(chain, entry.seq, &entry.hash);
            let signer = key.signer().await?;
            entry.signature = Some(signer.sign(PAYLOAD_TYPE, payload.as_bytes()).await?);
        }
        Ok(entry)
    }

    /// The next record's fields about the signed part of its chain.
    async fn signed_part(&self, chain: &Chain, head: Option<&Entry>) -> Result<Option<SignedPart>> {
        let accepted = |head: &Entry| self.accept.as_ref() == Some(&head.hash);
        let Some(key) = &self.key else {
            let accepted = head.filter(|head| accepted(head));
            return Ok(accepted.map(|head| SignedPart {
                signed_from: None,
                accepted_head: Some(head.hash.clone()),
            }));
        };
        let Some(head) = head else {
            return Ok(Some(SignedPart {
                signed_from: Some(1),
                accepted_head: None,
            }));
        };
        let public = key.signer().await?.public_key();
        if head.signed(chain, public) == crate::entry::Signed::Valid {
            let envelope = head
                .envelope(chain)
                .map_err(|fault| self.broken(chain, &[fault]))?;
            return Ok(Some(SignedPart {
                signed_from: Some(envelope.signed_from.unwrap_or(1)),
                accepted_head: None,
            }));
        }
        if accepted(head) {
            return Ok(Some(SignedPart {
                signed_from: Some(head.seq + 1),
                accepted_head: Some(head.hash.clone()),
            }));
        }
        let fault = match head.signature {
            None => Fault::Unsigned { seq: head.seq },
            Some(_) => Fault::Forged { seq: head.seq },
        };
        Err(self.broken(chain, &[fault]))
    }

    /// The newest entries, newest first: at most `limit`, and none beyond the page with which they are
    /// `enough`. Refuses what is broken, and what is not proven although a key or an anchor is named.
    pub(crate) async fn newest(
        &self,
        chain: &Chain,
        limit: usize,
        enough: impl Fn(&[Entry]) -> bool,
    ) -> Result<Vec<Entry>> {
        for _ in 0..LOOKS {
            let (read, key) = tokio::join!(self.pages(chain, limit, &enough), self.public_key());
            let ((entries, whole), key) = (read?, key?);
            let walked = walk(chain, entries.iter().rev(), whole, None);
            if !walked.faults.is_empty() {
                return Err(self.broken(chain, &walked.faults));
            }
            if self.proven(chain, &entries, key).await? {
                return Ok(entries);
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!("chain {chain} of the ledger {} keeps growing", self.table),
        )
        .hint("run the step again"))
    }

    /// As [`Self::newest`], unchecked; with whether the table has no older one.
    async fn pages(
        &self,
        chain: &Chain,
        limit: usize,
        enough: &impl Fn(&[Entry]) -> bool,
    ) -> Result<(Vec<Entry>, bool)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut start = None;
        // Every page except the last has an entry, so there are at most as many pages as entries.
        for _ in 0..=limit {
            let page = if entries.is_empty() { FIRST_PAGE } else { PAGE };
            let wanted = page.min(limit - entries.len());
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#chain = :chain")
                .expression_attribute_names("#chain", "chain")
                .expression_attribute_values(":chain", AttributeValue::S(chain.as_str().to_owned()))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .cannot(format!("read the ledger {} ({chain})", self.table))?;
            for item in answer.items.unwrap_or_default() {
                entries.push(self.entry(chain, &item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || entries.len() >= limit || enough(&entries) {
                return Ok((entries, start.is_none()));
            }
        }
        Err(Error::failed(format!(
            "the ledger {} returns an endless list for chain {chain}",
            self.table
        )))
    }
}

/// Returns true if a transaction was cancelled because the chain has a newer head, by its reasons
/// (Amazon DynamoDB API Reference, TransactWriteItems, "Cancellation reason codes").
fn is_head_conflict(error: Option<&TransactWriteItemsError>) -> bool {
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
