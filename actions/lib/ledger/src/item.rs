//! A record as an item of the table. Key `chain` (text, `SERVICE#ENVIRONMENT`) and `seq` (number); attributes `record`,
//! `hash`, `prev`, and for a signed record `signature` and `key`.

use crate::chain::Chain;
use crate::entry::Entry;
use crate::store::Ledger;
use attest::Signature;
use aws_sdk_dynamodb::types::AttributeValue;
use kit::error::{Error, Result};
use std::collections::HashMap;

impl Ledger {
    pub(crate) fn key(&self, chain: &Chain, seq: u64) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (
                "chain".to_owned(),
                AttributeValue::S(chain.as_str().to_owned()),
            ),
            ("seq".to_owned(), AttributeValue::N(seq.to_string())),
        ])
    }

    pub(crate) fn item(&self, chain: &Chain, entry: &Entry) -> HashMap<String, AttributeValue> {
        let mut item = self.key(chain, entry.seq);
        for (name, value) in [
            ("record", &entry.bytes),
            ("hash", &entry.hash),
            ("prev", &entry.prev),
        ] {
            item.insert(name.to_owned(), AttributeValue::S(value.clone()));
        }
        if let Some(signature) = &entry.signature {
            let key = signature.keyid.clone().unwrap_or_default();
            item.insert("key".to_owned(), AttributeValue::S(key));
            let sig = AttributeValue::S(signature.sig.clone());
            item.insert("signature".to_owned(), sig);
        }
        item
    }

    pub(crate) fn entry(
        &self,
        chain: &Chain,
        item: &HashMap<String, AttributeValue>,
    ) -> Result<Entry> {
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
                signature: text("signature").map(|sig| Signature {
                    keyid: text("key"),
                    sig,
                }),
            }),
            _ => Err(Error::refused(format!(
                "the table {} contains an item in chain {chain} that is not a ledger record",
                self.table
            ))
            .hint("check the contract's ledger table")),
        }
    }
}
