//! The lock's object in S3, `KEY.tflock`, of `use_lockfile`. Terraform reads its JSON and compares
//! the ID alone, so what we know of the holder is one more member of it, and every renewal is other
//! bytes with another ETag: a change can be conditional on exactly what was seen.

use super::seen::{Changed, ETag, Held, Put, Record, Release, Witness};
use crate::info::LockInfo;
use crate::lease::Lease;
use crate::s3::refused;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use kit::clock::uptime;
use kit::error::Result;
use net::AwsContext;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The lock object's location.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    client: Client,
    bucket: String,
    /// The state's key and `.tflock`.
    key: String,
    /// The last write of this process, so that a renewal or a release soon after does not read first.
    written: Arc<Mutex<Option<Written>>>,
}

#[derive(Debug)]
struct Written {
    /// The version number of the lease that was written.
    rvn: String,
    etag: ETag,
    /// The machine's uptime before the write.
    at: Duration,
}

impl Written {
    /// Returns true if this is the write of `record`, so recent that no other run can have taken over: some stores accept a
    /// condition and ignore it, and there only a read before the write protects the next holder's lock.
    fn is_recent_write_of(&self, record: &Record, now: Duration) -> bool {
        self.rvn == record.lease.rvn && now.saturating_sub(self.at) < record.lease.length() / 2
    }
}

/// The name of Slipway's member in the object's JSON.
const MEMBER: &str = "Slipway";

impl Object {
    pub(crate) fn new(client: Client, bucket: String, key: String) -> Self {
        Self {
            client,
            bucket,
            key,
            written: Arc::default(),
        }
    }

    pub(super) async fn put_new(&self, record: &Record, second: bool) -> Result<Put> {
        let at = uptime();
        let put = self.put(record, second).if_none_match("*");
        match put.send().await {
            Ok(answer) => {
                self.record_write(record, answer.e_tag, at);
                Ok(Put::Taken)
            }
            Err(error) if refused(&error) => Ok(match self.read().await? {
                Some(held) if held.is(record) => Put::Taken,
                Some(held) => Put::Held(held),
                None => Put::Missed,
            }),
            Err(error) => Err(error).cannot(format!("write {}", self.shown())),
        }
    }

    /// A write of `record`, which its caller makes conditional.
    fn put(&self, record: &Record, second: bool) -> PutObjectFluentBuilder {
        let put = self.client.put_object();
        put.bucket(&self.bucket)
            .key(&self.key)
            .content_type("application/json")
            .body(body(record, second).into_bytes().into())
    }

    fn record_write(&self, record: &Record, etag: Option<String>, at: Duration) {
        let written = etag.map(|etag| Written {
            rvn: record.lease.rvn.clone(),
            etag: ETag(etag),
            at,
        });
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
    }

    /// The entity tag of this process's write of `record`, if that write is recent.
    fn written(&self, record: &Record) -> Option<ETag> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written.as_ref()?;
        written
            .is_recent_write_of(record, uptime())
            .then(|| written.etag.clone())
    }

    /// Replaces `record` by `renewed`.
    pub(super) async fn renew(&self, record: &Record, renewed: &Record) -> Result<Changed> {
        if let Some(etag) = self.written(record) {
            return self.replace(&etag, renewed, false).await;
        }
        match self.read().await? {
            // The answer to an earlier attempt was lost.
            Some(held) if held.is_exactly(renewed) => Ok(Changed::Done),
            Some(Held {
                witness: Witness::Object(etag),
                info: Some(info),
                lease: Some(lease),
            }) if info.id == record.info.id && lease.rvn == record.lease.rvn => {
                self.replace(&etag, renewed, false).await
            }
            held => Ok(Changed::Moved(held)),
        }
    }

    pub(super) async fn read(&self) -> Result<Option<Held>> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error) if net::code(&error) == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(error).cannot(format!("read {}", self.shown())),
        };
        let etag = object.e_tag.clone().unwrap_or_default();
        let bytes = object
            .body
            .collect()
            .await
            .map_err(|error| {
                kit::Error::failed(format!("cannot read {}", self.shown())).because(error)
            })?
            .into_bytes();
        Ok(Some(held(&bytes, etag)))
    }

    pub(super) async fn replace(
        &self,
        seen: &ETag,
        record: &Record,
        second: bool,
    ) -> Result<Changed> {
        let at = uptime();
        let put = self.put(record, second).if_match(&seen.0);
        match put.send().await {
            Ok(answer) => {
                self.record_write(record, answer.e_tag, at);
                Ok(Changed::Done)
            }
            Err(error) if refused(&error) => Ok(match self.read().await? {
                Some(held) if held.is_exactly(record) => Changed::Done,
                held => Changed::Moved(held),
            }),
            Err(error) => Err(error).cannot(format!("renew {}", self.shown())),
        }
    }

    pub(super) async fn remove(&self, seen: &ETag) -> Result<Changed> {
        let answer = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .if_match(&seen.0)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Changed::Done),
            Err(error) if refused(&error) => Ok(Changed::Moved(self.read().await?)),
            Err(error) => Err(error).cannot(format!("remove {}", self.shown())),
        }
    }

    /// Removes the object if it is the one that `record` wrote: one call where nothing went wrong.
    pub(super) async fn remove_ours(&self, record: &Record) -> Result<Release> {
        let Some(etag) = self.written(record) else {
            return self.remove_id(&record.info.id, false).await;
        };
        // The SDK does not retry this call: a refusal then proves that somebody else removed or replaced the object. Only
        // after a lost answer the result is unknown.
        let once = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .if_match(etag.0)
            .customize()
            .config_override(once)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Release::Released),
            Err(error) => {
                let status = error.raw_response().map(|answer| answer.status().as_u16());
                self.remove_id(&record.info.id, may_have_succeeded(status))
                    .await
            }
        }
    }

    /// Removes the object if it holds the lock `id`. `tried`: an earlier removal may have succeeded.
    pub(super) async fn remove_id(&self, id: &str, mut tried: bool) -> Result<Release> {
        // A lock that is gone after our own removal was removed by it: the SDK retries if a response is lost, and the
        // second attempt finds nothing.
        for _ in 0..4 {
            match self.read().await? {
                None if tried => return Ok(Release::Released),
                None => return Ok(Release::Absent),
                Some(held) if held.id() != id && tried => return Ok(Release::Released),
                Some(held) if held.id() != id => return Ok(Release::NotOurs(held)),
                Some(Held {
                    witness: Witness::Object(etag),
                    ..
                }) => {
                    tried = true;
                    if self.remove(&etag).await? == Changed::Done {
                        return Ok(Release::Released);
                    }
                }
                Some(held) => return Ok(Release::NotOurs(held)),
            }
        }
        Err(
            kit::Error::failed(format!("{} changes while it is removed", self.shown()))
                .hint("something renews it: check whether its command still runs"),
        )
    }

    fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// Returns true if a removal that returned an error may have succeeded nevertheless. S3 rejects with 4xx and defers with 503,
/// both without removing anything (Amazon S3 API Reference, "Error responses").
fn may_have_succeeded(status: Option<u16>) -> bool {
    !matches!(status, Some(400..=499 | 503))
}

/// Terraform's seven members as Terraform writes them, and ours behind them.
fn body(record: &Record, second: bool) -> String {
    let ours = Lease {
        second_half: second,
        ..record.lease.clone()
    }
    .fields();
    let info = record.info.to_json();
    let head = info.strip_suffix('}').unwrap_or(&info);
    format!("{head},\"{MEMBER}\":{}}}", Value::Object(ours))
}

fn held(bytes: &[u8], etag: String) -> Held {
    let text = String::from_utf8_lossy(bytes);
    let ours = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|mut value| match value[MEMBER].take() {
            Value::Object(fields) => Some(fields),
            _ => None,
        });
    Held {
        info: LockInfo::from_json(&text).map(Box::new),
        lease: ours.and_then(Lease::from_fields).map(Box::new),
        witness: Witness::Object(ETag(etag)),
    }
}

/// Returns true if the object is half of a lock of ours whose other half is in the table.
pub(super) fn is_second_half(held: &Held) -> bool {
    held.lease.as_ref().is_some_and(|lease| lease.second_half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Phase;
    use crate::lease::tests::lease;

    fn record() -> Record {
        Record {
            info: LockInfo::new(
                "b/k".into(),
                "slipway-state run",
                "https://x?a&b".into(),
                "ada".into(),
                time::OffsetDateTime::UNIX_EPOCH,
            ),
            lease: lease(Phase::Running),
        }
    }

    #[test]
    fn the_object_begins_with_the_bytes_that_terraform_writes() {
        let record = record();
        let body = body(&record, false);
        let info = record.info.to_json();
        assert!(body.starts_with(&info[..info.len() - 1]), "{body}");
        let held = held(body.as_bytes(), "e".into());
        assert!(held.is_exactly(&record));
        assert!(!is_second_half(&held));
    }

    #[test]
    fn the_last_write_is_trusted_for_half_a_lease_only() {
        let record = record();
        let at = Duration::from_secs(1000);
        let written = Written {
            rvn: record.lease.rvn.clone(),
            etag: ETag("e".into()),
            at,
        };
        let half = record.lease.length() / 2;
        assert!(written.is_recent_write_of(&record, at));
        assert!(written.is_recent_write_of(&record, at + half - Duration::from_millis(1)));
        assert!(!written.is_recent_write_of(&record, at + half));
        let renewed = Record {
            lease: record.lease.renewed(),
            ..record
        };
        assert!(!written.is_recent_write_of(&renewed, at));
    }

    #[test]
    fn a_removal_that_was_refused_or_put_off_is_not_taken_for_done() {
        for status in [403, 404, 409, 412, 429, 503] {
            assert!(!may_have_succeeded(Some(status)), "{status}");
        }
        // The last is an answer that broke off in the middle.
        for status in [None, Some(500), Some(502), Some(504), Some(204)] {
            assert!(may_have_succeeded(status), "{status:?}");
        }
    }

    #[test]
    fn half_of_a_lock_says_so_and_terraforms_own_is_none() {
        let record = record();
        assert!(is_second_half(&held(
            body(&record, true).as_bytes(),
            "e".into()
        )));
        let without_lease = held(record.info.to_json().as_bytes(), "e".into());
        assert_eq!(without_lease.lease, None);
        assert_eq!(without_lease.id(), record.info.id);
        assert_eq!(held(b"not json", "e".into()).info, None);
    }
}
