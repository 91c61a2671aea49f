//! `cargo sandbox env`: what a person's shell needs to run any of the binaries against the sandbox by hand.

use crate::fault::Result;
use crate::place::Place;
use crate::world::World;

/// The world that is there for people.
const WORLD: &str = "default";

/// Shell statements. The credentials are a session of the role that CodeBuild's first stage runs with: they may reach
/// the first environment and, as anywhere, not the ones behind an approval.
pub(crate) async fn shell(place: &Place) -> Result<String> {
    let world = World::create(place, WORLD).await?;
    world.serve(place).await?;
    let environment = world.environment(World::ENVIRONMENTS[0])?;
    let keys = world
        .codebuild_session(place, &environment.name, "by-hand")
        .await?;
    let mut variables = world.variables(place);
    // The shell keeps its own.
    for name in ["HOME", "LANG", "PATH"] {
        variables.remove(name);
    }
    variables.extend(world.repository_variables());
    variables.extend(world.environment_variables(environment));
    variables.extend(keys.variables());
    variables.insert("GITHUB_REPOSITORY".to_owned(), world.repository.clone());
    let path = format!(
        "export PATH={}:{}:\"$PATH\"",
        quote(&place.built().display().to_string()),
        quote(&place.bin().display().to_string())
    );
    let lines = variables
        .iter()
        .map(|(name, value)| format!("export {name}={}", quote(value)));
    Ok(lines.chain([path]).collect::<Vec<_>>().join("\n"))
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
