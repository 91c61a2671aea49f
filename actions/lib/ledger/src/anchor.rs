//! The anchor: the hash of each record in an S3 bucket, where the role that appends can neither
//! change nor delete it. The table alone does not show that its end was cut off, or that all of it
//! was written anew; the anchor does.
//!
//! The object `PREFIX/SERVICE/ENVIRONMENT/SEQ`, its number in 20 digits, holds the hash and a line
//! feed. It is written by conditional create, after the record and before `record` reports success.

use crate::chain::Chain;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::types::ObjectVersion;
use kit::backoff;
use kit::error::{Error, ErrorKind, Result};
use kit::hex::is_hex;
use net::{Account, AwsContext};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;

/// Attempts to write while S3 answers that another writer is at work on the same key.
const ATTEMPTS: usize = 5;
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The most that is read of an object that should hold a hash.
const LONGEST: usize = 1024;
/// Versions that are read at once; of the newest record there should be one.
const FEW: i32 = 3;
/// Pages of a list that are read, 1,000 versions each.
const PAGES: usize = 100_000;
/// The folder beside those of the services that holds evidence.
pub(crate) const EVIDENCE: &str = "evidence";

/// Where the hashes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorLocation {
    /// The bucket, in the ledger's account and region.
    pub bucket: String,
    /// The prefix of the keys, without a slash at its end; may be empty.
    pub prefix: String,
}

/// The bucket, accessed with one account's credentials.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    client: Client,
    location: AnchorLocation,
}

/// The anchor's content for a chain, from one record on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AnchorContent {
    /// The record's hash.
    pub(crate) hash: Option<String>,
    /// True if the record's object was written again or deleted after it was written.
    pub(crate) rewritten: bool,
    /// The next record of which the anchor has something.
    pub(crate) later: Option<u64>,
}

impl Anchor {
    /// The anchor at `location`. `path_style` names the bucket in the path of an endpoint that was set by
    /// hand ([`net::path_style`]).
    pub(crate) fn new(account: &Account, location: AnchorLocation, path_style: bool) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&account.config)
            .force_path_style(path_style)
            .build();
        Self {
            client: Client::from_conf(config),
            location,
        }
    }

    /// The folder of a chain's objects, with a slash at its end.
    fn folder(&self, chain: &Chain) -> Result<String> {
        self.within("", chain)
    }

    /// A chain's folder within another one below the prefix.
    pub(crate) fn within(&self, outer: &str, chain: &Chain) -> Result<String> {
        let (service, environment) = (chain.service(), chain.environment());
        // Two chains would share a folder: `a/b` of `c`, and `a` of `b/c`.
        if service.contains('/') || environment.contains('/') {
            return Err(Error::usage(format!(
                "chain {chain} cannot be anchored: a name in it contains `/`"
            )));
        }
        if service == EVIDENCE {
            return Err(Error::usage(format!(
                "chain {chain} cannot be anchored: the bucket's folder `{EVIDENCE}` holds what decisions were made from"
            ))
            .hint("give the service another name"));
        }
        Ok(match self.location.prefix.trim_matches('/') {
            "" => format!("{outer}{service}/{environment}/"),
            prefix => format!("{prefix}/{outer}{service}/{environment}/"),
        })
    }

    fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.location.bucket)
    }

    /// The anchor's content for record `seq` and for the records after it; for 0, for the whole chain.
    pub(crate) async fn look(&self, chain: &Chain, seq: u64) -> Result<AnchorContent> {
        let folder = self.folder(chain)?;
        // In a list, versions come in the order of their keys; this one is before all of `seq`'s.
        let start = (seq > 1).then(|| name(&folder, seq - 1));
        let listed = self.versions(&folder, start, FEW);
        let (hash, listed) = match seq {
            0 => (None, listed.await?),
            _ => {
                let (hash, listed) = tokio::join!(self.get(chain, seq), listed);
                (hash?, listed?)
            }
        };
        let own = listed.kept.get(&seq).copied().unwrap_or_default();
        let there = listed.kept.keys().chain(&listed.deleted);
        Ok(AnchorContent {
            hash,
            rewritten: own > 1 || listed.deleted.contains(&seq),
            later: there.copied().filter(|other| *other > seq).min(),
        })
    }

    /// The hash of record `seq`.
    pub(crate) async fn get(&self, chain: &Chain, seq: u64) -> Result<Option<String>> {
        let key = name(&self.folder(chain)?, seq);
        let Some(body) = self.read(&key, LONGEST).await? else {
            return Ok(None);
        };
        let hash = std::str::from_utf8(&body)
            .ok()
            .and_then(|text| text.strip_suffix('\n'))
            .filter(|hash| is_hex(hash, 64));
        match hash {
            Some(hash) => Ok(Some(hash.to_owned())),
            None => Err(Error::refused(format!(
                "{} does not hold the hash of a record",
                self.shown(&key)
            ))
            .hint("find out in CloudTrail who wrote it")),
        }
    }

    /// When the hash of record `seq` was written, by S3's clock; nothing if it is not there. Where it was written once more, the last
    /// time.
    pub(crate) async fn written_at(
        &self,
        chain: &Chain,
        seq: u64,
    ) -> Result<Option<OffsetDateTime>> {
        let key = name(&self.folder(chain)?, seq);
        let answer = self
            .client
            .get_object()
            .bucket(&self.location.bucket)
            .key(&key)
            .send()
            .await;
        match answer {
            Ok(object) => {
                let at = object
                    .last_modified()
                    .map(aws_sdk_s3::primitives::DateTime::secs);
                Ok(at.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()))
            }
            Err(error)
                if matches!(error.as_service_error(), Some(GetObjectError::NoSuchKey(_))) =>
            {
                Ok(None)
            }
            Err(error) => {
                let action = format!("read {}", self.shown(&key));
                Err(hinted(net::cannot(error, &action), "s3:GetObject"))
            }
        }
    }

    /// An object of at most so many bytes.
    pub(crate) async fn read(&self, key: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let action = format!("read {}", self.shown(key));
        let answer = self
            .client
            .get_object()
            .bucket(&self.location.bucket)
            .key(key)
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error)
                if matches!(error.as_service_error(), Some(GetObjectError::NoSuchKey(_))) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(hinted(net::cannot(error, &action), "s3:GetObject")),
        };
        let too_large =
            || Error::refused(format!("{} has more than {most} bytes", self.shown(key)));
        let length = object
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        if length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let broke = |error| Error::failed(format!("cannot {action}")).because(error);
        let (mut bytes, mut body) = (Vec::new(), object.body);
        while let Some(chunk) = body.try_next().await.map_err(broke)? {
            if bytes.len() + chunk.len() > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// Writes the hash of record `seq`, unless it is there.
    ///
    /// # Errors
    /// It cannot be written, or another hash is there (exit 3).
    pub(crate) async fn put(&self, chain: &Chain, seq: u64, hash: &str) -> Result<()> {
        let key = name(&self.folder(chain)?, seq);
        let content = format!("{hash}\n");
        for wait in backoff::attempts(ATTEMPTS, FIRST_WAIT) {
            tokio::time::sleep(wait).await;
            if self.write(&key, "text/plain", content.as_bytes()).await? {
                return Ok(());
            }
            match self.get(chain, seq).await? {
                Some(there) if there == hash => return Ok(()),
                Some(there) => {
                    return Err(Error::refused(format!(
                        "the anchor has another record {seq} of chain {chain}: {there}, not {hash}"
                    )));
                }
                None => {}
            }
        }
        Err(self.refusing(&key))
    }

    /// The default retention of the bucket, as S3 describes it; `None` if it has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn retention(&self) -> Result<Option<String>> {
        let answer = self
            .client
            .get_object_lock_configuration()
            .bucket(&self.location.bucket)
            .send()
            .await;
        let found = match answer {
            Ok(found) => found,
            Err(error) if net::code(&error) == Some("ObjectLockConfigurationNotFoundError") => {
                return Ok(None);
            }
            Err(error) => {
                let action = format!("read the object lock of {}", self.location.bucket);
                let permission = "s3:GetBucketObjectLockConfiguration";
                return Err(hinted(net::cannot(error, &action), permission));
            }
        };
        let configuration = found.object_lock_configuration();
        let default = configuration
            .and_then(|it| it.rule())
            .and_then(|rule| rule.default_retention());
        Ok(default.map(|retention| {
            let mode = retention.mode().map_or("", |mode| mode.as_str());
            match (retention.years(), retention.days()) {
                (Some(years), _) => format!("{mode}, {years} years"),
                (None, days) => format!("{mode}, {} days", days.unwrap_or_default()),
            }
        }))
    }

    /// Writes an object whose name says what it holds, unless it is there.
    ///
    /// # Errors
    /// It cannot be written, or something else is there (exit 3).
    pub(crate) async fn create(&self, key: &str, kind: &str, bytes: &[u8]) -> Result<()> {
        for wait in backoff::attempts(ATTEMPTS, FIRST_WAIT) {
            tokio::time::sleep(wait).await;
            if self.write(key, kind, bytes).await? {
                return Ok(());
            }
            match self.read(key, bytes.len()).await? {
                Some(there) if there == bytes => return Ok(()),
                Some(_) => {
                    return Err(Error::refused(format!(
                        "{} is not what its name says",
                        self.shown(key)
                    ))
                    .hint("find out in CloudTrail who wrote it"));
                }
                None => {}
            }
        }
        Err(self.refusing(key))
    }

    /// Creates an object; `false` if one may be there already.
    async fn write(&self, key: &str, kind: &str, bytes: &[u8]) -> Result<bool> {
        let answer = self
            .client
            .put_object()
            .bucket(&self.location.bucket)
            .key(key)
            .content_type(kind)
            .if_none_match("*")
            .body(bytes.to_vec().into())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            // 412 and 409 (Amazon S3 User Guide, "Conditional requests").
            Err(error)
                if matches!(
                    net::code(&error),
                    Some("PreconditionFailed" | "ConditionalRequestConflict")
                ) =>
            {
                Ok(false)
            }
            Err(error) => {
                let action = format!("write {}", self.shown(key));
                Err(hinted(net::cannot(error, &action), "s3:PutObject"))
            }
        }
    }

    fn refusing(&self, key: &str) -> Error {
        Error::new(
            ErrorKind::Busy,
            format!(
                "S3 kept refusing to write {} for a conflict",
                self.shown(key)
            ),
        )
        .hint("run the step again")
    }

    /// How many versions there are of each record's object, whole chain.
    pub(crate) async fn all(&self, chain: &Chain) -> Result<Versions> {
        let folder = self.folder(chain)?;
        self.versions(&folder, None, i32::MAX).await
    }

    /// At least `few` versions after the key `start`, if there are so many.
    async fn versions(&self, folder: &str, start: Option<String>, few: i32) -> Result<Versions> {
        let mut found = Versions::default();
        let (mut key, mut version) = (start, None);
        for _ in 0..PAGES {
            let answer = self
                .client
                .list_object_versions()
                .bucket(&self.location.bucket)
                .prefix(folder)
                .set_key_marker(key)
                .set_version_id_marker(version)
                .max_keys(few.min(1000))
                .send()
                .await;
            let page = answer
                .cannot(format!("list {}", self.shown(folder)))
                .map_err(|error| hinted(error, "s3:ListBucketVersions"))?;
            for each in page.versions() {
                let seq = self.seq(folder, ObjectVersion::key(each))?;
                *found.kept.entry(seq).or_default() += 1;
                if let Some(at) = each.last_modified() {
                    found.written.insert(seq, at.secs());
                }
            }
            for each in page.delete_markers() {
                found.deleted.push(self.seq(folder, each.key())?);
            }
            let enough = found.kept.values().sum::<usize>() + found.deleted.len();
            let more = page.is_truncated() == Some(true);
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
            if !more || i32::try_from(enough).is_ok_and(|enough| enough >= few) {
                return Ok(found);
            }
        }
        Err(Error::failed(format!(
            "S3 returns an endless list of {}",
            self.shown(folder)
        )))
    }

    /// The record whose object has this key.
    fn seq(&self, folder: &str, key: Option<&str>) -> Result<u64> {
        let key = key.unwrap_or_default();
        key.strip_prefix(folder)
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| {
                Error::refused(format!("{} is not a record's hash", self.shown(key)))
                    .hint("keep other objects out of the anchor's folder")
            })
    }
}

/// The versions of a chain's objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// How often each was written.
    pub(crate) kept: BTreeMap<u64, usize>,
    /// When S3 says that each was written, in seconds of Unix time.
    pub(crate) written: BTreeMap<u64, i64>,
    /// Those that were deleted.
    pub(crate) deleted: Vec<u64>,
}

impl Versions {
    /// The first record of which something is there.
    pub(crate) fn first(&self) -> Option<u64> {
        self.kept.keys().chain(&self.deleted).min().copied()
    }

    /// The last record of which something is there.
    pub(crate) fn last(&self) -> Option<u64> {
        self.kept.keys().chain(&self.deleted).max().copied()
    }
}

fn name(folder: &str, seq: u64) -> String {
    format!("{folder}{seq:020}")
}

fn hinted(error: Error, permission: &str) -> Error {
    match error.failure() {
        Some(kit::Failure::Denied) => error.hint(format!(
            "the role that reads the ledger needs {permission} on the bucket of `build.anchor`"
        )),
        _ => error,
    }
}
