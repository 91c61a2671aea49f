//! What the step works on: from the contract, or from arguments alone.

use crate::args::{Place, Rules};
use kit::Cx;
use kit::contract::{Gate, Resolved};
use kit::error::{Error, Result};
use net::{Purpose, Target};
use std::collections::BTreeMap;

/// One environment of one service, and where its facts are.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The service's name in the ledger.
    pub(crate) service: String,
    pub(crate) environment: String,
    pub(crate) follows: Option<String>,
    pub(crate) gate: Gate,
    /// GitHub logins with the AWS session names they act under.
    pub(crate) people: BTreeMap<String, Vec<String>>,
    /// The ledger's table.
    pub(crate) ledger: String,
    /// Credentials for the ledger.
    pub(crate) permit: Target,
    /// Credentials for looking at the environment.
    pub(crate) read: Target,
    pub(crate) cluster: Option<String>,
    pub(crate) ecs_service: String,
    pub(crate) container: Option<String>,
    /// Image repository in the build account.
    pub(crate) image_repository: Option<String>,
}

impl Setting {
    /// The environment named by `--environment`, of the contract where there is one.
    pub(crate) fn of(cx: &Cx, place: &Place) -> Result<Self> {
        let missing = || {
            Error::usage("--environment is missing").hint(
                "give --environment NAME; without a contract also --ledger-service and --ledger",
            )
        };
        if let Some((service, ledger)) = named(cx, place) {
            let environment = cx.common.environment.clone().ok_or_else(missing)?;
            return Ok(Self::from_arguments(place, service, ledger, environment));
        }
        let resolved = cx.resolved()?.ok_or_else(missing)?;
        Self::from_contract(&resolved, place)
    }

    pub(crate) fn from_contract(resolved: &Resolved, place: &Place) -> Result<Self> {
        agree(
            "ledger-service",
            place.ledger_service.as_ref(),
            &resolved.service,
        )?;
        agree("ledger", place.ledger.as_ref(), &resolved.build.ledger)?;
        agree("region", place.region.as_ref(), &resolved.region)?;
        Ok(Self {
            service: resolved.service.clone(),
            environment: resolved.environment.clone(),
            follows: resolved.follows.clone(),
            gate: resolved.gate.clone(),
            people: resolved.people.clone(),
            ledger: resolved.build.ledger.clone(),
            permit: Target::of(resolved, Purpose::Permit),
            read: Target::of(resolved, Purpose::Read),
            cluster: Some(resolved.deploy.cluster.clone()),
            ecs_service: resolved.deploy.service.clone(),
            container: Some(resolved.deploy.container.clone()),
            image_repository: Some(resolved.image.repository.clone()),
        })
    }

    fn from_arguments(place: &Place, service: &str, ledger: &str, environment: String) -> Self {
        let ambient = Target {
            region: place.region.clone(),
            ..Target::ambient()
        };
        Self {
            ecs_service: service.to_owned(),
            service: service.to_owned(),
            environment,
            follows: None,
            gate: Gate {
                required: true,
                branch: "main".to_owned(),
                approvals: 1,
                checks: Vec::new(),
                workflow: None,
            },
            people: BTreeMap::new(),
            ledger: ledger.to_owned(),
            permit: ambient.clone(),
            read: ambient,
            cluster: None,
            container: None,
            image_repository: None,
        }
    }

    /// Fills in the rules that arguments give. A contract's rules are not for a caller to change.
    pub(crate) fn with_rules(mut self, cx: &Cx, place: &Place, rules: &Rules) -> Result<Self> {
        if without_contract(cx, place) {
            let gate = &mut self.gate;
            gate.branch = rules.branch.clone().unwrap_or(gate.branch.clone());
            gate.approvals = rules.approvals.unwrap_or(gate.approvals);
            gate.checks.clone_from(&rules.checks);
            gate.workflow.clone_from(&rules.workflow);
            return Ok(self);
        }
        let gate = &self.gate;
        agree("branch", rules.branch.as_ref(), &gate.branch)?;
        agree("approvals", rules.approvals.as_ref(), &gate.approvals)?;
        if !rules.checks.is_empty() && rules.checks != gate.checks {
            return Err(disagreement("checks"));
        }
        if rules.workflow.is_some() && rules.workflow != gate.workflow {
            return Err(disagreement("workflow"));
        }
        Ok(self)
    }
}

/// Arguments alone are meant when they name the ledger and there is no contract to take it from.
pub(crate) fn without_contract(cx: &Cx, place: &Place) -> bool {
    named(cx, place).is_some()
}

/// The service's name in the ledger and the ledger's table, where arguments alone are meant.
fn named<'a>(cx: &Cx, place: &'a Place) -> Option<(&'a str, &'a str)> {
    let alone = cx.common.contract.is_none() && !cx.contract_path().exists();
    let service = place.ledger_service.as_deref().filter(|_| alone)?;
    Some((service, place.ledger.as_deref()?))
}

fn agree<T: PartialEq>(argument: &str, given: Option<&T>, contract: &T) -> Result<()> {
    match given {
        Some(given) if given != contract => Err(disagreement(argument)),
        _ => Ok(()),
    }
}

fn disagreement(argument: &str) -> Error {
    Error::usage(format!(
        "--{argument} says something else than the contract"
    ))
    .hint(format!("leave --{argument} out; the contract decides"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;

    #[test]
    fn arguments_cannot_say_something_else_than_the_contract() {
        let mut rules = Rules {
            branch: Some("main".to_owned()),
            approvals: Some(1),
            checks: vec!["test@15368".to_owned()],
            workflow: None,
        };
        let place = Place {
            ledger_service: None,
            ledger: None,
            region: None,
        };
        let cx = kit::Cx {
            host: kit::host::Host::detect(&kit::env::Env::default()),
            env: kit::env::Env::default(),
            clock: kit::clock::Clock::System,
            common: kit::step::Common {
                environment: Some("production".to_owned()),
                contract: None,
                json: false,
                verbose: false,
            },
        };
        setting().with_rules(&cx, &place, &rules).unwrap();
        rules.approvals = Some(0);
        let error = setting().with_rules(&cx, &place, &rules).unwrap_err();
        assert_eq!(error.exit, kit::Exit::Usage);
    }
}
