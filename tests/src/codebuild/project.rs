//! The CodeBuild projects of a team, and how builds of them are started.

use std::time::Duration;

use super::source::{WEBHOOK, check_out, fresh};
use super::variables::plain;
use super::{Build, Ended, Given, Variable, run};
use crate::fault::Result;
use crate::instance::Instance;
use crate::runner::act::nowhere;
use crate::runner::story::{git_folder, infrastructure};
use crate::world::World;
use crate::world::runner::{Variables, without_lock_tables};

/// Longer than any build of the example takes.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A project of the team, and how one build of it is started.
#[derive(Debug)]
pub struct Project {
    pub(super) name: String,
    /// The stage whose role the builds have.
    pub(super) stage: String,
    /// The environment they work on.
    pub(super) environment: String,
    pub(super) buildspec: &'static str,
    pub(super) reads_github: bool,
    pub(super) initiator: String,
    pub(super) start: Variables,
    /// The pull request's number and branch, of builds that a webhook starts for one.
    pull: Option<(u64, String)>,
}

impl Project {
    /// The project that builds, for every environment.
    pub(super) fn build(initiator: &str, arguments: &str) -> Self {
        let start = [("SLIPWAY_BUILD_ARG".to_owned(), arguments.to_owned())];
        Self {
            name: "storefront-build".to_owned(),
            stage: "build".to_owned(),
            environment: World::ENVIRONMENTS[0].to_owned(),
            buildspec: "build.yml",
            reads_github: false,
            initiator: initiator.to_owned(),
            start: start.into(),
            pull: None,
        }
    }

    /// The project that runs an environment's migrations and infrastructure code. It has no token.
    pub(super) fn infrastructure(environment: &str, initiator: &str, start: Variables) -> Self {
        Self {
            name: format!("storefront-infrastructure-{environment}"),
            stage: infrastructure(environment),
            environment: environment.to_owned(),
            buildspec: "infrastructure.yml",
            reads_github: false,
            initiator: initiator.to_owned(),
            start,
            pull: None,
        }
    }

    /// The project of an environment's own stage that runs this buildspec, with a token for GitHub.
    pub fn of(
        buildspec: &'static str,
        environment: &str,
        initiator: &str,
        start: Variables,
    ) -> Self {
        let what = buildspec.trim_end_matches(".yml");
        Self {
            name: format!("storefront-{what}-{environment}"),
            stage: environment.to_owned(),
            environment: environment.to_owned(),
            buildspec,
            reads_github: true,
            initiator: initiator.to_owned(),
            start,
            pull: None,
        }
    }

    /// Its webhook starts the build, for a pull request from this branch.
    #[must_use]
    pub fn for_pull_request(mut self, number: u64, branch: &str) -> Self {
        WEBHOOK.clone_into(&mut self.initiator);
        self.pull = Some((number, branch.to_owned()));
        self
    }

    /// Runs one build to its end, from main or the pull request, with the token that is stored there. `show` gets each line of
    /// the log as it comes.
    ///
    /// # Errors
    /// The build could not be run.
    pub async fn build_once(
        &self,
        instance: &Instance,
        world: &World,
        token: &Variable,
        show: &mut dyn FnMut(&str),
    ) -> Result<Ended> {
        let (folder, number) = fresh(instance, world, &self.name)?;
        let (version, branch) = match &self.pull {
            Some((number, branch)) => (format!("pr/{number}"), branch.as_str()),
            None => ("main".to_owned(), "main"),
        };
        let commit = check_out(&git_folder(instance, world), branch, world, &folder).await?;
        let environment = world.environment(&self.environment)?;
        let mut variables = world.repository_variables();
        variables.extend(world.environment_variables(environment));
        let mut variables = plain(without_lock_tables(variables));
        variables.insert(
            "SLIPWAY_ENVIRONMENT".to_owned(),
            Variable::Plain(self.environment.clone()),
        );
        if self.reads_github {
            variables.insert("GITHUB_TOKEN".to_owned(), token.clone());
        }
        let start = self.start.iter();
        let build = Build {
            project: self.name.clone(),
            number,
            stage: self.stage.clone(),
            buildspec: instance.checkout.join("buildspecs").join(self.buildspec),
            folder,
            version,
            commit: Some(commit),
            initiator: self.initiator.clone(),
            project_variables: variables,
            start_variables: start
                .map(|(n, v)| (n.clone(), Variable::Plain(v.clone())))
                .collect::<Given>(),
            timeout: TIMEOUT,
        };
        run(instance, world, &build, show).await
    }
}

/// A promotion: who starts it, and with what.
pub(super) struct Promotion {
    pub(super) environment: &'static str,
    pub(super) initiator: String,
    /// The variables that the gate is given.
    variables: Variables,
    /// True if it rolls back, by the ledger and AWS alone.
    back: bool,
}

impl Promotion {
    pub(super) fn to(environment: &'static str, initiator: &str) -> Self {
        Self {
            environment,
            initiator: initiator.to_owned(),
            variables: Variables::new(),
            back: false,
        }
    }

    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn of(self, digest: &str) -> Self {
        self.with_variable("DIGEST", digest)
    }

    pub(super) fn breaking(self, reason: &str) -> Self {
        self.with_variable("BREAK_GLASS", reason)
    }

    pub(super) fn back(mut self) -> Self {
        self.back = true;
        self.with_variable("ROLLBACK", "true")
    }

    /// The build that decides.
    pub(super) fn gate(&self) -> Project {
        let mut start = self.variables.clone();
        start.extend(self.ways());
        Project::of("gate.yml", self.environment, &self.initiator, start)
    }

    /// Where GitHub is, if it is nowhere.
    pub(super) fn ways(&self) -> Variables {
        match self.back {
            true => nowhere(),
            false => Variables::new(),
        }
    }
}
