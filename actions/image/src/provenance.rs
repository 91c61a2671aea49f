//! The commit that an image was built for, where a later commit of the same content takes it.

use crate::key::ContentKey;
use crate::primary::Primary;
use crate::push;
use crate::registry::{Manifest, Repo};
use crate::request::{Origin, REVISION, Request};
use kit::id::{CommitId, Digest};
use kit::step::Cx;
use kit::{Error, Lenient, Result, clock};
use ledger::{Content, Ledger};
use net::Net;
use serde_json::Value;

/// The commit that the image's own label names. An index is asked for its first image.
///
/// # Errors
/// The image cannot be read.
pub(crate) async fn built_for(repo: &Repo, digest: &Digest) -> Result<Option<Lenient<CommitId>>> {
    let mut wanted = digest.to_string();
    // An index, then an image of it.
    for _ in 0..2 {
        let manifest = repo
            .client
            .retry(async |pass| repo.manifest(pass, &wanted).await)
            .await
            .map_err(Error::from)?;
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        let Ok(manifest) = serde_json::from_slice::<Value>(&manifest.bytes) else {
            return Ok(None);
        };
        if let Some(config) = manifest.pointer("/config/digest").and_then(Value::as_str) {
            let config = Digest::parse(config)?;
            let bytes = repo
                .client
                .retry(async |pass| repo.small(pass, &config).await)
                .await
                .map_err(Error::from)?;
            return Ok(label(&bytes));
        }
        match manifest
            .pointer("/manifests/0/digest")
            .and_then(Value::as_str)
        {
            Some(child) => wanted = child.to_owned(),
            None => return Ok(None),
        }
    }
    Ok(None)
}

fn label(config: &[u8]) -> Option<Lenient<CommitId>> {
    let config: Value = serde_json::from_slice(config).ok()?;
    let labels = config.pointer("/config/Labels")?;
    Some(labels.get(REVISION)?.as_str()?.into())
}

/// Puts the content's tag on the image.
///
/// # Errors
/// The registry does not accept it.
pub(crate) async fn note_content(
    cx: &Cx,
    repo: &Repo,
    key: &ContentKey,
    image: &Manifest,
) -> Result<()> {
    let tag = key.tag();
    if push::put_tag(repo, &tag, image).await?.is_some() {
        // Two runs built the same content at once. Each commit has its image; the next takes the first.
        cx.host.info(format!(
            "another run published the same content at the same time; tag {tag} stays on its image"
        ));
    }
    Ok(())
}

/// Notes in the contract's ledger, if there is one, that the commit's content is this image, unless nothing shows that it
/// is. `first_commit` is the commit that the image was built for.
///
/// # Errors
/// The ledger cannot be written.
pub(crate) async fn note_commit(
    cx: &Cx,
    net: &Net,
    primary: &Primary,
    request: &Request,
    image: &Manifest,
    key: &ContentKey,
    first_commit: Lenient<CommitId>,
) -> Result<()> {
    let Some(ledger) = &primary.ledger else {
        return Ok(());
    };
    if matches!(request.origin, Origin::Unverified(_)) {
        return Ok(());
    }
    let content = Content {
        service: ledger.service.clone(),
        digest: image.digest.clone(),
        first_commit,
        commit: request.commit.clone(),
        key: key.hex.clone(),
        at: clock::rfc3339(cx.clock.now()),
        run: cx.host.run_url(),
    };
    let account = net.account(&primary.target).await?;
    Ledger::new(&account, &ledger.table)
        .note(&content)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_names_the_commit() {
        let config = br#"{"config":{"Labels":{"org.opencontainers.image.revision":"abc"}}}"#;
        assert_eq!(label(config), Some("abc".into()));
        assert_eq!(label(br#"{"config":{"Labels":null}}"#), None);
        assert_eq!(label(b"x"), None);
    }
}
