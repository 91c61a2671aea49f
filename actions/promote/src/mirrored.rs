//! The record that a GitHub Deployment mirrors, as its payload states it. Pure.

use github::Deployment;
use kit::id::Digest;
use ledger::Record;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The payload of a Deployment that mirrors a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mirrored {
    pub(crate) service: String,
    digest: Option<Digest>,
    /// The record's number in its chain.
    pub(crate) record: u64,
    pub(crate) hash: String,
}

impl Mirrored {
    /// The payload for the Deployment of a record.
    pub(crate) fn of(record: &Record, hash: &str) -> Self {
        Self {
            service: record.service.clone(),
            digest: Some(record.digest.clone()),
            record: record.seq,
            hash: hash.to_owned(),
        }
    }

    /// The payload of a Deployment, if it mirrors a record. GitHub returns a payload as it was sent, or as text.
    pub(crate) fn read(deployment: &Deployment) -> Option<Self> {
        match &deployment.payload {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Self::deserialize(other).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment_history::tests::deployed;
    use serde_json::json;

    #[test]
    fn a_deployment_says_which_record_it_mirrors_or_none() {
        let with = |payload: Value| Deployment {
            id: 1,
            sha: String::new(),
            payload,
            creator: None,
        };
        let record = Record {
            seq: 7,
            ..deployed('a')
        };
        let mirrored = Mirrored::of(&record, "ab");
        let payload = serde_json::to_value(&mirrored).unwrap();
        assert_eq!(payload["record"], 7);
        let text = json!(payload.to_string());
        let more = json!({"service": "storefront", "record": 7, "hash": "ab", "more": []});
        for payload in [&payload, &text] {
            assert_eq!(
                Mirrored::read(&with(payload.clone())).as_ref(),
                Some(&mirrored)
            );
        }
        assert_eq!(Mirrored::read(&with(more)).unwrap().hash, "ab");
        for other in [
            json!({ "hash": "ab" }),
            json!({"service": "storefront", "record": -7, "hash": "ab"}),
            json!({}),
            json!(""),
            Value::Null,
        ] {
            assert_eq!(Mirrored::read(&with(other)), None);
        }
    }
}
