//! A rollback's decision, made again.

use super::chain::PassedThen;
use super::{Replayed, ReplayedDecision, all_kept, differs, no_repository};
use crate::check::approved::NamedContributors;
use crate::check::conditions::contributors_to_rolled_back;
use crate::check::fact::Fact;
use crate::check::host::Host;
use crate::check::kept::Rollback;
use crate::check::policy::Policy;
use crate::check::rollback::{Passed, RollbackInputs, policy_from_github};
use crate::check::{Evidence, Read};
use crate::environment_history::EnvironmentHistory;
use crate::person::accounts;
use crate::setting::Setting;
use github::Run;
use kit::id::Digest;
use ledger::{Actor, Entry};

impl Rollback {
    pub(super) async fn decide_again(
        &mut self,
        setting: &Setting,
        read: &Read,
        host: &Host,
        then: &PassedThen,
    ) -> Result<ReplayedDecision, Replayed> {
        let broken = |error: kit::Error| differs(error.message);
        let history = read.history(setting).map_err(broken)?;
        let (branch, contributors) = self.told(host, setting, &read.digest, &history).await?;
        let went = RollbackInputs {
            digest: read.digest.clone(),
            own: read.own.clone(),
            healthy: self.healthy.clone(),
            host: host.clone(),
            branch,
            contributors,
            passed: Passed {
                newest: self.newest.clone(),
                own: self.by_this_gate.clone(),
            },
            promoter: match host.person(setting) {
                Some(person) => person,
                None => self.promoter.clone(),
            },
            break_glass: self.break_glass.clone(),
        };
        if went.branch.is_err() {
            self.compared(then)?;
        }
        let judgement = went.judge(setting, &history).map_err(broken)?;
        Ok(ReplayedDecision {
            decision: judgement.decision,
            commit: judgement.subject.commit,
            evidence: Evidence::default(),
            history,
            promoter: went.promoter,
        })
    }

    /// How the gate stood to the branch's, and who contributed to the digest, by GitHub's answers; unknown if GitHub did not answer.
    async fn told(
        &mut self,
        host: &Host,
        setting: &Setting,
        digest: &Digest,
        history: &EnvironmentHistory,
    ) -> Result<(Fact<Policy>, Option<Fact<NamedContributors>>), Replayed> {
        let answers = match &mut self.github {
            Ok(answers) => answers,
            Err(unknown) => return Ok((Err(unknown.clone()), None)),
        };
        let github = answers.client().ok_or_else(no_repository)?;
        let branch = policy_from_github(&github, host, setting).await;
        if let (Ok(run), Ok(named)) = (host.workflow(&github).await, &self.promoter) {
            self.started_by(run, named)?;
        }
        let contributors = contributors_to_rolled_back(&github, setting, history, digest).await;
        all_kept(&github)?;
        match branch {
            Ok(branch) => Ok((Ok(branch), contributors)),
            // The ledger was not asked, because GitHub had told.
            Err(unknown) => Err(differs(format!(
                "what GitHub answered does not tell which gate judged: {}",
                unknown.why
            ))),
        }
    }

    /// Those whom the runner named are those whom GitHub names.
    fn started_by(&self, run: Run, named: &[Actor]) -> Result<(), Replayed> {
        let Ok(accounts) = accounts(run) else {
            return Ok(());
        };
        let by = |actor: &Actor| {
            let mut accounts = accounts.iter();
            accounts.any(|account| account.login.eq_ignore_ascii_case(&actor.login))
        };
        match named.iter().find(|actor| !by(actor)) {
            None => Ok(()),
            Some(actor) => Err(differs(format!(
                "GitHub does not say that {} started the run",
                actor.login
            ))),
        }
    }

    /// The records that stand for GitHub's word are those that the chain has for it.
    fn compared(&self, then: &PassedThen) -> Result<(), Replayed> {
        let number = |line: &Option<Entry>| line.as_ref().map(|line| line.seq);
        match then.has(number(&self.newest), number(&self.by_this_gate)) {
            true => Ok(()),
            false => Err(differs(
                "it was not compared with the newest records that passed a gate",
            )),
        }
    }
}
