//! The manifest of parts, tests/parts.toml: which software the sandbox needs, in which version.

use serde::Deserialize;

use crate::fault::{Context, Result};
use crate::instance::sha256;

/// The committed manifest.
pub const TEXT: &str = include_str!("../parts.toml");
const LOCK: &str = include_str!("../requirements.txt");
const TERRAFORM_LOCK: &str = include_str!("../requirements-terraform.txt");
pub(crate) const CDKTN: &str = include_str!("../cdktn/package.json");
pub(crate) const CDKTN_LOCK: &str = include_str!("../cdktn/package-lock.json");

/// Everything the sandbox installs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Debian packages.
    pub apt: Vec<Apt>,
    /// Docker's build plug-in.
    pub buildx: Unpacked,
    /// A newer Docker Engine, which only a test needs.
    pub engine: Unpacked,
    /// Python packages of the virtual environment.
    pub pip: Pip,
    /// The rules that templates are checked by.
    pub checkov: Pip,
    /// Terraform, where the machine has none.
    pub terraform: Pip,
    /// CDKTF's successor, which only a test needs.
    pub cdktn: Pip,
    /// The packages that only benchmarks need.
    pub peers: Peers,
    /// npm packages, as archives.
    pub npm: Vec<Npm>,
}

/// The tools that the steps are compared with, and those that measure them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// Debian packages.
    pub apt: Vec<Apt>,
    /// Python packages.
    pub pip: Pip,
}

/// A Debian package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apt {
    /// Its name.
    pub package: String,
    /// Its version, which may end in `*`.
    pub version: String,
    /// The command whose presence makes the package unnecessary.
    pub command: String,
    /// The lowest major version of that command that will do, as `COMMAND -version` tells it.
    pub at_least: Option<u32>,
}

/// A Debian package of another suite, unpacked rather than installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpacked {
    /// Its name.
    pub package: String,
    /// The suite that carries it.
    pub suite: String,
    /// Its version, which may end in `*`.
    pub version: String,
}

/// Packages and the lock file with every file's hash.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pip {
    /// The lock file's name in tests/.
    pub lock: String,
    /// Requirements with exact versions.
    pub packages: Vec<String>,
}

/// One npm package's archive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npm {
    /// Its name.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The archive's hash as npm writes it, `sha512-BASE64`.
    pub integrity: String,
    /// The archive's members to unpack.
    pub keep: Vec<String>,
    /// The machine it is for, where it is not for all.
    pub arch: Option<String>,
}

impl Manifest {
    /// Reads the committed manifest.
    pub fn read() -> Result<Self> {
        toml::from_str(TEXT).context("reading tests/parts.toml")
    }

    /// A hash that changes with anything in the manifest.
    pub fn fingerprint() -> String {
        sha256(
            [TEXT, LOCK, TERRAFORM_LOCK, std::env::consts::ARCH]
                .concat()
                .as_bytes(),
        )
    }

    /// The npm packages for this machine.
    pub fn npm_here(&self) -> impl Iterator<Item = &Npm> {
        self.npm.iter().filter(|npm| {
            npm.arch
                .as_deref()
                .is_none_or(|arch| arch == std::env::consts::ARCH)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEERS_LOCK: &str = include_str!("../requirements-peers.txt");
    const CHECKOV_LOCK: &str = include_str!("../requirements-checkov.txt");

    #[test]
    fn every_python_package_is_locked_at_the_manifests_version_with_hashes() {
        let manifest = Manifest::read().unwrap();
        for (pip, lock) in [
            (&manifest.pip, LOCK),
            (&manifest.terraform, TERRAFORM_LOCK),
            (&manifest.checkov, CHECKOV_LOCK),
            (&manifest.peers.pip, PEERS_LOCK),
        ] {
            for requirement in &pip.packages {
                let (name, version) = requirement.split_once("==").expect("an exact version");
                // The lock names the extras' own packages instead of the extra.
                let name = name.split('[').next().unwrap();
                let line = format!("{name}=={version} \\\n    --hash=sha256:");
                assert!(lock.contains(&line), "{} lacks {requirement}", pip.lock);
            }
        }
    }

    #[test]
    fn the_npm_lock_holds_what_the_manifest_names_each_with_its_hash() {
        let manifest = Manifest::read().unwrap();
        let package: serde_json::Value = serde_json::from_str(CDKTN).unwrap();
        let lock: serde_json::Value = serde_json::from_str(CDKTN_LOCK).unwrap();
        for requirement in &manifest.cdktn.packages {
            let (name, version) = requirement.rsplit_once('@').expect("an exact version");
            assert_eq!(package["dependencies"][name], version);
            let locked = &lock["packages"][format!("node_modules/{name}")];
            assert_eq!(locked["version"], version, "{name}");
        }
        for (path, locked) in lock["packages"].as_object().unwrap() {
            let hash = locked["integrity"].as_str().unwrap_or_default();
            // A package bundled in another one's archive is covered by that archive's hash.
            let inside = path.is_empty() || locked["inBundle"] == true;
            assert!(inside || hash.starts_with("sha512-"), "{path}");
        }
    }

    #[test]
    fn locks_and_manifest_name_no_registry() {
        for text in [
            TEXT,
            LOCK,
            TERRAFORM_LOCK,
            PEERS_LOCK,
            CHECKOV_LOCK,
            CDKTN_LOCK,
        ] {
            assert!(!text.contains("://"));
        }
    }

    #[test]
    fn every_archive_has_a_hash_and_an_exact_version() {
        for npm in Manifest::read().unwrap().npm {
            assert!(npm.integrity.starts_with("sha512-"), "{}", npm.package);
            assert!(
                npm.version.chars().all(|c| c.is_ascii_digit() || c == '.'),
                "{}",
                npm.package
            );
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let text = TEXT.replacen("[buildx]", "[buildx]\ncolour = \"red\"", 1);
        assert!(toml::from_str::<Manifest>(&text).is_err());
    }
}

#[cfg(test)]
mod dependencies {
    use std::fs;
    use std::path::Path;

    /// Each of these comes back as somebody's default feature, and none is noticed until a build fails without a C
    /// compiler, or a static binary wants a library. deny.toml says which.
    #[test]
    fn the_lock_file_holds_no_crate_that_deny_toml_bans() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let deny: toml::Table = fs::read_to_string(root.join("deny.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let lock: toml::Table = fs::read_to_string(root.join("Cargo.lock"))
            .unwrap()
            .parse()
            .unwrap();
        let banned: Vec<&str> = deny["bans"]["deny"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["crate"].as_str().unwrap())
            .collect();
        let names: Vec<&str> = lock["package"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| package["name"].as_str().unwrap())
            .collect();
        assert!(names.contains(&"ring") && !banned.is_empty());
        let found: Vec<&&str> = banned.iter().filter(|name| names.contains(name)).collect();
        assert!(found.is_empty(), "banned: {found:?}");
    }
}
