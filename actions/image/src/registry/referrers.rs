//! Referrers of a manifest: signatures, software bills of materials, attestations.
//!
//! A registry lists them itself (OCI Distribution Specification, "Listing Referrers"), or their writers keep the list
//! under the tag `sha256-HEX`. Signers from before that standard use tags of their own beside it (cosign,
//! "SIGNATURE_SPEC").

use super::blobs::limited;
use super::client::Repo;
use super::fault::Fault;
use super::manifests::{MANIFESTS, Manifest, is_missing};
use super::token::Pass;
use crate::digest::digest;
use kit::Error;
use kit::id::Digest;
use reqwest::{Method, Url, header};
use serde_json::Value;

/// Pages of a list that are followed.
const PAGES: usize = 50;

/// The tags by which older signers find what belongs to an image.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// The tag under which the list is kept where the registry does not.
pub(crate) fn list_tag(subject: &Digest) -> String {
    subject.as_str().replacen(':', "-", 1)
}

/// The tags of older signers.
pub(crate) fn signer_tags(subject: &Digest) -> [String; 3] {
    SUFFIXES.map(|suffix| format!("{}{suffix}", list_tag(subject)))
}

/// The digests in an index.
pub(crate) fn listed(index: &[u8]) -> Vec<Digest> {
    let index: Value = serde_json::from_slice(index).unwrap_or_default();
    let manifests = index.get("manifests").and_then(Value::as_array);
    manifests
        .into_iter()
        .flatten()
        .filter_map(|entry| Digest::parse(entry.get("digest")?.as_str()?).ok())
        .collect()
}

impl Repo {
    /// The digests of what refers to `subject`.
    pub(crate) async fn referrers(
        &self,
        pass: &Pass,
        subject: &Digest,
    ) -> Result<Vec<Digest>, Fault> {
        let operation = self.request(format!("list what refers to {subject} in"));
        let mut found = Vec::new();
        let mut next = Some(self.url(&format!("referrers/{subject}"))?);
        let mut pages = 0;
        while let Some(url) = next.take() {
            pages += 1;
            if pages > PAGES {
                return Err(operation
                    .failed()
                    .cause(format!("there are more than {PAGES} pages"))
                    .into());
            }
            let response = operation
                .send(self.client.ask(Method::GET, url, pass))
                .await
                .map_err(|error| Fault::no_answer(&operation, error))?;
            if is_missing(&response) && pages == 1 {
                let list = self.manifest(pass, &list_tag(subject)).await?;
                return Ok(list.map(|list| listed(&list.bytes)).unwrap_or_default());
            }
            if !response.status().is_success() {
                return Err(Fault::answered(&operation, response).await);
            }
            next = following(&response).filter(|url| url.origin() == response.url().origin());
            found.extend(listed(&limited(&operation, response).await?));
        }
        Ok(found)
    }

    /// Adds `entry` to the list that a registry without one of its own is read by. Entries of others stay.
    pub(crate) async fn list_referrer(
        &self,
        pass: &Pass,
        subject: &Digest,
        referrer: &Manifest,
    ) -> Result<(), Fault> {
        let tag = list_tag(subject);
        let there = self.manifest(pass, &tag).await?;
        let Some(list) = with_entry(there.as_ref().map(|list| &list.bytes[..]), referrer)? else {
            return Ok(());
        };
        let bytes = bytes::Bytes::from(list);
        let list = Manifest {
            digest: digest(&bytes),
            media_type: MANIFESTS[1].to_owned(),
            bytes,
        };
        self.put_manifest(pass, &tag, &list).await.map(drop)
    }
}

/// The next page, as the answer's `Link` names it.
fn following(response: &reqwest::Response) -> Option<Url> {
    let link = response.headers().get(header::LINK)?.to_str().ok()?;
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next")
        .then(|| response.url().join(target).ok())
        .flatten()
}

/// The list with `referrer` in it, `None` where it is in already.
fn with_entry(list: Option<&[u8]>, referrer: &Manifest) -> Result<Option<String>, Fault> {
    let mut list: Value = match list {
        None => serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFESTS[1],
            "manifests": [],
        }),
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| Error::failed("the list of referrers is not JSON").because(error))?,
    };
    let entries = list
        .get_mut("manifests")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| Error::failed("the list of referrers is not an index"))?;
    let is_it = |entry: &Value| {
        entry.get("digest").and_then(Value::as_str) == Some(referrer.digest.as_str())
    };
    if entries.iter().any(is_it) {
        return Ok(None);
    }
    let inner: Value = serde_json::from_slice(&referrer.bytes).unwrap_or_default();
    let mut entry = serde_json::json!({
        "mediaType": referrer.media_type,
        "digest": referrer.digest.as_str(),
        "size": referrer.bytes.len(),
    });
    let kind = inner
        .get("artifactType")
        .or_else(|| inner.pointer("/config/mediaType"));
    if let Some(kind) = kind {
        entry["artifactType"] = kind.clone();
    }
    if let Some(annotations) = inner.get("annotations") {
        entry["annotations"] = annotations.clone();
    }
    entries.push(entry);
    Ok(Some(list.to_string()))
}
