//! ECR's API and its registry, with skopeo as the client and the CNCF distribution behind.

mod access;
mod mounts;
mod settings;
mod tags;

use std::path::Path;
use std::process::{Command, Output};

use aws_credential_types::Credentials;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{ImageIdentifier, ImageTagMutability};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::json;

use crate::support::{World, refused, world};

async fn client(world: &World, credentials: &Credentials) -> Client {
    Client::new(&world.sdk(credentials).await)
}

/// The registry's `HOST:PORT` and the password of its user AWS.
async fn login(client: &Client) -> (String, String) {
    let answer = client.get_authorization_token().send().await.unwrap();
    let data = &answer.authorization_data()[0];
    let pair = String::from_utf8(
        STANDARD
            .decode(data.authorization_token().unwrap())
            .unwrap(),
    )
    .unwrap();
    let host = data
        .proxy_endpoint()
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    (host, pair.strip_prefix("AWS:").unwrap().to_owned())
}

/// The build account's client, its registry's `HOST:PORT` and password, and a repository `shop` there.
async fn shop(world: &World) -> (Client, String, String) {
    let ecr = client(world, &world.build).await;
    let create = ecr.create_repository().repository_name("shop");
    create.send().await.unwrap();
    let (host, password) = login(&ecr).await;
    (ecr, host, password)
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An image of one layer, as a folder that skopeo reads; another `text` is another image.
fn image(folder: &Path, text: &str) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8], kind: &str| {
        std::fs::write(blobs.join(sha256(bytes)), bytes).unwrap();
        json!({"mediaType": kind, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    };
    let layer = vec![0; 10240];
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"text": text}},
                        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&layer))]}});
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(&layer, "application/vnd.oci.image.layer.v1.tar")]});
    let index = json!({"schemaVersion": 2, "manifests": [blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json")]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
}

async fn skopeo(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| (*argument).to_owned())
        .collect();
    tokio::task::spawn_blocking(move || Command::new("skopeo").args(arguments).output().unwrap())
        .await
        .unwrap()
}

async fn push(folder: &Path, host: &str, password: &str, to: &str) -> Result<(), String> {
    let from = format!("oci:{}", folder.display());
    let to = format!("docker://{host}/{to}");
    let output = skopeo(&[
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        "--dest-creds",
        &format!("AWS:{password}"),
        &from,
        &to,
    ])
    .await;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

async fn digest_of(host: &str, password: &str, image: &str) -> Result<String, String> {
    let output = skopeo(&[
        "inspect",
        "--tls-verify=false",
        "--creds",
        &format!("AWS:{password}"),
        "--format",
        "{{.Digest}}",
        &format!("docker://{host}/{image}"),
    ])
    .await;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn tag(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

/// A repository `team/shop` with one image, `v1`.
struct Shop {
    host: String,
    password: String,
    digest: String,
}

impl Shop {
    async fn new(ecr: &Client) -> Self {
        let made = ecr.create_repository().repository_name("team/shop");
        let made = made.send().await.unwrap();
        let (host, password) = login(ecr).await;
        let uri = made.repository().unwrap().repository_uri().unwrap();
        assert_eq!(uri, format!("{host}/team/shop"));
        let none = ecr.describe_images().repository_name("team/shop");
        assert_eq!(none.send().await.unwrap().image_details().len(), 0);
        let folder = tempfile::tempdir().unwrap();
        image(folder.path(), "one");
        push(folder.path(), &host, &password, "team/shop:v1")
            .await
            .unwrap();
        let index = std::fs::read(folder.path().join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        Self {
            host,
            password,
            digest,
        }
    }
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled_by_its_true_digest() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let shop = Shop::new(&ecr).await;
    let (host, digest) = (&shop.host, &shop.digest);
    let tagged = digest_of(host, &shop.password, "team/shop:v1").await;
    assert_eq!(&tagged.unwrap(), digest);
    let back = tempfile::tempdir().unwrap();
    let output = skopeo(&[
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--src-creds",
        &format!("AWS:{}", shop.password),
        &format!("docker://{host}/team/shop@{digest}"),
        &format!("oci:{}", back.path().display()),
    ])
    .await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

#[tokio::test]
async fn an_image_is_described_by_its_true_digest_and_its_layers_are_known() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let shop = Shop::new(&ecr).await;
    let describe = ecr.describe_images().repository_name("team/shop");
    let described = describe.clone().image_ids(tag("v1")).send().await.unwrap();
    let detail = &described.image_details()[0];
    assert_eq!(
        (
            detail.image_digest(),
            detail.image_tags(),
            detail.registry_id()
        ),
        (
            Some(shop.digest.as_str()),
            ["v1".to_owned()].as_slice(),
            Some(world.build_id.as_str())
        )
    );
    assert!(detail.image_pushed_at().is_some() && detail.image_size_in_bytes() > Some(10240));
    let missing = refused(describe.image_ids(tag("none")).send().await);
    assert_eq!(missing.0, "ImageNotFoundException");
    let layers = ecr
        .batch_check_layer_availability()
        .repository_name("team/shop")
        .layer_digests(format!("sha256:{}", sha256(&[0; 10240])))
        .layer_digests(format!("sha256:{}", sha256(b"none")))
        .send()
        .await
        .unwrap();
    let states: Vec<&str> = layers
        .layers()
        .iter()
        .map(|layer| layer.layer_availability().unwrap().as_str())
        .collect();
    assert_eq!(states, ["AVAILABLE", "UNAVAILABLE"]);
}

/// Promotion's two calls: the same bytes under another tag are the same digest.
#[tokio::test]
async fn a_manifest_is_read_and_put_under_another_tag() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let shop = Shop::new(&ecr).await;
    let got = ecr
        .batch_get_image()
        .repository_name("team/shop")
        .image_ids(tag("v1"))
        .image_ids(tag("none"))
        .send()
        .await
        .unwrap();
    let code = got.failures()[0].failure_code().unwrap();
    assert_eq!(code.as_str(), "ImageNotFound");
    let manifest = got.images()[0].image_manifest().unwrap();
    assert_eq!(
        format!("sha256:{}", sha256(manifest.as_bytes())),
        shop.digest
    );
    let retag = ecr
        .put_image()
        .repository_name("team/shop")
        .image_manifest(manifest)
        .image_manifest_media_type(got.images()[0].image_manifest_media_type().unwrap())
        .image_digest(&shop.digest)
        .image_tag("release");
    retag.clone().send().await.unwrap();
    let again = refused(retag.clone().send().await);
    assert_eq!(again.0, "ImageAlreadyExistsException");
    let other = retag.image_digest(format!("sha256:{}", sha256(b"other")));
    let other = refused(other.send().await);
    assert_eq!(other.0, "ImageDigestDoesNotMatchException");
    let listed = ecr.list_images().repository_name("team/shop");
    let listed = listed.send().await.unwrap();
    let mut tags: Vec<&str> = listed
        .image_ids()
        .iter()
        .map(|id| id.image_tag().unwrap())
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, ["release", "v1"]);
}
