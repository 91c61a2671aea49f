//! The example from a merge to production by its workflows, and what must be refused.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::act::{self, Ended, Trigger};
use super::export::{Export, export};
use super::ledger;
use super::story::{
    AUTHOR, EMERGENCY, RELEASER, REVIEWER, Shipped, Story, contract_with_break_glass,
};
use crate::fault::{Fault, Result};
use crate::instance::Instance;
use crate::say::{heading, note, seconds};
use crate::world::World;

/// The chain so far.
struct Chain<'a> {
    instance: &'a Instance,
    world: &'a World,
    story: &'a Story,
    export: &'a Export,
    runs: Vec<(String, PathBuf)>,
}

/// Ships the example through its own workflows.
pub async fn ship(instance: &Instance, world: &World, story: &Story) -> Result<Shipped> {
    let export = export(instance)?;
    let mut chain = Chain {
        instance,
        world,
        story,
        export: &export,
        runs: Vec::new(),
    };

    let first = chain.merge().await?;
    let second = chain.refusals().await?;
    chain.emergency().await?;
    Ok(Shipped {
        first,
        second,
        runs: chain.runs,
    })
}

impl Chain<'_> {
    /// Merges three changes, and moves what the last one delivers to production. Returns the last one's commit.
    async fn merge(&mut self) -> Result<String> {
        heading("three merges to main reach dev");
        let contract = contract_with_break_glass(self.instance)?;
        let first = self.story.changes(&contract).await?;
        self.succeeds("deliver to dev", &Trigger::push(REVIEWER, "deliver.yml"))
            .await?;

        heading(
            "the same digest moves to staging, then to production: one promotion of three pull requests",
        );
        for environment in ["staging", "production"] {
            let trigger =
                Trigger::dispatch(RELEASER, "promote.yml", &[("environment", environment)]);
            self.succeeds(&format!("promote to {environment}"), &trigger)
                .await?;
        }
        Ok(first)
    }

    /// Merges another change, and tries what must not work. Returns its commit.
    async fn refusals(&mut self) -> Result<String> {
        heading("what must be refused is refused");
        note(&format!(
            "  {AUTHOR} writes another change; {RELEASER} alone approves and merges it"
        ));
        let notes = [("NOTES.md", "The second change.\n")];
        let second = self
            .story
            .change(AUTHOR, RELEASER, "Greet them twice", &notes)
            .await?;
        self.succeeds("deliver to dev", &Trigger::push(RELEASER, "deliver.yml"))
            .await?;
        let digest = ledger::digest_in(self.instance, self.world, &self.last()?, "dev").await?;
        self.refused(
            "a digest that never ran healthy in staging goes to production",
            &Trigger::dispatch(
                REVIEWER,
                "promote.yml",
                &[("environment", "production"), ("digest", &digest)],
            ),
            "no record of this digest in staging",
        )
        .await?;
        self.refused(
            "somebody promotes a change that only they approved",
            &Trigger::dispatch(RELEASER, "promote.yml", &[("environment", "staging")]),
            "and is the only approver",
        )
        .await?;
        self.story
            .propose(AUTHOR, "Skip the gate", &[("NOTES.md", "Not merged.\n")])
            .await?;
        self.refused(
            "a workflow from an unmerged branch asks for staging's role",
            &Trigger::dispatch(AUTHOR, "promote.yml", &[("environment", "staging")])
                .on("skip-the-gate"),
            "trust policy",
        )
        .await?;
        Ok(second)
    }

    /// Uses break-glass in production, and rolls it back.
    async fn emergency(&mut self) -> Result<()> {
        heading("in an emergency, past a rule and on record");
        let to = |actor: &str, environment: &str, more: &[(&str, &str)]| {
            let mut inputs = vec![("environment", environment)];
            inputs.extend_from_slice(more);
            Trigger::dispatch(actor, "promote.yml", &inputs)
        };
        self.succeeds(
            "promote the second change to staging",
            &to(REVIEWER, "staging", &[]),
        )
        .await?;
        self.succeeds(
            "use break-glass in production",
            &to(RELEASER, "production", &[("break-glass", EMERGENCY)]),
        )
        .await?;

        heading("back to what was healthy, while nothing of GitHub answers");
        self.succeeds(
            "roll production back",
            &to(REVIEWER, "production", &[("rollback", "true")]).without_github(),
        )
        .await?;
        Ok(())
    }

    /// The folder of the last run's repository.
    fn last(&self) -> Result<PathBuf> {
        let (_, folder) = self
            .runs
            .last()
            .ok_or_else(|| Fault::new("nothing has run yet"))?;
        Ok(folder.join("repository"))
    }

    async fn start(&mut self, title: &str, trigger: &Trigger) -> Result<(Ended, Duration)> {
        let began = Instant::now();
        note(&format!(
            "\n  {title}: {} by {}",
            trigger.workflow, trigger.actor
        ));
        // The workflows name each of Slipway's steps by its command. The steps are shown as they end; what they say is in the log.
        let mut show = |line: &str| {
            if let Some((took, step)) = line
                .trim_start()
                .strip_prefix("took ")
                .and_then(|text| text.split_once(": slipway-"))
            {
                note(&format!("    {step:<16} {took}"));
            }
        };
        let ended = act::run(
            self.instance,
            self.world,
            &self.story.hub,
            self.export,
            trigger,
            &mut show,
        )
        .await?;
        self.runs.push((title.to_owned(), ended.folder.clone()));
        Ok((ended, began.elapsed()))
    }

    async fn succeeds(&mut self, title: &str, trigger: &Trigger) -> Result<()> {
        let (ended, took) = self.start(title, trigger).await?;
        if !ended.success {
            return Err(Fault::new(format!(
                "{title} failed:\n{}",
                reason(&ended, "").join("\n")
            ))
            .hint(format!(
                "the whole log is in {}",
                ended.folder.join("log.txt").display()
            )));
        }
        note(&format!("  done in {}", seconds(took)));
        Ok(())
    }

    /// A run that has to fail, and for the right reason: the words must stand in its error.
    async fn refused(&mut self, title: &str, trigger: &Trigger, because: &str) -> Result<()> {
        let (ended, took) = self.start(title, trigger).await?;
        let log = ended.folder.join("log.txt");
        if ended.success {
            return Err(Fault::new(format!("{title}: this was not refused"))
                .hint(format!("the whole log is in {}", log.display())));
        }
        let error = reason(&ended, because);
        if !error.iter().any(|line| line.contains(because)) {
            return Err(Fault::new(format!(
                "{title}: this failed, but not because of {because}:\n{}",
                error.join("\n")
            ))
            .hint(format!("the whole log is in {}", log.display())));
        }
        for line in error {
            note(&format!("      {line}"));
        }
        note(&format!("  refused in {}", seconds(took)));
        Ok(())
    }
}

/// Why a run failed: the first error as its log shows it, to the end of its hints, or else what its summary says. act can
/// lose the last lines of a step that ends at once; the summary is a file, and whole.
fn reason(ended: &Ended, because: &str) -> Vec<String> {
    let lines = ended
        .log
        .text
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    let mut shown: Vec<String> = lines
        .skip_while(|line| !line.starts_with("error: "))
        .take_while(|line| !line.contains("❌"))
        .filter(|line| !line.contains("::error"))
        .map(str::to_owned)
        .collect();
    let last = ended.log.summary.rsplit("### ").next().unwrap_or_default();
    if shown.is_empty() || !shown.iter().any(|line| line.contains(because)) {
        shown.extend(decisive(last).map(str::to_owned));
    }
    shown
}

/// The lines of a summary that a person looks for: its title, the rules that fail, and what to do next. The whole of it is in a file.
fn decisive(summary: &str) -> impl Iterator<Item = &str> {
    let is_decisive = |line: &str| line.contains(" | fail | ") || line.starts_with("**Next:**");
    let any = summary.lines().any(is_decisive);
    let lines = summary.lines().enumerate();
    lines
        .filter(move |(at, line)| *at == 0 || !any || is_decisive(line))
        .map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_summary_what_refuses_is_shown() {
        let table = "staging refuses it\n\n| branch | unknown | no |\n| digest | fail | never healthy |\n\n**Next:** deploy it\n";
        let shown: Vec<&str> = decisive(table).collect();
        let wanted = [
            "staging refuses it",
            "| digest | fail | never healthy |",
            "**Next:** deploy it",
        ];
        assert_eq!(shown, wanted);
        assert_eq!(decisive("no table\nat all").count(), 2);
    }
}
