//! The facts that the rules judge.

use super::Subject;
pub(crate) use super::change::Change;
use super::fact::Promoter;
pub(crate) use super::fact::{Fact, RunKind, Unknown};
use super::policy::Policy;
use super::range::{Base, Range};
use github::PullCommit;

/// All facts that the rules judge.
#[derive(Debug)]
pub(crate) struct Facts {
    /// GitHub's status for `commit...branch`, which tells if the branch contains the commit.
    pub(crate) on_branch: Fact<String>,
    /// The newest commit of the branch.
    pub(crate) tip: Fact<String>,
    /// How the branch stands to the one that the newest permit was judged at, if that says so.
    pub(crate) since_permit: Option<Fact<SincePermit>>,
    /// The repository on GitHub that was asked, OWNER/NAME.
    pub(crate) repository: Option<String>,
    /// The commits that the promotion brings.
    pub(crate) range: Fact<Range>,
    /// The pull requests that brought them into the branch.
    pub(crate) changes: Fact<Vec<Change>>,
    /// The commits that come with it although no review stands behind them, in full.
    pub(crate) accepted: Fact<Vec<PullCommit>>,
    /// The providers of the infrastructure code that are new, or others, each in words.
    pub(crate) providers: Fact<Vec<String>>,
    /// The accounts that promote.
    pub(crate) promoter: Fact<Promoter>,
    /// The kind of run this is.
    pub(crate) run: RunKind,
    /// The comparison of the rules that judge with the branch's own; `None` if the run is of no commit and no contract is read.
    pub(crate) policy: Option<Fact<Policy>>,
}

/// The branch's newest commit beside the one that a permit was judged at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SincePermit {
    /// The permit's number.
    pub(crate) permit: u64,
    /// The newest commit then.
    pub(crate) then: String,
    /// GitHub's status of then...now.
    pub(crate) status: String,
}

impl Facts {
    /// No facts, for an environment without a gate.
    pub(crate) fn none() -> Self {
        let unseen = || Unknown::new("not examined", "");
        Self {
            on_branch: Err(unseen()),
            tip: Err(unseen()),
            since_permit: None,
            repository: None,
            range: Err(unseen()),
            changes: Err(unseen()),
            accepted: Err(unseen()),
            providers: Err(unseen()),
            promoter: Err(unseen()),
            run: RunKind::Terminal,
            policy: Some(Err(unseen())),
        }
    }
}

impl Facts {
    /// Where the examined commits begin.
    pub(crate) fn base<'a>(&'a self, subject: &'a Subject) -> &'a Base {
        let examined = self.range.as_ref().map(|range| &range.base);
        examined.unwrap_or(&subject.base)
    }
}
