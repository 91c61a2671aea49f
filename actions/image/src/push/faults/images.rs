//! Images to push: OCI layouts and docker archives, of bytes that do not compress.

use crate::digest::digest;
use crate::source::Source;
use kit::env::Env;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(super) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Bytes that are the same for the same seed, and that nothing makes smaller.
pub(super) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(size)
    .collect()
}

/// A folder of blobs under their digests.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(
            dir.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        Self(dir)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn blob(&self, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let path = self
            .path()
            .join("blobs")
            .join(digest.as_str().replace(':', "/"));
        fs::write(path, bytes).unwrap();
        json!({"mediaType": GZIP, "digest": digest, "size": bytes.len()})
    }

    /// A manifest of these layers, and its descriptor.
    pub(super) fn image(&self, layers: &[&[u8]], architecture: &str) -> Value {
        let config = config(layers, architecture);
        let mut config = self.blob(config.as_bytes());
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(layer)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.manifest(&manifest, MANIFEST)
    }

    pub(super) fn index(&self, children: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        self.manifest(&index, INDEX)
    }

    fn manifest(&self, manifest: &Value, media_type: &str) -> Value {
        // Spaces, so that whoever writes the JSON anew is found out.
        let mut descriptor = self.blob(serde_json::to_string_pretty(manifest).unwrap().as_bytes());
        descriptor["mediaType"] = json!(media_type);
        descriptor
    }

    pub(super) fn opened(&self, roots: &[Value]) -> Arc<Source> {
        let index = json!({"schemaVersion": 2, "manifests": roots});
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
        Arc::new(Source::open(self.path(), &Env::default()).unwrap())
    }
}

pub(super) fn config(layers: &[&[u8]], architecture: &str) -> String {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer).into()).collect();
    json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
}

/// An image of one platform, from a layout.
pub(super) fn layout(folder: &Folder, layers: &[&[u8]]) -> Arc<Source> {
    folder.opened(&[folder.image(layers, "amd64")])
}

/// The same from `docker save`.
pub(super) fn archive(folder: &Folder, layers: &[&[u8]]) -> Arc<Source> {
    Arc::new(Source::open(&saved(folder, layers, "x:y"), &Env::default()).unwrap())
}

fn saved(folder: &Folder, layers: &[&[u8]], tag: &str) -> PathBuf {
    let config = config(layers, "amd64");
    let name = format!("{}.json", digest(config.as_bytes()).hex());
    let mut tar = Vec::new();
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let name = format!("{number}/layer.tar");
        file(&mut tar, &name, layer);
        names.push(name);
    }
    file(&mut tar, &name, config.as_bytes());
    let manifest = json!([{"Config": name, "RepoTags": [tag], "Layers": names}]);
    file(&mut tar, "manifest.json", manifest.to_string().as_bytes());
    tar.extend([0; 1024]);
    let path = folder.path().join("image.tar");
    fs::write(&path, tar).unwrap();
    path
}

/// An image of the machine's engine, of a layer for each of these files.
pub(super) struct Loaded(String);

impl Loaded {
    pub(super) fn new(folder: &Folder, name: &str, files: &[&[u8]]) -> Self {
        let layers: Vec<Vec<u8>> = files
            .iter()
            .map(|bytes| {
                let mut layer = Vec::new();
                file(&mut layer, name, bytes);
                layer.extend([0; 1024]);
                layer
            })
            .collect();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let tag = format!("slipway-test/{name}:{}", std::process::id());
        let saved = saved(folder, &layers, &tag);
        docker(&["load", "--quiet", "--input", saved.to_str().unwrap()]);
        Self(tag)
    }

    pub(super) async fn source(&self) -> Arc<Source> {
        let env = Env::from([("DOCKER_HOST", ENGINE)]);
        Arc::new(Source::engine(&env, &self.0, None).await.unwrap())
    }

    pub(super) fn inspect(&self, format: &str) -> String {
        docker(&["image", "inspect", "--format", format, &self.0])
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.0]);
    }
}

const ENGINE: &str = "unix:///var/run/docker.sock";

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .env("DOCKER_HOST", ENGINE)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One file of a tar (POSIX.1-1988, ustar).
pub(super) fn file(tar: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let mut header = [0_u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", bytes.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(header);
    tar.extend(bytes);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
