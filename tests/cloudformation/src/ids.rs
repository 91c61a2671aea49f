//! Identifiers and times in CloudFormation's forms.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A lower-case UUID.
pub(crate) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Twelve letters and digits, the end of a name that CloudFormation makes up.
pub(crate) fn suffix() -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uuid::Uuid::new_v4()
        .as_bytes()
        .iter()
        .take(12)
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// Now.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// `2026-01-02T03:04:05.678Z`.
pub(crate) fn text(time: OffsetDateTime) -> String {
    let millis = u32::from(time.millisecond()) * 1_000_000;
    let time = time.replace_nanosecond(millis).unwrap_or(time);
    time.format(&Rfc3339).unwrap_or_default()
}
