//! The source of a build, as CodeBuild downloads it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::runner::git::git;
use crate::world::World;

/// The initiator of builds that GitHub's webhook starts.
pub(super) const WEBHOOK: &str = "GitHub-Hookshot/0a1b2c3";

/// A folder of its own for the next build of a project, and the build's number.
pub(super) fn fresh(instance: &Instance, world: &World, project: &str) -> Result<(PathBuf, u64)> {
    let world = instance.dir.join("worlds").join(&world.name);
    fs::create_dir_all(&world).context("making the world's folder")?;
    for number in 1..=10_000 {
        let folder = world.join(format!("{project}-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok((folder, number)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Fault::new(format!("making {}: {error}", folder.display()))),
        }
    }
    Err(Fault::new(format!("{project} has had too many builds")))
}

/// Checks a branch out with all its history into `repository`, as a project with a full clone does. Answers the commit.
pub(super) async fn check_out(
    origin: &Path,
    branch: &str,
    world: &World,
    folder: &Path,
) -> Result<String> {
    let source = folder.join("repository");
    git(
        folder,
        &[
            "clone",
            "--quiet",
            "--branch",
            branch,
            &origin.display().to_string(),
            "repository",
        ],
    )
    .await?;
    git(
        &source,
        &[
            "remote",
            "set-url",
            "origin",
            &format!("https://github.com/{}.git", world.repository),
        ],
    )
    .await?;
    git(&source, &["rev-parse", "HEAD"]).await
}
