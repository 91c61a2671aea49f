//! The permit that a plan is applied under, where the gate of the environment says `plan: true`. Nothing has to be written: a plan
//! is used up by being applied, because its state or its stack moves on.
//!
//! A job that runs the repository's code reads it with the role that only reads the ledger. One that executes a change set runs
//! no code: it has the environment's permit role, which alone can open the session that may do so.

use crate::permit::{Attempt, Use, number};
use crate::{Chain, Ledger, Record, Trust};
use kit::Cx;
use kit::aws::Region;
use kit::contract::Resolved;
use kit::error::{Error, Result};
use kit::id::CommitId;
use kit::signal::unless_interrupted;
use net::{Account, Net, Purpose, SessionTag, Target};
use serde_json::{Value, json};

/// A permit that was named, and the contract of the environment that it is for.
#[derive(Debug)]
pub struct Asked<'a> {
    number: u64,
    contract: &'a Resolved,
    commit: CommitId,
}

/// The permit that this plan is to be applied under; nothing where the gate asks for none.
///
/// # Errors
/// The gate asks for one and none was named, or the commit of the code is unknown (exit 3); or what was named is not a
/// number, or nothing here needs a permit (exit 2).
pub fn asked<'a>(
    given: Option<&str>,
    contract: Option<&'a Resolved>,
    plan: &str,
    commit: Option<CommitId>,
) -> Result<Option<Asked<'a>>> {
    let number = number(given)?;
    let planned = contract.filter(|contract| contract.gate.plan);
    match (number, planned) {
        (None, None) => Ok(None),
        (Some(number), Some(contract)) => match commit {
            Some(commit) => Ok(Some(Asked {
                number,
                contract,
                commit,
            })),
            None => Err(Error::refused(
                "the commit of the infrastructure code is unknown, so no permit can be for it",
            )
            .hint("give the permit's commit: --commit SHA")),
        },
        (None, Some(Resolved { environment, .. })) => Err(Error::refused(format!(
            "the gate of {environment} says `plan: true`, so a plan is applied there only under a permit that names it"
        ))
        .hint(format!(
            "ask for one: slipway-promote grant --environment {environment} --digest DIGEST --plan {plan}"
        ))
        .hint("then apply under it: --permit NUMBER, its output `permit`")),
        (Some(_), None) => Err(Error::usage(match contract {
            Some(contract) => format!(
                "--permit is given, but the gate of {} does not say `plan: true`, so no plan there needs a permit",
                contract.environment
            ),
            None => "--permit is given, and without a contract there is no gate to permit anything"
                .to_owned(),
        })
        .hint("omit --permit, or give --environment NAME of a contract whose gate says `plan: true`")),
    }
}

/// A permit, and the way to its chain.
#[derive(Debug)]
pub struct Permit<'a> {
    asked: Asked<'a>,
    plan: &'a str,
    /// The hash of the gate's rules.
    policy: String,
    run: Option<String>,
    chain: Chain,
    ledger: Ledger,
    net: Net,
    /// Whose credentials read the chain, and for whom they were minted.
    account: Account,
    target: Target,
}

impl<'a> Permit<'a> {
    /// Reaches the environment's chain with the role that only reads.
    ///
    /// # Errors
    /// The role may not be assumed.
    pub async fn open(asked: Asked<'a>, plan: &'a str, cx: &Cx) -> Result<Self> {
        let hint = "where a gate says `plan: true`, the infrastructure's job needs slipway-read of the build account too: https://github.com/slipway-delivery/slipway/blob/main/docs/getting-started.md#infrastructure-as-a-permitted-plan";
        Self::with(Purpose::ReadLedger, hint, asked, plan, cx).await
    }

    /// The same with the environment's permit role, which can open a session that executes a change set.
    ///
    /// # Errors
    /// The role may not be assumed.
    pub async fn open_vouching(asked: Asked<'a>, plan: &'a str, cx: &Cx) -> Result<Self> {
        let hint = "where a gate says `plan: true`, a stack's plan is applied in a job that the environment's permit role trusts: the one that deploys, which runs no code of the repository";
        Self::with(Purpose::Permit, hint, asked, plan, cx).await
    }

    async fn with(
        purpose: Purpose,
        hint: &str,
        asked: Asked<'a>,
        plan: &'a str,
        cx: &Cx,
    ) -> Result<Self> {
        let net = Net::new(cx)?;
        let contract = asked.contract;
        let target = Target::of(contract, purpose);
        let account = unless_interrupted(net.account(&target)).await;
        let account = account.map_err(|error| error.hint(hint))?;
        let trust = Trust::from(&contract.build);
        Ok(Self {
            plan,
            policy: crate::policy(&contract.gate)?,
            run: cx.host.run_url(),
            chain: Chain::new(&contract.service, &contract.environment)?,
            ledger: Ledger::new(&account, &contract.build.ledger).trusting(&net, &account, &trust),
            asked,
            net,
            account,
            target,
        })
    }

    /// The commit that the plan was named with, which the permit is for once it was checked.
    pub fn commit(&self) -> &CommitId {
        &self.asked.commit
    }

    /// The deploy role in this region, in a session whose tag, set by the permit role, allows it what this permit is for.
    ///
    /// # Errors
    /// One of the two roles does not allow it.
    pub async fn session(&self, region: &Region, tag: SessionTag) -> Result<Account> {
        let deploy = &self.asked.contract.roles.deploy;
        let session = self
            .net
            .account_tagged(&self.account, &self.target, deploy, region, tag);
        unless_interrupted(session).await
    }

    /// Checks that the plan may be applied now. Writes nothing.
    ///
    /// # Errors
    /// It may not (exit 3), or that cannot be seen.
    pub async fn check(&self) -> Result<AppliedPermit> {
        let attempt = Attempt {
            permit: self.asked.number,
            of: Use::Apply {
                plan: self.plan,
                commit: &self.asked.commit,
            },
            account: &self.asked.contract.account,
            policy: &self.policy,
            contract_path: &self.asked.contract.contract_path,
            run: self.run.as_deref(),
        };
        let usable = self.ledger.usable(&self.chain, &attempt);
        let usable = unless_interrupted(usable).await?;
        Ok(AppliedPermit::of(&usable.permit.record))
    }
}

/// The permit that a plan was applied under, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPermit {
    permit: u64,
    by: String,
    at: String,
    expires: String,
    requests: Vec<u64>,
    glass: Option<String>,
}

impl AppliedPermit {
    fn of(record: &Record) -> Self {
        let permit = record.permit.as_ref();
        let glass = record.break_glass.as_ref();
        Self {
            permit: record.seq,
            by: record.actor.login.clone(),
            at: record.at.clone(),
            expires: permit.map(|it| it.expires.clone()).unwrap_or_default(),
            requests: permit.map(|it| it.requests.clone()).unwrap_or_default(),
            glass: glass.map(|glass| glass.reason.clone()),
        }
    }

    /// Number, who granted it, and by which requests it was approved.
    pub fn line(&self) -> String {
        let Self { permit, by, at, .. } = self;
        let mut line = format!("{permit}, granted by {by} at {at}");
        if let Some(reason) = &self.glass {
            line.push_str(&format!(", BREAK-GLASS: {reason}"));
        }
        if !self.requests.is_empty() {
            let requests: Vec<String> = self.requests.iter().map(u64::to_string).collect();
            line.push_str(&format!(", approved by request {}", requests.join(", ")));
        }
        line
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        json!({
            "record": self.permit,
            "granted_by": self.by,
            "granted_at": self.at,
            "expires": self.expires,
            "requests": self.requests,
            "break_glass": self.glass,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;
    use kit::env::Env;

    const CONTRACT: &str = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: ca-central-1}\n\
        environments:\n  dev: {account: \"111111111111\"}\n  \
        live: {account: \"222222222222\", follows: dev, gate: {plan: true}}\n";

    #[test]
    fn a_plan_needs_a_permit_where_the_gate_says_so_and_nowhere_else() {
        let path = std::path::Path::new("delivery.yaml");
        let contract = kit::contract::parse(path, CONTRACT).unwrap();
        let resolved = |name: &str| contract.resolve(name, &Env::default()).unwrap();
        let (dev, live) = (resolved("dev"), resolved("live"));
        let commit = || Some("c".repeat(40).parse().unwrap());
        let permit = asked(Some("7"), Some(&live), "plan", commit());
        let permit = permit.unwrap().unwrap();
        assert_eq!((permit.number, Some(permit.commit)), (7, commit()));
        for contract in [None, Some(&dev)] {
            assert!(asked(None, contract, "plan", commit()).unwrap().is_none());
            let error = asked(Some("7"), contract, "plan", commit()).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
        }
        for (given, commit) in [(None, commit()), (Some("7"), None)] {
            let error = asked(given, Some(&live), "plan", commit).unwrap_err();
            assert_eq!(error.exit(), Exit::Refused, "{error}");
        }
        let error = asked(Some("latest"), Some(&live), "plan", commit()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn a_permit_is_shown_with_its_number_grantor_and_basis() {
        let mut under = AppliedPermit {
            permit: 42,
            by: "linus".to_owned(),
            at: "2026-11-21T18:00:00Z".to_owned(),
            expires: "2026-11-21T19:00:00Z".to_owned(),
            requests: Vec::new(),
            glass: None,
        };
        assert_eq!(under.line(), "42, granted by linus at 2026-11-21T18:00:00Z");
        under.requests = vec![5, 7];
        under.glass = Some("the shop is down".to_owned());
        let line = under.line();
        assert!(
            line.ends_with(", BREAK-GLASS: the shop is down, approved by request 5, 7"),
            "{line}"
        );
        assert_eq!(under.json()["record"], 42);
    }
}
