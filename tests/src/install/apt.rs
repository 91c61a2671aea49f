//! Debian packages: installed for the whole machine, only those whose command is missing.

use std::process::Command;

use super::{Installer, command, find};
use crate::fault::{Fault, Result};
use crate::instance::Instance;
use crate::manifest::Apt;
use crate::say::note;

pub(super) fn ensure(instance: &Instance, packages: &[Apt]) -> Result<()> {
    let missing: Vec<&Apt> = packages.iter().filter(|apt| !present(apt)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        let names: Vec<&str> = missing.iter().map(|apt| apt.package.as_str()).collect();
        return Err(
            Fault::new(format!("missing Debian packages: {}", names.join(", "))).hint(format!(
                "as root: apt-get install --no-install-recommends {}",
                names.join(" ")
            )),
        );
    }
    // The versions are Debian 12's. Another distribution has other versions, which may work; a note says that they were not tried.
    let pinned = debian_12();
    if !pinned {
        note("this is not Debian 12: taking the versions that this system has");
    }
    let wanted: Vec<String> = missing
        .iter()
        .map(|apt| match pinned {
            true => format!("{}={}", apt.package, apt.version),
            false => apt.package.clone(),
        })
        .collect();
    let detail = missing
        .iter()
        .map(|apt| apt.package.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    let installer = Installer {
        instance,
        name: "apt",
        hint: "tests/parts.toml names the packages; install them by hand and run this again",
    };
    let mut commands = Vec::new();
    if !known(&wanted) {
        commands.push(apt_get(["update".to_owned(), "--quiet".to_owned()]));
    }
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"].map(str::to_owned);
    commands.push(apt_get(options.into_iter().chain(wanted)));
    installer.run(&detail, &mut commands)
}

pub(super) fn debian() -> bool {
    release_says("ID=debian")
}

fn debian_12() -> bool {
    debian() && release_says("VERSION_ID=12")
}

fn release_says(line: &str) -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|other| other.replace('"', "") == line)
}

fn apt_get(arguments: impl IntoIterator<Item = String>) -> Command {
    // Another sandbox, or the system itself, may be installing something.
    let mut command = command("apt-get", ["-o", "DPkg::Lock::Timeout=600"]);
    command.args(arguments);
    // Packages must not start services: every part is started by the sandbox itself.
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    command
}

/// Returns true if apt's lists can already satisfy the request, so that fetching them again would be wasted time.
fn known(wanted: &[String]) -> bool {
    apt_get(
        [
            "install",
            "--simulate",
            "--quiet",
            "--no-install-recommends",
        ]
        .map(str::to_owned),
    )
    .args(wanted)
    .output()
    .is_ok_and(|output| output.status.success())
}

fn present(apt: &Apt) -> bool {
    let Some(program) = find(&apt.command) else {
        return false;
    };
    let Some(at_least) = apt.at_least else {
        return true;
    };
    command(program, ["-version"]).output().is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        major(&text).is_some_and(|major| major >= at_least)
    })
}

/// The first number of `openjdk version "17.0.15" 2025-04-15`.
fn major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once('"')?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_java_is_read_from_what_it_prints() {
        assert_eq!(
            major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"),
            Some(17)
        );
        assert_eq!(major("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(major("no java here"), None);
    }

    #[test]
    fn a_missing_command_is_missing_and_a_present_one_is_present() {
        let apt = |command: &str| Apt {
            package: "p".to_owned(),
            version: "1".to_owned(),
            command: command.to_owned(),
            at_least: None,
        };
        assert!(present(&apt("sh")));
        assert!(!present(&apt("no-such-command-anywhere")));
    }
}
