//! The commits between two versions and the pull requests that brought them in. A list is read to its
//! end or not at all.

use crate::client::{GitHub, PER_PAGE};
use crate::facts::escape;
use crate::unknown::Unknown;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most commits between two versions that are examined.
pub const RANGE_LIMIT: usize = 2500;
/// The most commits of a whole history that are examined.
pub const HISTORY_LIMIT: usize = 500;
/// Calls that wait for GitHub at the same time; GitHub allows 100.
pub(crate) const PARALLEL: usize = 24;
/// Commits whose pull requests one query asks for.
const COMMITS_A_QUERY: usize = 50;
/// The most pull requests that are read for one commit.
const PULLS: usize = 20;

/// How two commits stand to each other, and the commits between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// `identical`, `ahead`, `behind`, `diverged`.
    pub status: String,
    /// The commits that the head has and the base does not, oldest first.
    pub commits: Vec<RangeCommit>,
}

/// A commit with its ancestors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The newest of them, newest first.
    pub commits: Vec<RangeCommit>,
    /// Whether these are all.
    pub whole: bool,
}

/// A commit of the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeCommit {
    /// The commit.
    pub sha: String,
    /// Its tree.
    pub tree: String,
    /// Its parents, in git's order.
    pub parents: Vec<String>,
    /// The message.
    pub message: String,
    /// The author's time, RFC 3339 in UTC.
    pub authored_at: String,
    /// The author's login, else the name in the commit.
    pub author: String,
}

#[derive(Deserialize)]
struct ListedCommit {
    sha: String,
    parents: Vec<Named>,
    commit: GitSide,
    author: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) sha: String,
}

#[derive(Deserialize)]
struct GitSide {
    message: String,
    tree: Named,
    author: Option<Written>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    date: Option<String>,
}

impl From<ListedCommit> for RangeCommit {
    fn from(listed: ListedCommit) -> Self {
        let written = listed.commit.author;
        let login = listed
            .author
            .as_ref()
            .and_then(|author| author["login"].as_str())
            .map(str::to_owned);
        let name = written.as_ref().and_then(|author| author.name.clone());
        Self {
            sha: listed.sha,
            tree: listed.commit.tree.sha,
            parents: listed.parents.into_iter().map(|one| one.sha).collect(),
            message: listed.commit.message,
            authored_at: written.and_then(|author| author.date).unwrap_or_default(),
            author: login.or(name).unwrap_or_else(|| "nobody".to_owned()),
        }
    }
}

impl GitHub {
    /// The commits that `head` has and `base` does not. All pages after the first are read at once.
    ///
    /// # Errors
    /// GitHub did not answer in full, one of the commits is not in the repository, or there are more
    /// than [`RANGE_LIMIT`].
    pub async fn range(&self, base: &str, head: &str) -> Result<Range, Unknown> {
        #[derive(Deserialize)]
        struct Page {
            status: String,
            total_commits: usize,
            commits: Vec<ListedCommit>,
        }
        let what = format!("read the commits from {base} to {head}");
        let page = async |number: usize| -> Result<Page, Unknown> {
            let query = format!("per_page={PER_PAGE}&page={number}");
            let path = format!("compare/{}...{}?{query}", escape(base), escape(head));
            self.get(&path, &what, "contents: read").await
        };
        let first = page(1).await?;
        if first.total_commits > RANGE_LIMIT {
            return Err(Unknown::too_many(
                &what,
                format!(
                    "there are {} commits, more than the {RANGE_LIMIT} that are examined",
                    first.total_commits
                ),
            ));
        }
        let pages = first.total_commits.div_ceil(PER_PAGE);
        let rest: Vec<Page> = stream::iter(2..=pages)
            .map(page)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let commits: Vec<RangeCommit> = std::iter::once(first.commits)
            .chain(rest.into_iter().map(|page| page.commits))
            .flatten()
            .map(RangeCommit::from)
            .collect();
        let distinct: BTreeSet<&str> = commits.iter().map(|one| one.sha.as_str()).collect();
        if distinct.len() != first.total_commits {
            return Err(Unknown::new(
                &what,
                format!(
                    "GitHub sent {} of {} commits",
                    distinct.len(),
                    first.total_commits
                ),
            ));
        }
        Ok(Range {
            status: first.status,
            commits,
        })
    }

    /// A commit and the newest of its ancestors, at most 100 together.
    ///
    /// # Errors
    /// GitHub did not answer, or does not have the commit.
    pub async fn ancestry(&self, commit: &str) -> Result<Vec<RangeCommit>, Unknown> {
        self.ancestry_page(commit, 1).await
    }

    /// A commit and all its ancestors, or the newest [`HISTORY_LIMIT`] of them.
    ///
    /// # Errors
    /// GitHub did not answer in full, or does not have the commit.
    pub async fn history(&self, commit: &str) -> Result<History, Unknown> {
        let mut commits = self.ancestry_page(commit, 1).await?;
        if commits.len() == PER_PAGE {
            // One page more than what is examined tells whether there is more.
            let rest: Vec<Vec<RangeCommit>> = stream::iter(2..=HISTORY_LIMIT / PER_PAGE + 1)
                .map(|page| self.ancestry_page(commit, page))
                .buffered(PARALLEL)
                .try_collect()
                .await?;
            commits.extend(rest.into_iter().flatten());
        }
        let whole = commits.len() <= HISTORY_LIMIT;
        commits.truncate(HISTORY_LIMIT);
        let listed: BTreeSet<&str> = commits.iter().map(|one| one.sha.as_str()).collect();
        let mut parents = commits.iter().flat_map(|one| &one.parents);
        let missing = parents.find(|parent| !listed.contains(parent.as_str()));
        if let Some(missing) = missing.filter(|_| whole) {
            return Err(Unknown::new(
                &format!("read the history of {commit}"),
                format!("GitHub's list leaves {missing} out"),
            ));
        }
        Ok(History { commits, whole })
    }

    async fn ancestry_page(&self, commit: &str, page: usize) -> Result<Vec<RangeCommit>, Unknown> {
        let query = format!("sha={}&per_page={PER_PAGE}&page={page}", escape(commit));
        let what = format!("read the history of {commit}");
        let path = format!("commits?{query}");
        let listed: Vec<ListedCommit> = self.get(&path, &what, "contents: read").await?;
        Ok(listed.into_iter().map(RangeCommit::from).collect())
    }

    /// The numbers of the pull requests that were merged into `branch` with each of the commits.
    ///
    /// # Errors
    /// GitHub did not answer in full.
    pub async fn merged_with(
        &self,
        commits: &[String],
        branch: &str,
    ) -> Result<BTreeMap<String, Vec<u64>>, Unknown> {
        let found: Vec<Vec<(String, Vec<u64>)>> = stream::iter(commits.chunks(COMMITS_A_QUERY))
            .map(|chunk| self.merged_with_chunk(chunk, branch))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn merged_with_chunk(
        &self,
        commits: &[String],
        branch: &str,
    ) -> Result<Vec<(String, Vec<u64>)>, Unknown> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Node {
            associated_pull_requests: Option<Associated>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Associated {
            total_count: usize,
            nodes: Vec<Option<Merged>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Merged {
            number: u64,
            merged: bool,
            base_ref_name: String,
            base_repository: Option<Owned>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Owned {
            name_with_owner: String,
        }
        let what = "read the pull requests of the commits";
        let objects = commits.iter().enumerate().map(|(index, sha)| {
            format!(
                "c{index}:object(oid:{}){{... on Commit{{associatedPullRequests(first:{PULLS}){{\
                 totalCount nodes{{number merged baseRefName baseRepository{{nameWithOwner}}}}}}}}}}",
                json!(sha)
            )
        });
        let objects: String = objects.collect();
        let mut nodes: BTreeMap<String, Option<Node>> =
            self.repository_query(&objects, what).await?;
        let mut all = Vec::with_capacity(commits.len());
        for (index, sha) in commits.iter().enumerate() {
            let node = nodes.remove(&format!("c{index}")).flatten();
            let listed = node
                .and_then(|node| node.associated_pull_requests)
                .ok_or_else(|| Unknown::new(what, format!("GitHub does not know commit {sha}")))?;
            let found: Vec<Merged> = listed.nodes.into_iter().flatten().collect();
            if found.len() != listed.total_count {
                return Err(Unknown::new(
                    what,
                    format!(
                        "GitHub sent {} of the {} pull requests of {sha}",
                        found.len(),
                        listed.total_count
                    ),
                ));
            }
            let own = self.repository().as_str();
            let into = |pull: &Merged| {
                pull.merged
                    && pull.base_ref_name == branch
                    && pull
                        .base_repository
                        .as_ref()
                        .is_some_and(|name| name.name_with_owner.eq_ignore_ascii_case(own))
            };
            let numbers = found.iter().filter(|pull| into(pull)).map(|one| one.number);
            all.push((sha.clone(), numbers.collect()));
        }
        Ok(all)
    }

    /// The newest commit of a branch. A tag of the same name is not the branch.
    ///
    /// # Errors
    /// GitHub did not answer, or there is no such branch.
    pub async fn tip(&self, branch: &str) -> Result<String, Unknown> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(rename = "ref")]
            reference: Option<Reference>,
        }
        #[derive(Deserialize)]
        struct Reference {
            target: Option<Object>,
        }
        #[derive(Deserialize)]
        struct Object {
            oid: String,
        }
        let what = format!("read the newest commit of {branch}");
        let name = json!(format!("refs/heads/{branch}"));
        let selection = format!("ref(qualifiedName:{name}){{target{{oid}}}}");
        let found: Found = self.repository_query(&selection, &what).await?;
        let target = found.reference.and_then(|reference| reference.target);
        let tip = target.map(|object| object.oid);
        tip.ok_or_else(|| Unknown::new(&what, "GitHub knows no such branch"))
    }
}
