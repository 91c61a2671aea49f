//! Decides what a deployment changes in a function. Pure.

use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use lambda::{Change, Client, Configuration, Function, LATEST, Look, changes};
use serde_json::{Value, json};

/// The function as observed.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// `$LATEST`, whose settings the next version gets.
    pub(crate) latest: Function,
    /// The alias, and the version that it serves.
    pub(crate) look: Look,
    /// The second version that it serves, if it does.
    pub(crate) second: Option<Function>,
    /// The reference to run, `REPOSITORY@DIGEST`.
    pub(crate) image: String,
}

/// The version that the alias is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    /// The one that it serves.
    Keep,
    /// The one to which traffic moves already.
    GoOn(String),
    /// The one from which traffic moves to this one: that ends.
    End(String),
    /// One of `$LATEST`, which may have been published before.
    Publish {
        /// `$LATEST` gets the image first.
        code: bool,
    },
}

/// The changes of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    /// The version that the alias serves before.
    pub(crate) before: String,
    pub(crate) before_digest: Option<Digest>,
    /// `$LATEST` as the changes were read from it.
    pub(crate) latest: Configuration,
    /// The settings that arrive with the version.
    pub(crate) changes: Vec<Change>,
    pub(crate) image: String,
    pub(crate) digest: Digest,
}

/// The gate's part in a deployment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate<'a> {
    /// The environment, if it has a gate.
    pub(crate) environment: Option<&'a str>,
    /// True if the deployment is under a permit for a rollback.
    pub(crate) rollback: bool,
}

/// Decides it.
///
/// # Errors
/// The alias cannot be deployed to or a setting not be read (exit 3), or its traffic moves to another version (exit 4).
pub(crate) fn decide(
    client: &Client,
    observed: &Observed,
    digest: &Digest,
    gate: Gate<'_>,
) -> Result<Plan> {
    decided((&client.function, &client.alias), observed, digest, gate)
}

fn decided(
    named: (&str, &str),
    observed: &Observed,
    digest: &Digest,
    gate: Gate<'_>,
) -> Result<Plan> {
    let Observed {
        latest,
        look,
        second,
        image,
    } = observed;
    refuse_irreversible(named, observed)?;
    let before = &look.alias.function_version;
    let differ = || changes(&look.serving.configuration, &latest.configuration);
    let served = look.serving.digest().as_ref() == Some(digest);
    let version = match look.alias.weight() {
        _ if look.provisions() => match served && differ()?.is_empty() {
            true => Version::Keep,
            false => return Err(provisioning(named, look)),
        },
        // Going back from what moves needs a judgment of its own, which the permit is; without a gate, `rollback` does it.
        Some((to, _)) if served && gate.rollback => Version::End(to.to_owned()),
        Some((to, _)) => {
            let ours = second.as_ref().and_then(Function::digest);
            if ours.as_ref() != Some(digest) {
                return Err(busy(named, look, ours.as_ref(), gate));
            }
            Version::GoOn(to.to_owned())
        }
        None if served && differ()?.is_empty() => Version::Keep,
        None => {
            let failed = latest.configuration.last_update_status.as_deref() == Some("Failed");
            Version::Publish {
                code: failed || latest.digest().as_ref() != Some(digest),
            }
        }
    };
    Ok(Plan {
        changes: match version {
            Version::Publish { .. } => differ()?,
            _ => Vec::new(),
        },
        version,
        before: before.clone(),
        before_digest: look.serving.digest(),
        latest: latest.configuration.clone(),
        image: image.clone(),
        digest: digest.clone(),
    })
}

/// Refuses a function that takes no digest, and an alias that could not go back.
fn refuse_irreversible((function, alias): (&str, &str), observed: &Observed) -> Result<()> {
    let latest = &observed.latest.configuration;
    if latest.package_type.as_deref() != Some("Image") {
        return Err(Error::refused(format!(
            "the code of function {function} is not an image, so no digest can be deployed to it"
        ))
        .hint("create the function with the package type Image; Lambda cannot change it later"));
    }
    if observed.look.alias.function_version == LATEST {
        return Err(Error::refused(format!(
            "alias {alias} of function {function} serves {LATEST}, so there would be nothing to go back to"
        ))
        .hint(format!("publish a version: aws lambda publish-version --function-name {function}"))
        .hint(format!(
            "then have the alias serve it: aws lambda update-alias --function-name {function} --name {alias} --function-version NUMBER"
        )));
    }
    Ok(())
}

fn busy(
    (function, alias): (&str, &str),
    look: &Look,
    to: Option<&Digest>,
    gate: Gate<'_>,
) -> Error {
    let of = to.map_or_else(String::new, |digest| format!(" with {digest}"));
    let error = Error::new(
        ErrorKind::Busy,
        format!(
            "the traffic of alias {alias} of function {function} moves to another version{of}, so nothing was deployed over it"
        ),
    )
    .cause(format!("it serves {}", look.alias.line()));
    match gate.environment {
        None => error.hint(format!(
            "wait for that deployment, or end it first: slipway-service rollback --function {function} --alias {alias}"
        )),
        Some(environment) => end_hints(environment, look)
            .into_iter()
            .fold(error.hint("wait for that deployment, or end it"), Error::hint),
    }
}

/// The commands that end a deployment whose traffic moves in an environment with a gate.
pub(crate) fn end_hints(environment: &str, look: &Look) -> [String; 2] {
    let digest = look.serving.digest();
    let digest = digest.as_ref().map_or("DIGEST", Digest::as_str);
    [
        format!(
            "ask for a permit to go back: slipway-promote grant --environment {environment} --digest {digest} --rollback"
        ),
        format!(
            "then deploy what is served under it, which takes the traffic back: slipway-service deploy --environment {environment} --digest {digest} --permit NUMBER"
        ),
    ]
}

/// The refusal while Lambda itself moves the traffic, or makes execution environments for the version that is served.
pub(crate) fn provisioning((function, alias): (&str, &str), look: &Look) -> Error {
    let provisioned = look.provisioned.clone().unwrap_or_default();
    Error::new(
        ErrorKind::Busy,
        format!(
            "the provisioned concurrency of alias {alias} of function {function} is being moved or made, so nothing was deployed over it"
        ),
    )
    .cause(format!(
        "it serves {}; provisioned concurrency: {}",
        look.alias.line(),
        provisioned.status
    ))
    .cause("until that has ended, the version before may have the traffic, and nobody could go back to it")
    .hint(format!(
        "wait for the end: slipway-service status --function {function} --alias {alias}"
    ))
}

impl Plan {
    /// The plan in lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let before = match &self.before_digest {
            Some(digest) => format!("version {} ({digest})", self.before),
            None => format!("version {}", self.before),
        };
        let mut lines = match &self.version {
            Version::Keep => vec![format!("the alias serves {before}, which stays")],
            Version::GoOn(version) => vec![format!(
                "the alias serves {before}, and its traffic moves to version {version} already; that goes on"
            )],
            Version::End(version) => vec![format!(
                "the alias serves {before}, and gets all of the traffic back from version {version}"
            )],
            Version::Publish { code } => {
                let source = match code {
                    true => format!("{LATEST} gets {}", self.image),
                    false => format!("{LATEST} has {}", self.image),
                };
                vec![
                    source,
                    format!("a version of it is served in place of {before}"),
                ]
            }
        };
        if !self.changes.is_empty() {
            lines.push(format!(
                "the settings of {LATEST} changed since version {}:",
                self.before
            ));
            lines.extend(
                self.changes
                    .iter()
                    .map(|change| format!("  {}", change.line())),
            );
        }
        lines
    }

    /// True if the alias already serves what is asked for.
    pub(crate) fn keeps(&self) -> bool {
        self.version == Version::Keep
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "version": match &self.version {
                Version::Keep => "keep",
                Version::GoOn(_) => "go_on",
                Version::End(_) => "end",
                Version::Publish { .. } => "publish",
            },
            "updates_code": self.version == Version::Publish { code: true },
            "version_before": self.before,
            "digest_before": self.before_digest.as_ref().map(Digest::as_str),
            "image": self.image,
            "digest": self.digest.as_str(),
            "changes": self.changes.iter().map(|change| json!({
                "name": change.name,
                "before": change.values.as_ref().and_then(|(before, _)| before.clone()),
                "after": change.values.as_ref().and_then(|(_, after)| after.clone()),
            })).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests;
