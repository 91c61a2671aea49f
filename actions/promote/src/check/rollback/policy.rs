//! Decides whether a rollback is judged by the branch's own gate. GitHub tells, as for a promotion; while it does
//! not, the ledger does.

use crate::check::answer::{Finding, fail, not_asked, pass};
use crate::check::fact::{Fact, RunKind, Unknown};
use crate::check::facts::Facts;
use crate::check::host::{Host, OfHost};
use crate::check::policy::{Policy, observe};
use crate::check::rules::Context;
use crate::check::subject::recorded;
use crate::check::{Asked, Subject};
use crate::setting::Setting;
use github::{GitHub, Transcript};
use kit::Cx;
use kit::error::Result;
use ledger::{Chain, Entry, LOOK_BACK, Ledger, Record, Verdict};
use net::Net;
use std::time::Duration;

/// How long a rollback waits for GitHub, which it can do without.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How the contract and the workflow of this run stand to the branch's newest commit, with the client that GitHub answered, for further
/// questions, and what it was asked.
pub(super) async fn ask(
    cx: &Cx,
    net: &Net,
    host: &Host,
    setting: &Setting,
    repository: Option<&str>,
) -> Fact<(Policy, GitHub, Asked)> {
    let asked = async {
        let transcript = Transcript::default();
        let github = GitHub::connect(cx, net, repository)
            .map_err(|error| Unknown::new(error.message, "give a token for GitHub"))?
            .noting(&transcript);
        let branch = policy_from_github(&github, host, setting).await?;
        let asked = Asked {
            repository: github.repository().clone(),
            transcript,
        };
        Ok((branch, github, asked))
    };
    let within = tokio::time::timeout(TIMEOUT, asked).await;
    within.unwrap_or_else(|_| Err(Unknown::new("GitHub does not answer", "run this again")))
}

/// The same by what GitHub answers.
pub(in crate::check) async fn policy_from_github(
    github: &GitHub,
    host: &Host,
    setting: &Setting,
) -> Fact<Policy> {
    let run = match &host.run {
        OfHost::GitHub { .. } => RunKind::GitHub(host.workflow(github).await),
        OfHost::CodeBuild { .. } => RunKind::CodeBuild("this build".to_owned()),
        OfHost::Terminal { .. } => RunKind::Terminal,
    };
    let tip = github.tip(&setting.gate.branch).await;
    let found = observe(github, host, &tip.map_err(Unknown::from), &run).await;
    found.unwrap_or_else(|| Err(no_commit()))
}

fn no_commit() -> Unknown {
    Unknown::new("this run is of no commit", "start a run on the branch")
}

/// By which gates an environment's promotions passed, of which GitHub was asked whether they were the
/// branch's own.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// The newest one, if it was not by this run's gate.
    newest: Option<Record>,
    /// The newest by this run's gate, if that is not the newest of all.
    own: Option<Record>,
}

/// The same as they are stored.
#[derive(Debug, Default)]
pub(in crate::check) struct Passed {
    pub(in crate::check) newest: Option<Entry>,
    pub(in crate::check) own: Option<Entry>,
}

impl Passed {
    pub(super) async fn read(ledger: &Ledger, chain: &Chain, setting: &Setting) -> Result<Self> {
        let own = setting.policy()?;
        let is_own = |record: &Record| record.policy.as_ref() == Some(&own);
        let newest = ledger.find_entry(chain, LOOK_BACK, passed).await?;
        let newest = newest.filter(|entry| !entry.record(chain).is_ok_and(|it| is_own(&it)));
        let own = match newest {
            None => None,
            Some(_) => {
                let both = |record: &Record| passed(record) && is_own(record);
                ledger.find_entry(chain, LOOK_BACK, both).await?
            }
        };
        Ok(Self { newest, own })
    }

    pub(super) fn policies(&self, chain: &Chain) -> Result<Policies> {
        let record = |entry: &Option<Entry>| -> Result<Option<Record>> {
            let mut all = recorded(chain, entry.as_slice())?.into_iter();
            Ok(all.next().map(|it| it.record))
        };
        Ok(Policies {
            newest: record(&self.newest)?,
            own: record(&self.own)?,
        })
    }
}

/// Returns true if the record says that a promotion passed a gate.
pub(in crate::check) fn passed(record: &Record) -> bool {
    let verdict = matches!(record.verdict, Verdict::Permitted | Verdict::Healthy);
    verdict && record.rollback.is_none() && record.policy.is_some()
}

/// The rule: by GitHub if it tells, else by the ledger.
pub(super) fn rule(
    setting: &Setting,
    subject: &Subject,
    branch: &Fact<Policy>,
    policies: &Policies,
) -> Finding {
    if !setting.declared {
        return not_asked("no contract is read");
    }
    if setting.asks_nothing() {
        return not_asked(format!("{} has no gate", setting.environment));
    }
    if branch.is_err() {
        return by_ledger(setting, policies);
    }
    let facts = Facts {
        policy: Some(branch.clone()),
        ..Facts::none()
    };
    let context = Context {
        setting,
        subject,
        facts: &facts,
    };
    context.policy()
}

/// A run that is run again has the gate of its day. The ledger tells as well: a gate that a newer one
/// followed is not the branch's any more, unless it was changed back since.
fn by_ledger(setting: &Setting, policies: &Policies) -> Finding {
    let (environment, branch) = (&setting.environment, &setting.gate.branch);
    match (&policies.newest, &policies.own) {
        (Some(newest), Some(own)) => fail(
            format!(
                "the gate in this checkout, by which record {} of {environment} passed, is not the one that the newest promotion (record {}) passed",
                own.seq, newest.seq
            ),
            format!(
                "start a new run on {branch}; if the gate was changed back on purpose and GitHub cannot say so, somebody of its `break-glass` may override this: --break-glass REASON"
            ),
        ),
        (Some(newest), None) => pass(format!(
            "no promotion to {environment} has passed the gate in this checkout yet; the newest (record {}) passed another",
            newest.seq
        )),
        (None, _) => pass(format!(
            "no newer promotion to {environment} passed another gate"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::answer::Answer;
    use crate::check::policy::CommitPosition;
    use crate::check::range::Base;
    use crate::check::tests::setting;
    use crate::check::trail::Trail;
    use crate::environment_history::tests::{deployed, digest, failed, permitted, rolled_back};

    fn answer(branch: &Fact<Policy>, newest: Option<Record>, own: Option<Record>) -> Answer {
        let subject = Subject {
            digest: digest('a'),
            commit: None,
            evidence: None,
            trail: Trail::default(),
            built_for: None,
            plan: None,
            base: Base::Nothing,
        };
        rule(&setting(), &subject, branch, &Policies { newest, own }).answer
    }

    #[test]
    fn only_a_promotion_passed_a_gate() {
        let by_a_gate = |record: Record| Record {
            policy: Some("sha256:x".to_owned()),
            ..record
        };
        assert!(passed(&by_a_gate(deployed('a'))));
        assert!(passed(&by_a_gate(permitted('a', "hash-1"))));
        for other in [
            deployed('a'),
            by_a_gate(failed('a')),
            by_a_gate(rolled_back('a', 'b')),
        ] {
            assert!(!passed(&other), "{other:?}");
        }
    }

    #[test]
    fn without_github_a_gate_that_a_newer_one_followed_does_not_send_back() {
        let unanswered = Err(Unknown::new("GitHub does not answer", "wait"));
        let answer = |newest, own| answer(&unanswered, newest, own);
        assert_eq!(answer(None, None), Answer::Pass);
        // The gate was changed since the newest promotion.
        assert_eq!(answer(Some(deployed('b')), None), Answer::Pass);
        assert_eq!(
            answer(Some(deployed('b')), Some(deployed('a'))),
            Answer::Fail
        );
    }

    /// A freeze that was added for a night and taken away again leaves a gate that promotions passed by
    /// before the newest one.
    #[test]
    fn githubs_answer_about_the_gate_outweighs_the_ledger() {
        let policy_from_github = |position: CommitPosition| {
            let branch = Ok(Policy {
                commit: "c".repeat(40),
                tip: "d".repeat(40),
                position,
                contract: None,
            });
            let earlier = (Some(deployed('b')), Some(deployed('a')));
            let whatever = [
                answer(&branch, earlier.0, earlier.1),
                answer(&branch, None, None),
            ];
            assert_eq!(whatever[0], whatever[1]);
            whatever[0]
        };
        let contract = || vec!["delivery.yaml".to_owned()];
        assert_eq!(policy_from_github(CommitPosition::Newest), Answer::Pass);
        assert_eq!(
            policy_from_github(CommitPosition::Same(contract())),
            Answer::Pass
        );
        assert_eq!(
            policy_from_github(CommitPosition::Differs(contract())),
            Answer::Fail
        );
        assert_eq!(policy_from_github(CommitPosition::Elsewhere), Answer::Fail);
    }
}
