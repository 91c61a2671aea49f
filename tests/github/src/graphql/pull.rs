//! Answers about pull requests: their reviews, commits and events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::GraphError;
use super::node::{Found, Node, Resolved, connect, optional, page, text, value};
use super::parse::Field;
use super::resolve::Executor;
use crate::rest::pull_commits;
use crate::state::{EventKind, Pull, PullEvent, Repo, Review};
use crate::view::{HTML, View};

/// Commits of a pull request GitHub lists at most.
const COMMITS: usize = 250;

impl<'a> Executor<'a> {
    pub(super) fn pull(&self, repo: &'a Repo, pull: &'a Pull, field: &Field) -> Resolved<'a> {
        let merged = pull.merged.as_ref();
        let account = |login: &str| optional(self.state.user(login).map(Node::Account));
        match field.name.as_str() {
            "id" => value(format!("PR_{}", pull.id)),
            "databaseId" => value(pull.id),
            "fullDatabaseId" => value(pull.id.to_string()),
            "number" => value(pull.number),
            "title" => value(&pull.title),
            "body" => value(pull.body.as_deref().unwrap_or_default()),
            "state" => value(match (merged, &pull.closed_at) {
                (Some(_), _) => "MERGED",
                (None, Some(_)) => "CLOSED",
                _ => "OPEN",
            }),
            "isDraft" => value(pull.draft),
            "url" => value(format!("{HTML}/{}/pull/{}", repo.full_name(), pull.number)),
            "author" => account(&pull.user),
            "closed" => value(pull.closed_at.is_some()),
            "merged" => value(merged.is_some()),
            "mergedBy" => merged.map_or_else(|| value(Value::Null), |merge| account(&merge.by)),
            "mergedAt" => value(merged.map(|merge| &merge.at)),
            "createdAt" => value(&pull.created_at),
            "updatedAt" => value(&pull.updated_at),
            "closedAt" => value(&pull.closed_at),
            "headRefOid" => value(repo.pull_head(pull)),
            "headRefName" => value(&pull.head),
            "baseRefOid" => value(&pull.base_sha),
            "baseRefName" => value(&pull.base),
            "isCrossRepository" => value(pull.fork.is_some()),
            "baseRepository" => Ok(Found::Node(Node::Repository(repo))),
            "headRepository" => match &pull.fork {
                None => Ok(Found::Node(Node::Repository(repo))),
                Some(fork) => optional(self.state.repo(fork).map(Node::Repository)),
            },
            "timelineItems" => timeline(repo, pull, field),
            "mergeCommit" => {
                self.need("contents", repo)?;
                self.commit_at(repo, merged.map(|merge| merge.commit.as_str()))
            }
            "reviews" => reviews(repo, pull, field),
            "latestOpinionatedReviews" => {
                let opinions = self.opinions(repo, pull, field);
                connect("PullRequestReviewConnection", opinions, field)
            }
            _ => commits_of(repo, pull, field),
        }
    }

    /// The last review of each user that took a side; a comment takes none, a dismissed review still stands here.
    fn opinions(&self, repo: &'a Repo, pull: &'a Pull, field: &Field) -> Vec<Node<'a>> {
        let writers_only = field.arguments.get("writersOnly") == Some(&json!(true));
        let mut latest: BTreeMap<&str, &Review> = BTreeMap::new();
        for review in pull
            .reviews
            .iter()
            .filter(|review| review.state != "COMMENTED")
        {
            latest.insert(&review.user, review);
        }
        let mut reviews: Vec<&Review> = latest.into_values().collect();
        reviews.sort_by_key(|review| review.id);
        reviews
            .into_iter()
            .filter(|review| {
                !writers_only || matches!(repo.role(&review.user), "write" | "maintain" | "admin")
            })
            .map(|review| Node::Review(repo, pull, review))
            .collect()
    }

    pub(super) fn review(
        &self,
        repo: &'a Repo,
        pull: &'a Pull,
        review: &'a Review,
        field: &Field,
    ) -> Resolved<'a> {
        match field.name.as_str() {
            "id" => value(format!("PRR_{}", review.id)),
            "databaseId" => value(review.id),
            "fullDatabaseId" => value(review.id.to_string()),
            "state" => value(&review.state),
            "submittedAt" | "createdAt" => value(&review.submitted_at),
            "body" => value(&review.body),
            "url" => value(format!(
                "{HTML}/{}/pull/{}#pullrequestreview-{}",
                repo.full_name(),
                pull.number,
                review.id
            )),
            "author" => optional(self.state.user(&review.user).map(Node::Account)),
            "authorCanPushToRepository" => value(matches!(
                repo.role(&review.user),
                "write" | "maintain" | "admin"
            )),
            "authorAssociation" => value(
                View {
                    state: self.state,
                    base: self.base,
                }
                .association(repo, &review.user),
            ),
            _ => {
                self.need("contents", repo)?;
                self.commit_at(repo, Some(&review.commit_id))
            }
        }
    }

    pub(super) fn event(
        &self,
        repo: &'a Repo,
        pull: &'a Pull,
        event: &'a PullEvent,
        field: &Field,
    ) -> Resolved<'a> {
        match (field.name.as_str(), &event.kind) {
            ("createdAt", _) => value(&event.at),
            ("actor", _) => optional(self.state.user(&event.actor).map(Node::Account)),
            ("currentRefName", EventKind::BaseChanged { to, .. }) => value(to),
            ("previousRefName", EventKind::BaseChanged { from, .. }) => value(from),
            ("beforeCommit", EventKind::ForcePushed { before, .. }) => {
                self.commit_at(repo, Some(before))
            }
            ("afterCommit", EventKind::ForcePushed { after, .. }) => {
                self.commit_at(repo, Some(after))
            }
            ("previousReviewState", EventKind::Dismissed { was, .. }) => value(was),
            ("review", EventKind::Dismissed { review, .. }) => optional(
                pull.reviews
                    .iter()
                    .find(|one| one.id == *review)
                    .map(|review| Node::Review(repo, pull, review)),
            ),
            ("databaseId", _) => value(event.id),
            _ => value(format!("EV_{}", event.id)),
        }
    }
}

/// The events of a pull request, of the kinds that are asked for.
fn timeline<'a>(repo: &'a Repo, pull: &'a Pull, field: &Field) -> Resolved<'a> {
    let kinds = field.arguments.get("itemTypes");
    let wanted = |event: &&PullEvent| {
        let kind = match event.kind {
            EventKind::BaseChanged { .. } => "BASE_REF_CHANGED_EVENT",
            EventKind::ForcePushed { .. } => "HEAD_REF_FORCE_PUSHED_EVENT",
            EventKind::Dismissed { .. } => "REVIEW_DISMISSED_EVENT",
        };
        kinds
            .and_then(Value::as_array)
            .is_none_or(|all| all.contains(&json!(kind)))
    };
    let events = pull.events.iter().filter(wanted);
    connect(
        "PullRequestTimelineItemsConnection",
        events.map(|event| Node::Event(repo, pull, event)).collect(),
        field,
    )
}

/// The reviews, in the states and by the author that are asked for.
fn reviews<'a>(repo: &'a Repo, pull: &'a Pull, field: &Field) -> Resolved<'a> {
    let states = field
        .arguments
        .get("states")
        .filter(|states| !states.is_null());
    let wanted = |review: &&Review| {
        states.is_none_or(|states| {
            states == &json!(review.state)
                || states
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(review.state)))
        }) && (text(field, "author").is_empty()
            || review.user.eq_ignore_ascii_case(text(field, "author")))
    };
    let all = pull
        .reviews
        .iter()
        .filter(wanted)
        .map(|review| Node::Review(repo, pull, review))
        .collect();
    connect("PullRequestReviewConnection", all, field)
}

/// The first commits, as many as GitHub lists, and how many there are.
fn commits_of<'a>(repo: &'a Repo, pull: &'a Pull, field: &Field) -> Resolved<'a> {
    let commits = pull_commits(repo, pull).map_err(|error| GraphError::new(error.to_string()))?;
    // GitHub does not say whether it counts those that it leaves out. Here it does not, which is the harder case for a client.
    let total = commits.len().min(COMMITS);
    let all = commits
        .into_iter()
        .take(COMMITS)
        .map(|commit| Node::PullCommit(repo, pull, commit))
        .collect();
    page("PullRequestCommitConnection", all, total, field)
}
