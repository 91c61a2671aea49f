//! What the serverless example needs before its stacks: its application with the modules of its lock files, and its parameters.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::world::World;
use crate::world::aws::{Aws, unless_there};

/// Its first region.
pub const CANADA: &str = World::REGION;
/// Its second region.
pub const IRELAND: &str = "eu-west-1";
/// Its functions.
pub const COMPONENTS: [&str; 4] = ["page", "status", "read", "write"];

/// Copies the application into a folder, as the example's own build makes it.
pub fn application(instance: &Instance, to: &Path) -> Result<()> {
    let example = instance.checkout.join("docs/examples/vault");
    let components = to.join("components");
    std::fs::create_dir_all(&components).context("making the application's folder")?;
    for file in ["Dockerfile", ".dockerignore"] {
        std::fs::copy(example.join(file), to.join(file)).context("copying the application")?;
    }
    for component in COMPONENTS {
        let package = format!("vault/components/{component}");
        crate::install::example(instance, &package)?;
        copy(&example.join("components").join(component), &components)?;
        let modules = instance.example(&package).join("node_modules");
        if modules.is_dir() {
            copy(&modules, &components.join(component))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, into: &Path) -> Result<()> {
    let copied = Command::new("cp")
        .arg("--recursive")
        .args([from, into])
        .status()
        .context("starting cp")?;
    match copied.success() {
        true => Ok(()),
        false => Err(Fault::new(format!("{} was not copied", from.display()))),
    }
}

/// Writes the parameters that the stack reads in each region.
pub async fn parameters(instance: &Instance, world: &World, aws: &Aws) -> Result<()> {
    for region in [CANADA, IRELAND] {
        let registry = world.registry_host(instance, region).await?;
        for (name, value) in [
            ("/vault/log-level", "INFO".to_owned()),
            ("/vault/repository-uri", format!("{registry}/vault")),
        ] {
            let input = json!({"Name": name, "Value": value, "Type": "String", "Overwrite": true});
            let aws = aws.in_region(region);
            let answer = aws.json("ssm", "AmazonSSM.PutParameter", &input).await?;
            unless_there(answer, &format!("writing {name}"), &[])?;
        }
    }
    Ok(())
}
