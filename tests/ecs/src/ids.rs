//! Identifiers in the forms AWS gives them, and the time.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 32 hexadecimal digits, as in a task ID.
pub(crate) fn hex32() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// 16 hexadecimal digits, as at the end of a load balancer's ARN.
pub(crate) fn hex16() -> String {
    hex32()[..16].to_owned()
}

/// 19 decimal digits, as in `ecs-svc/1234567890123456789` and in a service revision.
pub(crate) fn digits19() -> String {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    (1_000_000_000_000_000_000 + high % 8_000_000_000_000_000_000).to_string()
}

/// Now, in seconds since 1970 with milliseconds: the form of a timestamp in AWS's JSON protocols.
pub(crate) fn now() -> f64 {
    let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
    (nanos / 1_000_000) as f64 / 1000.0
}

/// The form of a timestamp in AWS's query protocol.
pub(crate) fn iso(seconds: f64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos((seconds * 1000.0) as i128 * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
