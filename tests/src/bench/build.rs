//! The build of the binaries that is measured: the release that `cargo dist` makes, where it is there, else the development
//! build, and the figures say so.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dist;
use crate::fault::Result;
use crate::instance::Instance;
use crate::say::note;
use crate::steps;

/// A folder of the project's own programs.
pub(super) struct Build {
    pub(super) folder: PathBuf,
    /// The programs that are measured.
    pub(super) names: Vec<String>,
    release: bool,
    /// Those that are older than a file they were built from.
    stale: Vec<String>,
}

impl Build {
    /// The build of one step, or of all.
    pub(super) fn find(instance: &Instance, step: Option<&str>) -> Result<Self> {
        let mut names = dist::names(instance)?;
        if let Some(step) = step {
            names.retain(|name| name.strip_prefix("slipway-") == Some(step));
        }
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let folder = instance.target.join(target).join("release");
        if let Some(build) = Self::release(folder, &names) {
            return Ok(build);
        }
        note(
            "there is no release build (`cargo dist` makes one); a development build is measured instead",
        );
        steps::build(instance)?;
        Ok(Self {
            folder: instance.built(),
            names,
            release: false,
            stale: Vec::new(),
        })
    }

    /// The release, where every program of it is there.
    fn release(folder: PathBuf, names: &[String]) -> Option<Self> {
        if !names.iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        let stale = names
            .iter()
            .filter(|name| stale(&folder.join(name)))
            .cloned()
            .collect();
        Some(Self {
            folder,
            names: names.to_vec(),
            release: true,
            stale,
        })
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.release {
            "release"
        } else {
            "DEVELOPMENT"
        };
        write!(f, "{kind} build in {}", self.folder.display())?;
        if !self.stale.is_empty() {
            write!(
                f,
                "; OLDER THAN THEIR SOURCES, build them anew by `cargo dist`: {}",
                self.stale.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Returns true if a program is older than one of the files that Cargo's list beside it names (`PROGRAM: FILE FILE…`).
fn stale(program: &Path) -> bool {
    let modified = |file: &Path| fs::metadata(file).and_then(|found| found.modified());
    let (Ok(built), Ok(list)) = (
        modified(program),
        fs::read_to_string(program.with_extension("d")),
    ) else {
        return true;
    };
    list.split_whitespace()
        .skip(1)
        .any(|file| !modified(Path::new(file)).is_ok_and(|changed| changed <= built))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_release_counts_only_whole_and_says_what_is_older_than_its_sources() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let names = ["slipway-a".to_owned(), "slipway-b".to_owned()];
        let source = root.join("lib.rs");
        fs::write(&source, "").unwrap();
        let built = |name: &str, age: u64| {
            fs::write(root.join(name), "").unwrap();
            let list = format!("{}: {}\n", root.join(name).display(), source.display());
            fs::write(root.join(format!("{name}.d")), list).unwrap();
            fs::File::options()
                .write(true)
                .open(root.join(name))
                .unwrap()
                .set_modified(
                    SystemTime::now() + Duration::from_secs(60) - Duration::from_secs(age),
                )
                .unwrap();
        };
        built("slipway-a", 0);
        assert!(Build::release(root.to_owned(), &names).is_none());
        built("slipway-b", 0);
        let fresh = Build::release(root.to_owned(), &names).unwrap().to_string();
        assert!(
            fresh.starts_with("release build in ") && !fresh.contains("OLDER"),
            "{fresh}"
        );
        built("slipway-b", 3600);
        let old = Build::release(root.to_owned(), &names).unwrap().to_string();
        assert!(old.ends_with("`cargo dist`: slipway-b"), "{old}");
    }
}
