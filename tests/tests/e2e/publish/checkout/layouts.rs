//! Images in files, as another tool would have built them.

use super::*;

/// Images that something else built: one as OCI layout, folder and tar, another as docker archive.
pub(in super::super) struct Made {
    pub(in super::super) folder: String,
    pub(in super::super) tar: String,
    pub(in super::super) docker: String,
    /// The layout's.
    pub(in super::super) digest: String,
}

impl Checkout {
    /// An image of one layer with this content, in each form `--layout` takes.
    pub(in super::super) fn layouts(&self, content: &[u8]) -> Made {
        let path = |name: &str| self.setting.job.file(name);
        std::fs::create_dir(path("root")).unwrap();
        std::fs::write(path("root/content"), content).unwrap();
        let layer = path("layer.tar");
        tar(&path("root"), &["content"], &layer);
        let bytes = std::fs::read(&layer).unwrap();
        let diff_id = format!("sha256:{}", sha256(&bytes));
        let architecture = if std::env::consts::ARCH == "aarch64" {
            "arm64"
        } else {
            "amd64"
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        })
        .to_string();

        let blobs = path("oci/blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&bytes).unwrap();
        let zipped = zip.finish().unwrap();
        let blob = |kind: &str, bytes: &[u8]| {
            let name = sha256(bytes);
            std::fs::write(blobs.join(&name), bytes).unwrap();
            json!({"mediaType": kind, "digest": format!("sha256:{name}"), "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", &zipped)],
        })
        .to_string();
        let root = blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.as_bytes(),
        );
        let digest = root["digest"].as_str().unwrap().to_owned();
        let index = json!({"schemaVersion": 2, "manifests": [root]}).to_string();
        std::fs::write(path("oci/index.json"), index).unwrap();
        std::fs::write(path("oci/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        tar(
            &path("oci"),
            &["oci-layout", "index.json", "blobs"],
            &path("oci.tar"),
        );

        std::fs::create_dir(path("docker")).unwrap();
        std::fs::rename(&layer, path("docker/layer.tar")).unwrap();
        std::fs::write(path("docker/config.json"), config).unwrap();
        let list =
            json!([{"Config": "config.json", "RepoTags": ["made:1"], "Layers": ["layer.tar"]}]);
        std::fs::write(path("docker/manifest.json"), list.to_string()).unwrap();
        tar(
            &path("docker"),
            &["layer.tar", "config.json", "manifest.json"],
            &path("docker.tar"),
        );
        let text = |name: &str| path(name).display().to_string();
        Made {
            folder: text("oci"),
            tar: text("oci.tar"),
            docker: text("docker.tar"),
            digest,
        }
    }
}

pub(super) fn tar(folder: &Path, names: &[&str], to: &Path) {
    let output = Command::new("tar")
        .args([
            "--create",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg("--file")
        .arg(to)
        .arg("--directory")
        .arg(folder)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", log(&output));
}
