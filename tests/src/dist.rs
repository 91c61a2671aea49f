//! `cargo dist`: the static binaries of this machine's architecture, checked, measured and copied to target/dist.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::elf;
use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, sha256};
use crate::say::data;
use crate::steps::{self, forget_own_package};

/// The most a binary may weigh, in bytes.
const LIMIT: usize = 6 << 20;

/// The variable with which `cargo verify release` has the tests run the released binaries.
pub(crate) const RELEASE: &str = "SLIPWAY_TEST_RELEASE";

/// One built binary.
pub struct Binary {
    /// Its name, `slipway-STEP`.
    pub name: String,
    /// Where it lies.
    pub file: PathBuf,
    raw: usize,
    gzip: usize,
    sha256: String,
}

/// Builds, checks and copies, and reports each size.
pub(crate) fn run(instance: &Instance) -> Result<()> {
    let binaries = binaries(instance)?;
    for line in table(&binaries) {
        data(&line);
    }
    let lock = instance.target.join("dist/release.lock");
    fs::write(&lock, locking(&binaries)).context(format!("writing {}", lock.display()))?;
    let heavy: Vec<&str> = binaries
        .iter()
        .filter(|binary| binary.raw > LIMIT)
        .map(|binary| binary.name.as_str())
        .collect();
    if heavy.is_empty() {
        return Ok(());
    }
    Err(
        Fault::new(format!("heavier than {LIMIT} bytes: {}", heavy.join(", ")))
            .hint("see what is in them: cargo bloat --release --bin NAME --crates"),
    )
}

/// The binaries that the tests run where nothing else is: those of the development build, which are static too and take no
/// minutes to build; in `cargo verify release` the released ones.
///
/// # Errors
/// A build that fails, or a binary that cannot be released.
pub fn tested(instance: &Instance) -> Result<Vec<Binary>> {
    if std::env::var_os(RELEASE).is_some() {
        return binaries(instance);
    }
    steps::build(instance)?;
    let built = |name: String| {
        let file = instance.built().join(&name);
        let bytes = fs::read(&file).context(format!("reading {}", file.display()))?;
        // Only a release leaves out the folders of the machine that built it.
        check(&name, &bytes, &[])?;
        Ok(Binary {
            name,
            file,
            raw: bytes.len(),
            gzip: 0,
            sha256: String::new(),
        })
    };
    names(instance)?.into_iter().map(built).collect()
}

/// Builds, checks and copies every binary to target/dist, whatever it weighs.
///
/// # Errors
/// A build that fails, or a binary that is not static or names a folder of this machine.
fn binaries(instance: &Instance) -> Result<Vec<Binary>> {
    let remaps = remaps(instance)?;
    let target = target();
    let status = build(instance, cargo(instance), &remaps)?
        .status()
        .context("running cargo")?;
    if !status.success() {
        return Err(Fault::new(format!("cargo build ended with {status}")));
    }
    let folder = instance.target.join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder).context(format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).context(format!("creating {}", folder.display()))?;
    let built = instance.target.join(&target).join("release");
    let mut binaries = Vec::new();
    for name in names(instance)? {
        let file = built.join(&name);
        let bytes = fs::read(&file).context(format!("reading {}", file.display()))?;
        check(&name, &bytes, &remaps)?;
        let copy = folder.join(&name);
        fs::copy(&file, &copy).context(format!("copying {name}"))?;
        binaries.push(measure(name, copy, &bytes)?);
    }
    Ok(binaries)
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn build(instance: &Instance, mut cargo: Command, remaps: &[(PathBuf, String)]) -> Result<Command> {
    // Cargo lets such a variable replace what .cargo/config.toml says, and the result would be dynamic.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
    ] {
        if std::env::var_os(name).is_some() {
            return Err(Fault::new(format!(
                "{name} is set, and would replace the flags that make the binaries static"
            ))
            .hint(format!("unset {name}")));
        }
    }
    let target = target();
    let mut flags: Vec<String> = remaps
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    flags.extend(smaller(instance));
    // Lists of --config are appended to those of .cargo/config.toml, so crt-static stays.
    let flags = serde_json::to_string(&flags).context("writing the compiler's flags")?;
    cargo
        .args(["build", "--release", "--workspace", "--bins", "--locked"])
        .args(["--exclude", "sandbox", "--exclude", "workspace-hack"])
        .args(["--target", &target])
        .args(["--config", &format!("target.{target}.rustflags={flags}")]);
    Ok(cargo)
}

/// Folders of this machine, and what binaries name in their place: the same on every machine.
fn remaps(instance: &Instance) -> Result<Vec<(PathBuf, String)>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.ok_or_else(|| Fault::new("neither CARGO_HOME nor HOME is set"))?;
    // The last one that fits wins, so the innermost folders come last.
    let mut remaps = vec![
        (home.clone(), "/cargo".to_owned()),
        (instance.target.clone(), "/target".to_owned()),
        (instance.checkout.clone(), "/slipway".to_owned()),
    ];
    if instance.target.starts_with(&instance.checkout) {
        remaps.swap(1, 2);
    }
    let sources = home.join("registry/src");
    if let Ok(entries) = fs::read_dir(&sources) {
        // A registry's folder carries a hash of its address, which a mirror changes.
        remaps.extend(
            entries
                .flatten()
                .map(|entry| (entry.path(), "/crates".to_owned())),
        );
    }
    Ok(remaps)
}

/// The linker flags that make the binaries smaller, by about a sixth.
fn smaller(instance: &Instance) -> Vec<String> {
    let script = instance.checkout.join("tests/src/no-unwind-tables.ld");
    let mut flags = vec![
        "-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned(),
        "-Clink-arg=-Wl,-z,noseparate-code".to_owned(),
        format!("-Clink-arg=-Wl,-T,{}", script.display()),
    ];
    if cfg!(target_arch = "x86_64") {
        // rustc's own linker for this architecture, lld, cannot leave out the tables of some files and keep those of others.
        flags.push("-Clinker-features=-lld".to_owned());
    }
    flags
}

/// The programs of the workspace, the sandbox's own excepted.
pub(crate) fn names(instance: &Instance) -> Result<Vec<String>> {
    let output = cargo(instance)
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .output()
        .context("running cargo metadata")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("reading cargo's metadata")?;
    let mut names: Vec<String> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| package["name"] != "sandbox")
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Fault::new("the workspace has no program"));
    }
    Ok(names)
}

fn cargo(instance: &Instance) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    forget_own_package(&mut command).current_dir(&instance.checkout);
    command
}

fn check(name: &str, bytes: &[u8], remaps: &[(PathBuf, String)]) -> Result<()> {
    if elf::interpreter(bytes).context(name)? {
        return Err(Fault::new(format!(
            "{name} is not static: it asks for a dynamic loader"
        ))
        .hint("crt-static must reach the linker; see .cargo/config.toml"));
    }
    match remaps.iter().find(|(folder, _)| holds(bytes, folder)) {
        Some((folder, _)) => Err(Fault::new(format!(
            "{name} names a folder of this machine: {}",
            folder.display()
        ))),
        None => Ok(()),
    }
}

fn holds(bytes: &[u8], folder: &Path) -> bool {
    let wanted = folder.as_os_str().as_encoded_bytes();
    !wanted.is_empty() && bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn measure(name: String, file: PathBuf, bytes: &[u8]) -> Result<Binary> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)
        .context(format!("compressing {name}"))?;
    let gzip = gzip.finish().context(format!("compressing {name}"))?.len();
    Ok(Binary {
        name,
        file,
        raw: bytes.len(),
        gzip,
        sha256: sha256(bytes),
    })
}

/// The text of a `release.lock` that pins these binaries, for whoever keeps a copy of this repository and builds them.
fn locking(binaries: &[Binary]) -> String {
    let assets: serde_json::Map<String, Value> = binaries
        .iter()
        .map(|binary| {
            let asset = format!("{}-{}-linux", binary.name, std::env::consts::ARCH);
            (asset, serde_json::json!({"sha256": binary.sha256}))
        })
        .collect();
    let lock = serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "assets": assets});
    format!("{lock:#}\n")
}

fn table(binaries: &[Binary]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<18} {:>9} {:>9} {:>6}  sha256",
        "binary", "raw", "gzip", "limit"
    )];
    lines.extend(binaries.iter().map(|binary| {
        format!(
            "{:<18} {:>9} {:>9} {:>6}  {}",
            binary.name,
            binary.raw,
            binary.gzip,
            if binary.raw > LIMIT { "OVER" } else { "ok" },
            binary.sha256
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_marks_what_is_over_the_limit() {
        let binary = |name: &str, raw| Binary {
            name: name.into(),
            file: PathBuf::new(),
            raw,
            gzip: 1,
            sha256: "ab".into(),
        };
        let lines = table(&[binary("light", LIMIT), binary("heavy", LIMIT + 1)]);
        assert!(
            lines[1].contains(" ok ") && lines[2].contains(" OVER "),
            "{lines:?}"
        );
    }

    #[test]
    fn the_lock_is_as_the_launcher_reads_it() {
        let binary = Binary {
            name: "slipway-probe".into(),
            file: PathBuf::new(),
            raw: 1,
            gzip: 1,
            sha256: "ab".into(),
        };
        let lock: Value = serde_json::from_str(&locking(&[binary])).unwrap();
        let asset = format!("slipway-probe-{}-linux", std::env::consts::ARCH);
        assert_eq!(lock["assets"][asset]["sha256"], "ab");
    }

    #[test]
    fn a_dynamic_program_and_a_machine_path_are_refused() {
        let shell = fs::read("/bin/sh").unwrap();
        assert!(
            check("sh", &shell, &[])
                .unwrap_err()
                .to_string()
                .contains("asks for a dynamic loader")
        );
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(check("own", &own, &[]).is_ok());
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
        let fault = check("own", &own, &[(checkout, "/slipway".into())])
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("own names a folder of this machine"),
            "{fault}"
        );
    }
}
