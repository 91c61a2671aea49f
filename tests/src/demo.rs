//! `cargo demo`: the example repository from a merge to production, on real parts, and what must be refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::fault::{Doing, Fault, Result};
use crate::place::Place;
use crate::runner::act::{self, Ended, Trigger};
use crate::runner::export::{Export, export};
use crate::runner::story::{AUTHOR, RELEASER, REVIEWER, Story};
use crate::runner::base;
use crate::say::{data, note, seconds};
use crate::world::World;

/// The demo so far.
struct Demo<'a> {
    place: &'a Place,
    world: World,
    story: Story,
    export: Export,
    node_image: String,
    /// Folder of each run, by what it was.
    runs: Vec<(String, std::path::PathBuf)>,
}

/// Ships the example and shows where it is.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let began = Instant::now();
    let name = format!("demo-{}", uuid::Uuid::new_v4().simple().to_string().get(..6).unwrap_or("0"));
    note(&format!("\nworld {name}: four accounts, a repository, three environments"));
    let export = export(place)?;
    let node_image = base::image(place).await?;
    let world = World::create(place, &name).await?;
    let story = Story::begin(place, &world).await?;
    let mut demo = Demo {
        place,
        world,
        story,
        export,
        node_image,
        runs: Vec::new(),
    };

    heading("a merge to main reaches dev");
    note(&format!("  {AUTHOR} opens a pull request, {REVIEWER} approves and merges it"));
    let notes = [("NOTES.md", "The first change.\n")];
    let first = demo.story.change(AUTHOR, REVIEWER, "Greet the visitor", &notes).await?;
    demo.succeeds("deliver to dev", &Trigger::push(REVIEWER, "deliver.yml")).await?;

    heading("the same digest moves to staging, then to production");
    for environment in ["staging", "production"] {
        let trigger = Trigger::dispatch(RELEASER, "promote.yml", &[("environment", environment)]);
        demo.succeeds(&format!("promote to {environment}"), &trigger).await?;
    }

    heading("what must be refused is refused");
    note(&format!("  {AUTHOR} writes another change; {RELEASER} alone approves and merges it"));
    let notes = [("NOTES.md", "The second change.\n")];
    let second = demo.story.change(AUTHOR, RELEASER, "Greet them twice", &notes).await?;
    demo.succeeds("deliver to dev", &Trigger::push(RELEASER, "deliver.yml")).await?;
    let digest = demo.digest_in("dev").await?;
    demo.refused(
        "a digest that never ran healthy in staging goes to production",
        &Trigger::dispatch(REVIEWER, "promote.yml", &[("environment", "production"), ("digest", &digest)]),
        "staging",
    )
    .await?;
    demo.refused(
        "somebody promotes a change that only they approved",
        &Trigger::dispatch(RELEASER, "promote.yml", &[("environment", "staging")]),
        RELEASER,
    )
    .await?;
    demo.story.propose(AUTHOR, "Skip the gate", &[("NOTES.md", "Not merged.\n")]).await?;
    demo.refused(
        "a workflow from an unmerged branch asks for staging's role",
        &Trigger::dispatch(AUTHOR, "promote.yml", &[("environment", "staging")]).on("skip-the-gate"),
        "trust policy",
    )
    .await?;

    demo.kept_to_the_rules().await?;
    demo.table(&first, &second).await?;
    note(&format!("\n{} of the demo's own work", seconds(began.elapsed())));
    Ok(())
}

fn heading(text: &str) {
    note(&format!("\n== {text}"));
}

impl Demo<'_> {
    async fn start(&mut self, what: &str, trigger: &Trigger) -> Result<(Ended, Duration)> {
        let began = Instant::now();
        note(&format!("\n  {what}: {} by {}", trigger.workflow, trigger.actor));
        let mut show = |line: &str| {
            if !line.starts_with("     ") {
                note(&format!("    {}", line.trim_start()));
            }
        };
        let mut variables = self.world.clone();
        variables.extra = BTreeMap::from([("NODE_IMAGE".to_owned(), self.node_image.clone())]);
        let ended = act::run(self.place, &variables, &self.story.hub, &self.export, trigger, &mut show).await?;
        self.runs.push((what.to_owned(), ended.folder.clone()));
        Ok((ended, began.elapsed()))
    }

    async fn succeeds(&mut self, what: &str, trigger: &Trigger) -> Result<()> {
        let (ended, took) = self.start(what, trigger).await?;
        if !ended.success {
            return Err(Fault::new(format!("{what} failed")).hint(format!(
                "the whole log is in {}",
                ended.folder.join("log.txt").display()
            )));
        }
        note(&format!("  done in {}", seconds(took)));
        Ok(())
    }

    /// A run that has to fail, and for the right reason: the words must stand in its error.
    async fn refused(&mut self, what: &str, trigger: &Trigger, reason: &str) -> Result<()> {
        let (ended, took) = self.start(what, trigger).await?;
        let log = ended.folder.join("log.txt");
        if ended.success {
            return Err(Fault::new(format!("{what}: this was not refused"))
                .hint(format!("the whole log is in {}", log.display())));
        }
        let error = ended.log.text.lines().skip_while(|line| !line.contains("error: ")).take(14);
        if !error.clone().any(|line| line.contains(reason)) {
            return Err(Fault::new(format!("{what}: this failed, but not because of {reason}"))
                .hint(format!("the whole log is in {}", log.display())));
        }
        note(&format!("  refused in {}", seconds(took)));
        Ok(())
    }

    /// The digest that the ledger says an environment has.
    async fn digest_in(&self, environment: &str) -> Result<String> {
        let status = self.status().await?;
        row(&status, environment)
            .and_then(|row| row["digest"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| Fault::new(format!("the ledger has no digest in {environment}")))
    }

    /// What `slipway-promote status` says, as anybody may ask it.
    async fn status(&self) -> Result<Value> {
        let session = self.world.codebuild_session(self.place, "production", "demo-status").await?;
        let folder = self.runs.last().map(|(_, folder)| folder.join("repository"));
        let folder = folder.ok_or_else(|| Fault::new("nothing has run yet"))?;
        let output = Command::new(self.place.built().join("slipway-promote"))
            .args(["status", "--json", "--contract", "delivery.yaml", "--environment", "production"])
            .current_dir(folder)
            .env_clear()
            .envs(self.world.variables(self.place))
            .envs(self.world.repository_variables())
            .envs(self.world.environment_variables(self.world.environment("production")?))
            .envs(session.variables())
            .output()
            .await
            .doing("starting slipway-promote")?;
        if !output.status.success() {
            return Err(Fault::new(format!(
                "slipway-promote status failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        serde_json::from_slice(&output.stdout).doing("reading what slipway-promote status said")
    }

    /// Nothing of all this may have made a stand-in answer what its vendor would not.
    async fn kept_to_the_rules(&self) -> Result<()> {
        let violations = self.story.hub.violations().await?;
        match violations.first() {
            None => Ok(()),
            Some(first) => Err(Fault::new(format!("the GitHub stand-in broke GitHub's description: {first}"))),
        }
    }

    async fn table(&self, first: &str, second: &str) -> Result<()> {
        let status = self.status().await?;
        heading("where everything is");
        let mut rows = Vec::new();
        for environment in &self.world.environments {
            let missing = || Fault::new(format!("the ledger says nothing of {}", environment.name));
            let row = row(&status, &environment.name).ok_or_else(missing)?;
            let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
            let commit = text("commit");
            // Success is what the ledger and the address say, not that the runs ended well.
            let wanted = if environment.name == "dev" { second } else { first };
            if commit != wanted || text("verdict") != "healthy" {
                return Err(Fault::new(format!("{} is not where it should be: {row}", environment.name)));
            }
            let address = self.world.address(self.place, environment).await?;
            let answers = self.answers(&address).await?;
            if answers != commit {
                return Err(Fault::new(format!("{address} answers with commit {answers}, the ledger says {commit}")));
            }
            rows.push(vec![
                environment.name.clone(),
                text("digest").chars().take(19).collect(),
                commit.chars().take(8).collect(),
                text("actor"),
                text("at"),
                text("verdict"),
                address,
            ]);
        }
        let header = ["environment", "digest", "commit", "who", "when", "verdict", "address"];
        data(kit::report::text_table(&header, &rows).trim_end());
        note("\nlogs and summaries:");
        for (what, folder) in &self.runs {
            note(&format!("  {what:<64} {}", folder.display()));
        }
        note("\ncargo sandbox down ends everything.");
        Ok(())
    }

    /// The commit that a service says it is.
    async fn answers(&self, address: &str) -> Result<String> {
        let url = format!("{address}/healthz");
        let answer = crate::world::http_client()?.get(&url).send().await.doing(format!("asking {url}"))?;
        let body: Value = answer.json().await.doing(format!("asking {url}"))?;
        Ok(body["commit"].as_str().unwrap_or_default().to_owned())
    }
}

fn row<'v>(status: &'v Value, environment: &str) -> Option<&'v Value> {
    status["environments"].as_array()?.iter().find(|row| row["environment"] == environment)
}
