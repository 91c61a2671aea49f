//! The version that a deployment serves: the code of `$LATEST`, and a version of it. Each change is conditional on what was seen.

use super::plan::{Plan, Version};
use kit::Cx;
use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use lambda::{Change, Client, Configuration, Function, changes, code};
use net::PollInterval;
use tokio::time::{Instant, sleep};

/// How often a version is published anew where Lambda changed the revision ID meanwhile (aws/aws-sdk#377).
const TRIES: usize = 5;

/// `$LATEST`, once no update of it is in progress.
///
/// # Errors
/// Lambda does not answer, or the update takes longer than the time that is left.
pub(super) async fn settled(client: &Client, until: Instant) -> Result<Function> {
    let mut interval = PollInterval::new();
    loop {
        let latest = client.function(None).await?;
        if latest.configuration.last_update_status.as_deref() != Some("InProgress") {
            return Ok(latest);
        }
        in_time(until, || {
            format!("an update of function {} is in progress", client.function)
        })?;
        sleep(interval.next(false)).await;
    }
}

/// The version that is to be served: it has the digest and can be invoked.
///
/// # Errors
/// Lambda refuses the image or cannot start it, or somebody else changes the function. The alias still serves what it did.
pub(super) async fn revise(
    cx: &Cx,
    client: &Client,
    plan: &Plan,
    until: Instant,
) -> Result<Configuration> {
    let version = match &plan.version {
        Version::Keep | Version::End(_) => plan.before.clone(),
        Version::GoOn(version) => version.clone(),
        Version::Publish { code } => {
            if *code {
                update_code(cx, client, plan, until).await?;
            }
            published(cx, client, plan, until).await?
        }
    };
    active(client, &version, &plan.digest, until).await
}

async fn update_code(cx: &Cx, client: &Client, plan: &Plan, until: Instant) -> Result<()> {
    let latest = settled(client, until).await?;
    let revision = latest.configuration.revision_id.as_deref();
    match client.update_code(&plan.image, revision).await {
        Ok(_) => {
            cx.host.info(format!("gave $LATEST {}", plan.image));
            Ok(())
        }
        // The answer to an earlier try may have been lost; what the code is now is read next.
        Err(error) if code(&error) == Some("PreconditionFailedException") => Ok(()),
        Err(error) => Err(error
            .cause(format!("the alias was not changed; it serves version {}", plan.before))
            .hint("Lambda takes an image of one platform, by its own manifest and not by an index of several; slipway-image publishes one")),
    }
}

/// The number of a version of `$LATEST` with the digest: one that was published before, or a new one.
async fn published(cx: &Cx, client: &Client, plan: &Plan, until: Instant) -> Result<String> {
    for _ in 0..TRIES {
        let latest = settled(client, until).await?;
        verify(client, &latest, &plan.digest)?;
        let latest = latest.configuration;
        // The revision ID below is a condition on what was read here, which need not be what was shown.
        as_shown(client, &changes(&plan.latest, &latest)?)?;
        let versions = client.versions().await?;
        if let Some(same) = same(&versions, &latest) {
            cx.host.info(format!(
                "version {} was published before with this code and these settings",
                same.version
            ));
            return Ok(same.version.clone());
        }
        let revision = latest.revision_id.as_deref();
        match client.publish(&latest.code_sha256, revision).await {
            Ok(published) => {
                cx.host
                    .info(format!("published version {}", published.version));
                return Ok(published.version);
            }
            Err(error) if code(&error) == Some("PreconditionFailedException") => {}
            Err(error) => return Err(error),
        }
    }
    Err(changed(client))
}

/// The newest version with the code and the settings of `$LATEST`, unless it failed to become active. One whose settings cannot be
/// read is not known to have the same.
fn same<'a>(versions: &'a [Configuration], latest: &Configuration) -> Option<&'a Configuration> {
    versions.iter().rev().find(|version| {
        version.code_sha256 == latest.code_sha256
            && version.state.as_deref() != Some("Failed")
            && changes(version, latest).is_ok_and(|changes| changes.is_empty())
    })
}

/// Refuses code that is not the digest, or that Lambda could not take over.
fn verify(client: &Client, latest: &Function, digest: &Digest) -> Result<()> {
    let configuration = &latest.configuration;
    if configuration.last_update_status.as_deref() == Some("Failed") {
        let reasons = [
            &configuration.last_update_status_reason_code,
            &configuration.last_update_status_reason,
        ];
        let reasons: Vec<&str> = reasons.into_iter().flatten().map(String::as_str).collect();
        return Err(Error::failed(format!(
            "Lambda could not update function {}; its alias was not changed",
            client.function
        ))
        .cause(reasons.join(": ")));
    }
    match latest.digest() {
        Some(found) if found == *digest => Ok(()),
        _ => Err(changed(client)),
    }
}

/// Refuses settings of `$LATEST` that changed since the plan was made, and that nobody was shown.
fn as_shown(client: &Client, since: &[Change]) -> Result<()> {
    if since.is_empty() {
        return Ok(());
    }
    let lines = since.iter().map(Change::line);
    Err(changed(client).with_causes(lines.map(|line| format!("since the plan was made: {line}"))))
}

fn changed(client: &Client) -> Error {
    Error::new(
        ErrorKind::Busy,
        format!(
            "somebody else changes function {} at the moment; its alias was not changed",
            client.function
        ),
    )
    .hint("run this again when that has ended")
}

/// The configuration of a version, once it can be invoked.
async fn active(
    client: &Client,
    version: &str,
    digest: &Digest,
    until: Instant,
) -> Result<Configuration> {
    let mut interval = PollInterval::new();
    loop {
        let found = client.function(Some(version)).await?;
        let configuration = &found.configuration;
        match configuration.state.as_deref() {
            Some("Pending") => {}
            Some("Failed") => {
                let reason = configuration.state_reason.clone().unwrap_or_default();
                return Err(Error::failed(format!(
                    "version {version} of function {} failed; the alias was not changed",
                    client.function
                ))
                .cause(reason));
            }
            _ if found.digest().as_ref() == Some(digest) => return Ok(found.configuration),
            _ => {
                return Err(Error::failed(format!(
                    "version {version} of function {} does not have {digest}; the alias was not changed",
                    client.function
                )));
            }
        }
        in_time(until, || format!("version {version} is pending"))?;
        sleep(interval.next(false)).await;
    }
}

fn in_time(until: Instant, what: impl FnOnce() -> String) -> Result<()> {
    if Instant::now() < until {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TimedOut,
        "the function was not ready in time; its alias was not changed",
    )
    .cause(what()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_with_the_same_code_and_settings_is_used_again() {
        let version = |number: &str, code: &str, memory: u64, state: &str| -> Configuration {
            let version = json!({"Version": number, "CodeSha256": code, "MemorySize": memory, "State": state});
            serde_json::from_value(version).unwrap()
        };
        let latest = version("$LATEST", "a", 128, "Active");
        let found =
            |versions: &[Configuration]| same(versions, &latest).map(|it| it.version.clone());
        let older = version("1", "a", 128, "Active");
        assert_eq!(found(std::slice::from_ref(&older)), Some("1".to_owned()));
        for other in [
            version("2", "b", 128, "Active"),
            version("2", "a", 256, "Active"),
            version("2", "a", 128, "Failed"),
        ] {
            assert_eq!(found(std::slice::from_ref(&other)), None, "{other:?}");
            assert_eq!(found(&[older.clone(), other]), Some("1".to_owned()));
        }
    }
}
