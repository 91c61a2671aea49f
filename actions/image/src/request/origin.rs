//! The evidence that the image is the commit's, and the labels that say so.

use kit::{Error, Result, clock};

/// The labels that name the commit (OCI Image Specification, "Pre-Defined Annotation Keys").
pub(crate) const REVISION: &str = "org.opencontainers.image.revision";
pub(super) const CREATED: &str = "org.opencontainers.image.created";

/// The label of an image that was not shown to be a commit's, with the reason that was given.
const UNVERIFIED: &str = "dev.slipway.unverified";

/// The evidence that the image is the commit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Everything that the build reads was compared with the commit.
    Commit,
    /// It was built elsewhere, and `--layout` claims that it is the commit's.
    Prebuilt,
    /// There is none; a person gave this reason for publishing it all the same.
    Unverified(String),
}

/// Reads the reason of `--allow-unverified`.
///
/// # Errors
/// A reason that is empty or not one line, or the commit's own tag (exit 2).
pub(super) fn unverified(reason: &str, tags: &[String], commit: &str) -> Result<Origin> {
    let reason = reason.trim();
    if reason.is_empty() || reason.contains(char::is_control) {
        return Err(
            Error::usage("--allow-unverified is not one line with a reason")
                .hint("say why the image is published although it is not shown to be the commit's"),
        );
    }
    if tags.is_empty() || tags.iter().any(|tag| tag == commit) {
        return Err(Error::usage(
            "an image that is not shown to be the commit's cannot have the commit's tag",
        )
        .hint("with --allow-unverified, give another --tag"));
    }
    Ok(Origin::Unverified(reason.to_owned()))
}

/// The labels of every image.
pub(super) fn standard_labels(
    commit: &str,
    origin: &Origin,
    source: Option<String>,
    epoch: Option<i64>,
) -> Vec<(String, String)> {
    // Names from the OCI Image Specification, "Pre-Defined Annotation Keys". Nothing of the run
    // is in them, or the same commit would make another digest at each run.
    let mut labels = vec![match origin {
        Origin::Unverified(reason) => (UNVERIFIED.to_owned(), reason.clone()),
        Origin::Commit | Origin::Prebuilt => (REVISION.to_owned(), commit.to_owned()),
    }];
    if let Some(source) = source {
        labels.push(("org.opencontainers.image.source".to_owned(), source));
    }
    if let Some(at) = epoch.and_then(|epoch| time::OffsetDateTime::from_unix_timestamp(epoch).ok())
    {
        labels.push((CREATED.to_owned(), clock::rfc3339(at)));
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_same_for_the_same_commit() {
        assert_eq!(
            standard_labels(
                "abc",
                &Origin::Commit,
                Some("https://github.com/acme/storefront".to_owned()),
                Some(0)
            ),
            [
                ("org.opencontainers.image.revision", "abc"),
                (
                    "org.opencontainers.image.source",
                    "https://github.com/acme/storefront"
                ),
                ("org.opencontainers.image.created", "1970-01-01T00:00:00Z"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
