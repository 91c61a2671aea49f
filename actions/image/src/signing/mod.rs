//! The signed provenance of an image: made once the image is proven to be in the registry, and demanded of
//! an image that is there already.
//!
//! Anyone who once held the role that pushes could have put any image under the tag of a commit that is yet to be built. So
//! where the contract names a key, a tag alone proves nothing: the image is the commit's only if a statement says so that only
//! a build can have signed.

mod attach;
mod builder;
mod judge;

pub(crate) use attach::{About, attach_to_replicas};
pub(crate) use judge::{Unshown, refusal};

use crate::ecr::Ecr;
use crate::key::ContentKey;
use crate::request::{Origin, Request};
use attest::{PublicKey, Signer};
use kit::aws::KmsKey;
use kit::id::{CommitId, Digest};
use kit::step::Cx;
use kit::{Error, Lenient, Result, clock};
use net::{Account, Net};

/// Everything that signing takes.
#[derive(Debug)]
pub(crate) struct Signing {
    signer: Signer,
    /// The key as it was named.
    pub(crate) key: KmsKey,
    /// The repository of the source, as provenance names it.
    repository: String,
    builder: attest::Builder,
}

/// The judgment of an image's provenance: proven, or the reason why it is not.
pub(crate) type Shown = Result<(), Unshown>;

impl Signing {
    /// Prepares to sign with `key`. Asks KMS for the key's public half, so that a missing permission is found before anything is built.
    ///
    /// # Errors
    /// The source's repository is not known (exit 2), or KMS cannot be asked.
    pub(crate) async fn new(
        cx: &Cx,
        net: &Net,
        account: &Account,
        key: &KmsKey,
        request: &Request,
    ) -> Result<Self> {
        let repository = request.source.clone().ok_or_else(|| {
            Error::usage("the repository of the source is not known, and provenance names it")
                .hint("give --source-repository https://HOST/OWNER/NAME")
        })?;
        Ok(Self {
            signer: Signer::kms(net, account, key).await?,
            key: key.clone(),
            repository,
            builder: builder::of(cx)?,
        })
    }

    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// Checks that the image is shown to be the commit's.
    ///
    /// # Errors
    /// ECR cannot be asked.
    pub(crate) async fn is_commits(
        &self,
        ecr: &Ecr,
        image: &Digest,
        commit: &CommitId,
    ) -> Result<Shown> {
        let found = manifest(ecr, image, commit).await?;
        let key = self.public_key();
        Ok(judge::commit(found.as_deref(), key, image, &self.repository, commit).map(drop))
    }

    /// Checks that the image, which was built for the commit `built_for`, is shown to have this content.
    ///
    /// # Errors
    /// ECR cannot be asked.
    pub(crate) async fn has_content(
        &self,
        ecr: &Ecr,
        image: &Digest,
        built_for: Option<&Lenient<CommitId>>,
        content: &ContentKey,
    ) -> Result<Shown> {
        let Some(commit) = built_for.and_then(Lenient::parsed) else {
            return Ok(Err(Unshown::NoLabel));
        };
        let found = manifest(ecr, image, commit).await?;
        let key = self.public_key();
        let shown = judge::commit(found.as_deref(), key, image, &self.repository, commit)
            .and_then(|provenance| judge::content(&provenance, &content.hex));
        Ok(shown)
    }

    /// The statement that `image` is the request's.
    fn provenance(
        &self,
        cx: &Cx,
        request: &Request,
        image: &Digest,
        reference: &str,
        content: Option<&ContentKey>,
        built_for: Option<&Lenient<CommitId>>,
    ) -> Result<attest::Provenance> {
        Ok(attest::Provenance {
            digest: image.clone(),
            image: reference.to_owned(),
            repository: self.repository.clone(),
            commit: request.commit.clone(),
            tree: request.tree.clone(),
            content_key: content.map(|key| key.hex.clone()),
            built_for: built_for.cloned(),
            origin: origin(&request.origin, built_for.is_some()),
            builder: self.builder.clone(),
            at: clock::rfc3339(cx.clock.now()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// How the image came to be, if it may have been built for another commit. Only files that were compared
/// have a content: that a given image has another commit's label shows nothing.
fn origin(evidence: &Origin, for_another: bool) -> attest::Origin {
    match (evidence, for_another) {
        (Origin::Commit, true) => attest::Origin::SameContent,
        (Origin::Commit, false) => attest::Origin::Commit,
        (Origin::Prebuilt, _) => attest::Origin::Prebuilt,
        (Origin::Unverified(_), _) => attest::Origin::Unverified,
    }
}

/// The manifest of the provenance, `None` if there is none.
async fn manifest(ecr: &Ecr, image: &Digest, commit: &CommitId) -> Result<Option<Vec<u8>>> {
    let tags = [attest::tag(image, commit)];
    let found = ecr.tagged_if_there(&tags).await?.into_iter().next();
    Ok(found.map(|stored| stored.manifest.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_compared_is_the_commits_or_has_its_content() {
        let unverified = Origin::Unverified("a reason".to_owned());
        for (evidence, for_another, wanted) in [
            (&Origin::Commit, false, attest::Origin::Commit),
            (&Origin::Commit, true, attest::Origin::SameContent),
            (&Origin::Prebuilt, false, attest::Origin::Prebuilt),
            (&Origin::Prebuilt, true, attest::Origin::Prebuilt),
            (&unverified, false, attest::Origin::Unverified),
            (&unverified, true, attest::Origin::Unverified),
        ] {
            assert_eq!(
                origin(evidence, for_another),
                wanted,
                "{evidence:?} {for_another}"
            );
        }
    }
}
