//! The state object in S3 and the digest that Terraform keeps of it beside the lock.
//! Source: terraform `internal/backend/remote-state/s3/client.go`.

use crate::lock::Item;
use crate::place::Placed;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use kit::error::{Context, Error, Result};
use kit::step::Cx;
use md5::{Digest, Md5};
use net::{Account, AwsContext};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a state stands: Terraform counts each write of one lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) serial: u64,
    pub(crate) lineage: String,
}

/// One version of the state, as it was read.
#[derive(Clone)]
pub(crate) struct StateFile {
    /// The bytes: they hold secrets, and go nowhere but back into the bucket.
    pub(crate) bytes: Vec<u8>,
    pub(crate) serial: u64,
    pub(crate) lineage: String,
    /// Which tool's version wrote it.
    pub(crate) version: String,
    pub(crate) etag: Option<String>,
}

impl std::fmt::Debug for StateFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateFile({} of {})", self.serial, self.lineage)
    }
}

impl StateFile {
    /// # Errors
    /// No state, said with what is wrong.
    pub(crate) fn parse(bytes: Vec<u8>, etag: Option<String>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            serial: u64,
            lineage: String,
            #[serde(default)]
            terraform_version: String,
        }
        // serde_json's own message names a place and no value.
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            serial: head.serial,
            lineage: head.lineage,
            version: head.terraform_version,
            bytes,
            etag,
        })
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing {
            serial: self.serial,
            lineage: self.lineage.clone(),
        }
    }

    /// What Terraform writes into the digest item.
    pub(crate) fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The same state counted as `serial`; every other byte stays as it was, numbers that no
    /// double holds among them.
    ///
    /// # Errors
    /// Bytes that are no state after all.
    pub(crate) fn counted(&self, serial: u64) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            serial: &'a RawValue,
        }
        let odd = "a version of the state is no JSON text";
        let text = std::str::from_utf8(&self.bytes).context(odd)?;
        let head: Head<'_> = serde_json::from_str(text).context(odd)?;
        let at = head.serial.get().as_ptr().addr() - text.as_ptr().addr();
        let (before, rest) = text.split_at(at);
        let after = &rest[head.serial.get().len()..];
        Ok(format!("{before}{serial}{after}").into_bytes())
    }
}

/// MD5 in hex, as Terraform keeps it. It guards against a stale read, not against an attacker.
pub(crate) fn digest(bytes: &[u8]) -> String {
    kit::hex::encode(Md5::digest(bytes))
}

/// The bucket's side of one state.
pub(crate) struct Objects {
    pub(crate) client: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    pub(crate) key: String,
    owner: String,
}

/// An S3 client for `account`.
pub(crate) fn client(account: &Account, cx: &Cx) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&account.config)
        .force_path_style(net::path_style(&cx.env))
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Whether a condition was why a write was refused: 412, 404 for a condition on what is gone, and
/// 409 for two at once (Amazon S3 User Guide, "Conditional requests").
pub(crate) fn refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(
        net::code(error),
        Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey")
    )
}

impl Objects {
    pub(crate) fn of(placed: &Placed, account: &Account, cx: &Cx) -> Self {
        Self {
            client: client(account, cx),
            bucket: placed.backend.bucket.clone(),
            key: placed.backend.key.clone(),
            owner: account.id.to_string(),
        }
    }

    /// The account that the bucket must be of.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// `bucket/key`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    /// The state as it is now, or one of its versions; `None` where there is none.
    ///
    /// # Errors
    /// S3's, or something there that is no state.
    pub(crate) async fn read(&self, version: Option<&str>) -> Result<Option<StateFile>> {
        let Some((bytes, etag)) = self.fetch(&self.key, version).await? else {
            return Ok(None);
        };
        StateFile::parse(bytes, etag).map(Some).map_err(|why| {
            Error::failed(format!("{} is no state", self.name()))
                .cause(why)
                .hint("slipway-state versions shows what stood there before")
        })
    }

    /// An object's bytes and entity tag; `None` where there is none.
    ///
    /// # Errors
    /// S3's.
    pub(crate) async fn fetch(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<(Vec<u8>, Option<String>)>> {
        let what = format!("read s3://{}/{key}", self.bucket);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .expected_bucket_owner(&self.owner)
            .send()
            .await;
        let found = match answer {
            Ok(found) => found,
            Err(error) if matches!(net::code(&error), Some("NoSuchKey" | "NoSuchVersion")) => {
                return Ok(None);
            }
            // What stands at a version may be the mark of a deletion.
            Err(error) if version.is_some() && net::code(&error) == Some("MethodNotAllowed") => {
                return Ok(None);
            }
            Err(error) => return Err(error).cannot(what),
        };
        let etag = found.e_tag.clone();
        let bytes = found
            .body
            .collect()
            .await
            .context(format!("cannot {what}"))?;
        Ok(Some((bytes.to_vec(), etag)))
    }

    /// Writes an object. `instead_of` is the entity tag it must still have; an empty one means
    /// that nothing may be there.
    ///
    /// # Errors
    /// S3's; somebody else was there first (exit 3).
    pub(crate) async fn write(
        &self,
        key: &str,
        bytes: Vec<u8>,
        content_type: &str,
        instead_of: Option<&str>,
    ) -> Result<()> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .expected_bucket_owner(&self.owner)
            .body(ByteStream::from(bytes.clone()));
        let request = match instead_of {
            None => request,
            Some("") => request.if_none_match("*"),
            Some(etag) => request.if_match(etag),
        };
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if refused(&error) => {
                // The answer to an earlier attempt was lost, and the SDK tried again.
                if let Some((there, _)) = self.fetch(key, None).await?
                    && there == bytes
                {
                    return Ok(());
                }
                Err(Error::refused(format!(
                    "s3://{}/{key} changed while this ran; nothing was written",
                    self.bucket
                ))
                .hint("somebody writes without the lock: find out who before going on"))
            }
            Err(error) => Err(error).cannot(format!("write s3://{}/{key}", self.bucket)),
        }
    }

    /// Removes an object.
    ///
    /// # Errors
    /// S3's.
    pub(crate) async fn remove(&self, key: &str) -> Result<()> {
        self.client
            .delete_object()
            .bucket(&self.bucket)
            .key(key)
            .expected_bucket_owner(&self.owner)
            .send()
            .await
            .cannot(format!("remove s3://{}/{key}", self.bucket))
            .map(drop)
    }
}

/// What the digest item beside the lock says, if it is there and says something.
///
/// # Errors
/// DynamoDB's.
pub(crate) async fn kept_digest(lock: &Item) -> Result<Option<String>> {
    let item = lock
        .client
        .get_item()
        .table_name(&lock.table)
        .key("LockID", AttributeValue::S(format!("{}-md5", lock.id)))
        .consistent_read(true)
        .send()
        .await
        .cannot(format!("read {}-md5 in {}", lock.id, lock.table))?
        .item;
    Ok(item
        .as_ref()
        .and_then(|item| item.get("Digest")?.as_s().ok())
        .filter(|digest| !digest.is_empty())
        .cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = r#"{
  "version": 4,
  "terraform_version": "1.11.4",
  "serial": 41,
  "lineage": "ae7d",
  "outputs": {"serial": {"value": 12345678901234567890.123456789012345, "serial": 41}}
}
"#;

    #[test]
    fn only_the_count_changes() {
        let state = StateFile::parse(STATE.into(), None).unwrap();
        assert_eq!((state.serial, state.lineage.as_str()), (41, "ae7d"));
        let counted = String::from_utf8(state.counted(100).unwrap()).unwrap();
        assert_eq!(
            counted,
            STATE.replacen("\"serial\": 41", "\"serial\": 100", 1)
        );
        assert_eq!(format!("{state:?}"), "StateFile(41 of ae7d)");
        assert!(StateFile::parse(b"{}".to_vec(), None).is_err());
    }

    #[test]
    fn the_digest_is_md5_in_hex() {
        // RFC 1321, A.5.
        assert_eq!(digest(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
