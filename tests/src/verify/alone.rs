//! Each package of the workspace by itself. Cargo unifies the features of all packages that it builds at once, so one that
//! forgets a feature builds as long as another one asks for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};

/// The package without code, whose features are those of all others together.
const UNIFIED: &str = "workspace-hack";

/// The arguments with which cargo checks each package of `checkout`, without its tests: those depend on `workspace-hack`.
pub(super) fn commands(checkout: &Path) -> Result<Vec<String>> {
    let names = packages(checkout)?;
    let names = names.iter().filter(|name| *name != UNIFIED);
    Ok(names
        .map(|name| format!("check --locked --package {name}"))
        .collect())
}

/// The names of the workspace's packages.
fn packages(checkout: &Path) -> Result<BTreeSet<String>> {
    let workspace = manifest(checkout)?;
    let members = workspace
        .get("workspace")
        .and_then(|it| it.get("members"))
        .and_then(toml::Value::as_array)
        .ok_or_else(|| Fault::new("Cargo.toml lists no members"))?;
    let mut names = BTreeSet::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        for folder in folders(checkout, member)? {
            let package = manifest(&folder)?;
            let name = package.get("package").and_then(|it| it.get("name"));
            let name = name.and_then(toml::Value::as_str);
            let missing = || Fault::new(format!("{} names no package", folder.display()));
            names.insert(name.ok_or_else(missing)?.to_owned());
        }
    }
    Ok(names)
}

/// The folders of a member, which may end with `/*`.
fn folders(checkout: &Path, member: &str) -> Result<Vec<PathBuf>> {
    let Some(above) = member.strip_suffix("/*") else {
        return Ok(vec![checkout.join(member)]);
    };
    let above = checkout.join(above);
    let reading = format!("reading {}", above.display());
    let mut folders = Vec::new();
    for entry in fs::read_dir(&above).context(&reading)? {
        let path = entry.context(&reading)?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn manifest(folder: &Path) -> Result<toml::Table> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    text.parse().context(format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_with_code_is_checked_once() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let commands = commands(checkout).unwrap();
        for name in ["kit", "slipway-promote", "sandbox", "step-job"] {
            let command = format!("check --locked --package {name}");
            assert_eq!(commands.iter().filter(|it| **it == command).count(), 1);
        }
        let lock = fs::read_to_string(checkout.join("Cargo.lock")).unwrap();
        let lock: toml::Table = lock.parse().unwrap();
        // A package without a source is one of the workspace.
        let ours = lock["package"].as_array().unwrap().iter();
        let ours = ours.filter(|package| package.get("source").is_none());
        assert_eq!(commands.len() + 1, ours.count());
    }
}
