//! The facts that a gate reads from GitHub one by one: runs, pushes, checks, permissions. Each call names the permission that
//! GitHub documents for it.

use crate::client::GitHub;
use crate::model::{Activity, CheckRun, Comparison, Permission, Run, User};
use crate::repository::Repository;
use crate::unknown::Unknown;
use serde::Deserialize;

/// The most checks or pushes that are read; more are `Unknown`.
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

    /// The members of an organization's team, and of the teams below it.
    ///
    /// # Errors
    /// GitHub did not answer, which it does as little for a team that the token may not see as for one
    /// that is not there.
    pub async fn team(&self, organization: &str, team: &str) -> Result<Vec<User>, Unknown> {
        let path = format!(
            "/orgs/{}/teams/{}/members",
            escape(organization),
            escape(team)
        );
        let action = format!("read the members of {organization}/{team}");
        let permission = "members: read";
        self.list(&path, LIST, &action, permission, |page: Vec<User>| page)
            .await
    }

    /// The repository's default branch.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn default_branch(&self) -> Result<String, Unknown> {
        #[derive(Deserialize)]
        struct Own {
            default_branch: String,
        }
        let action = "read the repository's default branch";
        let own: Own = self.get("", action, "metadata: read").await?;
        Ok(own.default_branch)
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

    pub(crate) fn below(&self, path: &str) -> String {
        format!("/repos/{}/{path}", self.repository())
    }
}

/// Percent-encodes everything except unreserved characters and `/` (RFC 3986), which branch names
/// may contain.
pub(crate) fn escape(text: &str) -> String {
    let parts: Vec<String> = text.split('/').map(net::percent).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_cannot_change_the_query() {
        assert_eq!(escape("feature/a?b#c é"), "feature/a%3Fb%23c%20%C3%A9");
    }
}
