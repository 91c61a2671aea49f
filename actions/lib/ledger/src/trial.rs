//! Checks that this caller could append to a chain. Each part of the append is tried in a way that changes nothing.

use crate::chain::Chain;
use crate::store::Ledger;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, TransactWriteItem,
};
use kit::error::{Error, Result};
use net::AwsContext;

/// A condition that no item meets, whether it is there or not.
const NEVER: &str = "attribute_exists(#chain) AND attribute_not_exists(#chain)";

/// Returns true if a transaction was refused for its conditions and for nothing else, such as too many writes at once.
fn only_conditions_failed(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons.iter().map(|reason| reason.code());
    let met = |code: &Option<&str>| matches!(code, None | Some("None"));
    codes.clone().any(|code| !met(&code))
        && codes.all(|code| met(&code) || code == Some("ConditionalCheckFailed"))
}

fn build_error(error: BuildError) -> Error {
    Error::failed("cannot build a ledger write").because(error)
}

impl Ledger {
    /// Checks that the key would sign a record. Returns the key's name, or `None` if no key is named.
    ///
    /// # Errors
    /// It would not.
    pub async fn would_sign(&self) -> Result<Option<String>> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let signer = key.signer().await?;
        signer.would_sign().await?;
        Ok(Some(signer.public_key().id()))
    }

    /// Checks that the table would take a record: a transaction of the same form, on conditions that are never met.
    ///
    /// # Errors
    /// The caller may not write.
    pub async fn would_append(&self, chain: &Chain) -> Result<()> {
        // Records are numbered from 1.
        let key = self.key(chain, 0);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(key))
            .condition_expression(NEVER)
            .expression_attribute_names("#chain", "chain")
            .build()
            .map_err(build_error)?;
        let mut other = self.key(chain, 0);
        other.insert("seq".to_owned(), AttributeValue::N("-1".to_owned()));
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(other))
            .condition_expression(NEVER)
            .expression_attribute_names("#chain", "chain")
            .build()
            .map_err(build_error)?;
        let answer = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .send()
            .await;
        match answer {
            Ok(_) => Err(Error::failed(format!(
                "the ledger {} does not check the conditions of writes",
                self.table
            ))),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(why))
                    if only_conditions_failed(why.cancellation_reasons()) =>
                {
                    Ok(())
                }
                _ => Err(error).cannot(format!("append to the ledger {} ({chain})", self.table)),
            },
        }
    }

    /// Checks that the anchor would take a hash: that of the newest anchored record is written again, on the condition that it is not
    /// there. Returns the number of that record; `None` if there is none yet, or no bucket is named.
    ///
    /// # Errors
    /// The caller may not write.
    pub async fn would_anchor(&self, chain: &Chain) -> Result<Option<u64>> {
        let (Some(anchor), Some(head)) = (&self.anchor, self.raw_head(chain).await?) else {
            return Ok(None);
        };
        match anchor.get(chain, head.seq).await? {
            None => Ok(None),
            Some(hash) => {
                anchor.put(chain, head.seq, &hash).await?;
                Ok(Some(head.seq))
            }
        }
    }

    /// The default retention of the anchor's bucket; `None` if it has none, or no bucket is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn retention(&self) -> Result<Option<String>> {
        match &self.anchor {
            None => Ok(None),
            Some(anchor) => anchor.retention().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_something_else_cancelled_shows_nothing() {
        let reasons = |codes: &[&str]| {
            let codes = codes.iter();
            let reasons: Vec<_> = codes
                .map(|code| CancellationReason::builder().code(*code).build())
                .collect();
            only_conditions_failed(&reasons)
        };
        let failed = "ConditionalCheckFailed";
        assert!(reasons(&[failed, failed]));
        assert!(reasons(&["None", failed]));
        for other in [
            &[failed, "TransactionConflict"][..],
            &["ThrottlingError"],
            &["None", "None"],
            &[],
        ] {
            assert!(!reasons(other), "{other:?}");
        }
    }
}
