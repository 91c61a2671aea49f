//! The commits that share an image. An image is built for one commit; a later commit that changes
//! nothing in the image uses the same one, whose labels still name the first commit. Each digest
//! has a list with an item for each of its commits.
//!
//! The list is not a promotion chain: its partition key has a form that no chain has
//! ([`Chain`](crate::Chain) takes no `#` in a name), its items have no hashes, and no gate
//! depends on it. A build may write here, and a condition on `dynamodb:LeadingKeys` (`content#*`)
//! keeps it from writing anywhere else in the table.

use crate::store::Ledger;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use kit::Lenient;
use kit::backoff;
use kit::contract::reserved::CONTENT;
use kit::error::{Error, ErrorKind, Result};
use kit::id::{CommitId, Digest};
use net::AwsContext;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// Attempts to append to a list; each conflict means that another commit was written.
const ATTEMPTS: usize = 10;
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// Pages of a list that are read; 1 MB each, thousands of commits.
const PAGES: usize = 100;

/// A note that a commit's content is an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The service.
    pub service: String,
    /// The image's manifest digest.
    pub digest: Digest,
    /// The commit.
    pub commit: CommitId,
    /// The content key that both commits share: 64 hexadecimal digits.
    pub key: String,
    /// The revision that the image's label names; equal to `commit` if the image was built for it. A label can be
    /// set to anything, and a note that cannot be read would block the list.
    pub first_commit: Lenient<CommitId>,
    /// When it was written, RFC 3339 in UTC.
    pub at: String,
    /// The page of the run that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// How a note ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// The note was written.
    Written,
    /// The ledger already had the note.
    Known,
}

impl Ledger {
    /// Notes that a commit's content is an image. Repeated calls write one note.
    ///
    /// # Errors
    /// The table cannot be read or written, or a name cannot be part of its key (exit 2).
    pub async fn note(&self, content: &Content) -> Result<Noted> {
        let partition = partition(&content.service, &content.digest)?;
        let bytes = serde_json::to_string(content)
            .map_err(|error| Error::failed("cannot write a content as JSON").because(error))?;
        for wait in backoff::attempts(ATTEMPTS, FIRST_WAIT) {
            tokio::time::sleep(wait).await;
            let there = self.contents_of(&partition).await?;
            if there
                .iter()
                .any(|(_, there)| there.commit == content.commit)
            {
                return Ok(Noted::Known);
            }
            let seq = there.last().map_or(1, |(seq, _)| seq + 1);
            let answer = self
                .client
                .put_item()
                .table_name(&self.table)
                .item("chain", AttributeValue::S(partition.clone()))
                .item("seq", AttributeValue::N(seq.to_string()))
                .item("content", AttributeValue::S(bytes.clone()))
                .condition_expression("attribute_not_exists(#chain)")
                .expression_attribute_names("#chain", "chain")
                .send()
                .await;
            match answer {
                Ok(_) => return Ok(Noted::Written),
                Err(error)
                    if matches!(
                        error.as_service_error(),
                        Some(PutItemError::ConditionalCheckFailedException(_))
                    ) => {}
                Err(error) => {
                    return Err(error)
                        .cannot(format!(
                            "write to the ledger {} which commit {} was built for",
                            self.table, content.digest
                        ))
                        .map_err(|error| {
                            error.hint("the role needs dynamodb:Query and dynamodb:PutItem on the table where dynamodb:LeadingKeys begins with content#")
                        });
                }
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!(
                "other runs kept writing notes about {} to the ledger {}",
                content.digest, self.table
            ),
        )
        .hint("run the step again"))
    }

    /// The commits that share an image, the one it was built for first.
    ///
    /// # Errors
    /// The table cannot be read, or contains another kind of item there (exit 3).
    pub async fn contents(&self, service: &str, digest: &Digest) -> Result<Vec<Content>> {
        let partition = partition(service, digest)?;
        let found = self.contents_of(&partition).await?;
        Ok(found.into_iter().map(|(_, content)| content).collect())
    }

    async fn contents_of(&self, partition: &str) -> Result<Vec<(u64, Content)>> {
        let mut found = Vec::new();
        let mut start = None;
        for _ in 0..PAGES {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#chain = :chain")
                .expression_attribute_names("#chain", "chain")
                .expression_attribute_values(":chain", AttributeValue::S(partition.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .cannot(format!("read the ledger {} ({partition})", self.table))?;
            for item in answer.items.unwrap_or_default() {
                found.push(read(&item, partition).ok_or_else(|| {
                    Error::refused(format!(
                        "the table {} contains an item in {partition} that is not a note about an image",
                        self.table
                    ))
                    .hint("find out in CloudTrail who wrote to the table")
                })?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
        Err(Error::failed(format!(
            "the ledger {} returns an endless list for {partition}",
            self.table
        )))
    }
}

/// The key has three parts, while a promotion chain's has two.
fn partition(service: &str, digest: &Digest) -> Result<String> {
    if service.is_empty() || service.contains('#') {
        return Err(Error::usage(format!(
            "{service:?} cannot be part of a key in the ledger"
        )));
    }
    Ok(format!("{CONTENT}#{service}#{digest}"))
}

/// The note in an item, if it belongs to the item's position.
fn read(item: &HashMap<String, AttributeValue>, own: &str) -> Option<(u64, Content)> {
    let seq = item.get("seq")?.as_n().ok()?.parse().ok()?;
    let content: Content = serde_json::from_str(item.get("content")?.as_s().ok()?).ok()?;
    let key = partition(&content.service, &content.digest).ok()?;
    (key == own).then_some((seq, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;
    use expect_test::expect;

    fn content() -> Content {
        Content {
            service: "storefront".to_owned(),
            digest: Digest::sha256([0xaa; 32]),
            commit: CommitId::parse(&"2".repeat(40)).unwrap(),
            key: "k".to_owned(),
            first_commit: "1".repeat(40).as_str().into(),
            at: "2026-11-21T18:00:00Z".to_owned(),
            run: None,
        }
    }

    fn item(content: &Content) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("seq".to_owned(), AttributeValue::N("1".to_owned())),
            (
                "content".to_owned(),
                AttributeValue::S(serde_json::to_string(content).unwrap()),
            ),
        ])
    }

    #[test]
    fn a_list_of_contents_is_not_a_chain_and_its_written_form_is_fixed() {
        let own = partition("storefront", &content().digest).unwrap();
        assert_eq!(own.matches('#').count(), 2);
        assert!(Chain::new("content", "storefront").is_err());
        let chain = Chain::new("storefront", "content").unwrap();
        assert_eq!(chain.as_str().matches('#').count(), 1);
        assert!(partition("a#b", &content().digest).is_err());
        expect![[r#"{"service":"storefront","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","commit":"2222222222222222222222222222222222222222","key":"k","first_commit":"1111111111111111111111111111111111111111","at":"2026-11-21T18:00:00Z"}"#]]
            .assert_eq(&serde_json::to_string(&content()).unwrap());
    }

    #[test]
    fn an_item_counts_only_in_its_own_place() {
        let own = partition("storefront", &content().digest).unwrap();
        assert_eq!(read(&item(&content()), &own), Some((1, content())));
        let other = Content {
            service: "other".to_owned(),
            ..content()
        };
        assert_eq!(read(&item(&other), &own), None);
        assert_eq!(read(&HashMap::new(), &own), None);
    }
}
