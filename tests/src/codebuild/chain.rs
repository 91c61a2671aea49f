//! The example from a merge to production by its buildspecs, as a team's pipeline would run its CodeBuild projects: one to build,
//! and for each environment one for the gate, one for the infrastructure and one to deploy. And what must be refused.

pub mod planned;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::project::{Project, Promotion};
use super::source::WEBHOOK;
use super::{Ended, Variable};
use crate::fault::{Fault, Result};
use crate::instance::Instance;
use crate::runner::hub::number;
use crate::runner::story::{
    AUTHOR, EMERGENCY, RELEASER, REVIEWER, Shipped, Story, contract_with_break_glass, known,
};
use crate::say::{heading, note, seconds};
use crate::world::World;
use crate::world::aws::unless_there;

/// The account on GitHub whose token the projects hold.
const MACHINE: &str = "acme-delivery";

/// Ships the example through its buildspecs. The world's repository must have begun as `story`; what else the projects are
/// to know, such as NODE_IMAGE, is in the world's further variables.
pub async fn ship(instance: &Instance, world: &World, story: &Story) -> Result<Shipped> {
    let mut chain = Chain {
        instance,
        world,
        token: store_token(instance, world, story).await?,
        runs: Vec::new(),
    };

    let first = chain.merge(story).await?;
    let second = chain.refusals(story).await?;
    chain.emergency().await?;
    Ok(Shipped {
        first,
        second,
        runs: chain.runs,
    })
}

/// The role in which people start builds.
const RELEASES: &str = "Releaser";

/// A person's session, as CodeBuild names the initiator of a build.
pub fn person(login: &str) -> String {
    format!("{RELEASES}/{login}@acme.example")
}

/// The example's contract with the people's principals in AWS, without which a promotion from AWS is nobody's, and with somebody who
/// may use break-glass in production.
///
/// # Errors
/// The example is not what this expects.
pub fn contract_with_people(instance: &Instance, world: &World) -> Result<String> {
    let text = contract_with_break_glass(instance)?;
    let workflow = "  workflow: .github/workflows/deliver.yml\n";
    if !text.contains(workflow) {
        return Err(Fault::new(
            "the example names no workflow that builds images",
        ));
    }
    let mut text = text.replace(workflow, "  project: storefront-build\n");
    for login in [AUTHOR, REVIEWER, RELEASER] {
        let id = number(login);
        let principal = world.principal(RELEASES, login);
        let both = format!("  {login}: {{ id: {id}, aws: [{principal}] }}\n");
        text = text.replace(&known([login]), &both);
    }
    Ok(text)
}

/// Puts a token for GitHub where an administrator would: into Secrets Manager in the build account. Answers its name.
///
/// # Errors
/// GitHub or AWS refuses.
pub async fn store_token(instance: &Instance, world: &World, story: &Story) -> Result<Variable> {
    story.hub.user(MACHINE, "User").await?;
    story
        .hub
        .act("collaborators", &json!({"login": MACHINE, "role": "write"}))
        .await?;
    let token = story.hub.token(MACHINE).await?;
    let name = format!("{}/github-token", world.service);
    let aws = world.administrator(instance, &world.build).await?;
    let body = json!({"Name": name, "SecretString": token});
    let answer = aws
        .json("secretsmanager", "secretsmanager.CreateSecret", &body)
        .await?;
    unless_there(answer, "storing the GitHub token", &[])?;
    Ok(Variable::Secret(name))
}

struct Chain<'a> {
    instance: &'a Instance,
    world: &'a World,
    /// Where projects find a token for GitHub.
    token: Variable,
    runs: Vec<(String, PathBuf)>,
}

impl Chain<'_> {
    /// Merges three changes, and moves what the last one delivers to production. Returns the last one's commit.
    async fn merge(&mut self, story: &Story) -> Result<String> {
        heading("three merges to main reach dev");
        let contract = contract_with_people(self.instance, self.world)?;
        let first = story.changes(&contract).await?;
        self.deliver(&first).await?;

        heading(
            "the same digest moves to staging, then to production: one promotion of three pull requests",
        );
        for environment in ["staging", "production"] {
            let promotion = Promotion::to(environment, &person(RELEASER));
            self.promote(&format!("promote to {environment}"), promotion)
                .await?;
        }
        Ok(first)
    }

    /// Merges another change, and tries what must not work. Returns its commit.
    async fn refusals(&mut self, story: &Story) -> Result<String> {
        heading("what must be refused is refused");
        note(&format!(
            "  {AUTHOR} writes another change; {RELEASER} alone approves and merges it"
        ));
        let second = story
            .change(
                AUTHOR,
                RELEASER,
                "Greet them twice",
                &[("NOTES.md", "The second change.\n")],
            )
            .await?;
        let digest = self.deliver(&second).await?;
        let unproven = Promotion::to("production", &person(REVIEWER)).of(&digest);
        self.refused(
            "a digest that never ran healthy in staging goes to production",
            &unproven.gate(),
            "digest: no record of this digest in staging",
        )
        .await?;
        self.refused(
            "somebody promotes a change that only they approved",
            &Promotion::to("staging", &person(RELEASER)).gate(),
            "separation: ",
        )
        .await?;
        self.refused(
            "a pipeline promotes, and nobody knows in whose name",
            &Promotion::to("staging", "codepipeline/storefront").gate(),
            "codepipeline/storefront (CODEBUILD_INITIATOR) is not a person",
        )
        .await?;
        let mut foreign = Promotion::to("staging", &person(REVIEWER)).gate();
        "dev".clone_into(&mut foreign.stage);
        self.refused(
            "dev's stage asks for staging's role",
            &foreign,
            "trust policy",
        )
        .await?;
        Ok(second)
    }

    /// Uses break-glass in production, and rolls it back.
    async fn emergency(&mut self) -> Result<()> {
        heading("in an emergency, past a rule and on record");
        self.promote(
            "promote the second change to staging",
            Promotion::to("staging", &person(REVIEWER)),
        )
        .await?;
        self.promote(
            "use break-glass in production",
            Promotion::to("production", &person(RELEASER)).breaking(EMERGENCY),
        )
        .await?;

        heading("back to what was healthy, while nothing of GitHub answers");
        self.promote(
            "roll production back",
            Promotion::to("production", &person(REVIEWER)).back(),
        )
        .await?;
        Ok(())
    }

    /// Builds a commit and deploys it to dev. Returns the digest. The next builds are given the variables that a build exports,
    /// as in a pipeline.
    async fn deliver(&mut self, commit: &str) -> Result<String> {
        // As a pipeline's action gives it, where the commit is #{SourceVariables.CommitId}.
        let mut arguments = format!("COMMIT={commit}");
        if let Some(image) = self.world.extra.get("NODE_IMAGE") {
            arguments.push_str(&format!("\nNODE_IMAGE={image}"));
        }
        let project = Project::build(WEBHOOK, &arguments);
        let built = self.succeeds("build", &project).await?.exported;
        let exported = |name: &str| {
            built
                .get(name)
                .cloned()
                .ok_or_else(|| Fault::new(format!("build.yml exported no {name}")))
        };
        let digest = exported("IMAGE_DIGEST")?;
        if exported("IMAGE_COMMIT")? != commit {
            return Err(Fault::new(format!(
                "build.yml exported another commit than {commit}: {built:?}"
            )));
        }
        let infrastructure = Project::infrastructure("dev", WEBHOOK, built.clone());
        self.succeeds("apply dev's infrastructure", &infrastructure)
            .await?;
        let deploy = Project::of("deploy.yml", "dev", WEBHOOK, built);
        self.succeeds("deploy to dev", &deploy).await?;
        Ok(digest)
    }

    /// The three builds of a promotion, each with what the gate exported.
    async fn promote(&mut self, title: &str, promotion: Promotion) -> Result<()> {
        let Promotion {
            environment,
            ref initiator,
            ..
        } = promotion;
        let mut granted = self.succeeds(title, &promotion.gate()).await?.exported;
        let infrastructure = Project::infrastructure(environment, initiator, granted.clone());
        self.succeeds(
            &format!("apply {environment}'s infrastructure"),
            &infrastructure,
        )
        .await?;
        granted.extend(promotion.ways());
        let deploy = Project::of("deploy.yml", environment, initiator, granted);
        self.succeeds(&format!("deploy to {environment}"), &deploy)
            .await?;
        Ok(())
    }

    async fn start(&mut self, title: &str, project: &Project) -> Result<(Ended, Duration)> {
        let began = Instant::now();
        note(&format!(
            "\n  {title}: {} by {}",
            project.buildspec, project.initiator
        ));
        let mut show = |line: &str| {
            if let Some(line) = notable(line) {
                note(&format!("    {line}"));
            }
        };
        let ended = project
            .build_once(self.instance, self.world, &self.token, &mut show)
            .await?;
        self.runs.push((title.to_owned(), ended.folder.clone()));
        Ok((ended, began.elapsed()))
    }

    async fn succeeds(&mut self, title: &str, project: &Project) -> Result<Ended> {
        let (ended, took) = self.start(title, project).await?;
        if !ended.success {
            return Err(Fault::new(format!("{title} failed")).hint(whole_log(&ended)));
        }
        note(&format!("  done in {}", seconds(took)));
        Ok(ended)
    }

    /// A build that has to fail, and for the right reason: the words must stand in its error.
    async fn refused(&mut self, title: &str, project: &Project, reason: &str) -> Result<()> {
        let (ended, took) = self.start(title, project).await?;
        if ended.success {
            return Err(
                Fault::new(format!("{title}: this was not refused")).hint(whole_log(&ended))
            );
        }
        if !gives_reason(&ended.log, reason) {
            return Err(
                Fault::new(format!("{title}: this failed, but not because of {reason}"))
                    .hint(whole_log(&ended)),
            );
        }
        note(&format!("  refused in {}", seconds(took)));
        Ok(())
    }
}

fn whole_log(ended: &Ended) -> String {
    format!(
        "the whole log is in {}",
        ended.folder.join("log.txt").display()
    )
}

/// Returns true if an error in the log says this.
fn gives_reason(log: &str, reason: &str) -> bool {
    log.lines()
        .skip_while(|line| !line.contains("error: "))
        .take(14)
        .any(|line| line.contains(reason))
}

/// The part of a line of a build's log that a person wants to see: a command, an error or a hint.
fn notable(line: &str) -> Option<&str> {
    if let Some((_, command)) = line.split_once(" Running command ") {
        return command.lines().next();
    }
    ["error: ", "hint: "]
        .iter()
        .any(|start| line.trim_start().starts_with(start))
        .then(|| line.trim())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_reason_counts_only_in_an_error() {
        let log = "staging is fine\nerror: production refuses\n  the digest was never healthy in staging\n";
        assert!(gives_reason(log, "in staging"));
        assert!(!gives_reason(log, "is fine"));
        assert!(!gives_reason("staging\n", "staging"));
    }

    #[test]
    fn commands_and_errors_are_shown_and_other_output_is_not() {
        assert_eq!(
            notable("[Container] 2026/01/02 03:04:05 Running command git log"),
            Some("git log")
        );
        assert_eq!(
            notable("[Container] 2026/01/02 03:04:05 Running command if true; then\n  x\nfi"),
            Some("if true; then")
        );
        assert_eq!(notable("  hint: do this"), Some("hint: do this"));
        assert_eq!(notable("#7 [2/3] WORKDIR /app"), None);
    }

    #[test]
    fn the_example_says_who_promotes() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let instance = Instance::of(checkout, Path::new("/target"));
        let world = World::named("people", "registry");
        let text = contract_with_people(&instance, &world).unwrap();
        let principal = world.principal(RELEASES, "linus");
        let linus = format!("linus: {{ id: {}, aws: [{principal}] }}", number("linus"));
        assert!(text.lines().any(|line| line.trim() == linus), "{text}");
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("people:"))
                .count(),
            1
        );
    }
}
