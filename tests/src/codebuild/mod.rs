//! Runs the buildspecs as CodeBuild would, by its documented rules; where the documentation is silent or CodeBuild's own
//! logs show it to be stricter, so is this. Source of the rules: AWS CodeBuild User Guide, "Build specification reference",
//! "Build phase transitions" and "Environment variables in build environments".

pub mod chain;
mod container;
mod credentials;
mod log;
mod phases;
mod project;
mod run;
mod source;
mod spec;
mod stored;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use phases::{Phase, Status};
pub use project::Project;
pub use run::run;
pub use spec::{Shell, Spec};
pub use variables::{Given, Variable};

/// A build, as StartBuild makes one of a project.
#[derive(Debug, Clone)]
pub struct Build {
    /// The project's name.
    pub project: String,
    /// Counted per project, from 1.
    pub number: u64,
    /// The stage whose service role the build runs with: `build`, an environment, or an environment's infrastructure.
    pub stage: String,
    /// The buildspec's file.
    pub buildspec: PathBuf,
    /// The build's own folder. The source lies checked out in `repository` below it; `log.txt` is written into it.
    pub folder: PathBuf,
    /// The branch, tag or commit that was asked for.
    pub version: String,
    /// The commit that this was, where the source has commits.
    pub commit: Option<String>,
    /// The initiator, in CodeBuild's form: `USER`, `ROLE/SESSION` or `codepipeline/PIPELINE`.
    pub initiator: String,
    /// The environment variables of the project.
    pub project_variables: Given,
    /// Those of the call that started the build, which come before the project's.
    pub start_variables: Given,
    /// After this the build is ended, whatever it does.
    pub timeout: Duration,
}

impl Build {
    /// The folder of the source, `CODEBUILD_SRC_DIR`.
    pub fn source(&self) -> PathBuf {
        self.folder.join("repository")
    }
}

/// How a build ended.
#[derive(Debug)]
pub struct Ended {
    /// True if every phase succeeded.
    pub success: bool,
    /// The phases that were entered, in order.
    pub phases: Vec<(Phase, Status)>,
    /// The exported variables.
    pub exported: BTreeMap<String, String>,
    /// Everything the build showed, masked.
    pub log: String,
    /// The build's folder, with `log.txt`.
    pub folder: PathBuf,
}
