//! CNCF distribution: the registry that keeps what is pushed, behind the front that knows ECR's rules.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Part, environment};
use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, port};
use crate::probe::{Endpoint, Probe};

pub(super) fn part(instance: &Instance) -> Result<Part> {
    let folder = instance.dir.join("registry");
    fs::create_dir_all(&folder).context("creating the registry's folder")?;
    let users = users(instance, &folder)?;
    let file = folder.join("config.yml");
    let text = config(instance, &folder, &users);
    fs::write(&file, &text).context(format!("writing {}", file.display()))?;
    Ok(Part {
        name: "distribution",
        program: PathBuf::from("/usr/bin/docker-registry"),
        arguments: vec!["serve".to_owned(), file.display().to_string()],
        environment: environment(instance),
        probes: vec![Probe {
            at: Endpoint::Tcp(instance.at(port::DISTRIBUTION)),
            path: "/v2/",
            status: 401,
        }],
        timeout: Duration::from_secs(300),
        hint: format!(
            "see whether something else listens on {}",
            instance.at(port::DISTRIBUTION)
        ),
        inputs: text,
    })
}

/// Empties the registry.
pub(super) fn forget(instance: &Instance) -> Result<()> {
    let data = instance.dir.join("registry/data");
    if data.exists() {
        fs::remove_dir_all(&data).context("emptying the registry")?;
    }
    fs::create_dir_all(&data).context("creating the registry's folder")
}

/// The password of the user `AWS`, which only the registry front knows.
pub(crate) fn password(instance: &Instance) -> Result<String> {
    let file = instance.dir.join("registry/password");
    if let Ok(text) = fs::read_to_string(&file) {
        return Ok(text);
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    write_private(&file, &password)?;
    Ok(password)
}

fn users(instance: &Instance, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("htpasswd");
    let password = password(instance)?;
    if !file.is_file() {
        write_private(&file, &format!("AWS:{}\n", bcrypt(&password)?))?;
    }
    Ok(file)
}

/// The user `AWS` of a registry that is not one of the parts.
pub(crate) struct Account {
    pub(crate) password: String,
    /// As distribution reads it.
    pub(crate) file: PathBuf,
}

impl Account {
    /// Makes one up and writes it to `file`.
    pub(crate) fn create(file: PathBuf) -> Result<Self> {
        let password = uuid::Uuid::new_v4().simple().to_string();
        write_private(&file, &format!("AWS:{}\n", bcrypt(&password)?))?;
        Ok(Self { password, file })
    }
}

/// The only kind of hash that distribution accepts, made by the C library through perl, which Debian always has. The
/// password goes in by standard input. Cost 5: it guards nothing but this sandbox, and is checked at every request.
fn bcrypt(password: &str) -> Result<String> {
    let salt: String = uuid::Uuid::new_v4()
        .simple()
        .to_string()
        .chars()
        .take(22)
        .collect();
    let mut child = Command::new("perl")
        .args([
            "-e",
            "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])",
            &format!("$2b$05${salt}"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting perl to hash the registry's password")?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{password}").context("hashing the registry's password")?;
    }
    let output = child
        .wait_with_output()
        .context("hashing the registry's password")?;
    let hash = String::from_utf8_lossy(&output.stdout).into_owned();
    if hash.starts_with("$2b$") {
        return Ok(hash);
    }
    Err(
        Fault::new("the C library made no bcrypt hash of the registry's password")
            .hint("Debian's libcrypt1 does; check which perl is first on PATH"),
    )
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut handle = options
        .open(file)
        .context(format!("creating {}", file.display()))?;
    handle
        .write_all(text.as_bytes())
        .context(format!("writing {}", file.display()))
}

/// Relative URLs let the front pass redirects on unchanged; deletion is what ECR allows, and so are layers that are kept
/// elsewhere, which distribution by itself refuses.
fn config(instance: &Instance, folder: &Path, users: &Path) -> String {
    format!(
        "version: 0.1\n\
         log: {{level: warn}}\n\
         storage:\n  \
           filesystem: {{rootdirectory: {data}}}\n  \
           delete: {{enabled: true}}\n\
         http:\n  \
           addr: {address}\n  \
           relativeurls: true\n\
         validation:\n  \
           manifests: {{urls: {{allow: ['^https?://']}}}}\n\
         auth:\n  \
           htpasswd: {{realm: sandbox, path: {users}}}\n",
        data = folder.join("data").display(),
        address = instance.at(port::DISTRIBUTION),
        users = users.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_bcrypts_and_salted() {
        let (one, two) = (bcrypt("secret").unwrap(), bcrypt("secret").unwrap());
        assert!(one.starts_with("$2b$05$") && one.len() == 60, "{one}");
        assert_ne!(one, two);
    }
}
