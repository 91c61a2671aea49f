//! Reads commits with the accounts of those whom they name, which no list of commits has for co-authors.

use super::answer::CommitNode;
use super::commit;
use crate::client::GitHub;
use crate::history::PARALLEL;
use crate::pull::PullCommit;
use crate::unknown::Unknown;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use std::collections::BTreeMap;

/// Commits that one query asks for.
const COMMITS_A_QUERY: usize = 25;

impl GitHub {
    /// These commits, in the same order.
    ///
    /// # Errors
    /// GitHub did not answer in full, or does not have one of them.
    pub async fn commits(&self, commits: &[String]) -> Result<Vec<PullCommit>, Unknown> {
        let found: Vec<Vec<PullCommit>> = stream::iter(commits.chunks(COMMITS_A_QUERY))
            .map(|chunk| self.commits_chunk(chunk))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn commits_chunk(&self, commits: &[String]) -> Result<Vec<PullCommit>, Unknown> {
        let action = "read who wrote the commits";
        let objects = commits.iter().enumerate().map(|(index, sha)| {
            let (sha, fields) = (json!(sha), commit());
            format!("c{index}:object(oid:{sha}){{... on Commit{{{fields}}}}}")
        });
        let objects: String = objects.collect();
        let mut nodes: BTreeMap<String, Option<CommitNode>> =
            self.repository_query(&objects, action).await?;
        let mut all = Vec::with_capacity(commits.len());
        for (index, sha) in commits.iter().enumerate() {
            let node = nodes.remove(&format!("c{index}")).flatten();
            let node = node.filter(|node| node.oid == *sha);
            let node = node.ok_or_else(|| {
                Unknown::new(action, format!("GitHub does not know commit {sha}"))
            })?;
            all.push(node.commit(action)?);
        }
        Ok(all)
    }
}
