//! Odd images: pushed to the real registry behind ECR's rules, pulled back by somebody else's client, and compared byte for
//! byte with what was given.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use sandbox::instance::sha256;
use serde_json::{Value, json};

use crate::ecr::Setting;
use crate::support::{TIMEOUT, heavy, wait};

const OCI: &str = "application/vnd.oci.image";
const NAME: &str = "acme/odd";

/// An OCI layout that is being written.
struct Layout {
    folder: PathBuf,
    /// Every blob and manifest that a registry must hold, by its hexadecimal digest.
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    fn new(setting: &Setting, name: &str) -> Self {
        let folder = setting.job.file(name);
        std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        std::fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        Self {
            folder,
            blobs: BTreeMap::new(),
        }
    }

    fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let hex = sha256(bytes);
        std::fs::write(self.folder.join("blobs/sha256").join(&hex), bytes).unwrap();
        self.blobs.insert(hex.clone(), bytes.to_vec());
        json!({"mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    /// A manifest of these layers, each with its diff ID.
    fn image(&mut self, layers: &[(Value, String)]) -> Value {
        let ids: Vec<String> = layers
            .iter()
            .map(|(_, id)| format!("sha256:{id}"))
            .collect();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = self.blob(
            &format!("{OCI}.config.v1+json"),
            config.to_string().as_bytes(),
        );
        let layers: Vec<&Value> = layers.iter().map(|(layer, _)| layer).collect();
        self.manifest(&json!({"config": config, "layers": layers}))
    }

    fn manifest(&mut self, members: &Value) -> Value {
        let kind = format!("{OCI}.manifest.v1+json");
        let mut manifest = json!({"schemaVersion": 2, "mediaType": kind});
        for (name, member) in members.as_object().unwrap() {
            manifest[name] = member.clone();
        }
        self.blob(&kind, manifest.to_string().as_bytes())
    }

    /// Names the image that the layout is of.
    fn root(&self, root: &Value) {
        let index = json!({"schemaVersion": 2, "manifests": [root]});
        std::fs::write(self.folder.join("index.json"), index.to_string()).unwrap();
    }
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// A tar with one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, name, content).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::default());
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap()
}

/// Publishes a layout under a commit of its own.
fn publish(setting: &Setting, layout: &Path, repository: &str, more: &[&str]) -> Value {
    let commit = &sha256(layout.as_os_str().as_encoded_bytes())[..40];
    let layout = layout.display().to_string();
    let arguments = [
        &[
            "publish",
            "--environment",
            "dev",
            "--repository",
            repository,
            "--commit",
            commit,
            "--layout",
            &layout,
        ],
        more,
    ]
    .concat();
    setting.json(&arguments, 0)
}

/// A client's logins for the world's registry.
fn logins(setting: &Setting) -> PathBuf {
    let answer = setting.ecr("GetAuthorizationToken", &json!({})).unwrap();
    let token = &answer["authorizationData"][0]["authorizationToken"];
    let auths = json!({"auths": {&setting.world.registry: {"auth": token}}});
    setting.write("config.json", &auths.to_string())
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {log}");
    String::from_utf8(output.stdout).unwrap()
}

/// Pulls an image with skopeo, all of an index, and compares.
fn pulled(setting: &Setting, layout: &Layout, digest: &str) {
    let back = setting.job.file(&format!("back-{digest}"));
    let source = format!("docker://{}/{NAME}@{digest}", setting.world.registry);
    succeeds(
        Command::new("skopeo")
            .args([
                "copy",
                "--all",
                "--preserve-digests",
                "--src-tls-verify=false",
                "--authfile",
            ])
            .arg(logins(setting))
            .arg(source)
            .arg(format!("dir:{}", back.display())),
    );
    let mut found: Vec<String> = std::fs::read_dir(&back)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .map(|bytes| sha256(&bytes))
        .collect();
    found.sort();
    for hex in layout.blobs.keys() {
        assert!(
            found.binary_search(hex).is_ok(),
            "{digest}: {hex} did not come back"
        );
    }
}

/// One layer of each kind that a builder makes once in a while.
fn layers(layout: &mut Layout, number: usize) -> Vec<(Value, String)> {
    let gz = format!("{OCI}.layer.v1.tar+gzip");
    let zstd = format!("{OCI}.layer.v1.tar+zstd");
    let plain = format!("{OCI}.layer.v1.tar");
    let mut layer =
        |kind: &str, packed: &[u8], bytes: &[u8]| (layout.blob(kind, packed), sha256(bytes));
    match number {
        // Nothing in it, as docker writes it, and truly nothing.
        0 => vec![
            layer(&gz, &gzip(&[0; 1024]), &[0; 1024]),
            layer(&plain, b"", b""),
        ],
        1 => {
            let (one, two) = (tar("one", b"1"), tar("two", b"2"));
            let (one, two) = (layer(&gz, &gzip(&one), &one), layer(&gz, &gzip(&two), &two));
            vec![one.clone(), two, one.clone(), one]
        }
        2 => {
            let bytes = tar("packed", &[7; 300_000]);
            let mut child = Command::new("zstd")
                .args(["-q", "-c"])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
            let packed = child.wait_with_output().unwrap().stdout;
            vec![layer(&zstd, &packed, &bytes)]
        }
        // A byte that is not a tar: what a layer is made of is for whoever unpacks it.
        3 => vec![layer(&plain, b"\0", b"\0")],
        _ => (0..120)
            .map(|number| {
                let bytes = tar(&format!("file-{number}"), format!("{number}").as_bytes());
                layer(&gz, &gzip(&bytes), &bytes)
            })
            .collect(),
    }
}

#[test]
fn odd_layers_come_back_as_they_were() {
    let setting = Setting::new("odd");
    for (number, name) in ["empty", "duplicate", "zstd", "one-byte", "many"]
        .iter()
        .enumerate()
    {
        let mut layout = Layout::new(&setting, name);
        let layers = layers(&mut layout, number);
        let root = layout.image(&layers);
        layout.root(&root);
        let report = publish(&setting, &layout.folder, NAME, &[]);
        assert_eq!(report["digest"], root["digest"], "{name}: {report}");
        pulled(&setting, &layout, digest(&root));
    }
}

#[test]
fn a_foreign_layer_stays_where_it_is_and_the_image_is_whole_all_the_same() {
    let setting = Setting::new("foreign");
    let mut layout = Layout::new(&setting, "foreign");
    let bytes = tar("here", b"here");
    let here = layout.blob(&format!("{OCI}.layer.v1.tar+gzip"), &gzip(&bytes));
    let foreign_digest = sha256(b"elsewhere");
    let foreign = json!({
        "mediaType": format!("{OCI}.layer.nondistributable.v1.tar+gzip"),
        "digest": format!("sha256:{foreign_digest}"), "size": 9,
        "urls": ["https://go.microsoft.com/fwlink/?linkid=873595"],
    });
    let root = layout.image(&[(foreign, foreign_digest), (here, sha256(&bytes))]);
    layout.root(&root);
    let report = publish(&setting, &layout.folder, NAME, &[]);
    assert_eq!(report["digest"], root["digest"], "{report}");
    // Nobody's client pulls it without the network that has the foreign layer, so each part is asked for by itself.
    fetched(&setting, &layout, NAME);
}

/// Gets every blob and manifest from the registry by plain HTTP.
fn fetched(setting: &Setting, layout: &Layout, repository: &str) {
    let answer = setting.ecr("GetAuthorizationToken", &json!({})).unwrap();
    let token = answer["authorizationData"][0]["authorizationToken"]
        .as_str()
        .unwrap()
        .to_owned();
    wait(TIMEOUT, async {
        let http = sandbox::world::http_client().unwrap();
        for (hex, bytes) in &layout.blobs {
            let kind = match bytes.starts_with(br#"{"schemaVersion"#) {
                true => "manifests",
                false => "blobs",
            };
            let url = format!(
                "http://{}/v2/{repository}/{kind}/sha256:{hex}",
                setting.world.registry
            );
            let answer = http
                .get(&url)
                .header("authorization", format!("Basic {token}"))
                .header(
                    "accept",
                    format!("{OCI}.manifest.v1+json, {OCI}.index.v1+json"),
                )
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            assert!(answer.bytes().await.unwrap() == bytes, "{url}");
        }
    });
}

#[test]
fn an_index_with_attestations_comes_back_with_them() {
    let setting = Setting::new("attested");
    let mut layout = Layout::new(&setting, "attested");
    let mut entries = Vec::new();
    for (number, architecture) in ["amd64", "arm64"].iter().enumerate() {
        let bytes = tar("which", architecture.as_bytes());
        let layer = layout.blob(&format!("{OCI}.layer.v1.tar+gzip"), &gzip(&bytes));
        let mut image = layout.image(&[(layer, sha256(&bytes))]);
        image["platform"] = json!({"os": "linux", "architecture": architecture});
        let statement =
            json!({"_type": "https://in-toto.io/Statement/v0.1", "number": number}).to_string();
        let statement = layout.blob("application/vnd.in-toto+json", statement.as_bytes());
        let mut attestation = layout.image(&[(statement, sha256(b"attested"))]);
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        attestation["annotations"] = json!({
            "vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest",
        });
        entries.extend([image, attestation]);
    }
    let kind = format!("{OCI}.index.v1+json");
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
    let root = layout.blob(&kind, index.to_string().as_bytes());
    layout.root(&root);
    let report = publish(&setting, &layout.folder, NAME, &[]);
    assert_eq!(report["digest"], root["digest"], "{report}");
    pulled(&setting, &layout, digest(&root));
}

#[test]
fn names_as_long_as_ecr_allows_them() {
    let setting = Setting::new("names");
    let mut layout = Layout::new(&setting, "names");
    let bytes = tar("name", b"long");
    let layer = layout.blob(&format!("{OCI}.layer.v1.tar+gzip"), &gzip(&bytes));
    let root = layout.image(&[(layer, sha256(&bytes))]);
    layout.root(&root);
    let repository = format!("{}/{}", "acme".repeat(25), "n".repeat(155));
    assert_eq!(repository.len(), 256);
    let tag = format!("v{}", "1.2-".repeat(32))[..128].to_owned();
    let report = publish(&setting, &layout.folder, &repository, &["--tag", &tag]);
    assert_eq!(report["digest"], root["digest"], "{report}");
    let there = json!({"repositoryName": repository, "imageIds": [{"imageTag": tag}]});
    let answer = setting.ecr("BatchGetImage", &there).unwrap();
    assert_eq!(
        answer["images"][0]["imageId"]["imageDigest"], root["digest"],
        "{answer}"
    );
    // Docker's and skopeo's grammar ends at 255 bytes, the host among them.
    fetched(&setting, &layout, &repository);

    let layout = layout.folder.display().to_string();
    let longer = format!("{repository}n");
    for (name, tag, why) in [
        (longer.as_str(), "v1", "2 to 256"),
        (NAME, &*format!("{tag}1"), "tag"),
    ] {
        let arguments = [
            "publish",
            "--environment",
            "dev",
            "--repository",
            name,
            "--tag",
            tag,
            "--layout",
            &layout,
        ];
        let error = crate::support::log(&setting.image(&arguments, 2));
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn docker_runs_on_what_a_docker_archive_of_odd_layers_became() {
    let setting = Setting::new("archive");
    let mut layout = Layout::new(&setting, "layout");
    let mut all = layers(&mut layout, 1);
    all.extend(layers(&mut layout, 4).into_iter().take(30));
    let gz = format!("{OCI}.layer.v1.tar+gzip");
    all.push((layout.blob(&gz, &gzip(&[0; 1024])), sha256(&[0; 1024])));
    let root = layout.image(&all);
    layout.root(&root);
    let archive = setting.job.file("archive.tar");
    succeeds(
        Command::new("skopeo")
            .arg("copy")
            .arg(format!("oci:{}", layout.folder.display()))
            .arg(format!("docker-archive:{}:odd:1", archive.display())),
    );
    let report = publish(&setting, &archive, NAME, &[]);
    let reference = report["reference"].as_str().unwrap();
    logins(&setting);
    let docker = |arguments: &[&str]| {
        succeeds(
            Command::new("/usr/bin/docker")
                .env("DOCKER_CONFIG", setting.job.file("."))
                .args(arguments),
        )
    };
    let _turn = heavy();
    docker(&["pull", "--quiet", reference]);
    let ids = docker(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        reference,
    ]);
    docker(&["image", "rm", reference]);
    let ids: Vec<String> = serde_json::from_str(&ids).unwrap();
    let wanted: Vec<String> = all.iter().map(|(_, id)| format!("sha256:{id}")).collect();
    assert_eq!(ids, wanted);
}
