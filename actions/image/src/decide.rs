//! What to do with the repository and the tags, from what was seen. Touches nothing.

use kit::{Error, Result};
use std::collections::BTreeMap;

/// Whether a repository lets a tag move, as ECR's `imageTagMutability` and its exclusion filters
/// say (ECR API Reference, `ImageTagMutabilityExclusionFilter`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutability {
    /// Whether tags that no filter matches may move.
    pub(crate) mutable: bool,
    /// Patterns with `*` for which it is the other way round.
    pub(crate) exceptions: Vec<String>,
}

impl Mutability {
    pub(crate) fn may_move(&self, tag: &str) -> bool {
        let excepted = self
            .exceptions
            .iter()
            .any(|pattern| wildcard(pattern.as_bytes(), tag.as_bytes()));
        self.mutable != excepted
    }
}

fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| wildcard(rest, &text[skip..])),
        [first, rest @ ..] => text.first() == Some(first) && wildcard(rest, &text[1..]),
    }
}

/// What to do about the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryPlan {
    Create,
    Keep { drift: Vec<String> },
}

/// An existing repository is not changed: its owner may have had a reason.
pub(crate) fn repository(seen: Option<&Mutability>) -> RepositoryPlan {
    let Some(mutability) = seen else {
        return RepositoryPlan::Create;
    };
    // A commit's tag is 40 hexadecimal digits; any such tag stands for all.
    let commit = "0".repeat(40);
    let drift = if mutability.may_move(&commit) {
        vec!["a commit's tag can be moved to another image; it should be immutable".to_owned()]
    } else {
        Vec::new()
    };
    RepositoryPlan::Keep { drift }
}

/// What to do about the commit's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Publication {
    /// Build and push it under the commit's tag, then add the other tags.
    Build,
    /// It is in the registry already; only these tags are to be put on it.
    Published { digest: String, add: Vec<String> },
}

/// Decides from the tags that exist (`seen`: tag to digest).
///
/// # Errors
/// A tag that cannot move names another image (exit 3).
pub(crate) fn publication(
    commit: &str,
    extra: &[String],
    seen: &BTreeMap<String, String>,
    mutability: &Mutability,
    rebuild: bool,
) -> Result<Publication> {
    let published = seen.get(commit);
    if let (Some(digest), true) = (published, rebuild)
        && !mutability.may_move(commit)
    {
        return Err(Error::refused(format!(
            "tag {commit} names {digest} and is immutable; a rebuild could not be published"
        ))
        .hint("leave out --rebuild to use what is published, or publish a new commit"));
    }
    let published = published.filter(|_| !rebuild);
    for tag in extra {
        if let Some(there) = seen.get(tag)
            && Some(there) != published
            && !mutability.may_move(tag)
        {
            return Err(conflict(tag, there, published.map(String::as_str), commit));
        }
    }
    Ok(match published {
        None => Publication::Build,
        Some(digest) => Publication::Published {
            digest: digest.clone(),
            add: extra
                .iter()
                .filter(|tag| seen.get(*tag) != Some(digest))
                .cloned()
                .collect(),
        },
    })
}

/// An immutable tag that names another image.
pub(crate) fn conflict(tag: &str, there: &str, ours: Option<&str>, commit: &str) -> Error {
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

    fn immutable() -> Mutability {
        Mutability {
            mutable: false,
            exceptions: vec!["latest".to_owned(), "cache-*".to_owned()],
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

    #[test]
    fn a_missing_repository_is_created_and_a_mutable_one_reported() {
        assert_eq!(repository(None), RepositoryPlan::Create);
        assert_eq!(
            repository(Some(&immutable())),
            RepositoryPlan::Keep { drift: vec![] }
        );
        let mutable = Mutability {
            mutable: true,
            exceptions: vec![],
        };
        let RepositoryPlan::Keep { drift } = repository(Some(&mutable)) else {
            panic!("kept");
        };
        assert_eq!(drift.len(), 1);
    }

    #[test]
    fn what_is_published_is_not_built_again() {
        let build = || Ok(Publication::Build);
        let published = |add: &[&str]| {
            Ok(Publication::Published {
                digest: "sha256:a".to_owned(),
                add: add.iter().map(|tag| (*tag).to_owned()).collect(),
            })
        };
        let a_commit = (COMMIT, "sha256:a");
        #[expect(clippy::type_complexity, reason = "a table")]
        let table: [(&[&str], &[(&str, &str)], bool, Result<Publication, &str>); 11] = [
            (&[], &[], false, build()),
            (&[], &[], true, build()),
            (&["v1"], &[], false, build()),
            (&[], &[a_commit], false, published(&[])),
            (&["v1"], &[a_commit], false, published(&["v1"])),
            (
                &["v1"],
                &[a_commit, ("v1", "sha256:a")],
                false,
                published(&[]),
            ),
            (
                &["latest"],
                &[a_commit, ("latest", "sha256:b")],
                false,
                published(&["latest"]),
            ),
            (&["latest"], &[("latest", "sha256:b")], false, build()),
            (
                &["v1"],
                &[a_commit, ("v1", "sha256:b")],
                false,
                Err(
                    "tag v1 already names sha256:b and is immutable; commit 1111111111111111111111111111111111111111 is sha256:a",
                ),
            ),
            (
                &["v1"],
                &[("v1", "sha256:b")],
                false,
                Err(
                    "tag v1 already names sha256:b and is immutable; commit 1111111111111111111111111111111111111111 is not published yet",
                ),
            ),
            (
                &[],
                &[a_commit],
                true,
                Err(
                    "tag 1111111111111111111111111111111111111111 names sha256:a and is immutable; a rebuild could not be published",
                ),
            ),
        ];
        for (extra, seen, rebuild, wanted) in table {
            let extra: Vec<String> = extra.iter().map(|tag| (*tag).to_owned()).collect();
            let seen = seen
                .iter()
                .map(|(tag, digest)| ((*tag).to_owned(), (*digest).to_owned()))
                .collect();
            match (
                publication(COMMIT, &extra, &seen, &immutable(), rebuild),
                wanted,
            ) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(found), Err(wanted)) => {
                    assert_eq!(found.message, wanted);
                    assert_eq!(found.exit, kit::Exit::Refused);
                }
                (found, wanted) => panic!("{found:?} against {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_mutable_repository_is_rebuilt_on_request() {
        let mutability = Mutability {
            mutable: true,
            exceptions: vec![],
        };
        let seen = BTreeMap::from([(COMMIT.to_owned(), "sha256:a".to_owned())]);
        assert_eq!(
            publication(COMMIT, &[], &seen, &mutability, true).unwrap(),
            Publication::Build
        );
    }
}
