//! The CodeBuild projects of a team, and how builds of them are started.

use crate::runner::act::nowhere;
use crate::runner::story::infrastructure;
use crate::world::World;
use crate::world::runner::Variables;

/// A project of the team, and how one build of it is started.
pub(super) struct Project {
    pub(super) name: String,
    /// The stage whose role the builds have.
    pub(super) stage: String,
    /// The environment they work on.
    pub(super) environment: String,
    pub(super) buildspec: &'static str,
    pub(super) reads_github: bool,
    pub(super) initiator: String,
    pub(super) start: Variables,
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
        }
    }

    /// The project in which people ask for approvals and answer.
    pub(super) fn approve(environment: &str, initiator: &str, start: Variables) -> Self {
        Self {
            name: format!("storefront-approve-{environment}"),
            stage: environment.to_owned(),
            environment: environment.to_owned(),
            buildspec: "approve.yml",
            reads_github: true,
            initiator: initiator.to_owned(),
            start,
        }
    }

    /// The project that deploys to an environment.
    pub(super) fn deploy(environment: &str, initiator: &str, start: Variables) -> Self {
        Self {
            name: format!("storefront-deploy-{environment}"),
            stage: environment.to_owned(),
            environment: environment.to_owned(),
            buildspec: "deploy.yml",
            reads_github: true,
            initiator: initiator.to_owned(),
            start,
        }
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
        Project {
            name: format!("storefront-gate-{}", self.environment),
            stage: self.environment.to_owned(),
            environment: self.environment.to_owned(),
            buildspec: "gate.yml",
            reads_github: true,
            initiator: self.initiator.clone(),
            start,
        }
    }

    /// Where GitHub is, if it is nowhere.
    pub(super) fn ways(&self) -> Variables {
        match self.back {
            true => nowhere(),
            false => Variables::new(),
        }
    }
}
