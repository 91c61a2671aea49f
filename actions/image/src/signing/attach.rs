//! Signing provenance and putting it beside the image.

use super::{Signing, judge, manifest};
use crate::ecr::Ecr;
use crate::key::ContentKey;
use crate::push::{self, Outcome, Target};
use crate::registry::{Manifest, Repo};
use crate::request::Request;
use attest::{Artifact, Image};
use futures_util::future::join_all;
use kit::id::{CommitId, Digest};
use kit::step::Cx;
use kit::{Context, Error, Lenient, Result};

/// The image that provenance is wanted of.
pub(crate) struct About<'a> {
    pub(crate) request: &'a Request,
    pub(crate) image: &'a Manifest,
    pub(crate) content: Option<&'a ContentKey>,
    /// The commit it was built for, if that is another one of the same content.
    pub(crate) built_for: Option<&'a Lenient<CommitId>>,
}

impl Signing {
    /// Makes sure that the primary repository has provenance of the image for the request's commit:
    /// what a run before this one left, or what it signs now. Returns it as ECR has it.
    ///
    /// # Errors
    /// It cannot be signed or stored, or the tag has something else (exit 3).
    pub(crate) async fn attach(
        &self,
        cx: &Cx,
        ecr: &Ecr,
        repo: &Repo,
        about: &About<'_>,
    ) -> Result<Artifact> {
        let (image, commit) = (&about.image.digest, &about.request.commit);
        if let Some(there) = self.there(ecr, image, commit).await? {
            return Ok(there);
        }
        let provenance = self.provenance(
            cx,
            about.request,
            image,
            &repo.reference(),
            about.content,
            about.built_for,
        )?;
        let envelope = attest::envelope(&provenance, &self.signer).await?;
        let subject = Image {
            digest: image.clone(),
            media_type: about.image.media_type.clone(),
            size: about.image.bytes.len(),
        };
        let artifact = Artifact::new(&subject, commit, &envelope);
        cx.host.info(format!(
            "signed the provenance of {image} with {}",
            self.key
        ));
        if push::attach(repo, image, &artifact).await?.is_some() {
            cx.host.info(
                "another run signed the provenance of this image at the same time; it is verified and kept",
            );
        }
        // Read at ECR's API, which is another way to it than the one it was pushed by.
        self.there(ecr, image, commit).await?.ok_or_else(|| {
            Error::failed(format!(
                "the provenance of {image} was put under tag {}, but is not there",
                artifact.tag
            ))
            .hint("run the step again; the image is not built again")
        })
    }

    /// Provenance that is there and verifies.
    async fn there(
        &self,
        ecr: &Ecr,
        image: &Digest,
        commit: &CommitId,
    ) -> Result<Option<Artifact>> {
        let Some(found) = manifest(ecr, image, commit).await? else {
            return Ok(None);
        };
        let shown = judge::commit(
            Some(&found),
            self.public_key(),
            image,
            &self.repository,
            commit,
        );
        if let Err(why) = shown {
            let tag = attest::tag(image, commit);
            return Err(Error::refused(format!(
                "tag {tag} of {} is taken by something that does not prove the image",
                ecr.repository
            ))
            .because(why)
            .hint("find out in CloudTrail who pushed it; if nobody may have, treat the publish role as stolen")
            .hint(format!(
                "then delete it and run this again: aws ecr batch-delete-image --repository-name {} --image-ids imageTag={tag}",
                ecr.repository
            )));
        }
        Artifact::stored(found, image, commit)
            .context("cannot read the provenance again")
            .map(Some)
    }
}

/// Puts the same provenance beside each replica of the image that arrived. A replica that does not take it
/// has failed.
pub(crate) async fn attach_to_replicas(
    targets: &[Target],
    outcomes: Vec<Outcome>,
    image: &Digest,
    artifact: &Artifact,
) -> Vec<Outcome> {
    join_all(
        targets
            .iter()
            .zip(outcomes)
            .map(async |(target, mut outcome)| {
                if outcome.result.is_ok() {
                    let attached = push::attach(&target.repo, image, artifact).await;
                    let attached = attached.and_then(|other| match other {
                        None => Ok(()),
                        Some(other) => Err(Error::refused(format!(
                            "tag {} names {other}, which is not the provenance of the primary repository",
                            artifact.tag
                        ))
                        .hint("delete the tag there and run this again")),
                    });
                    if let Err(error) = attached {
                        outcome.result = Err(error.naming(&outcome.name));
                    }
                }
                outcome
            }),
    )
    .await
}
