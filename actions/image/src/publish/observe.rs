//! Observing: the primary repository, its tags, the replicas' repositories and the build's content. Changes nothing.

use super::order::Order;
use crate::credentials::Logins;
use crate::ecr::{Ecr, Stored, by_tag};
use crate::key::{self, Content, ContentKey};
use crate::registry::Registry;
use crate::replicas::{self, Replica};
use crate::repository::{self, Prepared};
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
    let ecr = Ecr::new(
        &net.account(&primary.target).await?,
        primary.repository.clone(),
    );
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
        order.layout.is_none() && !request.rebuild && !tags.contains_key(&request.commit);
    let content = match is_needed {
        true => Some(key::of(net, &cx.env, request, &logins(&registry)).await?),
        false => None,
    };
    if let Some(key) = known(content.as_ref()) {
        tags.extend(by_tag(&ecr.tagged_if_there(&[key.tag()]).await?));
    }
    Ok(Observed {
        ecr,
        prepared,
        registry,
        found,
        tags,
        replicas,
        content,
    })
}
