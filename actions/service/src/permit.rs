//! The permit that a deployment runs under: read before anything is changed, used up right before the service is updated,
//! and vouched for in the session that updates it.
//!
//! In an environment with a gate the deploy role may not update the service by itself. It may in a session with a tag that
//! only the environment's permit role can set, and then to the one revision that the tag names (docs/policies/deploy.json).

use crate::args::Version;
use crate::overtaken::Finding;
use crate::under::UsedPermit;
use ecs::{Client, RetryPolicy};
use kit::aws::TaskDefinitionArn;
use kit::contract::Resolved;
use kit::error::{Error, Result};
use kit::id::Digest;
use kit::{Cx, Defaults};
use ledger::permit::{Attempt, Use, began, number};
use ledger::{Actor, Chain, Ledger, Trust};
use net::{Account, Net, Purpose, SessionTag, Target};

/// The key of the tag that holds the revision's ARN.
const TAG: &str = "slipway-revision";

/// A permit that was asked for, and the contract of the environment that it is for.
pub(crate) struct Asked<'a> {
    number: u64,
    contract: &'a Resolved,
}

/// The requirement of the gate for the deployment.
pub(crate) enum Needs<'a> {
    /// Nothing: there is no gate.
    Nothing,
    /// A permit, and none was given; with the refusal.
    Missing(Box<Error>),
    /// The permit that was given.
    Permit(Asked<'a>),
}

/// The gate's requirement for this deployment, with the permit that was given.
///
/// # Errors
/// The given permit is not a number, or nothing here needs a permit (exit 2).
pub(crate) fn needs<'a>(
    args: &Version,
    defaults: &'a Defaults,
    digest: &Digest,
) -> Result<Needs<'a>> {
    let number = number(args.permit.as_deref())?;
    let contract = defaults.contract();
    let gated = contract.filter(|contract| contract.gate.required);
    match (number, gated, contract) {
        (Some(number), Some(contract), _) => Ok(Needs::Permit(Asked { number, contract })),
        (None, None, _) => Ok(Needs::Nothing),
        (None, Some(Resolved { environment, .. }), _) => Ok(Needs::Missing(Box::new(
            Error::refused(format!(
                "{environment} has a gate, so a version needs a permit to run there"
            ))
            .hint(format!(
                "ask for one: slipway-promote grant --environment {environment} --digest {digest}"
            ))
            .hint("then give it: --permit NUMBER, its output `permit`"),
        ))),
        (Some(_), None, None) => Err(Error::usage(
            "--permit is given, and without a contract there is no gate to permit anything",
        )
        .hint("give --environment NAME, or omit --permit")),
        (Some(_), None, Some(contract)) => Err(Error::usage(format!(
            "--permit is given, but {} has no gate, so nothing there needs a permit",
            contract.environment
        ))
        .hint("omit --permit")),
    }
}

/// The work that is done under a permit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work<'a> {
    /// The deployment begins.
    Deploy,
    /// The deployment, which waits for an answer, goes on.
    Continue,
    /// A task before the deployment begins, with a command of this hash.
    Task(&'a str),
}

/// A permit, and the way to its chain.
pub(crate) struct Permit<'a> {
    net: &'a Net,
    contract: &'a Resolved,
    digest: &'a Digest,
    work: Work<'a>,
    number: u64,
    /// The hash of the gate's rules.
    policy: String,
    run: Option<String>,
    actor: Actor,
    chain: Chain,
    ledger: Ledger,
    /// Whose credentials read the chain, and for whom they were minted.
    account: Account,
    target: Target,
}

impl<'a> Permit<'a> {
    /// Opens the environment's chain: with the permit role, or for a dry run with the role that reads the ledger.
    ///
    /// # Errors
    /// The role may not be assumed.
    pub(crate) async fn open(
        cx: &Cx,
        net: &'a Net,
        Asked { number, contract }: Asked<'a>,
        digest: &'a Digest,
        work: Work<'a>,
        dry_run: bool,
    ) -> Result<Self> {
        let purpose = match dry_run {
            true => Purpose::ReadLedger,
            false => Purpose::Permit,
        };
        let target = Target::of(contract, purpose);
        let account = net.account(&target).await?;
        let trust = Trust::from(&contract.build);
        let ledger = Ledger::new(&account, &contract.build.ledger).trusting(net, &account, &trust);
        Ok(Self {
            net,
            contract,
            digest,
            work,
            number,
            policy: ledger::policy(&contract.gate)?,
            run: cx.host.run_url(),
            actor: actor(cx),
            chain: Chain::new(&contract.service, &contract.environment)?,
            ledger: match dry_run {
                true => ledger,
                false => ledger.completing(),
            },
            account,
            target,
        })
    }

    /// The number of its record.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            permit: self.number,
            of: match self.work {
                Work::Task(command) => Use::Task {
                    digest: self.digest,
                    command,
                },
                Work::Deploy => Use::Deploy(self.digest),
                Work::Continue => Use::Continue(self.digest),
            },
            account: &self.contract.account,
            policy: &self.policy,
            contract_path: &self.contract.contract_path,
            run: self.run.as_deref(),
        }
    }

    /// Checks that the deployment may begin, or go on, or that this run recorded it before. Writes nothing.
    ///
    /// # Errors
    /// It may not (exit 3), or that cannot be seen.
    pub(crate) async fn check(&self) -> Result<UsedPermit> {
        let attempt = self.attempt();
        let usable = self.ledger.usable(&self.chain, &attempt);
        let usable = usable.await?;
        let number = usable.started.map(|started| started.record.seq);
        let mut under = UsedPermit::of(&usable.permit.record, number);
        under.started_at = usable.began;
        under.over = usable.over;
        under.recorded = usable.recorded;
        Ok(under)
    }

    /// Puts on record that the deployment of this revision, or a task of it, begins, which uses the permit up.
    ///
    /// # Errors
    /// As [`Permit::check`], or the record cannot be written.
    pub(crate) async fn start(&self, revision: &str) -> Result<UsedPermit> {
        let attempt = self.attempt();
        let started = self
            .ledger
            .start(&self.chain, &attempt, &self.actor, revision)
            .await?;
        Ok(UsedPermit::of(&started.permit.record, Some(started.record)))
    }

    /// Finds out whether another deployment overtook this one before its update, or another attempt of this run continued it: which
    /// of the two updates was last is unknown.
    pub(crate) async fn overtaken(&self, under: &UsedPermit, revision: &str) -> Option<Finding> {
        let started = under.started.unwrap_or_default();
        let environment = &self.contract.environment;
        let later = match self.ledger.overtaken(&self.chain, started).await {
            Ok(later) => later?,
            Err(error) => {
                return Some(Finding::Unknown(error.under(format!(
                    "whether another deployment to {environment} superseded this one before its update is unknown"
                ))));
            }
        };
        let cause = match later.is_deployment() {
            true => format!(
                "a deployment was recorded meanwhile: record {}, {}",
                later.seq, later.verdict
            ),
            false if later.under == Some(self.number) => {
                format!("{} went on with it", began(&later))
            }
            false => format!("{} began another one", began(&later)),
        };
        Some(Finding::Overtaken(Error::failed(format!(
            "the service may run {revision}, although another deployment to {environment} had superseded this one before the update"
        ))
        .cause(cause)
        .hint(format!(
            "see what it runs: slipway-promote status --environment {environment} --live"
        ))
        .hint(format!(
            "roll back again to the version that should run: slipway-promote grant --environment {environment} --rollback"
        ))))
    }

    /// The clients for the same service in a session that may change it to this revision. It is opened before the permit is used
    /// up, so that a refused session does not cost the permit.
    ///
    /// # Errors
    /// As for [`Permit::session`].
    pub(crate) async fn client(
        &self,
        cx: &Cx,
        client: &Client,
        revision: &TaskDefinitionArn,
        policy: RetryPolicy,
    ) -> Result<Client> {
        let account = self.session(revision.as_str()).await?;
        let (cluster, service) = (client.cluster.clone(), client.service.clone());
        Ok(Client::new(&account, cluster, service, policy, &cx.host))
    }

    /// The deploy role, in a session whose tag, set by the permit role, allows it to update the service to this revision.
    ///
    /// # Errors
    /// One of the two roles does not allow it.
    pub(crate) async fn session(&self, revision: &str) -> Result<Account> {
        let tag = SessionTag {
            key: TAG,
            value: revision.to_owned(),
        };
        let Resolved { roles, region, .. } = self.contract;
        let session =
            self.net
                .account_tagged(&self.account, &self.target, &roles.deploy, region, tag);
        session.await.map_err(|error| {
            error.cause(match self.work {
                Work::Task(_) => "no task was started",
                Work::Deploy => "the service was not updated",
                Work::Continue => "the deployment was not continued",
            })
        })
    }
}

/// The actor that begins the deployment, as the host names it. The permit names the people who were allowed to.
fn actor(cx: &Cx) -> Actor {
    // A name in CodeBuild is not a login, and must not be taken for one.
    let initiator = cx.host.initiator().map(|initiator| initiator.to_string());
    let login = initiator.or_else(|| cx.host.actor());
    Actor {
        login: login.unwrap_or_else(|| "unknown".to_owned()),
        id: cx.host.actor_id(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use kit::Exit;
    use kit::contract::Contract;
    use kit::env::Env;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        version: Version,
    }

    const CONTRACT: &str = "version: 1\nservice: shop\nbuild: {account: \"012345678901\", region: ca-central-1}\n\
        environments:\n  dev: {account: \"111111111111\"}\n  live: {account: \"222222222222\", follows: dev}\n";

    /// The requirement for a deployment to an environment of the contract, or without one.
    fn needed(environment: Option<&str>, permit: Option<&str>) -> Result<&'static str> {
        let digest = format!("sha256:{}", "a".repeat(64));
        let mut words = vec!["deploy", "--digest", &digest];
        words.extend(permit.iter().flat_map(|number| ["--permit", number]));
        let Line { version } = Line::parse_from(words);
        let defaults = match environment {
            None => Defaults::None,
            Some(environment) => {
                let path = std::path::Path::new("delivery.yaml");
                let contract: Contract = kit::contract::parse(path, CONTRACT)?;
                let resolved = contract.resolve(environment, &Env::default())?;
                Defaults::Contract(Box::new(resolved))
            }
        };
        Ok(
            match needs(&version, &defaults, &Digest::parse(&digest)?)? {
                Needs::Nothing => "nothing",
                Needs::Missing(refusal) => {
                    assert_eq!(refusal.exit(), Exit::Refused);
                    "a permit"
                }
                Needs::Permit(asked) => {
                    assert_eq!(
                        (asked.number, asked.contract.environment.as_str()),
                        (7, "live")
                    );
                    "this permit"
                }
            },
        )
    }

    #[test]
    fn where_there_is_a_gate_a_deployment_needs_a_permit_and_nowhere_else() {
        for (environment, permit, wanted) in [
            (Some("live"), Some("7"), "this permit"),
            (Some("live"), None, "a permit"),
            (Some("dev"), None, "nothing"),
            (None, None, "nothing"),
        ] {
            let found = needed(environment, permit).unwrap();
            assert_eq!(found, wanted, "{environment:?} {permit:?}");
        }
        for (environment, permit, message) in [
            (Some("dev"), Some("7"), "dev has no gate"),
            (None, Some("7"), "without a contract there is no gate"),
            (Some("live"), Some("latest"), "latest"),
        ] {
            let error = needed(environment, permit).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage, "{environment:?} {permit:?}");
            assert!(error.message.contains(message), "{error}");
        }
    }
}
