//! The bucket from which CloudFormation reads what does not fit into a request. The key of an object is the SHA-256 of its content, so it
//! is written once and never changed.

use aws_sdk_s3::Client;
use kit::Cx;
use kit::aws::Region;
use kit::backoff;
use kit::error::{Error, ErrorKind, Result};
use net::Account;
use std::time::Duration;

/// Attempts to write while S3 answers that another writer is at work on the same key.
const ATTEMPTS: usize = 5;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// A bucket in the stack's account and region.
pub(crate) struct Bucket {
    api: Client,
    name: String,
    account: String,
    region: Region,
    /// The folder for everything that this run writes.
    folder: &'static str,
}

impl Bucket {
    /// What a pull request needs (`look`) has a folder of its own, the only one that the role of pull requests may write to.
    pub(crate) fn new(cx: &Cx, account: &Account, name: &str, look: bool) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&account.config)
            .force_path_style(net::path_style(&cx.env))
            .build();
        Self {
            api: Client::from_conf(config),
            name: name.to_owned(),
            account: account.id.to_string(),
            region: account.region.clone(),
            folder: if look { "slipway-pull" } else { "slipway" },
        }
    }

    /// The address under which CloudFormation reads an object. The bucket is in its path, since its name may contain dots.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("https://{}/{}/{key}", self.region.endpoint("s3"), self.name)
    }

    /// Keeps some content under its hash, unless it is there; answers the key.
    ///
    /// # Errors
    /// It cannot be written, or something else is there under its name (exit 3).
    pub(crate) async fn keep(&self, ending: &str, content: &[u8]) -> Result<String> {
        let key = format!("{}/{}{ending}", self.folder, ledger::sha256(content));
        let kept = self.keep_as(&key, content, content.len(), |there| there == content);
        kept.await.map(|_| key)
    }

    /// Keeps some content under this key, unless it is there; `true` if it was not. An object that is there is read up to `most` bytes.
    ///
    /// # Errors
    /// It cannot be written, or something else is there under its name (exit 3).
    pub(crate) async fn keep_as(
        &self,
        key: &str,
        content: &[u8],
        most: usize,
        is_same: impl Fn(&[u8]) -> bool,
    ) -> Result<bool> {
        for wait in backoff::attempts(ATTEMPTS, FIRST_WAIT) {
            tokio::time::sleep(wait).await;
            if self.write(key, content).await? {
                return Ok(true);
            }
            match self.read(key, most).await? {
                Some(there) if is_same(&there) => return Ok(false),
                Some(_) => {
                    return Err(Error::refused(format!(
                        "{} is not what its name says",
                        self.shown(key)
                    ))
                    .hint("find out in CloudTrail who wrote it, delete it, and run this again"));
                }
                None => {}
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!(
                "S3 kept refusing to write {} for a conflict",
                self.shown(key)
            ),
        )
        .hint("run this again"))
    }

    fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Creates an object; `false` if one may be there already.
    async fn write(&self, key: &str, content: &[u8]) -> Result<bool> {
        let put = self.api.put_object().bucket(&self.name).key(key);
        let put = put
            .expected_bucket_owner(&self.account)
            .if_none_match("*")
            .body(content.to_vec().into());
        match put.send().await {
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
                let error = net::cannot(error, &format!("write {}", self.shown(key)));
                Err(error.hint("the bucket has to be one of the stack's account and region, and the role needs s3:PutObject and s3:GetObject there"))
            }
        }
    }

    /// An object, as far as one byte more than `most`, which is enough to see that it is another one; `None` if it is gone meanwhile.
    async fn read(&self, key: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let action = format!("read {}", self.shown(key));
        let get = self.api.get_object().bucket(&self.name).key(key);
        let object = match get.expected_bucket_owner(&self.account).send().await {
            Ok(object) => object,
            Err(error) if net::code(&error) == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(net::cannot(error, &action)),
        };
        let broke = |error| Error::failed(format!("cannot {action}")).because(error);
        let (mut bytes, mut body) = (Vec::new(), object.body);
        while let Some(chunk) = body.try_next().await.map_err(broke)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                break;
            }
        }
        Ok(Some(bytes))
    }
}
