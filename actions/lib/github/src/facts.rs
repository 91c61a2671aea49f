//! The facts that a gate reads from GitHub: runs, pull requests, reviews, pushes, checks,
//! permissions. Each call names the permission that GitHub documents for it.

use crate::client::GitHub;
use crate::model::{Activity, CheckRun, Commit, Comparison, Permission, Pull, Review, Run, User};
use crate::repository::Repository;
use crate::unknown::Unknown;
use serde::Deserialize;
use serde_json::json;

/// The most commits of a pull request that GitHub lists ("List commits on a pull request").
const PULL_COMMITS: usize = 250;
/// The most reviews, checks or pushes that are read; more are `Unknown`.
const LIST: usize = 1000;

impl GitHub {
    /// A workflow run.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn run(&self, id: u64) -> Result<Run, Unknown> {
        self.get(
            &format!("actions/runs/{id}"),
            &format!("read run {id}"),
            "actions: read",
        )
        .await
    }

    /// One attempt of a workflow run; a re-run is another attempt of the same run.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn attempt(&self, id: u64, attempt: u64) -> Result<Run, Unknown> {
        self.get(
            &format!("actions/runs/{id}/attempts/{attempt}"),
            &format!("read attempt {attempt} of run {id}"),
            "actions: read",
        )
        .await
    }

    /// Compares `head` with `base`: `ahead` or `identical` means that `head` contains `base`.
    ///
    /// # Errors
    /// GitHub did not answer, or one of them is not in the repository.
    pub async fn compare(&self, base: &str, head: &str) -> Result<Comparison, Unknown> {
        self.get(
            &format!("compare/{}...{}?per_page=1", escape(base), escape(head)),
            &format!("compare {base} with {head}"),
            "contents: read",
        )
        .await
    }

    /// The pull requests a commit belongs to.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn pulls_of(&self, commit: &str) -> Result<Vec<Pull>, Unknown> {
        self.list(
            &self.below(&format!("commits/{commit}/pulls")),
            LIST,
            &format!("read the pull requests of {commit}"),
            "pull-requests: read",
            |page: Vec<Pull>| page,
        )
        .await
    }

    /// A pull request's commits.
    ///
    /// # Errors
    /// GitHub did not answer, or so many that GitHub does not list them all.
    pub async fn pull_commits(&self, number: u64) -> Result<Vec<Commit>, Unknown> {
        let what = format!("read the commits of #{number}");
        let commits = self
            .list(
                &self.below(&format!("pulls/{number}/commits")),
                PULL_COMMITS,
                &what,
                "pull-requests: read",
                |page: Vec<Commit>| page,
            )
            .await?;
        // GitHub stops here without saying whether there are more.
        if commits.len() >= PULL_COMMITS {
            return Err(Unknown::new(
                &what,
                format!("GitHub lists at most {PULL_COMMITS} commits"),
            ));
        }
        Ok(commits)
    }

    /// The accounts of everybody who wrote a pull request's commits, co-authors included, as far
    /// as their e-mails belong to accounts.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn pull_authors(&self, number: u64) -> Result<Vec<User>, Unknown> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data {
            repository: Option<Holder>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Holder {
            pull_request: Option<Request>,
        }
        #[derive(Deserialize)]
        struct Request {
            commits: Commits,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Commits {
            page_info: PageInfo,
            nodes: Vec<Node>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PageInfo {
            has_next_page: bool,
            end_cursor: Option<String>,
        }
        #[derive(Deserialize)]
        struct Node {
            commit: Written,
        }
        #[derive(Deserialize)]
        struct Written {
            authors: Authors,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Authors {
            page_info: PageInfo,
            nodes: Vec<Author>,
        }
        #[derive(Deserialize)]
        struct Author {
            user: Option<Account>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Account {
            login: String,
            database_id: u64,
        }
        const QUERY: &str = "query($owner:String!,$name:String!,$number:Int!,$after:String){\
            repository(owner:$owner,name:$name){pullRequest(number:$number){\
            commits(first:100,after:$after){pageInfo{hasNextPage endCursor}\
            nodes{commit{authors(first:100){pageInfo{hasNextPage endCursor}\
            nodes{user{login databaseId}}}}}}}}}";
        let what = format!("resolve the co-authors of #{number}");
        let (owner, name) = self
            .repository()
            .as_str()
            .split_once('/')
            .unwrap_or_default();
        let mut users = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PULL_COMMITS.div_ceil(100) {
            let variables =
                json!({ "owner": owner, "name": name, "number": number, "after": after });
            let data: Data = self
                .query(QUERY, variables, &what, "pull-requests: read")
                .await?;
            let commits = data
                .repository
                .and_then(|repository| repository.pull_request)
                .ok_or_else(|| Unknown::new(&what, "GitHub does not know the pull request"))?
                .commits;
            for node in commits.nodes {
                let authors = node.commit.authors;
                if authors.page_info.has_next_page {
                    return Err(Unknown::new(&what, "one commit has more than 100 authors"));
                }
                users.extend(authors.nodes.into_iter().filter_map(|author| {
                    author.user.map(|user| User {
                        login: user.login,
                        id: user.database_id,
                        kind: "User".to_owned(),
                    })
                }));
            }
            if !commits.page_info.has_next_page {
                return Ok(users);
            }
            after = commits.page_info.end_cursor;
        }
        Err(Unknown::new(
            &what,
            format!("there are more than {PULL_COMMITS} commits"),
        ))
    }

    /// A pull request's reviews, oldest first.
    ///
    /// # Errors
    /// GitHub did not answer, or more than can be read.
    pub async fn reviews(&self, number: u64) -> Result<Vec<Review>, Unknown> {
        self.list(
            &self.below(&format!("pulls/{number}/reviews")),
            LIST,
            &format!("read the reviews of #{number}"),
            "pull-requests: read",
            |page: Vec<Review>| page,
        )
        .await
    }

    /// The activity of a branch of `repository` (for a pull request from a fork, the fork), also
    /// after the branch was deleted.
    ///
    /// # Errors
    /// GitHub did not answer, or more than can be read.
    pub async fn activity(
        &self,
        repository: &Repository,
        branch: &str,
    ) -> Result<Vec<Activity>, Unknown> {
        self.list(
            &format!(
                "/repos/{repository}/activity?ref={}",
                escape(&format!("refs/heads/{branch}"))
            ),
            LIST,
            &format!("read who pushed to {branch} of {repository}"),
            "contents: read",
            |page: Vec<Activity>| page,
        )
        .await
    }

    /// The latest check runs of a commit.
    ///
    /// # Errors
    /// GitHub did not answer, or more than can be read.
    pub async fn check_runs(&self, commit: &str) -> Result<Vec<CheckRun>, Unknown> {
        #[derive(Deserialize)]
        struct Page {
            check_runs: Vec<CheckRun>,
        }
        self.list(
            &self.below(&format!("commits/{commit}/check-runs?filter=latest")),
            LIST,
            &format!("read the checks of {commit}"),
            "checks: read",
            |page: Page| page.check_runs,
        )
        .await
    }

    /// A user's permission in the repository.
    ///
    /// # Errors
    /// GitHub did not answer, or no such user.
    pub async fn permission(&self, login: &str) -> Result<Permission, Unknown> {
        self.get(
            &format!("collaborators/{}/permission", escape(login)),
            &format!("read the permission of {login}"),
            "metadata: read",
        )
        .await
    }

    fn below(&self, path: &str) -> String {
        format!("/repos/{}/{path}", self.repository())
    }
}

/// Percent-encodes everything except unreserved characters and `/` (RFC 3986), which branch names
/// may contain.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_cannot_change_the_query() {
        assert_eq!(escape("feature/a?b#c é"), "feature/a%3Fb%23c%20%C3%A9");
    }
}
