//! The versions of a state that the bucket keeps.

use super::seen::{Known, Version};
use super::{args, report};
use crate::backend::Hold;
use crate::hold;
use crate::locate;
use crate::object::{Objects, StateFile, kept_digest};
use kit::error::Result;
use kit::report::Report;
use kit::step::Cx;
use net::AwsContext;

impl Objects {
    /// The newest `limit` versions of the state, the newest first.
    ///
    /// # Errors
    /// S3's.
    pub(super) async fn versions(&self, limit: usize) -> Result<Vec<Version>> {
        let mut found = Vec::new();
        let (mut key, mut id) = (None, None);
        loop {
            let page = self
                .client
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(&self.key)
                .expected_bucket_owner(self.owner())
                .set_key_marker(key.clone())
                .set_version_id_marker(id.clone())
                .send()
                .await
                .cannot(format!("list the versions of {}", self.name()))?;
            let versions = page
                .versions
                .unwrap_or_default()
                .into_iter()
                .map(|version| {
                    (
                        version.key,
                        Version {
                            id: version.version_id.unwrap_or_default(),
                            when: version.last_modified,
                            latest: version.is_latest == Some(true),
                            deleted: false,
                        },
                    )
                });
            let delete_markers =
                page.delete_markers
                    .unwrap_or_default()
                    .into_iter()
                    .map(|marker| {
                        (
                            marker.key,
                            Version {
                                id: marker.version_id.unwrap_or_default(),
                                when: marker.last_modified,
                                latest: marker.is_latest == Some(true),
                                deleted: true,
                            },
                        )
                    });
            // A prefix is also that of the lock file beside the state.
            let ours = versions
                .chain(delete_markers)
                .filter(|(key, _)| key.as_ref() == Some(&self.key))
                .map(|(_, version)| version);
            found.extend(ours);
            // Keys come in order and each one's versions from the newest, so more pages hold older
            // ones or other keys.
            let more = page.is_truncated == Some(true)
                && page.next_key_marker.as_ref() == Some(&self.key)
                && found.len() < limit;
            if !more {
                break;
            }
            key = page.next_key_marker;
            id = page.next_version_id_marker;
        }
        // Versions and marks of deletion come in two lists.
        found.sort_by_key(|it| std::cmp::Reverse((it.latest, it.when)));
        found.truncate(limit);
        Ok(found)
    }

    /// The newest `limit` versions with what stood in them.
    ///
    /// # Errors
    /// S3's.
    pub(super) async fn known(&self, limit: usize) -> Result<Vec<Known>> {
        let mut known = Vec::new();
        for version in self.versions(limit).await? {
            let state = match version.deleted {
                true => None,
                false => self
                    .fetch(&self.key, Some(&version.id))
                    .await?
                    .and_then(|it| StateFile::parse(it.bytes).ok()),
            };
            known.push(Known { version, state });
        }
        Ok(known)
    }
}

/// # Errors
/// AWS's.
pub(crate) async fn versions(args: args::Versions, cx: &Cx) -> Result<Report> {
    let located = locate::of(&args.state, cx)?;
    let opened = hold::open(&located, Hold::Native, cx).await?;
    let objects = Objects::of(&located, &opened.access.state, cx);
    let known = objects.known(args.limit.into()).await?;
    let digest = match opened.lock.item() {
        Some(item) => kept_digest(item).await?,
        None => None,
    };
    Ok(report::versions(&objects.name(), &known, digest.as_deref()))
}
