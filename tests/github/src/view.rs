//! How users, repositories and commits look in REST answers.

use serde_json::{Map, Value, json};

use crate::git::{Commit, Signature};
use crate::state::{ACTIONS_APP_ID, Repo, State, User, timestamp};

/// Addresses people open, which are not the API's.
pub(crate) const HTML: &str = "https://github.com";

/// State and the address answers name themselves by.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) base: &'a str,
}

impl View<'_> {
    pub(crate) fn repo_url(&self, repo: &Repo) -> String {
        format!("{}/repos/{}", self.base, repo.full_name())
    }

    /// A "simple user"; `null` for an account that no longer exists.
    pub(crate) fn user(&self, login: &str) -> Value {
        self.state
            .user(login)
            .map_or(Value::Null, |user| Value::Object(self.account(user)))
    }

    pub(crate) fn account(&self, user: &User) -> Map<String, Value> {
        let url = format!(
            "{}/users/{}",
            self.base,
            user.login.replace('[', "%5B").replace(']', "%5D")
        );
        let html = match user.login.strip_suffix("[bot]") {
            Some(app) => format!("{HTML}/apps/{app}"),
            None => format!("{HTML}/{}", user.login),
        };
        let fields = json!({
            "login": user.login,
            "id": user.id,
            "node_id": format!("{}_{}", user.kind.chars().next().unwrap_or('U'), user.id),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{}?v=4", user.id),
            "gravatar_id": "",
            "url": url,
            "html_url": html,
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": user.kind,
            "user_view_type": "public",
            "site_admin": false,
        });
        object(fields)
    }

    pub(crate) fn public_user(&self, user: &User) -> Value {
        let mut fields = self.account(user);
        fields.extend(object(json!({
            "name": user.name, "company": null, "blog": "", "location": null, "email": null, "hireable": null, "bio": null,
            "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": user.created_at, "updated_at": user.created_at,
        })));
        Value::Object(fields)
    }

    pub(crate) fn minimal_repo(&self, repo: &Repo) -> Map<String, Value> {
        let url = self.repo_url(repo);
        let mut fields = object(json!({
            "id": repo.id,
            "node_id": format!("R_{}", repo.id),
            "name": repo.name,
            "full_name": repo.full_name(),
            "private": repo.private,
            "owner": self.user(&repo.owner),
            "html_url": format!("{HTML}/{}", repo.full_name()),
            "description": null,
            "fork": false,
            "url": url,
        }));
        for (name, path) in [
            ("archive_url", "/{archive_format}{/ref}"),
            ("assignees_url", "/assignees{/user}"),
            ("blobs_url", "/git/blobs{/sha}"),
            ("branches_url", "/branches{/branch}"),
            ("collaborators_url", "/collaborators{/collaborator}"),
            ("comments_url", "/comments{/number}"),
            ("commits_url", "/commits{/sha}"),
            ("compare_url", "/compare/{base}...{head}"),
            ("contents_url", "/contents/{+path}"),
            ("contributors_url", "/contributors"),
            ("deployments_url", "/deployments"),
            ("downloads_url", "/downloads"),
            ("events_url", "/events"),
            ("forks_url", "/forks"),
            ("git_commits_url", "/git/commits{/sha}"),
            ("git_refs_url", "/git/refs{/sha}"),
            ("git_tags_url", "/git/tags{/sha}"),
            ("hooks_url", "/hooks"),
            ("issue_comment_url", "/issues/comments{/number}"),
            ("issue_events_url", "/issues/events{/number}"),
            ("issues_url", "/issues{/number}"),
            ("keys_url", "/keys{/key_id}"),
            ("labels_url", "/labels{/name}"),
            ("languages_url", "/languages"),
            ("merges_url", "/merges"),
            ("milestones_url", "/milestones{/number}"),
            (
                "notifications_url",
                "/notifications{?since,all,participating}",
            ),
            ("pulls_url", "/pulls{/number}"),
            ("releases_url", "/releases{/id}"),
            ("stargazers_url", "/stargazers"),
            ("statuses_url", "/statuses/{sha}"),
            ("subscribers_url", "/subscribers"),
            ("subscription_url", "/subscription"),
            ("tags_url", "/tags"),
            ("teams_url", "/teams"),
            ("trees_url", "/git/trees{/sha}"),
        ] {
            fields.insert(name.to_owned(), Value::String(format!("{url}{path}")));
        }
        fields
    }

    pub(crate) fn repo(&self, repo: &Repo) -> Map<String, Value> {
        let mut fields = self.minimal_repo(repo);
        let (name, html) = (repo.full_name(), format!("{HTML}/{}", repo.full_name()));
        let pushed = repo
            .activity
            .last()
            .map_or(&repo.created_at, |last| &last.at);
        let open = repo
            .pulls
            .iter()
            .filter(|pull| pull.closed_at.is_none())
            .count();
        fields.extend(object(json!({
            "git_url": format!("git://github.com/{name}.git"), "ssh_url": format!("git@github.com:{name}.git"),
            "clone_url": format!("{html}.git"), "svn_url": html, "mirror_url": null, "homepage": null, "language": null,
            "license": null, "forks": 0, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "size": 0,
            "default_branch": repo.default_branch, "open_issues": open, "open_issues_count": open, "has_issues": true,
            "has_projects": true, "has_wiki": true, "has_pages": false, "has_downloads": true, "has_discussions": false,
            "archived": false, "disabled": false, "visibility": if repo.private { "private" } else { "public" },
            "pushed_at": pushed, "created_at": repo.created_at, "updated_at": pushed,
        })));
        fields
    }

    pub(crate) fn full_repo(&self, repo: &Repo) -> Value {
        let mut fields = self.repo(repo);
        fields.extend(object(json!({"subscribers_count": 0, "network_count": 0})));
        Value::Object(fields)
    }

    /// A commit, its author and committer joined to accounts by address.
    pub(crate) fn commit(&self, repo: &Repo, commit: &Commit) -> Map<String, Value> {
        let (url, html) = (self.repo_url(repo), format!("{HTML}/{}", repo.full_name()));
        let sha = &commit.sha;
        let signature = |author: &Signature| json!({"name": author.name, "email": author.email, "date": timestamp(author.time)});
        let account = |author: &Signature| {
            self.state
                .user_by_email(&author.email)
                .map_or(Value::Null, |user| Value::Object(self.account(user)))
        };
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|parent| json!({"sha": parent, "url": format!("{url}/commits/{parent}"), "html_url": format!("{html}/commit/{parent}")}))
            .collect();
        object(json!({
            "sha": sha,
            "node_id": format!("C_{sha}"),
            "commit": {
                "author": signature(&commit.author),
                "committer": signature(&commit.committer),
                "message": commit.message,
                "tree": {"sha": commit.tree, "url": format!("{url}/git/trees/{}", commit.tree)},
                "url": format!("{url}/git/commits/{sha}"),
                "comment_count": 0,
                "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null},
            },
            "url": format!("{url}/commits/{sha}"),
            "html_url": format!("{html}/commit/{sha}"),
            "comments_url": format!("{url}/commits/{sha}/comments"),
            "author": account(&commit.author),
            "committer": account(&commit.committer),
            "parents": parents,
        }))
    }

    /// A GitHub App as check runs and comments name it.
    pub(crate) fn app(&self, id: u64, slug: &str) -> Value {
        json!({
            "id": id,
            "client_id": format!("Iv1.{id:016x}"),
            "slug": slug,
            "node_id": format!("A_{id}"),
            "owner": self.user(crate::state::WEB_FLOW),
            "name": if id == ACTIONS_APP_ID { "GitHub Actions" } else { slug },
            "description": "",
            "external_url": format!("https://github.com/apps/{slug}"),
            "html_url": format!("https://github.com/apps/{slug}"),
            "created_at": "2018-07-30T09:30:17Z",
            "updated_at": "2018-07-30T09:30:17Z",
            "permissions": {"checks": "write", "metadata": "read"},
            "events": [],
        })
    }

    /// How an author stands to a repository.
    pub(crate) fn association(&self, repo: &Repo, login: &str) -> &'static str {
        match repo.role(login) {
            _ if repo.owner.eq_ignore_ascii_case(login) => "OWNER",
            "none" => "NONE",
            _ => "COLLABORATOR",
        }
    }
}

/// The fields of a `json!` object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
