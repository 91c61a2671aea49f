//! The verification of provenance. Pure.

use crate::artifact;
use crate::key::PublicKey;
use crate::statement::{Provenance, STATEMENT};
use crate::{Envelope, Signer};
use kit::error::Result;
use kit::id::Digest;

/// The provenance in a manifest, if it is signed by `key` and is about this image of this repository.
/// Whether its commit, its content and its builder are those that are wanted is for the caller to ask.
///
/// # Errors
/// It is not, as a sentence about the provenance.
pub fn verified(
    manifest: &[u8],
    key: &PublicKey,
    image: &Digest,
    repository: &str,
) -> Result<Provenance, String> {
    let envelope = artifact::envelope(manifest).map_err(|error| error.to_string())?;
    let statement = envelope
        .verified(STATEMENT, key)
        .map_err(|error| error.to_string())?;
    let provenance = Provenance::parse(&statement)?;
    if provenance.digest != *image {
        return Err(format!("it is for image {}", provenance.digest));
    }
    // The names of hosts, owners and repositories are the same in any case.
    if !provenance.repository.eq_ignore_ascii_case(repository) {
        return Err(format!("it is for repository {}", provenance.repository));
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
    use crate::dsse::Signature;
    use crate::statement::sample;

    fn stored(provenance: &Provenance, envelope: &Envelope) -> Vec<u8> {
        let image = Image {
            digest: provenance.digest.clone(),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            size: 7,
        };
        Artifact::new(&image, &provenance.commit, envelope).manifest
    }

    #[tokio::test]
    async fn only_what_the_key_signed_about_this_image_and_repository_is_believed() {
        let signer = Signer::local();
        let other_key = Signer::local();
        let ours = sample();
        let envelope = super::envelope(&ours, &signer).await.unwrap();
        let manifest = stored(&ours, &envelope);
        let ask = |manifest: &[u8], image: &Digest, repository: &str| {
            verified(manifest, signer.public_key(), image, repository)
        };
        let repository = "https://github.com/acme/storefront";
        assert_eq!(ask(&manifest, &ours.digest, repository), Ok(ours.clone()));
        assert!(
            ask(
                &manifest,
                &ours.digest,
                "https://GitHub.com/Acme/Storefront"
            )
            .is_ok()
        );

        let another: Digest = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
        let foreign = super::envelope(&ours, &other_key).await.unwrap();
        // The statement was changed after it was signed.
        let changed = Provenance {
            digest: another.clone(),
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
        for (what, manifest, image, repository, why) in [
            (
                "another image's",
                &manifest,
                &another,
                repository,
                "for image",
            ),
            (
                "another repository's",
                &manifest,
                &ours.digest,
                "https://github.com/acme/other",
                "for repository",
            ),
            (
                "another host's",
                &manifest,
                &ours.digest,
                "https://github.example/acme/storefront",
                "for repository",
            ),
            (
                "another key's",
                &stored(&ours, &foreign),
                &ours.digest,
                repository,
                "not signed by the key",
            ),
            (
                "altered",
                &stored(&changed, &altered),
                &another,
                repository,
                "not signed by the key",
            ),
            (
                "of another kind",
                &stored(&ours, &other_kind),
                &ours.digest,
                repository,
                "its payload is text/plain",
            ),
            (
                "nothing",
                &b"{}".to_vec(),
                &ours.digest,
                repository,
                "not of provenance",
            ),
        ] {
            let error = ask(manifest, image, repository).unwrap_err();
            assert!(error.contains(why), "{what}: {error}");
        }
    }

    #[test]
    fn a_repository_has_one_name() {
        for url in [
            "https://github.com/acme/storefront",
            "https://github.com/acme/storefront.git",
            "https://github.com/acme/storefront/",
            "https://x-token:secret@github.com/acme/storefront.git",
        ] {
            assert_eq!(
                repository(url).as_deref(),
                Some("https://github.com/acme/storefront")
            );
        }
        for wrong in [
            "",
            "acme/storefront",
            "git@github.com:acme/x.git",
            "https://x",
            "file:///x/y",
        ] {
            assert_eq!(repository(wrong), None, "{wrong}");
        }
    }
}
