//! Decisions about tags, from the tags that exist. Pure.

use crate::tag_pattern;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::BTreeMap;

/// The tags that a repository lets move, as ECR's `imageTagMutability` and its exclusion filters
/// say (ECR API Reference, `ImageTagMutabilityExclusionFilter`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutability {
    /// True if tags that no filter matches may move.
    pub(crate) mutable: bool,
    /// Patterns with `*` for which it is the other way round.
    pub(crate) exceptions: Vec<String>,
}

impl Mutability {
    pub(crate) fn may_move(&self, tag: &str) -> bool {
        let excepted = self
            .exceptions
            .iter()
            .any(|pattern| tag_pattern::fits(pattern, tag));
        self.mutable != excepted
    }
}

/// The decision about the commit's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Publication {
    /// Build and push it under the commit's tag, then add the other tags.
    Build,
    /// It is in the registry already; only these tags are to be put on it.
    Published { digest: Digest, add: Vec<String> },
}

/// Decides from the tags that exist (`seen`: tag to digest). `tags` are those that the image is to have, the commit's among
/// them if it is the commit's. `content` is the tag of what the commit
/// is made of, where that is known: an image it names is the commit's too.
///
/// # Errors
/// A tag that cannot move names another image (exit 3).
pub(crate) fn publication(
    commit: &str,
    tags: &[String],
    content: Option<&str>,
    seen: &BTreeMap<String, Digest>,
    mutability: &Mutability,
    rebuild: bool,
) -> Result<Publication> {
    if let (Some(digest), true) = (seen.get(commit), rebuild)
        && !mutability.may_move(commit)
    {
        return Err(Error::refused(format!(
            "tag {commit} names {digest} and is immutable; a rebuild could not be published"
        ))
        .hint("leave out --rebuild to use what is published, or publish a new commit"));
    }
    let published = seen
        .get(commit)
        .or_else(|| seen.get(content?))
        .filter(|_| !rebuild);
    for tag in tags {
        if let Some(there) = seen.get(tag)
            && Some(there) != published
            && !mutability.may_move(tag)
        {
            return Err(conflict(tag, there, published, commit));
        }
    }
    Ok(match published {
        None => Publication::Build,
        Some(digest) => Publication::Published {
            digest: digest.clone(),
            add: tags
                .iter()
                .filter(|tag| seen.get(*tag) != Some(digest))
                .cloned()
                .collect(),
        },
    })
}

/// Returns whether these tags can be put on the image `digest`, from what they name now.
///
/// # Errors
/// One cannot move and names another image (exit 3).
pub(crate) fn free(
    tags: &[String],
    seen: &BTreeMap<String, Digest>,
    digest: &Digest,
    mutability: &Mutability,
) -> Result<()> {
    for tag in tags {
        if let Some(there) = seen.get(tag)
            && there != digest
            && !mutability.may_move(tag)
        {
            return Err(Error::refused(format!(
                "tag {tag} names {there} and is immutable; it should name {digest}"
            ))
            .hint("an immutable tag never moves: choose another tag, or take the image it names"));
        }
    }
    Ok(())
}

/// Checks that a replica can have these tags, from what they name there. `digest` is the image's, `None` while it is not
/// built: an immutable tag that exists then names another image, or one that only a build could identify.
///
/// # Errors
/// One cannot move and names another image (exit 3).
pub(crate) fn replica(
    tags: &[String],
    seen: &BTreeMap<String, Digest>,
    digest: Option<&Digest>,
    mutability: &Mutability,
    commit: &str,
) -> Result<()> {
    for tag in tags {
        if let Some(there) = seen.get(tag)
            && Some(there) != digest
            && !mutability.may_move(tag)
        {
            let error = conflict(tag, there, digest, commit);
            return Err(match tag == commit {
                true => error.hint("to use the image that is there: slipway-image copy --digest, from that repository to the primary one"),
                false => error,
            });
        }
    }
    Ok(())
}

/// An immutable tag that names another image.
pub(crate) fn conflict(tag: &str, there: &Digest, ours: Option<&Digest>, commit: &str) -> Error {
    let ours = match ours {
        Some(digest) => format!("commit {commit} is {digest}"),
        None => format!("commit {commit} is not published yet"),
    };
    Error::refused(format!(
        "tag {tag} already names {there} and is immutable; {ours}"
    ))
    .hint("choose another tag; an immutable tag never moves")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "1111111111111111111111111111111111111111";

    /// A digest of one repeated digit, by a short name such as `sha256:a`.
    fn digest(name: &str) -> Digest {
        let digit = name.strip_prefix("sha256:").unwrap();
        Digest::parse(&format!("sha256:{}", digit.repeat(64))).unwrap()
    }

    fn immutable() -> Mutability {
        Mutability {
            mutable: false,
            exceptions: vec!["latest".to_owned(), "cache-*".to_owned()],
        }
    }

    #[test]
    fn a_replica_takes_the_same_image_and_no_other() {
        let tags = [COMMIT.to_owned(), "latest".to_owned()];
        let seen = BTreeMap::from([
            (COMMIT.to_owned(), digest("sha256:1")),
            ("latest".to_owned(), digest("sha256:0")),
        ]);
        let decide = |seen: &BTreeMap<String, Digest>, ours: Option<&Digest>| {
            replica(&tags, seen, ours, &immutable(), COMMIT)
        };
        assert!(decide(&seen, Some(&digest("sha256:1"))).is_ok());
        assert!(decide(&BTreeMap::new(), None).is_ok());
        for ours in [None, Some(digest("sha256:2"))] {
            let error = decide(&seen, ours.as_ref()).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            assert!(error.message.contains("sha256:1"), "{error}");
            assert!(error.hints.iter().any(|hint| hint.contains("copy")));
        }
    }

    #[test]
    fn exceptions_turn_the_default_round() {
        let mutable = Mutability {
            mutable: true,
            exceptions: vec!["v*.*".to_owned()],
        };
        for (mutability, tag, moves) in [
            (immutable(), "latest", true),
            (immutable(), "latest2", false),
            (immutable(), "cache-", true),
            (immutable(), "v1.0", false),
            (mutable.clone(), "v1.0", false),
            (mutable.clone(), "v1", true),
            (mutable, "", true),
        ] {
            assert_eq!(mutability.may_move(tag), moves, "{mutability:?} {tag}");
        }
    }

    /// Decides for the commit and `extra` tags, where the repository has `seen`.
    fn decided(extra: &[&str], seen: &[(&str, &str)], rebuild: bool) -> Result<Publication> {
        let tags: Vec<String> = std::iter::once(&COMMIT)
            .chain(extra)
            .map(|tag| (*tag).to_owned())
            .collect();
        let seen = seen
            .iter()
            .map(|(tag, name)| ((*tag).to_owned(), digest(name)))
            .collect();
        let content = Some("content-1");
        publication(COMMIT, &tags, content, &seen, &immutable(), rebuild)
    }

    const BY_COMMIT: (&str, &str) = (COMMIT, "sha256:a");
    const BY_CONTENT: (&str, &str) = ("content-1", "sha256:a");

    #[test]
    fn a_published_image_is_not_built_again() {
        let (v1, latest) = (("v1", "sha256:a"), ("latest", "sha256:b"));
        for (extra, seen, add) in [
            (&[][..], &[BY_COMMIT][..], &[][..]),
            (&["v1"], &[BY_COMMIT], &["v1"]),
            (&["v1"], &[BY_COMMIT, v1], &[]),
            (&["latest"], &[BY_COMMIT, latest], &["latest"]),
            (&[], &[BY_CONTENT], &[COMMIT]),
            (&["v1"], &[BY_CONTENT, v1], &[COMMIT]),
            (&[], &[BY_COMMIT, ("content-1", "sha256:b")], &[]),
        ] {
            let wanted = Publication::Published {
                digest: digest("sha256:a"),
                add: add.iter().map(|tag| (*tag).to_owned()).collect(),
            };
            assert_eq!(decided(extra, seen, false).unwrap(), wanted, "{extra:?}");
        }
    }

    #[test]
    fn an_unpublished_image_or_a_requested_rebuild_is_built() {
        for (extra, seen, rebuild) in [
            (&[][..], &[][..], false),
            (&[], &[], true),
            (&["v1"], &[], false),
            (&["latest"], &[("latest", "sha256:b")], false),
            (&[], &[BY_CONTENT], true),
        ] {
            let found = decided(extra, seen, rebuild).unwrap();
            assert_eq!(found, Publication::Build, "{extra:?} {seen:?}");
        }
    }

    #[test]
    fn refuses_an_immutable_tag_that_would_have_to_move() {
        let (a, b) = (digest("sha256:a"), digest("sha256:b"));
        let other = ("v1", "sha256:b");
        for (extra, seen, rebuild, wanted) in [
            (
                &["v1"][..],
                &[BY_COMMIT, other][..],
                false,
                format!("tag v1 already names {b} and is immutable; commit {COMMIT} is {a}"),
            ),
            (
                &["v1"],
                &[other],
                false,
                format!(
                    "tag v1 already names {b} and is immutable; commit {COMMIT} is not published yet"
                ),
            ),
            (
                &[],
                &[BY_COMMIT],
                true,
                format!(
                    "tag {COMMIT} names {a} and is immutable; a rebuild could not be published"
                ),
            ),
        ] {
            let error = decided(extra, seen, rebuild).unwrap_err();
            assert_eq!(error.message, wanted);
            assert_eq!(error.exit(), kit::Exit::Refused);
        }
    }

    #[test]
    fn a_tag_is_free_where_it_is_missing_may_move_or_names_the_image() {
        let (ours, theirs) = (digest("sha256:a"), digest("sha256:b"));
        let free = |tag: &str, there: &Digest| {
            let seen = BTreeMap::from([(tag.to_owned(), there.clone())]);
            super::free(&["v1".into(), "latest".into()], &seen, &ours, &immutable())
        };
        assert!(free("other", &theirs).is_ok());
        assert!(free("v1", &ours).is_ok());
        assert!(free("latest", &theirs).is_ok());
        let error = free("v1", &theirs).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Refused);
        for digest in [&ours, &theirs] {
            assert!(error.message.contains(digest.as_str()), "{}", error.message);
        }
    }

    #[test]
    fn a_mutable_repository_is_rebuilt_on_request() {
        let mutability = Mutability {
            mutable: true,
            exceptions: vec![],
        };
        let seen = BTreeMap::from([(COMMIT.to_owned(), digest("sha256:a"))]);
        assert_eq!(
            publication(COMMIT, &[], None, &seen, &mutability, true).unwrap(),
            Publication::Build
        );
    }
}
