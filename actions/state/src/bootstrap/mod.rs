//! Bucket and table as state needs them. Each part is looked at and then brought to what it should
//! be, so that two runs at once, or one that died half way, end the same.

mod bucket;
mod lifecycle;
mod policy;
mod table;

use crate::access::access;
use crate::args::Place;
use crate::place::{self, Store};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use kit::error::{Error, Failure, Result};
use kit::markdown;
use kit::report::{Report, count, text_table};
use kit::step::Cx;
use net::{Account, Net, Purpose};
use std::time::Duration;

/// How often something that another run is changing just now is tried again, a second apart.
const TRIES: u32 = 30;

/// What is to be known of a lock table (developer.hashicorp.com, "Backend Type: s3", State Locking).
const DEPRECATED: &str = "Terraform calls locking in a table (dynamodb_table) deprecated; slipway-state move-lock moves the lock to the file beside the state (use_lockfile)";

#[derive(Debug, clap::Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    place: Place,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    place: Place,
}

/// One thing about bucket or table, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Bucket,
    Versions,
    Private,
    Owned,
    Encrypted,
    Tls,
    Lifecycle,
    Table,
    Billing,
    Recovery,
    Protected,
}

impl Part {
    /// What should hold.
    fn words(self) -> &'static str {
        match self {
            Part::Bucket => "the bucket is there and this account's",
            Part::Versions => "it keeps old versions of objects",
            Part::Private => "public access is blocked",
            Part::Owned => "the bucket's owner owns every object",
            Part::Encrypted => "objects are encrypted",
            Part::Tls => "a policy denies requests without TLS",
            Part::Lifecycle => "old versions and old plans are removed in time",
            Part::Table => "the lock table is there, with the key LockID",
            Part::Billing => "it is billed by request",
            Part::Recovery => "it can be recovered to a point in time",
            Part::Protected => "it is protected from deletion",
        }
    }

    /// What is done about it.
    fn act(self) -> &'static str {
        match self {
            Part::Bucket => "create the bucket",
            Part::Versions => "keep old versions of objects",
            Part::Private => "block public access",
            Part::Owned => "let the bucket's owner own every object",
            Part::Encrypted => "encrypt objects with the KMS key",
            Part::Tls => "deny requests without TLS",
            Part::Lifecycle => "remove old versions and old plans in time",
            Part::Table => "create the table, billed by request",
            Part::Billing => "bill the table by request",
            Part::Recovery => "keep the table recoverable to a point in time",
            Part::Protected => "protect the table from deletion",
        }
    }
}

/// How a part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// As it should be, and how.
    Fine(String),
    /// Not so, and can be brought there.
    Missing(String),
    /// Not so, and only a person can say what is to become of what is there.
    Wrong(String),
    /// It could not be looked at: the permission that was missing.
    Unknown(String),
}

impl Found {
    fn of(fine: bool, is: &str, is_not: &str) -> Self {
        if fine {
            Found::Fine(is.to_owned())
        } else {
            Found::Missing(is_not.to_owned())
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Found::Fine(_) => "ok",
            Found::Missing(_) => "missing",
            Found::Wrong(_) => "wrong",
            Found::Unknown(_) => "unknown",
        }
    }

    fn detail(&self) -> String {
        match self {
            Found::Fine(how) | Found::Missing(how) | Found::Wrong(how) => how.clone(),
            Found::Unknown(permission) => format!("cannot be looked at without {permission}"),
        }
    }
}

type Finding = (Part, Found);

/// Clients and what they are for.
struct Site<'a> {
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    store: &'a Store,
    account: &'a Account,
}

impl<'a> Site<'a> {
    fn new(account: &'a Account, store: &'a Store, cx: &Cx) -> Self {
        let region = aws_sdk_dynamodb::config::Region::new(store.region.to_string());
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&account.config).region(region);
        Self {
            s3: crate::s3::client(account, store.region.as_str(), &store.encryption, cx),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            store,
            account,
        }
    }

    async fn look(&self) -> Result<Vec<Finding>> {
        let mut found = self.look_at_bucket().await?;
        if self.store.locking.uses_table() {
            found.extend(self.look_at_table().await?);
        }
        Ok(found)
    }

    fn advise(&self, cx: &Cx) {
        if self.store.locking.uses_table() {
            cx.host.info(DEPRECATED);
        }
    }

    fn shown(&self) -> String {
        if self.store.table.is_empty() {
            self.store.bucket.clone()
        } else {
            format!("{} and {}", self.store.bucket, self.store.table)
        }
    }
}

/// What is to be done, or why nothing is.
fn todo(found: &[Finding]) -> Result<Vec<Part>> {
    let blocked: Vec<String> = found
        .iter()
        .filter(|(_, found)| matches!(found, Found::Wrong(_) | Found::Unknown(_)))
        .map(|(part, found)| format!("{}: {}", part.words(), found.detail()))
        .collect();
    if !blocked.is_empty() {
        return Err(Error::refused(
            "something there cannot be put right by itself; nothing was changed",
        )
        .with_causes(blocked)
        .hint("slipway-state doctor shows all of it"));
    }
    Ok(found
        .iter()
        .filter(|(_, found)| matches!(found, Found::Missing(_)))
        .map(|(part, _)| *part)
        .collect())
}

/// The credentials that reach bucket and table.
async fn reached(store: &Store, cx: &Cx) -> Result<Account> {
    let net = Net::new(cx)?;
    let access = access(&net, &store.target, store.role.as_ref()).await?;
    Ok(access.state)
}

/// Brings bucket and table to what they should be, or shows what it would do.
///
/// # Errors
/// Somebody else's bucket, or a call that fails; what was done stays and a second run goes on.
pub(crate) async fn bootstrap(args: Bootstrap, cx: &Cx) -> Result<Report> {
    let store = place::store(&args.place, Purpose::Deploy, cx)?;
    let account = reached(&store, cx).await?;
    let site = Site::new(&account, &store, cx);
    site.advise(cx);
    let parts = todo(&site.look().await?)?;
    if !args.dry_run {
        for part in &parts {
            cx.host.info(part.act());
            site.make(*part).await?;
        }
        let mut left = todo(&site.look().await?)?;
        // What was changed a moment ago may be told as it was before.
        for _ in 0..TRIES {
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            left = todo(&site.look().await?)?;
        }
        if !left.is_empty() {
            let words: Vec<&str> = left.iter().map(|part| part.act()).collect();
            return Err(
                Error::failed(format!("{} are still not as they should be", site.shown()))
                    .cause(words.join(", ")),
            );
        }
    }
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| vec![part.act().to_owned()])
        .collect();
    let text = if rows.is_empty() {
        format!("{} are as they should be", site.shown())
    } else {
        text_table(&[if args.dry_run { "would" } else { "did" }], &rows)
    };
    Ok(Report {
        text,
        json: serde_json::json!({
            "bucket": store.bucket,
            "table": store.table,
            "dry_run": args.dry_run,
            "changes": parts.iter().map(|part| part.act()).collect::<Vec<_>>(),
        }),
        ..Report::default()
    })
}

/// Says how each part stands, and changes nothing.
///
/// # Errors
/// A part is not as it should be or cannot be looked at (exit 3).
pub(crate) async fn doctor(args: Doctor, cx: &Cx) -> Result<Report> {
    let store = place::store(&args.place, Purpose::Deploy, cx)?;
    let account = reached(&store, cx).await?;
    let site = Site::new(&account, &store, cx);
    site.advise(cx);
    let found = site.look().await?;
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(part, found)| {
            vec![
                found.word().to_owned(),
                part.words().to_owned(),
                found.detail(),
            ]
        })
        .collect();
    let header = ["", "what should hold", "how it is"];
    let json = serde_json::json!({
        "bucket": store.bucket,
        "table": store.table,
        "findings": found.iter().map(|(part, found)| serde_json::json!({
            "what": part.words(), "result": found.word(), "detail": found.detail(),
        })).collect::<Vec<_>>(),
    });
    let summary = format!("### State storage\n\n{}", markdown::table(&header, &rows));
    let bad = found
        .iter()
        .filter(|(_, found)| !matches!(found, Found::Fine(_)))
        .count();
    if bad == 0 {
        return Ok(Report {
            text: text_table(&header, &rows),
            json,
            summary,
            ..Report::default()
        });
    }
    let mut error = Error::refused(format!("{} about {}", count(bad, "finding"), site.shown()))
        .hint("what is missing is put right by: slipway-state bootstrap")
        .summary(summary);
    error.details = text_table(&header, &rows);
    error.json = Some(json);
    Err(error)
}

/// What an answer that is none says of a part: that it may not be looked at, or a failure.
fn unread<E>(error: SdkError<E>, permission: &str, what: &str) -> Result<Found>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match net::failure(&error) {
        Failure::Denied => Ok(Found::Unknown(permission.to_owned())),
        _ => Err(net::cannot(error, &format!("look at {what}"))),
    }
}

/// Changes something that another run may be changing too.
async fn change<T, E>(
    what: &str,
    call: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    patiently(what, call).await.map(drop)
}

/// Calls until what another run does, or what was just made, is no longer in the way.
async fn patiently<T, E>(
    what: &str,
    call: impl AsyncFn() -> std::result::Result<T, SdkError<E>>,
) -> Result<T>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match call().await {
            Ok(done) => return Ok(done),
            Err(error)
                if tries < TRIES
                    && matches!(
                        net::code(&error),
                        Some(
                            "OperationAborted"
                                | "ResourceInUseException"
                                | "LimitExceededException"
                                | "ContinuousBackupsUnavailableException"
                                // Made a moment ago, and not everywhere yet.
                                | "NoSuchBucket"
                                | "ResourceNotFoundException"
                                | "TableNotFoundException"
                        )
                    ) =>
            {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(net::cannot(error, what)),
        }
    }
}

/// A request that the SDK's own rules refuse: our mistake.
fn bad(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::failed("bad request").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_done_and_nothing_blindly() {
        let fine = || Found::Fine(String::new());
        let missing = || Found::Missing(String::new());
        let found = [
            (Part::Bucket, fine()),
            (Part::Private, missing()),
            (Part::Recovery, missing()),
        ];
        assert_eq!(todo(&found).unwrap(), [Part::Private, Part::Recovery]);
        for blocked in [
            Found::Unknown("s3:GetBucketPolicy".into()),
            Found::Wrong("x".into()),
        ] {
            let found = [(Part::Private, missing()), (Part::Tls, blocked)];
            let error = todo(&found).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            assert_eq!(error.causes().len(), 1, "{error}");
        }
    }
}
