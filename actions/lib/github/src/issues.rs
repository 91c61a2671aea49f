//! Issues that Slipway keeps: found again by a marker at the beginning of their text.

use crate::client::GitHub;
use crate::model::User;
use crate::unknown::Unknown;
use serde::{Deserialize, Serialize};

/// More issues than these are not searched.
const LIST: usize = 2000;
const READ: &str = "issues: read";
const WRITE: &str = "issues: write";

/// The used part of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text, in Markdown.
    #[serde(default, deserialize_with = "text")]
    pub body: String,
    /// `open` or `closed`.
    pub state: String,
    /// Why it is closed: `completed`, `not_planned` and others.
    #[serde(default)]
    pub state_reason: Option<String>,
    /// Its page.
    pub html_url: String,
    user: Option<User>,
    #[serde(default)]
    author_association: String,
    /// GitHub lists pull requests among the issues.
    #[serde(default)]
    pull_request: Option<serde_json::Value>,
}

/// An empty text is `null`.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Issue {
    /// Returns true if this is an issue with this marker. The author of an issue can change its text later, so a
    /// stranger's issue that begins with our marker is never taken for ours.
    fn is_marked(&self, marker: &str) -> bool {
        let app = self.user.as_ref().is_some_and(|user| user.kind == "Bot");
        let trusted = matches!(
            self.author_association.as_str(),
            "OWNER" | "MEMBER" | "COLLABORATOR"
        );
        self.pull_request.is_none() && (app || trusted) && self.body.starts_with(marker)
    }
}

/// A change to an issue's content or state. Members that are left out stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IssueChange {
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// `open` or `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Why it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<&'static str>,
}

impl GitHub {
    /// The issues that begin with `marker` and changed at or after `since` (RFC 3339), oldest first.
    ///
    /// # Errors
    /// GitHub did not answer, or there are more issues than are searched.
    pub async fn issues(&self, marker: &str, since: &str) -> Result<Vec<Issue>, Unknown> {
        let uri = format!(
            "/repos/{}/issues?state=all&direction=asc&since={since}",
            self.repository()
        );
        let action = "read the issues";
        let all = self
            .list(&uri, LIST, action, READ, |page: Vec<Issue>| page)
            .await?;
        let mut marked: Vec<Issue> = all
            .into_iter()
            .filter(|issue| issue.is_marked(marker))
            .collect();
        marked.sort_by_key(|issue| issue.number);
        Ok(marked)
    }

    /// Opens an issue.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn open_issue(&self, title: &str, body: &str) -> Result<Issue, Unknown> {
        let new = IssueChange {
            title: Some(title.to_owned()),
            body: Some(body.to_owned()),
            ..IssueChange::default()
        };
        self.post("issues", &new, "open an issue", WRITE).await
    }

    /// Changes an issue.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn change_issue(&self, number: u64, change: &IssueChange) -> Result<Issue, Unknown> {
        let path = format!("issues/{number}");
        let action = format!("change issue #{number}");
        self.patch(&path, change, &action, WRITE).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_issue_and_a_pull_request_are_not_taken_for_ours() {
        let issue = |kind: &str, association: &str, body: &str, pull: bool| {
            let mut issue = serde_json::json!({
                "number": 1, "title": "t", "body": body, "state": "open", "html_url": "",
                "user": {"login": "x", "id": 1, "type": kind}, "author_association": association,
            });
            if pull {
                issue["pull_request"] = serde_json::json!({"url": ""});
            }
            serde_json::from_value::<Issue>(issue).unwrap()
        };
        for (kind, association, body, pull, ours) in [
            ("Bot", "NONE", "<!-- m -->\nold", false, true),
            ("User", "MEMBER", "<!-- m -->\nold", false, true),
            ("User", "NONE", "<!-- m -->\nold", false, false),
            ("User", "CONTRIBUTOR", "<!-- m -->\nold", false, false),
            ("Bot", "NONE", "see <!-- m -->", false, false),
            ("Bot", "NONE", "<!-- m -->\nold", true, false),
        ] {
            let found = issue(kind, association, body, pull).is_marked("<!-- m -->");
            assert_eq!(found, ours, "{kind} {association} {body} {pull}");
        }
    }

    #[test]
    fn an_issue_without_a_text_is_read() {
        let issue = serde_json::json!({
            "number": 1, "title": "t", "body": null, "state": "closed", "html_url": "", "user": null,
        });
        let issue: Issue = serde_json::from_value(issue).unwrap();
        assert_eq!(issue.body, "");
        assert!(!issue.is_marked("<!-- m -->"));
    }
}
