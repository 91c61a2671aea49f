//! The file in which Terraform and OpenTofu keep which build of each provider is used. Pure.
//! Source: terraform `internal/depsfile/locks_file.go`, which writes each part on a line of its own.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Its name, in the folder of the infrastructure code.
pub const FILE: &str = ".terraform.lock.hcl";

/// One provider in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The version.
    pub version: String,
    /// The hashes of the builds that may be used.
    pub hashes: BTreeSet<String>,
}

/// The providers in the file, by their sources.
pub type Lock = BTreeMap<String, Locked>;

/// Where a line stands.
enum Within {
    Nothing,
    Provider(String, Locked),
    Hashes(String, Locked),
}

/// Why a text is not a lock file as the tools write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// This line, counted from 1, is not one of theirs.
    Line(usize),
    /// Its last part has no end.
    CutOff,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "{FILE}:{line} is not as `terraform init` writes it"),
            Self::CutOff => write!(f, "{FILE} is cut off"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads the file.
///
/// # Errors
/// It is not as the tools write it.
pub fn read(text: &str) -> Result<Lock, Unreadable> {
    let mut lock = Lock::new();
    let mut within = Within::Nothing;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = || Unreadable::Line(at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        within = match within {
            Within::Nothing => {
                let name = line
                    .strip_prefix("provider ")
                    .and_then(|name| name.strip_suffix(" {"));
                let name = name.and_then(quoted).ok_or_else(wrong)?;
                Within::Provider(name.to_owned(), Locked::default())
            }
            Within::Provider(name, locked) if line == "}" => {
                if let Some(source) = source(&name) {
                    lock.insert(source, locked);
                }
                Within::Nothing
            }
            Within::Provider(name, mut locked) => {
                let (key, value) = line.split_once('=').ok_or_else(wrong)?;
                match (key.trim(), value.trim()) {
                    ("hashes", "[") => Within::Hashes(name, locked),
                    ("version", value) => {
                        quoted(value)
                            .ok_or_else(wrong)?
                            .clone_into(&mut locked.version);
                        Within::Provider(name, locked)
                    }
                    ("constraints", _) => Within::Provider(name, locked),
                    _ => return Err(wrong()),
                }
            }
            Within::Hashes(name, locked) if line == "]" => Within::Provider(name, locked),
            Within::Hashes(name, mut locked) => {
                let hash = line.strip_suffix(',').and_then(quoted).ok_or_else(wrong)?;
                locked.hashes.insert(hash.to_owned());
                Within::Hashes(name, locked)
            }
        };
    }
    match within {
        Within::Nothing => Ok(lock),
        Within::Provider(..) | Within::Hashes(..) => Err(Unreadable::CutOff),
    }
}

/// A text in quotes that holds nothing which has to be unescaped.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', '\\', '$', '%'])).then_some(inner)
}

/// A provider's source as Terraform and OpenTofu have it in common: without the default registry's host.
/// `None`: it is built into the tool.
pub fn source(source: &str) -> Option<String> {
    let source = source.to_ascii_lowercase();
    let parts: Vec<&str> = source.split('/').collect();
    match parts.as_slice() {
        ["terraform.io", "builtin", _] => None,
        ["registry.terraform.io" | "registry.opentofu.org", rest @ ..] => Some(rest.join("/")),
        [name] => Some(format!("hashicorp/{name}")),
        _ => Some(source),
    }
}

/// The providers that are new or changed in a lock file, each in words.
pub fn changes(before: &Lock, now: &Lock) -> Vec<String> {
    let mut changes = Vec::new();
    for (provider, locked) in now {
        let version = &locked.version;
        match before.get(provider) {
            None => changes.push(format!("provider {provider} {version} is new")),
            Some(old) if old.version != *version => {
                changes.push(format!("provider {provider}: {} → {version}", old.version));
            }
            Some(old) if old != locked && old.hashes.is_disjoint(&locked.hashes) => {
                changes.push(format!("provider {provider} {version}: other hashes"));
            }
            Some(_) => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/null" {
  version     = "3.2.1"
  constraints = "~> 3.2, != 3.2.0"
  hashes = [
    "h1:FbGfc+muBsC17Ohy5g806iuI1hQc4SIexpYCrQHQd8w=",
    "zh:58ed64389620cc7b82f01332e27723856422820cfd302e304b5f6c3436fb9840",
  ]
}

provider "registry.acme.example/acme/it" {
  version = "1.0.0"
}
"#;

    #[test]
    fn the_file_is_read_as_terraform_writes_it() {
        let lock = read(TEXT).unwrap();
        assert_eq!(lock["hashicorp/null"].version, "3.2.1");
        assert_eq!(lock["hashicorp/null"].hashes.len(), 2);
        assert!(lock["registry.acme.example/acme/it"].hashes.is_empty());
        assert_eq!(read("# nothing\n").unwrap(), Lock::new());
    }

    #[test]
    fn lock_files_that_terraform_would_not_write_are_refused() {
        for wrong in [
            "provider {\n}\n",
            "provider \"a\" {\n",
            "provider \"a\" {\n  hashes = [\n  ]\n",
            "provider \"a\" {\n  hashes = [\"h1:x\"]\n}\n",
            "provider \"a\" {\n  version = var.x\n}\n",
            "provider \"a${x}\" {\n}\n",
            "<<<<<<< HEAD\n",
            "module \"a\" {\n}\n",
            "/* provider \"a\" {\n}\n*/\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for cut in 1..TEXT.len() {
            let _ = read(&TEXT[..cut]);
        }
    }

    #[test]
    fn a_provider_is_known_by_its_source_whatever_the_tool() {
        for (text, wanted) in [
            ("aws", Some("hashicorp/aws")),
            ("hashicorp/AWS", Some("hashicorp/aws")),
            ("registry.terraform.io/hashicorp/aws", Some("hashicorp/aws")),
            ("registry.opentofu.org/hashicorp/aws", Some("hashicorp/aws")),
            (
                "registry.acme.example/acme/it",
                Some("registry.acme.example/acme/it"),
            ),
            ("terraform.io/builtin/terraform", None),
        ] {
            assert_eq!(source(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn new_providers_other_versions_and_other_builds_are_changes() {
        let lock = |all: &[(&str, &str, &[&str])]| -> Lock {
            let locked = |(source, version, hashes): &(&str, &str, &[&str])| {
                let hashes = hashes.iter().map(|hash| (*hash).to_owned()).collect();
                let version = (*version).to_owned();
                ((*source).to_owned(), Locked { version, hashes })
            };
            all.iter().map(locked).collect()
        };
        let before = lock(&[
            ("a/gone", "1.0.0", &["h1:g"]),
            ("a/moved", "1.0.0", &["h1:m"]),
            ("a/more", "1.0.0", &["h1:m"]),
            ("a/same", "1.0.0", &["h1:s"]),
            ("a/swapped", "1.0.0", &["h1:s"]),
        ]);
        let now = lock(&[
            ("a/moved", "1.1.0", &["h1:n"]),
            ("a/more", "1.0.0", &["h1:m", "zh:n"]),
            ("a/new", "2.0.0", &["h1:n"]),
            ("a/same", "1.0.0", &["h1:s"]),
            ("a/swapped", "1.0.0", &["h1:t"]),
        ]);
        assert_eq!(
            changes(&before, &now),
            [
                "provider a/moved: 1.0.0 → 1.1.0",
                "provider a/new 2.0.0 is new",
                "provider a/swapped 1.0.0: other hashes",
            ]
        );
        assert!(changes(&now, &now).is_empty());
    }
}
