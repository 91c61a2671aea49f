//! `cargo demo`: the example repository from a merge to production, on real parts, and what must be refused.

mod vault;

use std::time::Instant;

use serde_json::Value;

use crate::codebuild;
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::runner::ledger::{row, status, verify};
use crate::runner::story::{Shipped, Story};
use crate::runner::{base, chain};
use crate::say::{data, heading, note, seconds};
use crate::world::{InUse, World};

/// Whose runner ships the example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Host {
    /// GitHub Actions, by the example's workflows.
    Github,
    /// CodeBuild, by the buildspecs.
    Codebuild,
}

/// The result of a demo, for a person to look at.
#[derive(Debug)]
pub struct Ran {
    /// Where it took place.
    pub world: World,
    /// The commits that were shipped, and the runs that did it.
    pub shipped: Shipped,
    /// Keeps a later demo from retiring the world.
    pub in_use: InUse,
}

/// Ships the example in a world of its own, shows where it is, and answers what it leaves.
pub async fn run(instance: &Instance, host: Host) -> Result<Ran> {
    let began = Instant::now();
    let name = format!("demo-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
    note(&format!(
        "\nworld {name}: four accounts, a repository, three environments"
    ));
    let in_use = World::replace_earlier(instance, "demo-", &name).await?;
    let node_image = base::image(instance).await?;
    let mut world = World::create(instance, &name).await?;
    world.serve(instance).await?;
    world.extra.insert("NODE_IMAGE".to_owned(), node_image);
    let story = Story::begin(instance, &world).await?;
    let shipped = match host {
        Host::Github => chain::ship(instance, &world, &story).await?,
        Host::Codebuild => codebuild::chain::ship(instance, &world, &story).await?,
    };
    kept_to_the_rules(instance, &story).await?;
    table(instance, &world, &shipped).await?;
    proofs(instance, &world, &shipped).await?;
    note(&format!(
        "\n{} of the demo's own work. cargo sandbox down ends everything.",
        seconds(began.elapsed())
    ));
    Ok(Ran {
        world,
        shipped,
        in_use,
    })
}

/// Deploys the second example, which is serverless and in two regions.
pub async fn in_two_regions(instance: &Instance) -> Result<()> {
    let began = Instant::now();
    vault::run(instance).await?;
    note(&format!("{} in two regions.", seconds(began.elapsed())));
    Ok(())
}

/// Nothing that was done may have made a stand-in answer what its vendor would not.
pub async fn kept_to_the_rules(instance: &Instance, story: &Story) -> Result<()> {
    if let Some(first) = story.hub.violations().await?.first() {
        return Err(Fault::new(format!(
            "the GitHub stand-in broke GitHub's description: {first}"
        )));
    }
    match crate::world::violations(instance).await?.first() {
        None => Ok(()),
        Some(first) => Err(Fault::new(format!(
            "the ECS stand-in broke AWS's description: {first}"
        ))),
    }
}

/// One line an environment: what the ledger says, compared with what the service answers.
async fn table(instance: &Instance, world: &World, shipped: &Shipped) -> Result<()> {
    let (_, folder) = shipped
        .runs
        .last()
        .ok_or_else(|| Fault::new("nothing has run"))?;
    let status = status(instance, world, &folder.join("repository")).await?;
    heading("where everything is");
    let mut rows = Vec::new();
    for environment in &world.environments {
        let missing = || Fault::new(format!("the ledger says nothing of {}", environment.name));
        let row = row(&status, &environment.name).ok_or_else(missing)?;
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let commit = text("commit");
        // Success is what the ledger and the address say, not that the runs ended well.
        let wanted = if environment.name == "production" {
            &shipped.first
        } else {
            &shipped.second
        };
        if commit != *wanted || text("verdict") != "healthy" {
            return Err(Fault::new(format!(
                "{} is not where it should be: {row}",
                environment.name
            )));
        }
        let address = world.address(instance, environment).await?;
        let answers = answers(&address).await?;
        if answers != commit {
            return Err(Fault::new(format!(
                "{address} answers with commit {answers}, the ledger says {commit}"
            )));
        }
        rows.push(vec![
            environment.name.clone(),
            text("digest").chars().take(19).collect(),
            commit.chars().take(8).collect(),
            row["actor"]["login"].as_str().unwrap_or("-").to_owned(),
            text("at"),
            text("verdict"),
            address,
        ]);
    }
    let header = [
        "environment",
        "digest",
        "commit",
        "who",
        "when",
        "verdict",
        "address",
    ];
    data(kit::report::text_table(&header, &rows).trim_end());
    note("\nlogs and summaries:");
    for (title, folder) in &shipped.runs {
        note(&format!("  {title:<64} {}", folder.display()));
    }
    Ok(())
}

/// One line on what proves the ledger: `verify` of each chain must be sound, with signatures, anchor and decisions.
async fn proofs(instance: &Instance, world: &World, shipped: &Shipped) -> Result<()> {
    let (_, folder) = shipped
        .runs
        .last()
        .ok_or_else(|| Fault::new("nothing has run"))?;
    let (mut records, mut permits) = (0, 0);
    for environment in &world.environments {
        let name = &environment.name;
        let found = verify(instance, world, &folder.join("repository"), name).await?;
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let proven = found["signatures"]["from"] == 1
            && found["anchor"]["compared"] == found["records"]
            && found["decisions"]["followed"] == found["decisions"]["permits"];
        if !proven {
            return Err(Fault::new(format!(
                "{name}'s chain is not proven whole: {found}"
            )));
        }
        records += number(&found["records"]);
        permits += number(&found["decisions"]["permits"]);
    }
    data(&format!(
        "\nslipway-promote verify: the ledger's {records} records are signed and anchored, and the decisions of its {permits} permits, made again from what was kept, come out the same"
    ));
    Ok(())
}

/// The commit that a service says it is.
async fn answers(address: &str) -> Result<String> {
    let url = format!("{address}/healthz");
    let answer = crate::world::http_client()?
        .get(&url)
        .send()
        .await
        .context(format!("asking {url}"))?;
    let body: Value = answer.json().await.context(format!("asking {url}"))?;
    Ok(body["commit"].as_str().unwrap_or_default().to_owned())
}
