//! The verification of provenance. Pure.

use crate::artifact;
use crate::dsse::Malformed;
use crate::key::{PublicKey, Unproven};
use crate::provenance::Provenance;
use crate::statement::{STATEMENT, Unfit};
use crate::{Envelope, Signer};
use kit::error::Result;
use kit::id::Digest;

/// Why a manifest is not provenance of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It has no signed statement.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its statement is not signed by the key.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// Its statement is not one about an image's provenance.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It is about this image.
    #[error("it is for image {0}")]
    OtherImage(Digest),
    /// It is about an image of this repository.
    #[error("it is for repository {0}")]
    OtherRepository(String),
}

/// The provenance in a manifest, if it is signed by `key` and is about this image of this repository.
/// The caller checks the commit, the content and the builder.
///
/// # Errors
/// It is not.
pub fn verified(
    manifest: &[u8],
    key: &PublicKey,
    image: &Digest,
    repository: &str,
) -> Result<Provenance, Unverified> {
    let envelope = artifact::envelope(manifest)?;
    let statement = envelope.verified(STATEMENT, key)?;
    let provenance = Provenance::parse(&statement)?;
    if provenance.digest != *image {
        return Err(Unverified::OtherImage(provenance.digest));
    }
    // The names of hosts, owners and repositories are the same in any case.
    if !provenance.repository.eq_ignore_ascii_case(repository) {
        return Err(Unverified::OtherRepository(provenance.repository));
    }
    Ok(provenance)
}

/// Signs provenance.
///
/// # Errors
/// KMS does not sign.
pub async fn envelope(provenance: &Provenance, signer: &Signer) -> Result<Envelope> {
    let statement = provenance.to_json();
    let signature = signer.sign(STATEMENT, statement.as_bytes()).await?;
    Ok(Envelope::new(STATEMENT, statement.as_bytes(), signature))
}

/// The name of a repository in provenance, from a URL of its page or its clone URL: without a login, a
/// query, `.git` and a slash at the end. `None` for anything but http and https.
pub fn repository(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let rest = rest.split(['?', '#']).next()?;
    let (host, path) = rest.split_once('/')?;
    let host = host.rsplit('@').next()?;
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    (!host.is_empty() && !path.is_empty()).then(|| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Artifact, Image};
    use crate::provenance::sample;
    use crate::signature::Signature;

    fn stored(provenance: &Provenance, envelope: &Envelope) -> Vec<u8> {
        let image = Image {
            digest: provenance.digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 7,
        };
        Artifact::new(&image, &provenance.commit, envelope).manifest
    }

    const REPOSITORY: &str = "https://github.com/acme/storefront";

    fn another_image() -> Digest {
        format!("sha256:{}", "b".repeat(64)).parse().unwrap()
    }

    #[tokio::test]
    async fn only_what_is_about_this_image_and_repository_is_believed() {
        let signer = Signer::local();
        let ours = sample();
        let envelope = super::envelope(&ours, &signer).await.unwrap();
        let manifest = stored(&ours, &envelope);
        let ask = |manifest: &[u8], image: &Digest, repository: &str| {
            verified(manifest, signer.public_key(), image, repository)
        };
        assert_eq!(ask(&manifest, &ours.digest, REPOSITORY), Ok(ours.clone()));
        let other_case = "https://GitHub.com/Acme/Storefront";
        assert!(ask(&manifest, &ours.digest, other_case).is_ok());

        let nothing = &b"{}".to_vec();
        let other_name = "https://github.com/acme/other";
        let other_host = "https://github.example/acme/storefront";
        for (manifest, image, repository, why) in [
            (&manifest, &another_image(), REPOSITORY, "for image"),
            (&manifest, &ours.digest, other_name, "for repository"),
            (&manifest, &ours.digest, other_host, "for repository"),
            (nothing, &ours.digest, REPOSITORY, "not of provenance"),
        ] {
            let error = ask(manifest, image, repository).unwrap_err().to_string();
            assert!(error.contains(why), "{image} {repository}: {error}");
        }
    }

    #[tokio::test]
    async fn only_what_the_key_signed_as_provenance_is_believed() {
        let signer = Signer::local();
        let ours = sample();
        let foreign = super::envelope(&ours, &Signer::local()).await.unwrap();
        let changed = Provenance {
            digest: another_image(),
            ..ours.clone()
        };
        let signature: Signature = signer
            .sign(STATEMENT, ours.to_json().as_bytes())
            .await
            .unwrap();
        let altered = Envelope::new(STATEMENT, changed.to_json().as_bytes(), signature);
        // A signature of the same key over the same bytes, as another kind of document.
        let signature = signer
            .sign("text/plain", ours.to_json().as_bytes())
            .await
            .unwrap();
        let other_kind = Envelope::new("text/plain", ours.to_json().as_bytes(), signature);
        for (provenance, envelope, why) in [
            (&ours, &foreign, "not signed by the key"),
            (&changed, &altered, "not signed by the key"),
            (&ours, &other_kind, "its payload is text/plain"),
        ] {
            let manifest = stored(provenance, envelope);
            let image = &provenance.digest;
            let error = verified(&manifest, signer.public_key(), image, REPOSITORY).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_repository_has_one_name() {
        for url in [
            "https://github.com/acme/storefront",
            "https://github.com/acme/storefront.git",
            "https://github.com/acme/storefront/",
            "https://x-token:secret@github.com/acme/storefront.git",
            "https://github.com/acme/storefront?tab=readme",
            "https://github.com/acme/storefront#readme",
        ] {
            assert_eq!(
                repository(url).as_deref(),
                Some("https://github.com/acme/storefront")
            );
        }
        let plain = repository("http://git.acme.example/storefront");
        assert_eq!(plain.as_deref(), Some("http://git.acme.example/storefront"));
        for wrong in [
            "",
            "acme/storefront",
            "git@github.com:acme/x.git",
            "https://x",
            "https://github.com/",
            "https://github.com/.git",
            "https:///acme/storefront",
            "file:///x/y",
        ] {
            assert_eq!(repository(wrong), None, "{wrong}");
        }
    }
}
