//! The lock item's `Info`, byte for byte as Terraform and OpenTofu write it: OpenTofu unlocks on
//! the condition that it equals what Go's `json.Marshal` makes of the parsed struct
//! (opentofu#2410), so field order, escapes and the form of the time all count.
//! Source: terraform `internal/states/statemgr/locker.go`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The holder of a lock, in Terraform's own fields and order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LockInfo {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) info: String,
    #[serde(default)]
    pub(crate) who: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) created: String,
    #[serde(default)]
    pub(crate) path: String,
}

impl LockInfo {
    /// A new lock on `path` (`bucket/key`). Terraform prints `info` in its own error, so it says
    /// where to look.
    pub(crate) fn new(
        path: String,
        operation: &str,
        info: String,
        who: String,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            operation: operation.to_owned(),
            info,
            who,
            version: concat!("slipway ", env!("CARGO_PKG_VERSION")).to_owned(),
            // `Rfc3339` writes no trailing zeros and `Z` for UTC, as Go does.
            created: now.format(&Rfc3339).unwrap_or_default(),
            path,
        }
    }

    /// Go's `json.Marshal`: no spaces, and `<`, `>`, `&`, U+2028 and U+2029 escaped.
    pub(crate) fn to_json(&self) -> String {
        let plain = serde_json::to_string(self).unwrap_or_default();
        let mut out = String::with_capacity(plain.len());
        for character in plain.chars() {
            match character {
                '<' => out.push_str("\\u003c"),
                '>' => out.push_str("\\u003e"),
                '&' => out.push_str("\\u0026"),
                '\u{2028}' => out.push_str("\\u2028"),
                '\u{2029}' => out.push_str("\\u2029"),
                other => out.push(other),
            }
        }
        out
    }

    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use time::macros::datetime;

    #[test]
    fn the_bytes_are_those_go_writes() {
        let mut info = LockInfo::new(
            "bucket/key".into(),
            "slipway",
            "a<b>&c\u{2028}\"é".into(),
            "u@h".into(),
            datetime!(2026-11-21 17:02:29.8555 UTC),
        );
        info.id = "3f".into();
        info.version = "1.11.4".into();
        expect![[r#"{"ID":"3f","Operation":"slipway","Info":"a\u003cb\u003e\u0026c\u2028\"é","Who":"u@h","Version":"1.11.4","Created":"2026-11-21T17:02:29.8555Z","Path":"bucket/key"}"#]]
            .assert_eq(&info.to_json());
        assert_eq!(LockInfo::from_json(&info.to_json()), Some(info));
    }

    /// OpenTofu unlocks on the condition that the info it read, serialized again, equals the stored one.
    #[test]
    fn the_lock_info_of_terraform_round_trips_byte_for_byte() {
        for text in [
            r#"{"ID":"9a2c1d9e-5f6b-4b3e-9d0c-2f0c9a5f6a11","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-21T17:02:29.855501766Z","Path":"states/shop/dev/terraform.tfstate"}"#,
            // Whole seconds, and what Go escapes.
            r#"{"ID":"1","Operation":"migration destination","Info":"a \u003c b \u0026\u0026 \"c\" \\ \u2028","Who":"A\\B@é","Version":"1.12.0-dev","Created":"2026-11-21T17:02:29Z","Path":"b/k"}"#,
        ] {
            assert_eq!(LockInfo::from_json(text).unwrap().to_json(), text);
        }
    }
}
