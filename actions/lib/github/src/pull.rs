//! A pull request with everything that a gate judges of it, as GitHub's GraphQL API tells it.

use crate::model::User;

/// A pull request, read to the end of each of its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Its title.
    pub title: String,
    /// The account that opened it; nothing where the account no longer exists.
    pub author: Option<User>,
    /// True if it was merged.
    pub merged: bool,
    /// When it was opened, RFC 3339 in UTC.
    pub created_at: String,
    /// The branch it was merged into.
    pub base_branch: String,
    /// `OWNER/NAME` of the repository it was merged into.
    pub base_repository: Option<String>,
    /// The branch it came from.
    pub head_branch: String,
    /// `OWNER/NAME` of the repository it came from; nothing where that was deleted.
    pub head_repository: Option<String>,
    /// True if it came from another repository.
    pub from_fork: bool,
    /// The final head.
    pub head: String,
    /// The commit that the merge made; for a rebase the last of them.
    pub merge_commit: Option<String>,
    /// Its commits, oldest first.
    pub commits: Vec<PullCommit>,
    /// Its reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Its other events, oldest first.
    pub events: Vec<Event>,
}

/// A commit of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullCommit {
    /// The commit.
    pub sha: String,
    /// Its tree.
    pub tree: String,
    /// Its parents, in git's order.
    pub parents: Vec<String>,
    /// The message, with its trailers.
    pub message: String,
    /// The author's time, RFC 3339 in UTC, which a rebase keeps.
    pub authored_at: String,
    /// True if GitHub itself committed it, for example as the result of "Update branch".
    pub by_github: bool,
    /// The author.
    pub author: Signer,
    /// The committer.
    pub committer: Signer,
    /// Those whom `Co-authored-by` trailers name.
    pub co_authors: Vec<Signer>,
}

/// A name in a commit, which anybody can write, and the account that the e-mail address belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// The e-mail address.
    pub email: Option<String>,
    /// The account, if the address belongs to one. GitHub never names an app here.
    pub account: Option<User>,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its number, which the event of its dismissal names.
    pub id: u64,
    /// The reviewer; nothing where the account no longer exists.
    pub user: Option<User>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`, `PENDING`.
    pub state: String,
    /// The head that was reviewed; nothing where it no longer exists.
    pub commit: Option<String>,
    /// When, RFC 3339 in UTC.
    pub submitted_at: Option<String>,
    /// True if the reviewer may push to the repository.
    pub may_push: bool,
}

/// Something that happened to a pull request and decides whether a review still counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The pull request was pointed at another branch.
    BaseChanged {
        /// When, RFC 3339 in UTC.
        at: String,
        /// The branch before.
        from: String,
        /// The branch since.
        to: String,
    },
    /// The head was replaced by a commit that does not follow it.
    ForcePushed {
        /// The account that pushed.
        actor: Option<User>,
        /// The authors of the commit that was replaced, as far as GitHub still has it.
        replaced: Vec<Signer>,
    },
    /// A review was dismissed.
    Dismissed {
        /// The account that dismissed it.
        actor: Option<User>,
        /// The review's number.
        review: Option<u64>,
        /// The state of the review before.
        was: String,
    },
}
