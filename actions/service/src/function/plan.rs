//! Decides what a deployment changes in a function. Pure.

use kit::error::{Error, ErrorKind, Result};
use kit::id::Digest;
use lambda::{Change, Client, Function, LATEST, Look, changes};
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
    /// The settings that arrive with the version.
    pub(crate) changes: Vec<Change>,
    pub(crate) image: String,
    pub(crate) digest: Digest,
}

/// Decides it.
///
/// # Errors
/// The alias cannot be deployed to (exit 3), or its traffic moves to another version (exit 4).
pub(crate) fn decide(client: &Client, observed: &Observed, digest: &Digest) -> Result<Plan> {
    decided(&client.function, &client.alias, observed, digest)
}

fn decided(function: &str, alias: &str, observed: &Observed, digest: &Digest) -> Result<Plan> {
    let Observed {
        latest,
        look,
        second,
        image,
    } = observed;
    if latest.configuration.package_type.as_deref() != Some("Image") {
        return Err(Error::refused(format!(
            "the code of function {function} is not an image, so no digest can be deployed to it"
        ))
        .hint("create the function with the package type Image; Lambda cannot change it later"));
    }
    let before = &look.alias.function_version;
    if before == LATEST {
        return Err(Error::refused(format!(
            "alias {alias} of function {function} serves {LATEST}, so there would be nothing to go back to"
        ))
        .hint(format!("publish a version: aws lambda publish-version --function-name {function}"))
        .hint(format!(
            "then have the alias serve it: aws lambda update-alias --function-name {function} --name {alias} --function-version NUMBER"
        )));
    }
    let differ = changes(&look.serving.configuration, &latest.configuration);
    // An alias with provisioned concurrency takes no weights; those that it shows are Lambda's own, while it moves.
    let weight = look.alias.weight().filter(|_| look.provisioned.is_none());
    let version = match weight {
        Some((second_version, _)) => {
            let ours = second.as_ref().and_then(Function::digest);
            if ours.as_ref() != Some(digest) {
                return Err(busy(function, alias, look, ours.as_ref()));
            }
            Version::GoOn(second_version.to_owned())
        }
        None if look.serving.digest().as_ref() == Some(digest) && differ.is_empty() => {
            Version::Keep
        }
        None => {
            let failed = latest.configuration.last_update_status.as_deref() == Some("Failed");
            Version::Publish {
                code: failed || latest.digest().as_ref() != Some(digest),
            }
        }
    };
    Ok(Plan {
        changes: match version {
            Version::Publish { .. } => differ,
            _ => Vec::new(),
        },
        version,
        before: before.clone(),
        before_digest: look.serving.digest(),
        image: image.clone(),
        digest: digest.clone(),
    })
}

fn busy(function: &str, alias: &str, look: &Look, to: Option<&Digest>) -> Error {
    let of = to.map_or_else(String::new, |digest| format!(" with {digest}"));
    Error::new(
        ErrorKind::Busy,
        format!(
            "the traffic of alias {alias} of function {function} moves to another version{of}, so nothing was deployed over it"
        ),
    )
    .cause(format!("it serves {}", look.alias.line()))
    .hint(format!(
        "wait for that deployment, or end it first: slipway-service rollback --function {function} --alias {alias}"
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
mod tests {
    use super::*;
    use kit::Exit;

    fn digest(digit: &str) -> Digest {
        Digest::parse(&format!("sha256:{}", digit.repeat(64))).unwrap()
    }

    fn function(image: &str, memory: u64) -> Function {
        serde_json::from_value(json!({
            "Configuration": {"PackageType": "Image", "State": "Active", "LastUpdateStatus": "Successful", "MemorySize": memory},
            "Code": {"ImageUri": format!("h/web@{}", digest(image)), "ResolvedImageUri": format!("h/web@{}", digest(image))},
        }))
        .unwrap()
    }

    /// An alias at version 1 with image `serving`, a `$LATEST` with image `latest`, and weights for version 2 with `second`.
    fn observed(serving: &str, latest: &str, second: Option<&str>) -> Observed {
        let routing = second.map(|_| json!({"AdditionalVersionWeights": {"2": 0.1}}));
        let alias = json!({"FunctionVersion": "1", "RoutingConfig": routing});
        Observed {
            latest: function(latest, 128),
            look: Look {
                alias: serde_json::from_value(alias).unwrap(),
                serving: function(serving, 128),
                provisioned: None,
            },
            second: second.map(|image| function(image, 128)),
            image: format!("h/web@{}", digest("b")),
        }
    }

    fn plan(observed: &Observed) -> Result<Plan> {
        decided("web", "live", observed, &digest("b"))
    }

    #[test]
    fn the_version_comes_from_what_is_there() {
        for (serving, latest, second, wanted) in [
            ("a", "a", None, Version::Publish { code: true }),
            // A run that was killed after it updated the code.
            ("a", "b", None, Version::Publish { code: false }),
            // One that was killed while traffic moved, and one after it.
            ("a", "b", Some("b"), Version::GoOn("2".to_owned())),
            ("b", "b", None, Version::Keep),
            // A deployment that failed left its code behind.
            ("b", "c", None, Version::Keep),
        ] {
            let plan = plan(&observed(serving, latest, second)).unwrap();
            assert_eq!(plan.version, wanted, "{serving} {latest} {second:?}");
            assert_eq!(plan.keeps(), wanted == Version::Keep);
            let (word, lines) = match wanted {
                Version::Keep => ("keep", 1),
                Version::GoOn(_) => ("go_on", 1),
                Version::Publish { .. } => ("publish", 2),
            };
            assert_eq!(plan.json()["version"], word);
            assert_eq!(plan.lines().len(), lines, "{:?}", plan.lines());
        }
    }

    #[test]
    fn settings_of_the_infrastructure_arrive_with_the_next_deployment() {
        let mut observed = observed("b", "b", None);
        observed.latest = function("b", 256);
        let plan = plan(&observed).unwrap();
        assert_eq!(plan.version, Version::Publish { code: false });
        assert!(
            plan.lines().join("\n").contains("MemorySize: 128 → 256"),
            "{:?}",
            plan.lines()
        );
    }

    #[test]
    fn an_update_that_failed_is_made_again() {
        let mut observed = observed("a", "b", None);
        observed.latest.configuration.last_update_status = Some("Failed".to_owned());
        assert_eq!(
            plan(&observed).unwrap().version,
            Version::Publish { code: true }
        );
    }

    #[test]
    fn what_could_not_be_undone_is_refused() {
        let mut latest = observed("a", "a", None);
        latest.look.alias.function_version = LATEST.to_owned();
        let error = plan(&latest).unwrap_err();
        assert_eq!((error.exit(), error.hints.len()), (Exit::Refused, 2));
        let mut zip = observed("a", "a", None);
        zip.latest.configuration.package_type = Some("Zip".to_owned());
        assert_eq!(plan(&zip).unwrap_err().exit(), Exit::Refused);
        // Traffic that moves to another digest is somebody's deployment.
        let error = plan(&observed("a", "c", Some("c"))).unwrap_err();
        assert_eq!(error.exit(), Exit::Busy);
        let error = plan(&observed("b", "c", Some("c"))).unwrap_err();
        assert_eq!(error.exit(), Exit::Busy);
    }

    #[test]
    fn weights_beside_provisioned_concurrency_are_lambdas_own() {
        let mut moving = observed("b", "b", Some("a"));
        moving.look.provisioned = Some(lambda::Provisioned::default());
        assert!(plan(&moving).unwrap().keeps());
    }
}
