//! Reads pull requests with their commits, reviews and events, many in one query. A list that is
//! longer than one page is read on, all pull requests at the same time.

mod answer;
mod commits;
mod state;

pub use state::PullState;

use crate::client::GitHub;
use crate::history::PARALLEL;
use crate::pull::Pull;
use crate::unknown::Unknown;
use answer::{Actor, Answered, Lists, Owned, PageInfo};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use std::collections::BTreeMap;

/// Pull requests that one query asks for. GitHub ends a query after ten seconds.
const PULLS_A_QUERY: usize = 10;
/// Entries of each list in one query; with more, GitHub counts a query of ten pull requests as
/// dozens against the hourly limit.
const PAGE: usize = 50;
/// The most entries of a list that are read.
const LIMIT: usize = 1000;
/// Answers that are read of one pull request: more than any list of so many entries has pages.
const ROUNDS: usize = 100;
/// Authors of one commit that are read.
const AUTHORS: usize = 10;

const ACTOR: &str = "{__typename login ... on User{databaseId} ... on Bot{databaseId}}";
const HEAD: &str = "number url title merged createdAt baseRefName headRefName headRefOid \
    isCrossRepository baseRepository{nameWithOwner} headRepository{nameWithOwner} mergeCommit{oid}";
const SIGNER: &str = "{email user{login databaseId}}";

/// The fields that a query asks for of a commit.
fn commit() -> String {
    format!(
        "oid message authoredDate committedViaWeb tree{{oid}} \
         parents(first:{AUTHORS}){{totalCount nodes{{oid}}}} \
         author{SIGNER} committer{SIGNER} \
         authors(first:{AUTHORS}){{totalCount nodes{SIGNER}}}"
    )
}

/// The connections of a pull request, each from a cursor on.
#[derive(Default)]
struct Cursors {
    commits: Cursor,
    reviews: Cursor,
    events: Cursor,
}

/// The position in a list.
#[derive(Default, Clone, PartialEq)]
enum Cursor {
    #[default]
    Start,
    After(String),
    End,
}

impl Cursor {
    /// The list's arguments; nothing once it was read to its end.
    fn arguments(&self) -> Option<String> {
        match self {
            Self::Start => Some(format!("first:{PAGE}")),
            Self::After(cursor) => Some(format!("first:{PAGE},after:{}", json!(cursor))),
            Self::End => None,
        }
    }

    fn follow(&mut self, page: PageInfo, action: &str) -> Result<(), Unknown> {
        *self = match (page.has_next_page, page.end_cursor) {
            (false, _) => Self::End,
            (true, Some(cursor)) if *self != Self::After(cursor.clone()) => Self::After(cursor),
            (true, _) => {
                return Err(Unknown::new(
                    action,
                    "GitHub does not say where the list goes on",
                ));
            }
        };
        Ok(())
    }
}

impl Cursors {
    fn ended(&self) -> bool {
        [&self.commits, &self.reviews, &self.events]
            .iter()
            .all(|cursor| **cursor == Cursor::End)
    }

    fn selection(&self) -> String {
        let mut out = String::new();
        if let Some(from) = self.commits.arguments() {
            out.push_str(&format!(
                " commits({from}){{totalCount pageInfo{{hasNextPage endCursor}} nodes{{commit{{{}}}}}}}",
                commit()
            ));
        }
        if let Some(from) = self.reviews.arguments() {
            out.push_str(&format!(
                " reviews({from}){{totalCount pageInfo{{hasNextPage endCursor}} nodes{{\
                 databaseId state submittedAt authorCanPushToRepository commit{{oid}} author{ACTOR}}}}}"
            ));
        }
        if let Some(from) = self.events.arguments() {
            out.push_str(&format!(
                " timelineItems({from},itemTypes:[BASE_REF_CHANGED_EVENT,\
                 AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT,HEAD_REF_FORCE_PUSHED_EVENT,\
                 REVIEW_DISMISSED_EVENT]){{pageInfo{{hasNextPage endCursor}} nodes{{__typename \
                 ... on BaseRefChangedEvent{{createdAt previousRefName currentRefName}} \
                 ... on AutomaticBaseChangeSucceededEvent{{createdAt oldBase newBase}} \
                 ... on HeadRefForcePushedEvent{{actor{ACTOR} beforeCommit{{authors(first:{AUTHORS}){{totalCount nodes{SIGNER}}}}}}} \
                 ... on ReviewDismissedEvent{{actor{ACTOR} previousReviewState review{{databaseId}}}}}}}}"
            ));
        }
        out
    }
}

impl GitHub {
    /// The pull requests of these numbers, in the same order, each read to the end of its lists.
    ///
    /// # Errors
    /// GitHub did not answer in full. It lists at most 250 commits of a pull request.
    pub async fn pulls(&self, numbers: &[u64]) -> Result<Vec<Pull>, Unknown> {
        let pulls: Vec<Vec<Pull>> = stream::iter(numbers.chunks(PULLS_A_QUERY))
            .map(|chunk| self.pulls_chunk(chunk))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(pulls.into_iter().flatten().collect())
    }

    async fn pulls_chunk(&self, numbers: &[u64]) -> Result<Vec<Pull>, Unknown> {
        let action = match numbers {
            [number] => format!("read #{number}"),
            _ => format!("read {} pull requests", numbers.len()),
        };
        let lists = Cursors::default().selection();
        let selections = numbers.iter().map(|number| {
            format!("p{number}:pullRequest(number:{number}){{{HEAD} author{ACTOR}{lists}}} ")
        });
        let selections: String = selections.collect();
        let mut found: BTreeMap<String, Option<Answered>> =
            self.repository_query(&selections, &action).await?;
        let mut begun = Vec::with_capacity(numbers.len());
        for number in numbers {
            let answered = found
                .remove(&format!("p{number}"))
                .flatten()
                .ok_or_else(|| Unknown::new(&action, format!("GitHub does not know #{number}")))?;
            begun.push(Reading::begin(answered)?);
        }
        stream::iter(begun)
            .map(|reading| self.read_on(reading))
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// Reads a pull request's lists to their ends.
    async fn read_on(&self, mut reading: Reading) -> Result<Pull, Unknown> {
        while !reading.cursors.ended() {
            let number = reading.pull.number;
            let lists = reading.cursors.selection();
            let selection = format!("pull:pullRequest(number:{number}){{{lists}}}");
            let mut found: BTreeMap<String, Option<Lists>> =
                self.repository_query(&selection, &reading.action).await?;
            let page = found.remove("pull").flatten();
            let page = page
                .ok_or_else(|| Unknown::new(&reading.action, "GitHub does not know it any more"))?;
            reading.take(page)?;
        }
        reading.complete()
    }
}

/// A pull request of which some lists may go on.
struct Reading {
    pull: Pull,
    action: String,
    cursors: Cursors,
    commits: usize,
    reviews: usize,
    /// Answers so far.
    rounds: usize,
}

impl Reading {
    fn begin(answered: Answered) -> Result<Self, Unknown> {
        let action = format!("read #{}", answered.number);
        let repository = |owned: Option<Owned>| owned.map(|owned| owned.name_with_owner);
        let mut reading = Self {
            pull: Pull {
                number: answered.number,
                url: answered.url,
                title: answered.title,
                author: answered.author.and_then(Actor::account),
                merged: answered.merged,
                created_at: answered.created_at,
                base_branch: answered.base_ref_name,
                base_repository: repository(answered.base_repository),
                head_branch: answered.head_ref_name,
                head_repository: repository(answered.head_repository),
                from_fork: answered.is_cross_repository,
                head: answered.head_ref_oid,
                merge_commit: answered.merge_commit.map(|commit| commit.oid),
                commits: Vec::new(),
                reviews: Vec::new(),
                events: Vec::new(),
            },
            action,
            cursors: Cursors::default(),
            commits: 0,
            reviews: 0,
            rounds: 0,
        };
        reading.take(answered.lists)?;
        Ok(reading)
    }

    /// Takes one page of each list that was asked for.
    fn take(&mut self, lists: Lists) -> Result<(), Unknown> {
        let action = &self.action;
        // A cursor may lead back to an earlier page, which may be empty.
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return Err(Unknown::new(action, "GitHub's lists of it do not end"));
        }
        let left_out = || Unknown::new(action, "GitHub's answer leaves a list out");
        let hole = || Unknown::new(action, "GitHub's answer leaves an entry of a list out");
        if self.cursors.commits != Cursor::End {
            let page = lists.commits.ok_or_else(left_out)?;
            self.commits = page.total_count.unwrap_or_default();
            for node in page.nodes {
                let commit = node.ok_or_else(hole)?.commit;
                self.pull.commits.push(commit.commit(action)?);
            }
            self.cursors.commits.follow(page.page_info, action)?;
        }
        if self.cursors.reviews != Cursor::End {
            let page = lists.reviews.ok_or_else(left_out)?;
            self.reviews = page.total_count.unwrap_or_default();
            for node in page.nodes {
                self.pull.reviews.push(node.ok_or_else(hole)?.review());
            }
            self.cursors.reviews.follow(page.page_info, action)?;
        }
        if self.cursors.events != Cursor::End {
            let page = lists.timeline_items.ok_or_else(left_out)?;
            for node in page.nodes {
                self.pull.events.push(node.ok_or_else(hole)?.event());
            }
            self.cursors.events.follow(page.page_info, action)?;
        }
        let pull = &self.pull;
        let longest = pull.reviews.len().max(pull.events.len());
        if longest.max(pull.commits.len()) > LIMIT {
            return Err(Unknown::new(
                action,
                format!("a list has more than {LIMIT} entries, the most that are read"),
            ));
        }
        Ok(())
    }

    /// The pull request, if GitHub sent as many entries as it counts, and its head among them.
    fn complete(self) -> Result<Pull, Unknown> {
        for (name, sent, counted) in [
            ("commits", self.pull.commits.len(), self.commits),
            ("reviews", self.pull.reviews.len(), self.reviews),
        ] {
            if sent != counted {
                return Err(Unknown::new(
                    &self.action,
                    format!("GitHub lists {sent} of its {counted} {name}"),
                ));
            }
        }
        // The oldest 250 are listed, whatever is counted. With a commit more, another person may have pushed the head.
        let mut listed = self.pull.commits.iter();
        if !listed.any(|commit| commit.sha == self.pull.head) {
            return Err(Unknown::new(
                &self.action,
                format!(
                    "its head {} is not among the {} commits that GitHub lists of it, which are at most 250",
                    self.pull.head,
                    self.pull.commits.len()
                ),
            ));
        }
        Ok(self.pull)
    }
}

#[cfg(test)]
mod tests;
