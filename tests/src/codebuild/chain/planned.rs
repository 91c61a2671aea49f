//! A promotion by the buildspecs where the gate asks for a plan of the infrastructure, and for people who approve it.

use super::{Chain, contract_with_people, person, store_token};
use crate::codebuild::Ended;
use crate::codebuild::project::{Project, Promotion};
use crate::fault::{Fault, Result};
use crate::instance::Instance;
use crate::runner::story::{RELEASER, REVIEWER, Story, contract_with_plans};
use crate::world::World;
use crate::world::runner::Variables;

const STAGING: &str = "staging";

/// The result of a promotion with an approved plan.
#[derive(Debug)]
pub struct Planned {
    /// The commit that was promoted.
    pub commit: String,
    /// The plan that was approved.
    pub plan: String,
    /// The build that applied it.
    pub applied: Ended,
}

/// Brings the example to dev, and promotes it to staging with a plan: made, refused, asked for, approved, permitted, applied. Staging's
/// infrastructure must be able to read the ledger.
pub async fn ship(instance: &Instance, world: &World, story: &Story) -> Result<Planned> {
    let mut chain = Chain {
        instance,
        world,
        token: store_token(instance, world, story).await?,
        runs: Vec::new(),
    };
    let contract = contract_with_plans(&contract_with_people(instance, world)?)?;
    let commit = story.changes(&contract).await?;
    chain.deliver(&commit).await?;

    let promotion = || Promotion::to(STAGING, &person(RELEASER));
    let asked = chain
        .succeeds(
            "ask the gate",
            &promotion().with_variable("PLAN", "new").gate(),
        )
        .await?
        .exported;
    let planned = Project::infrastructure(STAGING, &person(RELEASER), asked.clone());
    let planned = chain.succeeds("plan", &planned).await?.exported;
    let of = |all: &Variables, name: &str| {
        let missing = || Fault::new(format!("no {name} was exported: {all:?}"));
        all.get(name).cloned().ok_or_else(missing)
    };
    let (digest, plan) = (of(&asked, "IMAGE_DIGEST")?, of(&planned, "PLAN")?);
    if plan == "new" {
        return Err(Fault::new("infrastructure.yml exported no ID of a plan"));
    }

    let with_plan = || promotion().of(&digest).with_variable("PLAN", &plan);
    let unasked = "nobody has asked for the 1 approval";
    chain
        .refused("a plan that nobody approved", &with_plan().gate(), unasked)
        .await?;
    let answer = |login: &str, variables: &[(&str, &str)]| {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Project::of("approve.yml", STAGING, &person(login), variables.collect())
    };
    let request = [
        ("COMMAND", "request"),
        ("DIGEST", digest.as_str()),
        ("PLAN", plan.as_str()),
        ("REASON", "the new prices"),
    ];
    let request = answer(RELEASER, &request);
    chain.succeeds("ask for an approval", &request).await?;
    let approval = [
        ("COMMAND", "approve"),
        ("REQUEST", "1"),
        ("DIGEST", digest.as_str()),
    ];
    let own = "asked for it, so somebody else must approve";
    chain
        .refused("its own approval", &answer(RELEASER, &approval), own)
        .await?;
    let approval = answer(REVIEWER, &approval);
    chain.succeeds("approve", &approval).await?;

    let granted = chain
        .succeeds("permit the plan", &with_plan().gate())
        .await?
        .exported;
    let apply = Project::infrastructure(STAGING, &person(RELEASER), granted.clone());
    let applied = chain.succeeds("apply the plan", &apply).await?;
    let deploy = Project::of("deploy.yml", STAGING, &person(RELEASER), granted);
    chain.succeeds("deploy to staging", &deploy).await?;
    Ok(Planned {
        commit,
        plan,
        applied,
    })
}
