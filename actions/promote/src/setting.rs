//! The settings of a run, from the contract or from arguments alone.

use crate::args::{LedgerArgs, Rules};
use crate::check::{Persons, Proofs};
use kit::aws::{AccountId, KmsKey};
use kit::contract::{Function, Gate, Person, Resolved, StandsFor};
use kit::error::{Error, Result};
use kit::{Cx, Defaults};
use ledger::{AnchorLocation, Ledger, Trust};
use net::{Account, Net, Purpose, Target};
use std::collections::BTreeMap;
use std::fmt::Display;

/// One environment of one service, with its gate and the location of its facts.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The service's name in the ledger.
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) follows: Option<String>,
    pub(crate) gate: Gate,
    /// People by GitHub login.
    pub(crate) people: BTreeMap<String, Person>,
    /// Whom an app acts for, by the number of its GitHub account.
    pub(crate) apps: BTreeMap<u64, StandsFor>,
    /// The ledger's table.
    pub(crate) ledger: String,
    /// The key and the anchor that prove the ledger's chains.
    pub(crate) trust: Trust,
    /// Credentials for reading the ledger.
    pub(crate) ledger_reader: Target,
    /// Credentials for appending to the environment's chain of the ledger.
    pub(crate) permit: Target,
    /// Credentials for reading the environment.
    pub(crate) read: Target,
    pub(crate) cluster: Option<String>,
    pub(crate) ecs_service: String,
    pub(crate) container: Option<String>,
    /// The Lambda function in the place of the ECS service.
    pub(crate) function: Option<Function>,
    /// The requirements on the image's provenance, if the contract names a key.
    pub(crate) proofs: Option<Proofs>,
    /// Image repository in the build account.
    pub(crate) image_repository: Option<String>,
    /// Folder of the infrastructure code, from the contract's own.
    pub(crate) infrastructure: Option<String>,
    /// True if a contract says all this, so that no argument may say otherwise.
    pub(crate) declared: bool,
    /// That contract's text, byte for byte as it was parsed.
    pub(crate) contract: Option<String>,
    /// Its path in its repository.
    pub(crate) contract_path: Option<String>,
    /// The path that it says it was moved from.
    pub(crate) moved_from: Option<String>,
}

impl Setting {
    /// The environment that `--environment` names, from the contract if there is one.
    pub(crate) fn of(cx: &Cx, given: &LedgerArgs) -> Result<Self> {
        let missing = || {
            Error::usage("--environment is missing").hint(
                "give --environment NAME; without a contract also --ledger-service and --ledger",
            )
        };
        match Source::of(cx, given) {
            Source::Arguments { service, ledger } => {
                let environment = cx.common.environment.clone().ok_or_else(missing)?;
                Ok(Self::from_arguments(given, service, ledger, environment))
            }
            Source::Contract => match cx.defaults()? {
                Defaults::Contract(resolved) => Self::from_contract(&resolved, given),
                Defaults::None => Err(missing()),
            },
        }
    }

    /// The environment of this name, from the contract if there is one.
    pub(crate) fn named(cx: &Cx, given: &LedgerArgs, environment: &str) -> Result<Self> {
        match Source::of(cx, given) {
            Source::Arguments { service, ledger } => {
                let environment = environment.to_owned();
                Ok(Self::from_arguments(given, service, ledger, environment))
            }
            Source::Contract => {
                let resolved = cx.contract()?.resolve(environment, &cx.env)?;
                Self::from_contract(&resolved, given)
            }
        }
    }

    /// The environment that `--environment` names, as far as changes are judged by it, for which no reference of the contract
    /// has to be followed.
    pub(crate) fn of_changes(cx: &Cx, given: &LedgerArgs) -> Result<Self> {
        let Some(environment) = &cx.common.environment else {
            return Self::of(cx, given);
        };
        if let Source::Arguments { .. } = Source::of(cx, given) {
            return Self::of(cx, given);
        }
        let judged = cx.contract()?.judged(environment)?;
        agree(
            "ledger-service",
            given.ledger_service.as_ref(),
            &judged.service,
        )?;
        Ok(Self {
            follows: judged.follows,
            people: judged.people,
            apps: judged.apps,
            declared: true,
            contract: Some(judged.contract),
            contract_path: Some(judged.contract_path),
            moved_from: judged.moved_from,
            ..Self::of_gate(&judged.service, environment, None, judged.gate)
        })
    }

    pub(crate) fn from_contract(resolved: &Resolved, given: &LedgerArgs) -> Result<Self> {
        agree(
            "ledger-service",
            given.ledger_service.as_ref(),
            &resolved.service,
        )?;
        agree("ledger", given.ledger.as_ref(), &resolved.build.ledger)?;
        agree("region", given.region.as_ref(), &resolved.region)?;
        let trust = Trust::from(&resolved.build);
        let anchor = trust.anchor.as_ref();
        agree_with(
            "ledger-key",
            given.ledger_key.as_ref(),
            trust.key.as_ref().map(KmsKey::as_str),
        )?;
        agree_with(
            "anchor-bucket",
            given.anchor_bucket.as_ref(),
            anchor.map(|anchor| anchor.bucket.as_str()),
        )?;
        agree_with(
            "anchor-prefix",
            given.anchor_prefix.as_ref(),
            anchor.map(|anchor| anchor.prefix.as_str()),
        )?;
        Ok(Self {
            service: resolved.service.clone(),
            environment: resolved.environment.clone(),
            follows: resolved.follows.clone(),
            gate: resolved.gate.clone(),
            people: resolved.people.clone(),
            apps: resolved.apps.clone(),
            ledger: resolved.build.ledger.clone(),
            trust,
            ledger_reader: Target::of(resolved, Purpose::ReadLedger),
            permit: Target::of(resolved, Purpose::Permit),
            read: Target::of(resolved, Purpose::Read),
            cluster: Some(resolved.deploy.cluster.clone()),
            ecs_service: resolved.deploy.service.clone(),
            container: Some(resolved.deploy.container.clone()),
            function: resolved.deploy.function.clone(),
            proofs: Proofs::of(&resolved.build),
            image_repository: Some(resolved.image.repository.clone()),
            infrastructure: Some(resolved.infrastructure.clone()),
            declared: true,
            contract: Some(resolved.contract.clone()),
            contract_path: Some(resolved.contract_path.clone()),
            moved_from: resolved.moved_from.clone(),
        })
    }

    fn from_arguments(
        given: &LedgerArgs,
        service: &str,
        ledger: &str,
        environment: String,
    ) -> Self {
        let ambient = Target {
            region: given.region.clone(),
            ..Target::ambient()
        };
        Self {
            ledger: ledger.to_owned(),
            trust: Trust {
                key: given.ledger_key.clone(),
                anchor: given.anchor_bucket.clone().map(|bucket| AnchorLocation {
                    bucket,
                    prefix: given.anchor_prefix.clone().unwrap_or_default(),
                }),
            },
            ledger_reader: ambient.clone(),
            permit: ambient.clone(),
            read: ambient,
            ..Self::of_gate(service, &environment, None, Gate::of_approvals(1))
        }
    }

    /// An environment of which no more is known than its gate, and where nothing is.
    pub(crate) fn of_gate(
        service: &str,
        environment: &str,
        account: Option<AccountId>,
        gate: Gate,
    ) -> Self {
        Self {
            ecs_service: service.to_owned(),
            service: service.to_owned(),
            environment: environment.to_owned(),
            follows: None,
            gate,
            people: BTreeMap::new(),
            apps: BTreeMap::new(),
            ledger: String::new(),
            trust: Trust::default(),
            ledger_reader: Target::ambient(),
            permit: Target::ambient(),
            read: Target {
                account,
                ..Target::ambient()
            },
            cluster: None,
            container: None,
            function: None,
            proofs: None,
            image_repository: None,
            infrastructure: None,
            declared: false,
            contract: None,
            contract_path: None,
            moved_from: None,
        }
    }

    /// The branch that pull requests have to be merged into.
    pub(crate) fn base(&self) -> github::Base<'_> {
        let formerly = self.gate.formerly.as_ref();
        github::Base {
            branch: &self.gate.branch,
            formerly: formerly.map(|it| (it.branch.as_str(), it.until.as_str())),
        }
    }

    /// Returns true if the environment has no gate: it follows no other, and the gate is off.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.follows.is_none() && !self.gate.required
    }

    /// The persons and apps that the contract lists.
    pub(crate) fn persons(&self) -> Persons<'_> {
        Persons {
            people: &self.people,
            apps: &self.apps,
        }
    }

    /// The teams whose members may approve promotions.
    pub(crate) fn teams(&self) -> &[String] {
        let approve = self.gate.approve.as_ref();
        approve.map_or(&[], |approve| &approve.teams)
    }

    /// The teams whose members' reviews of pull requests count.
    pub(crate) fn reviewer_teams(&self) -> &[String] {
        let reviewers = self.gate.reviewers.as_ref();
        reviewers.map_or(&[], |reviewers| &reviewers.teams)
    }

    /// Returns true if this is the repository, beside the code's own, whose runs may answer requests.
    pub(crate) fn is_for_approvals(&self, repository: &str) -> bool {
        let approve = self.gate.approve.as_ref();
        let named = approve.and_then(|approve| approve.repository.as_deref());
        named.is_some_and(|named| named.eq_ignore_ascii_case(repository))
    }

    /// The hash over the gate's rules, as records have it.
    ///
    /// # Errors
    /// They cannot be written as JSON.
    pub(crate) fn policy(&self) -> Result<String> {
        ledger::policy(&self.gate)
    }

    /// The hash over the contract's bytes, as permits have it.
    pub(crate) fn contract_hash(&self) -> Option<String> {
        let text = self.contract.as_ref();
        text.map(|text| ledger::evidence_name(text.as_bytes()))
    }

    /// The ledger, with the credentials of its account, and with what proves its chains.
    pub(crate) fn ledger(&self, net: &Net, account: &Account) -> Ledger {
        Ledger::new(account, &self.ledger).trusting(net, account, &self.trust)
    }

    /// The ledger to append to; for a dry run the one that is only read, by the role that only reads.
    ///
    /// # Errors
    /// The role may not be assumed.
    pub(crate) async fn appending(&self, net: &Net, dry_run: bool) -> Result<Ledger> {
        if dry_run {
            return self.reading(net).await;
        }
        let account = net.account(&self.permit).await?;
        Ok(self.ledger(net, &account).completing())
    }

    /// The ledger, by the role that only reads it.
    ///
    /// # Errors
    /// The role may not be assumed.
    pub(crate) async fn reading(&self, net: &Net) -> Result<Ledger> {
        let account = net.account(&self.ledger_reader).await?;
        Ok(self.ledger(net, &account))
    }

    /// Applies the rules that arguments give. A caller cannot change the rules of a contract.
    pub(crate) fn with_rules(mut self, rules: &Rules) -> Result<Self> {
        if !self.declared {
            let gate = &mut self.gate;
            gate.branch = rules.branch.clone().unwrap_or(gate.branch.clone());
            gate.approvals = rules.approvals.unwrap_or(gate.approvals);
            gate.checks.clone_from(&rules.checks);
            gate.workflow.clone_from(&rules.workflow);
            gate.since = rules
                .since
                .as_ref()
                .map(|commit| commit.as_str().to_owned());
            return Ok(self);
        }
        let gate = &self.gate;
        agree("branch", rules.branch.as_ref(), &gate.branch)?;
        agree("approvals", rules.approvals.as_ref(), &gate.approvals)?;
        if !rules.checks.is_empty() && rules.checks != gate.checks {
            return Err(differs(
                "checks",
                &rules.checks.join(", "),
                &gate.checks.join(", "),
            ));
        }
        if let Some(since) = &rules.since
            && gate.since.as_deref() != Some(since.as_str())
        {
            let named = gate.since.as_deref().unwrap_or_default();
            return Err(differs("since", since, &named));
        }
        if let Some(given) = &rules.workflow
            && gate.workflow.as_ref() != Some(given)
        {
            let pinned = gate.workflow.as_deref().unwrap_or_default();
            return Err(differs("workflow", given, &pinned));
        }
        Ok(self)
    }
}

/// Where the settings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// The contract. Arguments may only agree with it.
    Contract,
    /// The arguments alone: they name the ledger, and there is no contract.
    Arguments {
        /// The service's name in the ledger.
        service: &'a str,
        /// The ledger's table.
        ledger: &'a str,
    },
}

impl<'a> Source<'a> {
    /// The source of this run's settings.
    pub(crate) fn of(cx: &Cx, given: &'a LedgerArgs) -> Self {
        match (&given.ledger_service, &given.ledger) {
            (Some(service), Some(ledger)) if !cx.has_contract() => {
                Self::Arguments { service, ledger }
            }
            _ => Self::Contract,
        }
    }
}

/// Refuses an argument that differs from the contract.
fn agree<T: PartialEq + Display>(argument: &str, given: Option<&T>, contract: &T) -> Result<()> {
    match given {
        Some(given) if given != contract => Err(differs(argument, given, contract)),
        _ => Ok(()),
    }
}

/// The same for what the contract may leave out.
fn agree_with<T: Display>(argument: &str, given: Option<&T>, contract: Option<&str>) -> Result<()> {
    let contract = contract.unwrap_or_default().to_owned();
    agree(argument, given.map(T::to_string).as_ref(), &contract)
}

fn differs(argument: &str, given: &dyn Display, contract: &dyn Display) -> Error {
    let declared = match contract.to_string() {
        none if none.is_empty() => "the contract declares none".to_owned(),
        value => format!("the contract says `{value}`"),
    };
    Error::usage(format!("--{argument} is `{given}`, but {declared}"))
        .hint(format!("omit --{argument}, or change the contract"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;

    #[test]
    fn arguments_cannot_differ_from_the_contract() {
        let mut rules = Rules {
            branch: Some("main".to_owned()),
            approvals: Some(1),
            checks: vec!["test@15368".to_owned()],
            workflow: None,
            since: None,
        };
        setting().with_rules(&rules).unwrap();
        rules.approvals = Some(0);
        let error = setting().with_rules(&rules).unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert_eq!(
            error.message,
            "--approvals is `0`, but the contract says `1`"
        );
    }
}
