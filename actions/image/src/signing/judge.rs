//! Judges whether provenance that was found proves the commit or the content it is asked about. Pure.

use attest::{Provenance, PublicKey, Unverified};
use kit::Error;
use kit::id::{CommitId, Digest};
use std::fmt;

/// Why an image is not shown to be a commit's, or to have a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unshown {
    /// It has no provenance.
    Missing,
    /// Its provenance is not signed, or is another image's.
    Unverified(Unverified),
    /// Its provenance is for this commit.
    OtherCommit(CommitId),
    /// Its provenance is for this content.
    OtherContent(String),
    /// Its provenance is for no content.
    NoContent,
    /// Its label names no commit by which provenance could be found.
    NoLabel,
}

impl fmt::Display for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it has no provenance"),
            Self::Unverified(why) => write!(f, "its provenance does not verify: {why}"),
            Self::OtherCommit(commit) => write!(f, "its provenance is for commit {commit}"),
            Self::OtherContent(key) => write!(f, "its provenance is for content {key}"),
            Self::NoContent => f.write_str("its provenance names no content"),
            Self::NoLabel => f.write_str("its label names no commit it was built for"),
        }
    }
}

impl std::error::Error for Unshown {}

/// The provenance, if it shows that the image is the commit's.
///
/// # Errors
/// It does not.
pub(super) fn commit(
    found: Option<&[u8]>,
    key: &PublicKey,
    image: &Digest,
    repository: &str,
    commit: &CommitId,
) -> Result<Provenance, Unshown> {
    let Some(manifest) = found else {
        return Err(Unshown::Missing);
    };
    let provenance =
        attest::verified(manifest, key, image, repository).map_err(Unshown::Unverified)?;
    if provenance.commit != *commit {
        return Err(Unshown::OtherCommit(provenance.commit));
    }
    Ok(provenance)
}

/// Checks that the provenance shows that the image has this content.
///
/// # Errors
/// It does not.
pub(super) fn content(provenance: &Provenance, key: &str) -> Result<(), Unshown> {
    match provenance.content_key.as_deref() {
        Some(there) if there == key => Ok(()),
        Some(there) => Err(Unshown::OtherContent(there.to_owned())),
        None => Err(Unshown::NoContent),
    }
}

/// The refusal of an image under a commit's tag.
pub(crate) fn refusal(commit: &str, image: &Digest, repository: &str, why: &Unshown) -> Error {
    Error::refused(format!(
        "tag {commit} names {image}, which is not shown to be that commit's"
    ))
    .because(why.clone())
    .hint(format!(
        "find out in CloudTrail who pushed it to {repository}; if nobody may have, treat the publish role as stolen"
    ))
    .hint(format!(
        "then publish a new commit, or delete the tag and run this again: aws ecr batch-delete-image --repository-name {repository} --image-ids imageTag={commit}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::{Artifact, Builder, Image, Origin, Signer};

    const REPOSITORY: &str = "https://github.com/acme/storefront";

    fn digest(digit: &str) -> Digest {
        format!("sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    fn commit_id(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    fn sample() -> Provenance {
        Provenance {
            digest: digest("a"),
            image: "host/storefront".to_owned(),
            repository: REPOSITORY.to_owned(),
            commit: commit_id("c"),
            tree: None,
            content_key: Some("k".to_owned()),
            built_for: None,
            origin: Origin::Commit,
            builder: Builder::Terminal,
            at: "2026-11-21T18:00:00Z".to_owned(),
            version: "0.1.0".to_owned(),
        }
    }

    async fn stored(provenance: &Provenance, signer: &Signer) -> Vec<u8> {
        let envelope = attest::envelope(provenance, signer).await.unwrap();
        let image = Image {
            digest: provenance.digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 7,
        };
        Artifact::new(&image, &provenance.commit, &envelope).manifest
    }

    #[tokio::test]
    async fn only_provenance_of_this_image_repository_and_commit_shows_anything() {
        let (signer, stranger) = (Signer::local(), Signer::local());
        let ours = stored(&sample(), &signer).await;
        let of = |change: fn(&mut Provenance)| {
            let mut provenance = sample();
            change(&mut provenance);
            provenance
        };
        let other_image = stored(&of(|it| it.digest = digest("b")), &signer).await;
        let other_commit = stored(&of(|it| it.commit = commit_id("d")), &signer).await;
        let other_repository = stored(
            &of(|it| it.repository = "https://github.com/acme/other".to_owned()),
            &signer,
        )
        .await;
        let strangers = stored(&sample(), &stranger).await;
        for (found, why) in [
            (Some(&ours), None),
            (None, Some("it has no provenance")),
            (Some(&other_image), Some("it is for image sha256:bbb")),
            (Some(&other_commit), Some("for commit dddd")),
            (
                Some(&other_repository),
                Some("for repository https://github.com/acme/other"),
            ),
            (Some(&strangers), Some("it is not signed by the key")),
            (Some(&b"{}".to_vec()), Some("not of provenance")),
        ] {
            let shown = commit(
                found.map(|manifest| &manifest[..]),
                signer.public_key(),
                &digest("a"),
                REPOSITORY,
                &commit_id("c"),
            );
            match why {
                None => assert_eq!(shown, Ok(sample())),
                Some(why) => assert!(
                    shown.as_ref().unwrap_err().to_string().contains(why),
                    "{why}: {shown:?}"
                ),
            }
        }
    }

    #[test]
    fn content_is_compared() {
        let provenance = sample();
        assert_eq!(content(&provenance, "k"), Ok(()));
        assert!(content(&provenance, "l").is_err());
        let none = Provenance {
            content_key: None,
            ..provenance
        };
        assert!(content(&none, "k").is_err());
    }
}
