//! Comments on a pull request, which are issue comments in GitHub's API.

use crate::address::token;
use crate::client::GitHub;
use crate::model::User;
use crate::unknown::Unknown;
use kit::Cx;
use net::Net;
use serde::{Deserialize, Serialize};

/// The maximum length of a comment. Source: GitHub's own refusal, "body is too long (maximum is 65536
/// characters)".
pub const COMMENT_LIMIT: usize = 65_536;
/// More comments than these are not searched.
const LIST: usize = 2000;
const READ: &str = "pull-requests: read";
const WRITE: &str = "pull-requests: write";

/// The used part of a comment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: String,
    user: Option<User>,
    #[serde(default)]
    author_association: String,
    html_url: String,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
}

impl Comment {
    /// Returns true if this is the comment with `marker`. The author of a comment can change it later, so a
    /// stranger's comment that begins with our marker is never reused.
    fn is_marked(&self, marker: &str) -> bool {
        let app = self.user.as_ref().is_some_and(|user| user.kind == "Bot");
        let trusted = matches!(
            self.author_association.as_str(),
            "OWNER" | "MEMBER" | "COLLABORATOR"
        );
        (app || trusted) && self.body.starts_with(marker)
    }
}

impl GitHub {
    /// Updates the comment on pull request `number` that begins with `marker`, or creates it. Returns
    /// its URL.
    ///
    /// # Errors
    /// GitHub did not answer, or more comments than are searched.
    pub async fn set_comment(
        &self,
        number: u64,
        marker: &str,
        text: &str,
    ) -> Result<String, Unknown> {
        let body = format!("{marker}\n{text}");
        let path = format!("issues/{number}/comments");
        let comments = self
            .list(
                &format!("/repos/{}/{path}", self.repository()),
                LIST,
                &format!("read the comments of #{number}"),
                READ,
                |page: Vec<Comment>| page,
            )
            .await?;
        let text = Text { body: &body };
        let comment: Comment = match comments.iter().find(|comment| comment.is_marked(marker)) {
            Some(found) if found.body == body => return Ok(found.html_url.clone()),
            Some(found) => {
                self.patch(
                    &format!("issues/comments/{}", found.id),
                    &text,
                    &format!("change a comment of #{number}"),
                    WRITE,
                )
                .await?
            }
            None => {
                let action = format!("comment on #{number}");
                self.post(&path, &text, &action, WRITE).await?
            }
        };
        Ok(comment.html_url)
    }
}

/// Writes a plan on pull request `number`, as the one comment that begins with `marker`, which is changed when the plan changes.
/// `text` gets the most bytes that fit. A comment that cannot be written is a warning, since the plan is in the log too.
pub async fn comment_plan(cx: &Cx, number: u64, marker: &str, text: impl FnOnce(usize) -> String) {
    let unsaid = |why: String| {
        cx.host
            .warn(format!("#{number} gets no comment with the plan: {why}"));
    };
    if token(cx).is_none() {
        return unsaid("there is no GitHub token".to_owned());
    }
    let github = match Net::new(cx).and_then(|net| GitHub::connect(cx, &net, None)) {
        Ok(github) => github,
        Err(error) => return unsaid(error.message),
    };
    let text = text(COMMENT_LIMIT - marker.len() - 1);
    match github.set_comment(number, marker, &text).await {
        Ok(url) => cx.host.info(format!("the plan is on #{number}: {url}")),
        Err(unknown) => unsaid(unknown.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_comment_is_not_taken_for_ours() {
        let comment = |kind: &str, association: &str, body: &str| Comment {
            id: 1,
            body: body.to_owned(),
            user: Some(User {
                login: "x".into(),
                id: 1,
                kind: kind.to_owned(),
            }),
            author_association: association.to_owned(),
            html_url: String::new(),
        };
        for (kind, association, body, ours) in [
            ("Bot", "NONE", "<!-- m -->\nold", true),
            ("User", "MEMBER", "<!-- m -->\nold", true),
            ("User", "CONTRIBUTOR", "<!-- m -->\nold", false),
            ("Bot", "NONE", "see <!-- m -->", false),
        ] {
            let found = comment(kind, association, body).is_marked("<!-- m -->");
            assert_eq!(found, ours, "{kind} {association} {body}");
        }
    }
}
