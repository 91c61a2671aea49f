//! Docker's build plug-in from another Debian suite: fetched with a private set of apt lists, unpacked, not installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::debian;
use super::{Installer, command, once};
use crate::fault::{Doing, Fault, Result};
use crate::manifest::Buildx;
use crate::place::Place;
use crate::say::note;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where Docker's own packages and the machines of CI services keep plug-ins for all users (docs.docker.com, "docker CLI").
const SHARED: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

pub(super) fn ensure(place: &Place, buildx: &Buildx) -> Result<()> {
    let folder = place.docker_config();
    // Another system than Debian has no such package, but may have the plug-in.
    if !debian()
        && let Some(plugin) = SHARED
            .map(plugin_in)
            .into_iter()
            .find(|file| file.is_file())
    {
        return once(&folder, &plugin.display().to_string(), || {
            note(&format!(
                "taking the build plug-in that this system has: {}",
                plugin.display()
            ));
            let plugins = folder.join("cli-plugins");
            fs::create_dir_all(&plugins).doing("creating the plug-in folder")?;
            symlink(&plugin, plugin_in(&plugins)).doing("linking the plug-in")
        });
    }
    once(
        &folder,
        &format!("{}={}", buildx.package, buildx.version),
        || {
            let work = folder.join("work");
            let apt = work.join("apt");
            for part in ["lists/partial", "cache/archives/partial"] {
                fs::create_dir_all(apt.join(part)).doing("creating apt's folders")?;
            }
            let source = format!(
                "deb [signed-by={KEYRING}] {} {} main\n",
                mirror()?,
                buildx.suite
            );
            fs::write(apt.join("sources.list"), source).doing("writing apt's source list")?;

            let installer = Installer {
                place,
                name: "buildx",
                hint: "the version in tests/parts.toml may have been superseded in that suite",
            };
            let package = format!("{}={}", buildx.package, buildx.version);
            installer.run(
                &package,
                &mut [
                    private(&apt, &work, &["update"]),
                    private(&apt, &work, &["download", &package]),
                    // The shell finds the one file that was downloaded, whose name holds the encoded version.
                    in_folder(
                        &work,
                        command("/bin/sh", ["-c", "dpkg-deb --extract ./*.deb unpacked"]),
                    ),
                ],
            )?;
            let plugins = folder.join("cli-plugins");
            fs::create_dir_all(&plugins).doing("creating the plug-in folder")?;
            let from = work.join("unpacked/usr/libexec/docker/cli-plugins/docker-buildx");
            fs::rename(&from, plugin_in(&plugins)).doing(format!("moving {}", from.display()))?;
            fs::remove_dir_all(&work).doing("removing apt's folders")
        },
    )
}

fn plugin_in(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join("docker-buildx")
}

/// apt-get with lists and caches of its own, so that the machine's are untouched.
fn private(apt: &Path, work: &Path, verb: &[&str]) -> Command {
    let set = |name: &str, file: &str| format!("{name}={}", apt.join(file).display());
    let options = [
        set("Dir::Etc::sourcelist", "sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        set("Dir::State::Lists", "lists"),
        set("Dir::Cache", "cache"),
        "Acquire::Languages=none".to_owned(),
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
    .doing("asking apt for its mirror")?;
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
