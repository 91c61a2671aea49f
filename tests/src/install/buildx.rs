//! Docker's build plug-in and a newer engine, both from another Debian suite.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::apt::debian;
use super::{find, once, unpacked};
use crate::fault::{Context, Result};
use crate::instance::Instance;
use crate::manifest::Unpacked;
use crate::say::note;

/// Where Docker's own packages and the machines of CI services keep plug-ins for all users (docs.docker.com, "docker CLI").
const SHARED: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

pub(super) fn ensure(instance: &Instance, buildx: &Unpacked) -> Result<()> {
    let folder = instance.docker_config();
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
            fs::create_dir_all(&plugins).context("creating the plug-in folder")?;
            symlink(&plugin, plugin_in(&plugins)).context("linking the plug-in")
        });
    }
    unpacked::ensure(instance, "buildx", buildx, &folder, |from| {
        let plugins = folder.join("cli-plugins");
        fs::create_dir_all(&plugins).context("creating the plug-in folder")?;
        let from = from.join("usr/libexec/docker/cli-plugins/docker-buildx");
        fs::rename(&from, plugin_in(&plugins)).context(format!("moving {}", from.display()))
    })
}

/// The newer engine, beside the machine's own. Another system than Debian has to have one by itself.
pub(super) fn ensure_engine(instance: &Instance, engine: &Unpacked) -> Result<()> {
    let folder = instance.newer_engine();
    if !debian()
        && let Some(own) = find("dockerd")
    {
        return once(&folder, &own.display().to_string(), || {
            symlink(&own, folder.join("dockerd")).context("linking the engine")
        });
    }
    unpacked::ensure(instance, "a newer engine", engine, &folder, |from| {
        let from = from.join("usr/sbin/dockerd");
        fs::rename(&from, folder.join("dockerd")).context(format!("moving {}", from.display()))
    })
}

fn plugin_in(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join("docker-buildx")
}
