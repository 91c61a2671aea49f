//! Bucket and table as state needs them. Each part is looked at and then brought to what it should
//! be, so that two runs at once, or one that died half way, end the same.

pub(crate) mod args;
mod bucket;
mod call;
mod lifecycle;
mod make;
mod part;
mod policy;
mod table;

use crate::access::access;
use crate::locate::{self, Store};
use call::{TRIES, bad, change, retry, unread};
use kit::backoff::spread;
use kit::error::{Error, Result};
use kit::markdown;
use kit::report::{Report, count, text_table};
use kit::step::Cx;
use net::{Account, Net, Purpose};
use part::{Finding, Found, Part};
use std::time::Duration;

/// A call about the bucket, which must be this account's.
macro_rules! of_bucket {
    ($site:ident.$call:ident) => {
        $site
            .s3
            .$call()
            .bucket(&$site.store.bucket)
            .expected_bucket_owner(&$site.account.id)
    };
}
use of_bucket;

/// The notice about a lock table (developer.hashicorp.com, "Backend Type: s3", State Locking).
const DEPRECATED: &str = "Terraform calls locking in a table (dynamodb_table) deprecated; slipway-state move-lock moves the lock to the file beside the state (use_lockfile)";

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
            s3: crate::s3::client(account, &store.region, &store.encryption, cx),
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

/// The parts to make, or why nothing is changed.
fn todo(found: &[Finding]) -> Result<Vec<Part>> {
    let blocked: Vec<String> = found
        .iter()
        .filter(|(_, found)| matches!(found, Found::Wrong(_) | Found::Unknown(_)))
        .map(|(part, found)| format!("{}: {}", part.words(), found.detail()))
        .collect();
    if !blocked.is_empty() {
        return Err(
            Error::refused("bootstrap cannot correct these parts; nothing was changed")
                .with_causes(blocked)
                .hint("see all of it: slipway-state doctor"),
        );
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
/// Somebody else's bucket, or a call that fails; finished changes remain, and a second run continues.
pub(crate) async fn bootstrap(args: args::Bootstrap, cx: &Cx) -> Result<Report> {
    let store = locate::store(&args.storage, Purpose::Deploy, cx)?;
    let account = reached(&store, cx).await?;
    let site = Site::new(&account, &store, cx);
    site.advise(cx);
    let parts = todo(&site.look().await?)?;
    if !args.dry_run {
        for part in &parts {
            cx.host.info(part.act());
            site.make(*part).await?;
        }
        let mut remaining = todo(&site.look().await?)?;
        // AWS may still report the old value of a setting that was just changed.
        for _ in 0..TRIES {
            if remaining.is_empty() {
                break;
            }
            tokio::time::sleep(spread(Duration::from_secs(2))).await;
            remaining = todo(&site.look().await?)?;
        }
        if !remaining.is_empty() {
            let words: Vec<&str> = remaining.iter().map(|part| part.act()).collect();
            return Err(Error::failed(format!(
                "AWS does not show all changes to {} yet",
                site.shown()
            ))
            .cause(format!("still to do: {}", words.join(", ")))
            .hint("run it again; see all of it: slipway-state doctor"));
        }
    }
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| vec![part.act().to_owned()])
        .collect();
    let text = if rows.is_empty() {
        format!("nothing to change in {}", site.shown())
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

/// Reports the finding for each part, and changes nothing.
///
/// # Errors
/// A part is not as it should be or cannot be looked at (exit 3).
pub(crate) async fn doctor(args: args::Doctor, cx: &Cx) -> Result<Report> {
    let store = locate::store(&args.storage, Purpose::Deploy, cx)?;
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
    let header = ["", "requirement", "status"];
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
        .hint("create what is missing: slipway-state bootstrap")
        .summary(summary);
    error.details = text_table(&header, &rows);
    error.json = Some(json);
    Err(error)
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
