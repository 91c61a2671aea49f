//! The image that a world's services run before their first delivery: busybox on nothing, answering `/healthz`. It is
//! put into a registry by the distribution protocol itself, so that no client keeps a token.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::World;
use super::aws::{Aws, unless_there};
use crate::fault::{Context, Fault, Result};
use crate::install::find;

/// The repository in the build account; the service's own is made by its first delivery.
pub(super) const REPOSITORY: &str = "placeholder";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";

/// The command of the placeholder.
pub(super) const SERVES: [&str; 7] = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"];

/// Puts an image that runs `command` into the build account's registry; answers its reference by digest.
pub(super) async fn put(
    world: &World,
    http: &reqwest::Client,
    aws: &Aws,
    command: &[&str],
) -> Result<String> {
    repository(world, aws).await?;
    let answer = aws
        .json("ecr", &format!("{ECR}.GetAuthorizationToken"), &json!({}))
        .await?;
    let token = unless_there(answer, "asking for a registry token", &[])?
        .and_then(|answer| {
            Some(
                answer["authorizationData"][0]["authorizationToken"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .ok_or_else(|| Fault::new("ECR answered no registry token"))?;
    let registry = Registry {
        http,
        token,
        base: format!("http://{}/v2/{REPOSITORY}", world.registry),
    };

    let tar = layer()?;
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(&tar)
        .context("compressing the placeholder's layer")?;
    let layer = zip
        .finish()
        .context("compressing the placeholder's layer")?;
    let config = config(&digest(&tar), command).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
    })
    .to_string()
    .into_bytes();
    let digest = digest(&manifest);
    registry.blob(layer).await?;
    registry.blob(config).await?;
    registry.manifest(&digest, manifest).await?;
    Ok(format!("{}/{REPOSITORY}@{digest}", world.registry))
}

/// The repository, which the accounts of the environments may pull from.
async fn repository(world: &World, aws: &Aws) -> Result<()> {
    let input = json!({"repositoryName": REPOSITORY});
    let answer = aws
        .json("ecr", &format!("{ECR}.CreateRepository"), &input)
        .await?;
    unless_there(
        answer,
        "creating the placeholder's repository",
        &["RepositoryAlreadyExistsException"],
    )?;
    let accounts: Vec<String> = world
        .environments
        .iter()
        .map(|environment| format!("arn:aws:iam::{}:root", environment.account.id))
        .collect();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": accounts},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
        }],
    });
    let input = json!({"repositoryName": REPOSITORY, "policyText": policy.to_string()});
    let answer = aws
        .json("ecr", &format!("{ECR}.SetRepositoryPolicy"), &input)
        .await?;
    unless_there(answer, "letting the environments pull the placeholder", &[]).map(drop)
}

struct Registry<'a> {
    http: &'a reqwest::Client,
    /// User and password, as ECR encodes them.
    token: String,
    base: String,
}

impl Registry<'_> {
    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.http
            .request(method, url)
            .header("authorization", format!("Basic {}", self.token))
    }

    async fn blob(&self, bytes: Vec<u8>) -> Result<()> {
        let begun =
            send(self.request(Method::POST, &format!("{}/blobs/uploads/", self.base))).await?;
        let location = begun
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| Fault::new("the registry named no place for an upload"))?;
        let upload = begun
            .url()
            .join(location)
            .context("reading the place of an upload")?;
        let between = if upload.query().is_some() { '&' } else { '?' };
        let url = format!("{upload}{between}digest={}", digest(&bytes));
        let put = self
            .request(Method::PUT, &url)
            .header("content-type", "application/octet-stream");
        send(put.body(bytes)).await.map(drop)
    }

    async fn manifest(&self, digest: &str, bytes: Vec<u8>) -> Result<()> {
        let put = self
            .request(Method::PUT, &format!("{}/manifests/{digest}", self.base))
            .header("content-type", "application/vnd.oci.image.manifest.v1+json");
        send(put.body(bytes)).await.map(drop)
    }
}

async fn send(request: RequestBuilder) -> Result<reqwest::Response> {
    let answer = request.send().await.context("asking the registry")?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, url) = (answer.status(), answer.url().to_string());
    let text = answer.text().await.unwrap_or_default();
    Err(Fault::new(format!(
        "the registry answered {status} to {url}: {text}"
    )))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::instance::sha256(bytes))
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

fn config(layer: &str, command: &[&str]) -> Value {
    let architecture = if std::env::consts::ARCH == "aarch64" {
        "arm64"
    } else {
        "amd64"
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": command, "ExposedPorts": {"8080/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    })
}

/// The layer's files as tar, the same bytes each time.
fn layer() -> Result<Vec<u8>> {
    let busybox = find("busybox").ok_or_else(|| {
        Fault::new("busybox is not installed").hint("apt-get install busybox-static")
    })?;
    let program = fs::read(&busybox).context(format!("reading {}", busybox.display()))?;
    if crate::elf::interpreter(&program)? {
        return Err(Fault::new(format!("{} is not static", busybox.display()))
            .hint("apt-get install busybox-static"));
    }
    let root = tempfile::tempdir().context("creating a temporary folder")?;
    fill(root.path(), &busybox).context("laying out the placeholder's files")?;
    let output = Command::new("tar")
        .args([
            "--create",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .args(["--mode=a+rX,u+w,go-w", "--file=-", "--directory"])
        .arg(root.path())
        .args(["bin", "www"])
        .output()
        .context("running tar")?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Fault::new(format!(
        "tar: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn fill(root: &Path, busybox: &Path) -> std::io::Result<()> {
    fs::create_dir(root.join("bin"))?;
    fs::create_dir(root.join("www"))?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    fs::write(root.join("www/healthz"), "{\"commit\":\"none\"}\n")?;
    fs::write(
        root.join("www/index.html"),
        "<!doctype html>\n<title>Placeholder</title>\n<p>Nothing was delivered yet.\n",
    )?;
    symlink("busybox", root.join("bin/sh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_same_each_time() {
        if find("busybox").is_some() {
            assert_eq!(digest(&layer().unwrap()), digest(&layer().unwrap()));
        }
    }
}
