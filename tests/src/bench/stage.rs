//! Where benchmarks run: an account of their own on the sandbox, the build under test, and the peers.

use super::build::Build;
use super::measure::Call;
use super::race::Goal;
use crate::fault::Result;
use crate::place::Place;
use crate::world::World;
use crate::world::aws::Aws;
use crate::world::runner::Variables;

/// The world whose accounts the benchmarks use. No services are made in it, whose health checks would disturb.
const WORLD: &str = "bench";

/// What a step should take at most of what one call of the AWS CLI takes for the same work.
pub(super) const CLI: Goal = Goal {
    wall: 0.1,
    cpu: 0.05,
    peak: 0.5,
};

pub(super) struct Stage<'a> {
    pub(super) place: &'a Place,
    pub(super) build: Build,
    /// The account everything happens in.
    pub(super) account: String,
    /// Its administrator, for setting up.
    pub(super) aws: Aws,
    pub(super) environment: Variables,
}

impl<'a> Stage<'a> {
    pub(super) async fn open(place: &'a Place, step: Option<&str>) -> Result<Self> {
        let world = World::named(WORLD, "");
        let aws = world.administrator(place, &world.build).await?;
        let mut environment = world.variables(place);
        environment.extend(aws.variables());
        Ok(Self {
            place,
            build: Build::find(place, step)?,
            account: world.build.id,
            aws,
            environment,
        })
    }

    /// A step at work.
    pub(super) fn step(&self, name: &str, arguments: &[&str], proof: &str) -> Call {
        let program = self.build.folder.join(format!("slipway-{name}"));
        self.call(program, arguments, proof)
    }

    /// The AWS CLI at work.
    pub(super) fn aws_cli(&self, arguments: &[&str], proof: &str) -> Call {
        self.call(self.place.peers_bin().join("aws"), arguments, proof)
    }

    /// The node that runners have, at work.
    pub(super) fn node(&self, arguments: &[&str], proof: &str) -> Call {
        self.call(self.place.bin().join("node"), arguments, proof)
    }

    /// A shell at work, which finds the AWS CLI as `"$AWS"`.
    pub(super) fn shell(&self, script: &str, proof: &str) -> Call {
        let mut call = self.call("/bin/sh".into(), &["-ec", script], proof);
        let aws = self.place.peers_bin().join("aws").display().to_string();
        call.environment.insert("AWS".to_owned(), aws);
        call
    }

    /// A tool of the system at work.
    pub(super) fn tool(
        &self,
        program: impl Into<std::path::PathBuf>,
        arguments: &[&str],
        proof: &str,
    ) -> Call {
        self.call(program.into(), arguments, proof)
    }

    fn call(&self, program: std::path::PathBuf, arguments: &[&str], proof: &str) -> Call {
        Call {
            program,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: self.environment.clone(),
            proof: proof.to_owned(),
        }
    }
}
