//! The base images of the examples. A Node.js image cannot be fetched without a network, so they are made from the sandbox's
//! own node and the libraries it loads, once, under a name that hides nobody else's image.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::fault::{Context, Fault, Result};
use crate::instance::{Instance, sha256};
use crate::state::lock;

/// A base image: its name, the folders and settings it has beside node, and files of its own. The tag says which node is in it.
struct Base {
    name: &'static str,
    folders: &'static [&'static str],
    files: &'static [(&'static str, &'static str)],
    changes: &'static [&'static str],
}

/// Node.js, as the storefront runs on it.
const NODE: Base = Base {
    name: "slipway-sandbox/node",
    folders: &["usr/bin", "etc", "tmp", "app"],
    files: &[("etc/passwd", "node:x:1000:1000::/app:/none\n")],
    changes: &["ENV PATH=/usr/bin:/bin", "WORKDIR /app"],
};

/// The same with a client of Lambda's Runtime API, as Lambda's own base images have one.
const LAMBDA: Base = Base {
    name: "slipway-sandbox/lambda-nodejs",
    folders: &["usr/bin", "etc", "tmp", "var/runtime", "var/task"],
    files: &[("var/runtime/bootstrap.mjs", include_str!("bootstrap.mjs"))],
    changes: &[
        "ENV PATH=/usr/bin:/bin",
        "ENV LAMBDA_TASK_ROOT=/var/task",
        "WORKDIR /var/task",
        "ENTRYPOINT [\"/usr/bin/node\", \"/var/runtime/bootstrap.mjs\"]",
    ],
};

/// Makes sure the storefront's base image is there and answers its reference.
pub async fn image(instance: &Instance) -> Result<String> {
    made(instance, &NODE).await
}

/// The same for functions.
pub async fn lambda_image(instance: &Instance) -> Result<String> {
    made(instance, &LAMBDA).await
}

async fn made(instance: &Instance, base: &Base) -> Result<String> {
    let node = std::fs::canonicalize(instance.bin().join("node")).context("finding node")?;
    let libraries = libraries(&node).await?;
    let key = format!("{} {libraries:?}", node.display());
    let key = match base.name == NODE.name {
        true => key,
        false => format!("{key} {:?} {:?}", base.files, base.changes),
    };
    let reference = format!("{}:{}", base.name, &sha256(key.as_bytes())[..12]);
    if exists(instance, &reference).await {
        return Ok(reference);
    }
    let root = instance.dir.join("base");
    let _held = lock(&instance.dir.join("base.lock"))?;
    if exists(instance, &reference).await {
        return Ok(reference);
    }
    if root.exists() {
        std::fs::remove_dir_all(&root).context("clearing up an earlier base image")?;
    }
    for folder in base.folders {
        std::fs::create_dir_all(root.join(folder)).context("making the base image")?;
    }
    std::fs::copy(&node, root.join("usr/bin/node")).context("copying node")?;
    for library in &libraries {
        let target = root.join(library.strip_prefix("/").unwrap_or(library));
        std::fs::create_dir_all(target.parent().unwrap_or(&root))
            .context("making the base image")?;
        std::fs::copy(library, &target).context(format!("copying {}", library.display()))?;
    }
    for (name, text) in base.files {
        std::fs::write(root.join(name), text).context("making the base image")?;
    }
    let imported = import(instance, &root, &reference, base.changes).await;
    std::fs::remove_dir_all(&root).context("clearing up after the base image")?;
    imported.map(|()| reference)
}

async fn exists(instance: &Instance, reference: &str) -> bool {
    let inspect = ["image", "inspect", "--format", "{{.Id}}", reference];
    docker(instance, &inspect).await.is_ok()
}

async fn import(instance: &Instance, root: &Path, reference: &str, changes: &[&str]) -> Result<()> {
    // Fixed owners, order and times: the same node makes the same layer, which registries then have already.
    let mut tar = Command::new("tar")
        .args([
            "--create",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--directory",
        ])
        .arg(root)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting tar")?;
    let stream = tar
        .stdout
        .take()
        .ok_or_else(|| Fault::new("tar has no output"))?;
    let stream: Stdio = stream.try_into().context("joining tar and docker")?;
    let output = client(instance)
        .arg("import")
        .args(changes.iter().flat_map(|change| ["--change", change]))
        .args(["-", reference])
        .stdin(stream)
        .output()
        .await
        .context("starting docker")?;
    let tar = tar.wait().await.context("waiting for tar")?;
    if !tar.success() || !output.status.success() {
        return Err(Fault::new(format!(
            "making the base image failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(())
}

/// The libraries that the loader would load, the loader included.
async fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .await
        .context("starting ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<PathBuf> = text
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

async fn docker(instance: &Instance, arguments: &[&str]) -> Result<()> {
    let output = client(instance)
        .args(arguments)
        .output()
        .await
        .context("starting docker")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::new(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

fn client(instance: &Instance) -> Command {
    let mut command = Command::new(instance.bin().join("docker"));
    command.env("DOCKER_CONFIG", instance.docker_config());
    command
}
