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
    /// True if the list is complete.
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
            parents: listed
                .parents
                .into_iter()
                .map(|parent| parent.sha)
                .collect(),
            message: listed.commit.message,
            authored_at: written.and_then(|author| author.date).unwrap_or_default(),
            author: login.or(name).unwrap_or_else(|| "nobody".to_owned()),
        }
    }
}

/// The branch that pull requests have to be merged into.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Its name.
    pub branch: &'a str,
    /// Another name that it had, and the last day, in UTC, on which something was merged under it: from then on anybody could
    /// make another branch of that name.
    pub formerly: Option<(&'a str, &'a str)>,
}

impl Base<'_> {
    /// Returns true if a pull request was merged into it, in this repository.
    fn has(&self, pull: &Merged, repository: &str) -> bool {
        let own = pull.base_repository.as_ref();
        pull.merged
            && own.is_some_and(|name| name.name_with_owner.eq_ignore_ascii_case(repository))
            && (pull.base_ref_name == self.branch || self.had(pull))
    }

    fn had(&self, pull: &Merged) -> bool {
        let day = pull.merged_at.as_ref().and_then(|at| at.get(..10));
        self.formerly
            .zip(day)
            .is_some_and(|((name, until), day)| pull.base_ref_name == name && day <= until)
    }
}

/// A pull request of a commit.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Merged {
    number: u64,
    merged: bool,
    base_ref_name: String,
    base_repository: Option<Owned>,
    /// RFC 3339 in UTC, where it was asked for.
    #[serde(default)]
    merged_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owned {
    name_with_owner: String,
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
        let action = format!("read the commits from {base} to {head}");
        let page = async |number: usize| -> Result<Page, Unknown> {
            let query = format!("per_page={PER_PAGE}&page={number}");
            let path = format!("compare/{}...{}?{query}", escape(base), escape(head));
            self.get(&path, &action, "contents: read").await
        };
        let first = page(1).await?;
        if first.total_commits > RANGE_LIMIT {
            return Err(Unknown::too_many(
                &action,
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
        let distinct: BTreeSet<&str> = commits.iter().map(|commit| commit.sha.as_str()).collect();
        if distinct.len() != first.total_commits {
            return Err(Unknown::new(
                &action,
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
        let listed: BTreeSet<&str> = commits.iter().map(|commit| commit.sha.as_str()).collect();
        let mut parents = commits.iter().flat_map(|commit| &commit.parents);
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
        let action = format!("read the history of {commit}");
        let path = format!("commits?{query}");
        let listed: Vec<ListedCommit> = self.get(&path, &action, "contents: read").await?;
        Ok(listed.into_iter().map(RangeCommit::from).collect())
    }

    /// The numbers of the pull requests that were merged into `base` with each of the commits.
    ///
    /// # Errors
    /// GitHub did not answer in full.
    pub async fn merged_with(
        &self,
        commits: &[String],
        base: Base<'_>,
    ) -> Result<BTreeMap<String, Vec<u64>>, Unknown> {
        let found: Vec<Vec<(String, Vec<u64>)>> = stream::iter(commits.chunks(COMMITS_A_QUERY))
            .map(|chunk| self.merged_with_chunk(chunk, base))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn merged_with_chunk(
        &self,
        commits: &[String],
        base: Base<'_>,
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
        let action = "read the pull requests of the commits";
        // Not asked where it decides nothing: evidence has the query as it was.
        let when = base.formerly.map_or("", |_| " mergedAt");
        let objects = commits.iter().enumerate().map(|(index, sha)| {
            format!(
                "c{index}:object(oid:{}){{... on Commit{{associatedPullRequests(first:{PULLS}){{\
                 totalCount nodes{{number merged baseRefName baseRepository{{nameWithOwner}}{when}}}}}}}}}",
                json!(sha)
            )
        });
        let objects: String = objects.collect();
        let mut nodes: BTreeMap<String, Option<Node>> =
            self.repository_query(&objects, action).await?;
        let mut all = Vec::with_capacity(commits.len());
        for (index, sha) in commits.iter().enumerate() {
            let node = nodes.remove(&format!("c{index}")).flatten();
            let listed = node
                .and_then(|node| node.associated_pull_requests)
                .ok_or_else(|| {
                    Unknown::new(action, format!("GitHub does not know commit {sha}"))
                })?;
            let found: Vec<Merged> = listed.nodes.into_iter().flatten().collect();
            if found.len() != listed.total_count {
                return Err(Unknown::new(
                    action,
                    format!(
                        "GitHub sent {} of the {} pull requests of {sha}",
                        found.len(),
                        listed.total_count
                    ),
                ));
            }
            let own = self.repository().as_str();
            let into = found.iter().filter(|pull| base.has(pull, own));
            let numbers = into.map(|pull| pull.number);
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
        let action = format!("read the newest commit of {branch}");
        let name = json!(format!("refs/heads/{branch}"));
        let selection = format!("ref(qualifiedName:{name}){{target{{oid}}}}");
        let found: Found = self.repository_query(&selection, &action).await?;
        let target = found.reference.and_then(|reference| reference.target);
        let tip = target.map(|object| object.oid);
        tip.ok_or_else(|| Unknown::new(&action, "GitHub knows no such branch"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(change: impl FnOnce(&mut Value)) -> Merged {
        let mut pull = json!({
            "number": 7, "merged": true, "baseRefName": "main",
            "baseRepository": {"nameWithOwner": "acme/shop"}, "mergedAt": "2026-11-20T23:59:59Z",
        });
        change(&mut pull);
        serde_json::from_value(pull).unwrap()
    }

    #[test]
    fn only_what_was_merged_into_the_branch_of_the_repository_brought_a_commit() {
        let main = Base {
            branch: "main",
            formerly: None,
        };
        let has = |change: fn(&mut Value)| main.has(&pull(change), "Acme/Shop");
        assert!(has(|_| {}));
        assert!(has(|pull| pull["mergedAt"] = Value::Null));
        assert!(!has(|pull| pull["merged"] = json!(false)));
        assert!(!has(|pull| pull["baseRefName"] = json!("release")));
        assert!(!has(|pull| pull["baseRepository"] = Value::Null));
        assert!(!has(
            |pull| pull["baseRepository"]["nameWithOwner"] = json!("mallory/shop")
        ));
    }

    #[test]
    fn a_former_name_of_the_branch_counts_until_the_day_of_the_rename() {
        let trunk = Base {
            branch: "trunk",
            formerly: Some(("main", "2026-11-20")),
        };
        let has = |change: fn(&mut Value)| trunk.has(&pull(change), "acme/shop");
        assert!(has(|_| {}));
        assert!(has(|pull| {
            pull["baseRefName"] = json!("trunk");
            pull["mergedAt"] = json!("2026-11-29T10:00:00Z");
        }));
        assert!(!has(|pull| pull["mergedAt"] = json!("2026-11-21T00:00:00Z")));
        assert!(!has(|pull| pull["mergedAt"] = Value::Null));
        assert!(!has(|pull| pull["mergedAt"] = json!("2026")));
        assert!(!has(|pull| pull["baseRefName"] = json!("release")));
        assert!(!has(|pull| pull["merged"] = json!(false)));
        assert!(!has(
            |pull| pull["baseRepository"]["nameWithOwner"] = json!("mallory/shop")
        ));
    }

    /// The query without a former name is the one that kept evidence holds.
    #[tokio::test]
    async fn a_commit_of_another_repositorys_pull_request_has_none() {
        let query = "query($owner:String!,$name:String!){repository(owner:$owner,name:$name){\
            c0:object(oid:\"c\"){... on Commit{associatedPullRequests(first:20){\
            totalCount nodes{number merged baseRefName baseRepository{nameWithOwner}}}}}}}";
        let node = |number: u64, repository: &str| {
            json!({
                "number": number, "merged": true, "baseRefName": "main", "baseRepository": {"nameWithOwner": repository},
            })
        };
        let asked = async |count: usize| {
            let nodes = [node(3, "mallory/shop"), node(4, "acme/shop")];
            let found = json!({"totalCount": count, "nodes": nodes});
            let answer = json!({"data": {"repository": {"c0": {"associatedPullRequests": found}}}});
            let exchange = crate::Exchange {
                request: "POST /graphql".to_owned(),
                query: Some(
                    json!({"query": query, "variables": {"owner": "acme", "name": "shop"}}),
                ),
                status: Some(200),
                headers: BTreeMap::new(),
                answer: answer.to_string(),
            };
            let repository = crate::Repository::parse("acme/shop").unwrap();
            let base = Base {
                branch: "main",
                formerly: None,
            };
            let github = GitHub::kept(repository, vec![exchange]);
            github.merged_with(&["c".to_owned()], base).await
        };
        let found = asked(2).await.unwrap();
        assert_eq!(found, BTreeMap::from([("c".to_owned(), vec![4])]));
        let short = asked(3).await.unwrap_err().to_string();
        assert!(short.contains("2 of the 3 pull requests of c"), "{short}");
    }
}
