//! `cargo sandbox env`: what a person's shell needs to run any of the binaries against the sandbox by hand.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::runner::base;
use crate::runner::git::git;
use crate::runner::hub::Hub;
use crate::runner::story::{AUTHOR, REVIEWER, Story, git_folder};
use crate::world::runner::without_lock_tables;
use crate::world::{World, http_client};

/// The world that is there for people.
const WORLD: &str = "default";

/// Shell statements. The credentials are a session of the role that CodeBuild's first stage runs with: they may publish and
/// reach the first environment and, as anywhere, not the ones behind an approval.
pub(crate) async fn shell(instance: &Instance) -> Result<String> {
    let world = World::create(instance, WORLD).await?;
    world.serve(instance).await?;
    world.first_stage_publishes(instance).await?;
    let environment = world.environment(World::ENVIRONMENTS[0])?;
    let keys = world
        .codebuild_session(instance, &environment.name, "by-hand")
        .await?;
    let mut variables = world.variables(instance);
    // The shell keeps its own.
    for name in ["HOME", "LANG", "PATH"] {
        variables.remove(name);
    }
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(environment));
    let mut variables = without_lock_tables(variables);
    variables.extend(keys.variables());
    variables.insert("GITHUB_REPOSITORY".to_owned(), world.repository.clone());
    let (hub, checkout) = repository(instance, &world).await?;
    variables.insert("GITHUB_TOKEN".to_owned(), hub.token(AUTHOR).await?);
    variables.insert("NODE_IMAGE".to_owned(), base::image(instance).await?);
    variables.insert("STOREFRONT".to_owned(), checkout.display().to_string());
    let path = format!(
        "export PATH={}:{}:\"$PATH\"",
        quote(&instance.built().display().to_string()),
        quote(&instance.bin().display().to_string())
    );
    let lines = variables
        .iter()
        .map(|(name, value)| format!("export {name}={}", quote(value)));
    Ok(lines.chain([path]).collect::<Vec<_>>().join("\n"))
}

/// The example repository with one reviewed change on main, and a clone of it that is the person's own.
async fn repository(instance: &Instance, world: &World) -> Result<(Hub, PathBuf)> {
    let bare = git_folder(instance, world);
    let folder = bare
        .parent()
        .ok_or_else(|| Fault::new("the repository has no folder"))?;
    let checkout = folder.join("storefront");
    let hub = Hub::new(instance, &world.repository)?;
    // GitHub's side is in memory: a sandbox that was ended knows nothing of the folders of an earlier one.
    if checkout.exists() && is_known(instance, &hub).await? {
        return Ok((hub, checkout));
    }
    for earlier in [&bare, &checkout] {
        if earlier.exists() {
            fs::remove_dir_all(earlier).context(format!("removing {}", earlier.display()))?;
        }
    }
    let story = Story::begin(instance, world).await?;
    let notes = [("NOTES.md", "The first change.\n")];
    story
        .change(AUTHOR, REVIEWER, "Greet the visitor", &notes)
        .await?;
    clone(&bare, folder).await?;
    Ok((story.hub, checkout))
}

async fn is_known(instance: &Instance, hub: &Hub) -> Result<bool> {
    hub.user(AUTHOR, "User").await?;
    let url = format!("{}/repos/{}", instance.url(port::GITHUB), hub.repository);
    let answer = http_client()?
        .get(&url)
        .bearer_auth(hub.token(AUTHOR).await?)
        .header("user-agent", "sandbox")
        .send()
        .await
        .context(format!("asking {url}"))?;
    Ok(answer.status().is_success())
}

async fn clone(bare: &Path, folder: &Path) -> Result<()> {
    let bare = bare.display().to_string();
    git(folder, &["clone", "--quiet", &bare, "storefront"])
        .await
        .map(drop)
}

/// A word that a shell takes literally.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let wild = "a'b\"c $HOME `id` \\ \n!";
        let script = format!("printf %s {}", quote(wild));
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), wild);
    }
}
