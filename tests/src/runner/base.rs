//! The base image of the example. A Node.js image cannot be fetched without a network, so one is made from the sandbox's
//! own node and the libraries it loads, once, under a name that hides nobody else's image.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::fault::{Doing, Fault, Result};
use crate::place::{Place, sha256};
use crate::state::lock;

/// The image's name; its tag says which node is in it.
const NAME: &str = "slipway-sandbox/node";

/// Makes sure the image is there and answers its reference.
pub async fn image(place: &Place) -> Result<String> {
    let node = std::fs::canonicalize(place.bin().join("node")).doing("finding node")?;
    let libraries = libraries(&node).await?;
    let key = sha256(format!("{} {libraries:?}", node.display()).as_bytes());
    let reference = format!("{NAME}:{}", &key[..12]);
    if exists(place, &reference).await {
        return Ok(reference);
    }
    let root = place.dir.join("base");
    let _held = lock(&place.dir.join("base.lock"))?;
    if exists(place, &reference).await {
        return Ok(reference);
    }
    if root.exists() {
        std::fs::remove_dir_all(&root).doing("clearing up an earlier base image")?;
    }
    for folder in ["usr/bin", "etc", "tmp", "app"] {
        std::fs::create_dir_all(root.join(folder)).doing("making the base image")?;
    }
    std::fs::copy(&node, root.join("usr/bin/node")).doing("copying node")?;
    for library in &libraries {
        let target = root.join(library.strip_prefix("/").unwrap_or(library));
        std::fs::create_dir_all(target.parent().unwrap_or(&root)).doing("making the base image")?;
        std::fs::copy(library, &target).doing(format!("copying {}", library.display()))?;
    }
    std::fs::write(root.join("etc/passwd"), "node:x:1000:1000::/app:/none\n")
        .doing("making the base image")?;
    let imported = import(place, &root, &reference).await;
    std::fs::remove_dir_all(&root).doing("clearing up after the base image")?;
    imported.map(|()| reference)
}

async fn exists(place: &Place, reference: &str) -> bool {
    let inspect = ["image", "inspect", "--format", "{{.Id}}", reference];
    docker(place, &inspect).await.is_ok()
}

async fn import(place: &Place, root: &Path, reference: &str) -> Result<()> {
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
        .doing("starting tar")?;
    let stream = tar
        .stdout
        .take()
        .ok_or_else(|| Fault::new("tar has no output"))?;
    let stream: Stdio = stream.try_into().doing("joining tar and docker")?;
    let output = client(place)
        .args([
            "import",
            "--change",
            "ENV PATH=/usr/bin:/bin",
            "--change",
            "WORKDIR /app",
            "-",
            reference,
        ])
        .stdin(stream)
        .output()
        .await
        .doing("starting docker")?;
    let tar = tar.wait().await.doing("waiting for tar")?;
    if !tar.success() || !output.status.success() {
        return Err(Fault::new(format!(
            "making the base image failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(())
}

/// What the loader would load, the loader included.
async fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .await
        .doing("starting ldd")?;
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

async fn docker(place: &Place, arguments: &[&str]) -> Result<()> {
    let output = client(place)
        .args(arguments)
        .output()
        .await
        .doing("starting docker")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::new(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

fn client(place: &Place) -> Command {
    let mut command = Command::new(place.bin().join("docker"));
    command.env("DOCKER_CONFIG", place.docker_config());
    command
}
