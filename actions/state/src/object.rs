//! The state object in S3 and the digest that Terraform keeps of it beside the lock.
//! Source: terraform `internal/backend/remote-state/s3/client.go`.

use crate::locate::LocatedState;
use crate::lock::Item;
use crate::s3::{client, refused};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use kit::error::{Context, Error, Result};
use kit::step::Cx;
use md5::{Digest, Md5};
use net::{Account, AwsContext};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The serial and lineage of a state: Terraform counts each write of one lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateVersion {
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
    /// The version of the tool that wrote it.
    pub(crate) version: String,
}

impl std::fmt::Debug for StateFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateFile({} of {})", self.serial, self.lineage)
    }
}

impl StateFile {
    /// # Errors
    /// The bytes are not a state.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            serial: u64,
            lineage: String,
            #[serde(default)]
            terraform_version: String,
        }
        // serde_json's own message names a place and no value.
        let head: Head = serde_json::from_slice(&bytes)?;
        Ok(Self {
            serial: head.serial,
            lineage: head.lineage,
            version: head.terraform_version,
            bytes,
        })
    }

    pub(crate) fn state_version(&self) -> StateVersion {
        StateVersion {
            serial: self.serial,
            lineage: self.lineage.clone(),
        }
    }

    /// The digest that Terraform writes into the digest item.
    pub(crate) fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The same state with another serial. Every other byte stays as it was, including numbers that a double cannot hold.
    ///
    /// # Errors
    /// Bytes that are not a state after all.
    pub(crate) fn counted(&self, serial: u64) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            serial: &'a RawValue,
        }
        let malformed = "a version of the state is not JSON text";
        let text = std::str::from_utf8(&self.bytes).context(malformed)?;
        let head: Head<'_> = serde_json::from_str(text).context(malformed)?;
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

/// An object as S3 gave it out.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Vec<u8>,
    pub(crate) etag: Option<String>,
    /// The version that the bucket keeps of it; `None` where it keeps none.
    pub(crate) version: Option<String>,
}

/// The content found at a state's key.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Nothing,
    State(StateFile, Stored),
    /// Something that is not a state, and why. Terraform takes an empty object for no state.
    Other(Stored, String),
}

impl Found {
    fn of(stored: Option<Stored>) -> Self {
        let Some(stored) = stored else {
            return Self::Nothing;
        };
        if stored.bytes.is_empty() {
            return Self::Other(stored, "it is empty".to_owned());
        }
        match StateFile::parse(stored.bytes.clone()) {
            Ok(state) => Self::State(state, stored),
            Err(error) => Self::Other(stored, error.to_string()),
        }
    }

    pub(crate) fn state(&self) -> Option<&StateFile> {
        match self {
            Self::State(state, _) => Some(state),
            _ => None,
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Nothing => None,
            Self::State(_, stored) | Self::Other(stored, _) => Some(stored),
        }
    }
}

/// The bucket's side of one state.
pub(crate) struct Objects {
    pub(crate) client: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    pub(crate) key: String,
    owner: String,
    /// The arguments that name this state to a step of ours.
    arguments: String,
}

impl Objects {
    /// `account` reaches the state.
    pub(crate) fn of(located: &LocatedState, account: &Account, cx: &Cx) -> Self {
        let backend = &located.backend;
        Self {
            client: client(account, &backend.region, &backend.encryption, cx),
            bucket: backend.bucket.clone(),
            key: backend.object_key(),
            owner: backend.owner.as_ref().unwrap_or(&account.id).to_string(),
            arguments: backend.shell_arguments(),
        }
    }

    /// The account that must own the bucket.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The command line that runs `verb` on this state.
    pub(crate) fn command(&self, verb: &str) -> String {
        format!("slipway-state {verb} {}", self.arguments)
    }

    /// `bucket/key`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    /// The content at the state's key, now or in one of its versions.
    ///
    /// # Errors
    /// S3's.
    pub(crate) async fn find(&self, version: Option<&str>) -> Result<Found> {
        self.fetch(&self.key, version).await.map(Found::of)
    }

    /// The state as it is now; `None` where there is none.
    ///
    /// # Errors
    /// S3's, or something there that is not a state.
    pub(crate) async fn read(&self) -> Result<Option<StateFile>> {
        match self.find(None).await? {
            Found::Nothing => Ok(None),
            Found::State(state, _) => Ok(Some(state)),
            Found::Other(stored, _) if stored.bytes.is_empty() => Ok(None),
            Found::Other(_, why) => Err(Error::failed(format!("{} is not a state", self.name()))
                .cause(why)
                .hint(format!(
                    "see the earlier versions: {}",
                    self.command("versions")
                ))
                .hint(format!(
                    "restore one of them: {}",
                    self.command("rollback --to-version VERSION")
                ))),
        }
    }

    /// An object; `None` where there is none.
    ///
    /// # Errors
    /// S3's.
    pub(crate) async fn fetch(&self, key: &str, version: Option<&str>) -> Result<Option<Stored>> {
        let operation = format!("read s3://{}/{key}", self.bucket);
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
            // The version may be a delete marker.
            Err(error) if version.is_some() && net::code(&error) == Some("MethodNotAllowed") => {
                return Ok(None);
            }
            Err(error) => return Err(error).cannot(operation),
        };
        let (etag, version) = (found.e_tag.clone(), found.version_id.clone());
        let bytes = found
            .body
            .collect()
            .await
            .context(format!("cannot {operation}"))?;
        Ok(Some(Stored {
            bytes: bytes.to_vec(),
            etag,
            // S3 calls the one version of an object `null` where the bucket keeps no others.
            version: version.filter(|version| version != "null"),
        }))
    }

    /// Writes an object. `instead_of` is the entity tag it must still have; an empty one means
    /// that nothing may be there.
    ///
    /// # Errors
    /// S3's; the object was written by somebody else first (exit 3).
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
                if let Some(there) = self.fetch(key, None).await?
                    && there.bytes == bytes
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

/// The digest in the digest item beside the lock; `None` if there is no item or it is empty.
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
        let state = StateFile::parse(STATE.into()).unwrap();
        assert_eq!((state.serial, state.lineage.as_str()), (41, "ae7d"));
        let counted = String::from_utf8(state.counted(100).unwrap()).unwrap();
        assert_eq!(
            counted,
            STATE.replacen("\"serial\": 41", "\"serial\": 100", 1)
        );
        assert_eq!(format!("{state:?}"), "StateFile(41 of ae7d)");
        assert!(StateFile::parse(b"{}".to_vec()).is_err());
    }

    #[test]
    fn the_digest_is_md5_in_hex() {
        // RFC 1321, A.5.
        assert_eq!(digest(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
