//! GitHub's answers, as far as they are used. Our own structs, because octocrab's leave out the
//! run's actors, path and attempt, and decode a user's permission into other words than GitHub's.

use serde::{Deserialize, Deserializer};

/// An account, told apart by its number; a login can be renamed and taken over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The login.
    pub login: String,
    /// The numeric ID.
    pub id: u64,
    /// `User`, `Bot`, `Organization`, `Mannequin`.
    #[serde(rename = "type", default)]
    pub kind: String,
}

impl User {
    /// Returns true if a human is behind the account, as far as GitHub says: an app's account is a `Bot`.
    pub fn is_person(&self) -> bool {
        self.kind == "User" && !self.login.ends_with("[bot]")
    }
}

/// GitHub answers `null` or `{}` where an e-mail belongs to no account.
fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<User>, D::Error> {
    #[derive(Deserialize)]
    struct Maybe {
        login: Option<String>,
        id: Option<u64>,
        #[serde(rename = "type", default)]
        kind: String,
    }
    let maybe = Option::<Maybe>::deserialize(deserializer)?;
    Ok(maybe.and_then(|found| {
        Some(User {
            login: found.login?,
            id: found.id?,
            kind: found.kind,
        })
    }))
}

/// A workflow run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Run {
    /// Its ID.
    pub id: u64,
    /// The event that started it, e.g. `workflow_dispatch`.
    pub event: String,
    /// The workflow's file; GitHub's documents show it with `OWNER/NAME/` before and `@REF` after.
    pub path: String,
    /// The branch the workflow was taken from.
    pub head_branch: Option<String>,
    /// The commit the workflow was taken from.
    pub head_sha: String,
    /// Counts re-runs, from 1.
    #[serde(default)]
    pub run_attempt: Option<u64>,
    /// The account that started the first attempt.
    #[serde(default, deserialize_with = "account")]
    pub actor: Option<User>,
    /// The account that started this attempt.
    #[serde(default, deserialize_with = "account")]
    pub triggering_actor: Option<User>,
    /// `queued`, `in_progress`, `waiting`, `completed` and others.
    #[serde(default)]
    pub status: Option<String>,
    /// How it ended, e.g. `success` or `cancelled`; nothing before that.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// Its page.
    pub html_url: String,
}

impl Run {
    /// Returns true if all its jobs have ended, so that no process is part of it any more; nothing if GitHub does not say.
    pub fn is_over(&self) -> Option<bool> {
        self.status.as_deref().map(|status| status == "completed")
    }

    /// The workflow's file below the repository's root. GitHub may put `@REF` behind it; a file whose
    /// own name holds an `@` keeps it, so that no other file passes for this one.
    pub fn file(&self) -> &str {
        let workflow = |name: &str| name.ends_with(".yml") || name.ends_with(".yaml");
        let path = match self.path.rsplit_once('@') {
            Some((path, reference)) if workflow(path) && !workflow(reference) => path,
            _ => &self.path,
        };
        path.find(".github/").map_or(path, |at| &path[at..])
    }
}

/// How two commits stand to each other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comparison {
    /// `identical`, `ahead`, `behind`, `diverged`.
    pub status: String,
}

/// A check run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRun {
    /// The check's name.
    pub name: String,
    /// `queued`, `in_progress`, `completed` and others.
    pub status: String,
    /// `success` and others, once completed.
    pub conclusion: Option<String>,
    /// The app that reported it.
    pub app: Option<App>,
}

/// A GitHub app.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    /// Its number.
    pub id: u64,
}

/// A user's permission in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Permission {
    /// `admin`, `write`, `read`, `none`; `maintain` is `write` here and `triage` is `read`.
    pub permission: String,
    /// The account the login belongs to.
    #[serde(default, deserialize_with = "account")]
    pub user: Option<User>,
}

impl Permission {
    /// Returns true if the user may push.
    pub fn can_write(&self) -> bool {
        matches!(self.permission.as_str(), "admin" | "write")
    }
}

/// Something that happened to a branch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Activity {
    /// The branch's head before; zeros where there was none.
    #[serde(default)]
    pub before: String,
    /// The branch's head afterwards.
    pub after: String,
    /// `push`, `force_push`, `branch_creation`, `branch_deletion`, `pr_merge`, `merge_queue_merge`.
    pub activity_type: String,
    /// When, RFC 3339 in UTC.
    #[serde(default)]
    pub timestamp: String,
    /// The account that did it.
    #[serde(default, deserialize_with = "account")]
    pub actor: Option<User>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// The data that its creator put in: an object, or text.
    #[serde(default)]
    pub payload: serde_json::Value,
    /// The account that made it.
    #[serde(default, deserialize_with = "account")]
    pub creator: Option<User>,
}

/// A deployment's status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeploymentStatus {
    /// `success`, `failure`, `inactive` and others.
    pub state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workflow_file_in_each_of_githubs_spellings() {
        for path in [
            ".github/workflows/promote.yml",
            ".github/workflows/promote.yml@main",
            "acme/storefront/.github/workflows/promote.yml@refs/heads/main",
        ] {
            let run = Run {
                path: path.to_owned(),
                ..sample()
            };
            assert_eq!(run.file(), ".github/workflows/promote.yml");
        }
    }

    #[test]
    fn an_app_is_not_a_person_whatever_its_login() {
        let user = |login: &str, kind: &str| User {
            login: login.to_owned(),
            id: 1,
            kind: kind.to_owned(),
        };
        assert!(user("alice", "User").is_person());
        assert!(!user("alice", "Bot").is_person());
        assert!(!user("github-actions[bot]", "User").is_person());
        assert!(!user("acme", "Organization").is_person());
        assert!(!user("old", "Mannequin").is_person());
    }

    #[test]
    fn a_file_named_like_the_pinned_one_and_more_is_another_file() {
        let path = ".github/workflows/promote.yml@evil.yml";
        let run = Run {
            path: path.to_owned(),
            ..sample()
        };
        assert_eq!(run.file(), path);
    }

    fn sample() -> Run {
        Run {
            id: 1,
            event: String::new(),
            path: String::new(),
            head_branch: None,
            head_sha: String::new(),
            run_attempt: None,
            actor: None,
            triggering_actor: None,
            status: None,
            conclusion: None,
            html_url: String::new(),
        }
    }
}
