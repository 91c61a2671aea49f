//! Debian packages of another suite: fetched with a private set of apt lists and unpacked, never installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Installer, command, once};
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;
use crate::manifest::Unpacked;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks a package, of which `keep` takes what is needed to `folder`; the rest is removed.
pub(super) fn ensure(
    instance: &Instance,
    name: &'static str,
    package: &Unpacked,
    folder: &Path,
    keep: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let exact = format!("{}={}", package.package, package.version);
    once(folder, &exact, || {
        let work = folder.join("work");
        let apt = work.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.join(part)).context("creating apt's folders")?;
        }
        let source = format!(
            "deb [signed-by={KEYRING}] {} {} main\n",
            mirror()?,
            package.suite
        );
        fs::write(apt.join("sources.list"), source).context("writing apt's source list")?;

        let installer = Installer {
            instance,
            name,
            hint: "the version in tests/parts.toml may have been superseded in that suite",
        };
        installer.run(
            &exact,
            &mut [
                private(&apt, &work, &["update"]),
                private(&apt, &work, &["download", &exact]),
                // The shell finds the one file that was downloaded, whose name holds the encoded version.
                in_folder(
                    &work,
                    command("/bin/sh", ["-c", "dpkg-deb --extract ./*.deb unpacked"]),
                ),
            ],
        )?;
        keep(&work.join("unpacked"))?;
        fs::remove_dir_all(&work).context("removing apt's folders")
    })
}

/// apt-get with lists and caches of its own, so that the machine's do not change.
fn private(apt: &Path, work: &Path, verb: &[&str]) -> Command {
    let set = |name: &str, file: &str| format!("{name}={}", apt.join(file).display());
    let options = [
        set("Dir::Etc::sourcelist", "sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        set("Dir::State::Lists", "lists"),
        set("Dir::Cache", "cache"),
        "Acquire::Languages=none".to_owned(),
        "Acquire::Retries=3".to_owned(),
        // A list that could not be fetched would else be a warning, and the package unknown.
        "APT::Update::Error-Mode=any".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let mut command = command("apt-get", ["--quiet"]);
    for option in options {
        command.args(["-o", &option]);
    }
    command.args(verb);
    in_folder(work, command)
}

fn in_folder(folder: &Path, mut command: Command) -> Command {
    command.current_dir(folder);
    command
}

/// The Debian mirror that the machine itself is set up with.
fn mirror() -> Result<String> {
    let output = command(
        "apt-get",
        [
            "indextargets",
            "--format",
            "$(ORIGIN) $(COMPONENT) $(REPO_URI)",
        ],
    )
    .output()
    .context("asking apt for its mirror")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.strip_prefix("Debian main "))
        .find(|uri| !uri.contains("security"))
        .map(str::to_owned)
        .ok_or_else(|| {
            Fault::new("apt knows no Debian mirror")
                .hint("run `apt-get update`, and check the machine's apt sources")
        })
}
