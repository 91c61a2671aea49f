//! Images that something else built, as `--layout` names them.

use std::path::Path;

use crate::job::{IN_ORDER, Job, publish};

/// `sha256:` of the text, by the tool that people have.
fn digest(text: &str) -> String {
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output[..64].to_owned()
}

/// A layout of one manifest with this configuration, and layers of this media type; `mark` begins its index.json.
fn layout(folder: &Path, config: &str, layer: &str, mark: &str) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |media_type: &str, text: &str| {
        let digest = digest(text);
        std::fs::write(blobs.join(&digest), text).unwrap();
        format!(
            r#"{{"mediaType": "{media_type}", "digest": "sha256:{digest}", "size": {}}}"#,
            text.len()
        )
    };
    let manifest = format!(
        r#"{{"schemaVersion": 2, "config": {}, "layers": [{}]}}"#,
        blob(config, "{}"),
        blob(layer, "a layer"),
    );
    let root = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
    let index = format!(r#"{mark}{{"schemaVersion": 2, "manifests": [{root}]}}"#);
    std::fs::write(folder.join("index.json"), index).unwrap();
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion": "1.0.0"}"#,
    )
    .unwrap();
}

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[test]
fn an_index_with_a_byte_order_mark_is_read() {
    let job = Job::new();
    layout(&job.file("marked"), CONFIG, LAYER, "\u{feff}");
    let marked = job.file("marked").display().to_string();
    job.refuses(&publish(&["--layout", &marked]), &[], 2, IN_ORDER);
}

#[test]
fn an_artifact_is_not_an_image() {
    let job = Job::new();
    let sbom = "application/spdx+json";
    layout(
        &job.file("sbom"),
        "application/vnd.oci.empty.v1+json",
        sbom,
        "",
    );
    let path = job.file("sbom").display().to_string();
    let log = job.refuses(
        &publish(&["--layout", &path]),
        &[],
        2,
        "--layout names an artifact, not an image",
    );
    assert!(log.contains("it holds "), "{log}");
}

#[test]
fn a_link_from_the_root_of_an_archive_is_followed_within_it() {
    let job = Job::new();
    let config =
        r#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}"#;
    let list = r#"[{"Config": "config.json", "Layers": []}]"#;
    let mut archive = tar::Builder::new(std::fs::File::create(job.file("linked.tar")).unwrap());
    for (name, text) in [("real/config.json", config), ("manifest.json", list)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive
        .append_link(&mut link, "config.json", "/real/config.json")
        .unwrap();
    archive.into_inner().unwrap();
    let path = job.file("linked.tar").display().to_string();
    job.refuses(&publish(&["--layout", &path]), &[], 2, IN_ORDER);
}

#[test]
fn a_file_that_was_given_by_mistake_is_not_quoted() {
    const SECRET: &str = "hunter2";
    let job = Job::new();
    let long = format!("TOKEN={SECRET}\n").repeat(100);
    let json = format!(r#"{{"manifests": "{SECRET}", "imageLayoutVersion": ["{SECRET}"]}}"#);
    job.write("short.env", &format!("{SECRET}\n"));
    job.write("long.env", &long);
    job.write("token.json", &format!("\"{SECRET}\""));
    job.write("marker/oci-layout", &json);
    job.write("index/oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#);
    job.write("index/index.json", &json);
    for name in ["short.env", "long.env", "token.json", "marker", "index"] {
        let path = job.file(name).display().to_string();
        let log = job.refuses(&publish(&["--layout", &path]), &[], 2, name);
        assert!(!log.contains(SECRET), "{log}");
    }
}
