//! The facts that a decision to allow rests on, as a permit keeps them. Pure.

use super::Subject;
use super::approvals::approvals;
use super::approved::granted;
use super::change::Change;
use super::conditions::Conditions;
use super::facts::Facts;
use super::people::opinions;
use crate::person::actor;
use crate::requests::range_hash;
use crate::setting::Setting;
use kit::Lenient;
use kit::id::CommitId;
use ledger::Actor;

/// The hash over the commits that a promotion brings.
fn range(facts: &Facts) -> Option<String> {
    let commits = &facts.range.as_ref().ok()?.commits;
    Some(range_hash(commits.iter().map(|commit| commit.sha.as_str())))
}

/// The facts that a decision rests on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The commit from which the promotion was examined.
    pub(crate) base: Option<Lenient<CommitId>>,
    /// The newest commit of the gate's branch, where it is known.
    pub(crate) tip: Option<Lenient<CommitId>>,
    /// The hash over the commits that it brings, where they are known.
    pub(crate) range: Option<String>,
    /// The pull requests that it brings.
    pub(crate) pulls: Vec<u64>,
    /// GitHub's numbers of the reviews that count.
    pub(crate) reviews: Vec<u64>,
    /// The people who gave them.
    pub(crate) approvers: Vec<Actor>,
    /// The requests of the environment's chain whose approvals count.
    pub(crate) requests: Vec<u64>,
    /// Until when those approvals count.
    pub(crate) until: Option<String>,
}

impl Evidence {
    pub(super) fn of(
        setting: &Setting,
        subject: &Subject,
        facts: &Facts,
        conditions: Option<&Conditions>,
    ) -> Self {
        let granted =
            conditions.and_then(|conditions| granted(setting, subject, facts, conditions));
        let mut evidence = Self {
            base: facts.base(subject).commit().map(Lenient::from),
            tip: facts.tip.as_deref().ok().map(Lenient::from),
            range: range(facts),
            requests: granted.iter().map(|it| it.asked.number()).collect(),
            until: granted.map(|granted| granted.asked.request.expires),
            ..Self::default()
        };
        for change in facts.changes.as_deref().unwrap_or_default() {
            evidence.add(change, setting);
        }
        evidence
    }

    fn add(&mut self, change: &Change, setting: &Setting) {
        self.pulls.push(change.pull.number);
        let persons = setting.persons();
        let Ok(found) = approvals(change, setting) else {
            return;
        };
        for (user, review) in opinions(&change.pull.reviews) {
            if !found.valid.contains(user) {
                continue;
            }
            self.reviews.push(review.id);
            let approver = actor(user);
            if persons.is_other(&approver, &self.approvers) {
                self.approvers.push(approver);
            }
        }
    }
}
