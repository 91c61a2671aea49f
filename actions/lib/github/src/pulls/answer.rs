//! The forms of GitHub's answers about pull requests, and what they become.

use crate::model::User;
use crate::pull::{Event, PullCommit, Review, Signer};
use crate::unknown::Unknown;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    pub(super) number: u64,
    pub(super) url: String,
    pub(super) title: String,
    pub(super) merged: bool,
    pub(super) created_at: String,
    pub(super) base_ref_name: String,
    pub(super) head_ref_name: String,
    pub(super) head_ref_oid: String,
    pub(super) is_cross_repository: bool,
    pub(super) base_repository: Option<Owned>,
    pub(super) head_repository: Option<Owned>,
    pub(super) merge_commit: Option<Object>,
    pub(super) author: Option<Actor>,
    #[serde(flatten)]
    pub(super) lists: Lists,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lists {
    pub(super) commits: Option<Page<PullCommitNode>>,
    pub(super) reviews: Option<Page<ReviewNode>>,
    pub(super) timeline_items: Option<Page<EventNode>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) total_count: Option<usize>,
    pub(super) page_info: PageInfo,
    pub(super) nodes: Vec<Option<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owned {
    pub(super) name_with_owner: String,
}

#[derive(Deserialize)]
pub(super) struct Object {
    pub(super) oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Actor {
    #[serde(rename = "__typename")]
    pub(super) kind: String,
    pub(super) login: String,
    pub(super) database_id: Option<u64>,
}

impl Actor {
    pub(super) fn account(self) -> Option<User> {
        // Unlike REST, GraphQL names an app's account without "[bot]".
        let bot = self.kind == "Bot" && !self.login.ends_with("[bot]");
        Some(User {
            login: if bot {
                format!("{}[bot]", self.login)
            } else {
                self.login
            },
            id: self.database_id?,
            kind: self.kind,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct PullCommitNode {
    pub(super) commit: CommitNode,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitNode {
    pub(super) oid: String,
    pub(super) message: String,
    pub(super) authored_date: String,
    pub(super) committed_via_web: bool,
    pub(super) tree: Object,
    pub(super) parents: Counted<Object>,
    pub(super) author: Option<SignerNode>,
    pub(super) committer: Option<SignerNode>,
    pub(super) authors: Counted<SignerNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counted<T> {
    pub(super) total_count: usize,
    pub(super) nodes: Vec<Option<T>>,
}

impl<T> Counted<T> {
    pub(super) fn all(self, action: &str, name: &str) -> Result<Vec<T>, Unknown> {
        let total = self.total_count;
        let all: Vec<T> = self.nodes.into_iter().flatten().collect();
        if all.len() == total {
            return Ok(all);
        }
        Err(Unknown::new(
            action,
            format!(
                "a commit has {total} {name}, of which {} were read",
                all.len()
            ),
        ))
    }
}

#[derive(Deserialize)]
pub(super) struct SignerNode {
    pub(super) email: Option<String>,
    pub(super) user: Option<UserNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserNode {
    pub(super) login: String,
    pub(super) database_id: Option<u64>,
}

impl SignerNode {
    pub(super) fn signer(self) -> Signer {
        Signer {
            email: self.email,
            account: self.user.and_then(|user| {
                Some(User {
                    login: user.login,
                    id: user.database_id?,
                    kind: "User".to_owned(),
                })
            }),
        }
    }
}

impl CommitNode {
    pub(super) fn commit(self, action: &str) -> Result<PullCommit, Unknown> {
        let signer = |node: Option<SignerNode>| node.map(SignerNode::signer).unwrap_or_default();
        let author = signer(self.author);
        let authors = self.authors.all(action, "authors")?;
        let parents = self.parents.all(action, "parents")?;
        let co_authors = authors.into_iter().map(SignerNode::signer);
        Ok(PullCommit {
            sha: self.oid,
            tree: self.tree.oid,
            parents: parents.into_iter().map(|parent| parent.oid).collect(),
            message: self.message,
            authored_at: self.authored_date,
            by_github: self.committed_via_web,
            committer: signer(self.committer),
            co_authors: co_authors.filter(|signer| *signer != author).collect(),
            author,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewNode {
    pub(super) database_id: Option<u64>,
    pub(super) state: String,
    pub(super) submitted_at: Option<String>,
    pub(super) author_can_push_to_repository: bool,
    pub(super) commit: Option<Object>,
    pub(super) author: Option<Actor>,
}

impl ReviewNode {
    pub(super) fn review(self) -> Review {
        Review {
            id: self.database_id.unwrap_or_default(),
            user: self.author.and_then(Actor::account),
            state: self.state,
            commit: self.commit.map(|commit| commit.oid),
            submitted_at: self.submitted_at,
            may_push: self.author_can_push_to_repository,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "__typename")]
#[expect(
    clippy::enum_variant_names,
    reason = "these are the names of GitHub's GraphQL schema"
)]
pub(super) enum EventNode {
    #[serde(rename_all = "camelCase")]
    BaseRefChangedEvent {
        created_at: String,
        previous_ref_name: String,
        current_ref_name: String,
    },
    #[serde(rename_all = "camelCase")]
    AutomaticBaseChangeSucceededEvent {
        created_at: String,
        old_base: String,
        new_base: String,
    },
    #[serde(rename_all = "camelCase")]
    HeadRefForcePushedEvent {
        actor: Option<Actor>,
        before_commit: Option<Replaced>,
    },
    #[serde(rename_all = "camelCase")]
    ReviewDismissedEvent {
        actor: Option<Actor>,
        previous_review_state: String,
        review: Option<Numbered>,
    },
}

#[derive(Deserialize)]
pub(super) struct Replaced {
    pub(super) authors: Counted<SignerNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbered {
    pub(super) database_id: Option<u64>,
}

impl EventNode {
    pub(super) fn event(self) -> Event {
        match self {
            Self::BaseRefChangedEvent {
                created_at,
                previous_ref_name,
                current_ref_name,
            } => Event::BaseChanged {
                at: created_at,
                from: previous_ref_name,
                to: current_ref_name,
            },
            Self::AutomaticBaseChangeSucceededEvent {
                created_at,
                old_base,
                new_base,
            } => Event::BaseChanged {
                at: created_at,
                from: old_base,
                to: new_base,
            },
            Self::HeadRefForcePushedEvent {
                actor,
                before_commit,
            } => Event::ForcePushed {
                actor: actor.and_then(Actor::account),
                replaced: before_commit
                    .map(|commit| commit.authors.nodes)
                    .unwrap_or_default()
                    .into_iter()
                    .flatten()
                    .map(SignerNode::signer)
                    .collect(),
            },
            Self::ReviewDismissedEvent {
                actor,
                previous_review_state,
                review,
            } => Event::Dismissed {
                actor: actor.and_then(Actor::account),
                review: review.and_then(|review| review.database_id),
                was: previous_review_state,
            },
        }
    }
}
