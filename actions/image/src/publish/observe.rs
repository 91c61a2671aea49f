//! Observing: the primary repository, its tags, the replicas' repositories and the build's content. Changes nothing.

use super::order::Order;
use crate::credentials::Logins;
use crate::ecr::{Ecr, Stored, by_tag};
use crate::key::{self, Content, ContentKey};
use crate::provenance;
use crate::registry::Registry;
use crate::replicas::{self, Replica};
use crate::repository::{self, Prepared};
use crate::request::Request;
use crate::signing::{Shown, Signing};
use kit::Result;
use kit::id::Digest;
use kit::step::Cx;
use net::Net;
use std::collections::BTreeMap;

/// The state before anything is changed.
pub(super) struct Observed {
    pub(super) ecr: Ecr,
    pub(super) prepared: Prepared,
    pub(super) registry: Registry,
    /// The images that the wanted tags name.
    pub(super) found: Vec<Stored>,
    /// The digests that the wanted tags and the content's tag name.
    pub(super) tags: BTreeMap<String, Digest>,
    pub(super) replicas: Vec<Replica>,
    /// `None` where no content key is needed.
    pub(super) content: Option<Content>,
    /// The signer with the facts that provenance needs, if a key is named.
    pub(super) signing: Option<Signing>,
    /// The proof that the image under the commit's tag is the commit's, if there is such an image and a key is named.
    pub(super) shown: Option<Shown>,
    /// Another image than one of this content has the content's tag.
    pub(super) content_taken: bool,
}

impl Observed {
    pub(super) fn key(&self) -> Option<&ContentKey> {
        known(self.content.as_ref())
    }

    pub(super) fn logins(&self) -> Logins {
        logins(&self.registry)
    }
}

pub(super) fn known(content: Option<&Content>) -> Option<&ContentKey> {
    match content {
        Some(Content::Known(key)) => Some(key),
        Some(Content::Unknown(_)) | None => None,
    }
}

fn logins(registry: &Registry) -> Logins {
    Logins::from([(registry.host.clone(), registry.login.clone())])
}

pub(super) async fn observe(cx: &Cx, net: &Net, order: &Order) -> Result<Observed> {
    let (primary, request) = (&order.primary, &order.request);
    let account = net.account(&primary.target).await?;
    let ecr = Ecr::new(&account, primary.repository.clone());
    let signing = match &order.provenance_key {
        Some(key) => Some(Signing::new(cx, net, &account, key, request).await?),
        None => None,
    };
    let wanted_tags = request.tags();
    let ledger = primary.ledger.as_ref();
    // Three questions that do not need one another's answers.
    let (prepared, registry, found) = futures_util::future::join3(
        repository::prepare(cx, net, &ecr, order.wanted.clone(), ledger, false),
        ecr.registry(),
        ecr.tagged_if_there(&wanted_tags),
    )
    .await;
    let prepared = prepared?;
    let (registry, found) = (registry?, found?);
    request.extra_tags.are_of(&registry.host)?;
    let replicas = replicas::observe(
        cx,
        net,
        primary,
        &order.destinations,
        &order.wanted,
        &wanted_tags,
    )
    .await;
    let mut tags = by_tag(&found);
    let is_needed =
        order.layout.is_none() && !request.rebuild && !tags.contains_key(request.commit.as_str());
    let content = match is_needed {
        true => Some(key::of(net, &cx.env, request, &logins(&registry)).await?),
        false => None,
    };
    if let Some(key) = known(content.as_ref()) {
        tags.extend(by_tag(&ecr.tagged_if_there(&[key.tag()]).await?));
    }
    let mut observed = Observed {
        ecr,
        prepared,
        registry,
        found,
        tags,
        replicas,
        content,
        signing,
        shown: None,
        content_taken: false,
    };
    prove(cx, net, request, &mut observed).await?;
    Ok(observed)
}

/// Asks for the provenance of the images that are there. An image under the content's tag that is not shown to have that
/// content is left alone, and its tag counts for nothing.
async fn prove(cx: &Cx, net: &Net, request: &Request, seen: &mut Observed) -> Result<()> {
    let Some(signing) = seen.signing.as_ref().filter(|_| !request.rebuild) else {
        return Ok(());
    };
    if let Some(image) = seen.tags.get(request.commit.as_str()) {
        seen.shown = Some(
            signing
                .is_commits(&seen.ecr, image, &request.commit)
                .await?,
        );
        return Ok(());
    }
    let Some(key) = known(seen.content.as_ref()) else {
        return Ok(());
    };
    let tag = key.tag();
    let Some(image) = seen.tags.get(&tag) else {
        return Ok(());
    };
    let repo = seen.ecr.repo_at(net, &seen.registry)?;
    let built_for = provenance::built_for(&repo, image).await?;
    let shown = signing
        .has_content(&seen.ecr, image, built_for.as_ref(), key)
        .await?;
    if let Err(why) = shown {
        cx.host.warn(format!(
            "tag {tag} names {image}, which is not shown to have this content: {why}; the image is built instead"
        ));
        seen.tags.remove(&tag);
        seen.content_taken = true;
    }
    Ok(())
}
