//! ECR's API and its registry, with skopeo as the client and the CNCF distribution behind.

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

#[tokio::test]
async fn an_image_is_pushed_pulled_and_described_by_its_true_digest() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let made = ecr
        .create_repository()
        .repository_name("team/shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    assert_eq!(
        made.repository().unwrap().repository_uri().unwrap(),
        format!("{host}/team/shop")
    );
    assert_eq!(
        ecr.describe_images()
            .repository_name("team/shop")
            .send()
            .await
            .unwrap()
            .image_details()
            .len(),
        0
    );
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "team/shop:v1")
        .await
        .unwrap();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(
        digest_of(&host, &password, "team/shop:v1").await.unwrap(),
        digest
    );
    let back = tempfile::tempdir().unwrap();
    let output = skopeo(&[
        "copy",
        "--insecure-policy",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--src-creds",
        &format!("AWS:{password}"),
        &format!("docker://{host}/team/shop@{digest}"),
        &format!("oci:{}", back.path().display()),
    ])
    .await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let described = ecr
        .describe_images()
        .repository_name("team/shop")
        .image_ids(tag("v1"))
        .send()
        .await
        .unwrap();
    let detail = &described.image_details()[0];
    assert_eq!(
        (
            detail.image_digest(),
            detail.image_tags(),
            detail.registry_id()
        ),
        (
            Some(digest),
            ["v1".to_owned()].as_slice(),
            Some(world.build_id.as_str())
        )
    );
    assert!(detail.image_pushed_at().is_some() && detail.image_size_in_bytes() > Some(10240));
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
    // Promotion's two calls: the same bytes under another tag are the same digest.
    let got = ecr
        .batch_get_image()
        .repository_name("team/shop")
        .image_ids(tag("v1"))
        .image_ids(tag("none"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        got.failures()[0].failure_code().unwrap().as_str(),
        "ImageNotFound"
    );
    let manifest = got.images()[0].image_manifest().unwrap();
    assert_eq!(format!("sha256:{}", sha256(manifest.as_bytes())), digest);
    let retag = ecr
        .put_image()
        .repository_name("team/shop")
        .image_manifest(manifest)
        .image_manifest_media_type(got.images()[0].image_manifest_media_type().unwrap())
        .image_digest(digest)
        .image_tag("release");
    retag.clone().send().await.unwrap();
    assert_eq!(
        refused(retag.clone().send().await).0,
        "ImageAlreadyExistsException"
    );
    assert_eq!(
        refused(
            retag
                .image_digest(format!("sha256:{}", sha256(b"other")))
                .send()
                .await
        )
        .0,
        "ImageDigestDoesNotMatchException"
    );
    let listed = ecr
        .list_images()
        .repository_name("team/shop")
        .send()
        .await
        .unwrap();
    let mut tags: Vec<&str> = listed
        .image_ids()
        .iter()
        .map(|id| id.image_tag().unwrap())
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, ["release", "v1"]);
    assert_eq!(
        refused(
            ecr.describe_images()
                .repository_name("team/shop")
                .image_ids(tag("none"))
                .send()
                .await
        )
        .0,
        "ImageNotFoundException"
    );
}

#[tokio::test]
async fn only_a_token_of_the_registry_opens_it() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let url = format!("http://{host}/v2/");
    let bare = world.http.get(&url).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(
        bare.headers()["www-authenticate"].to_str().unwrap(),
        format!("Basic realm=\"http://{host}/\",service=\"ecr.amazonaws.com\"")
    );
    let with = |user: &'static str, password: &str| {
        world.http.get(&url).basic_auth(user, Some(password)).send()
    };
    assert_eq!(with("AWS", "wrong").await.unwrap().status(), 401);
    assert_eq!(with("docker", &password).await.unwrap().status(), 401);
    assert_eq!(with("AWS", &password).await.unwrap().status(), 200);
    assert_eq!(
        world
            .control("expire", &json!({"registry_token": password}))
            .await
            .0,
        204
    );
    let expired = with("AWS", &password).await.unwrap();
    assert_eq!(expired.status(), 403);
    assert!(
        expired
            .text()
            .await
            .unwrap()
            .contains("Your authorization token has expired")
    );
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_name() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    let error = push(folder.path(), &host, &password, "absent:v1")
        .await
        .unwrap_err();
    let message = format!(
        "The repository with name 'absent' does not exist in the registry with id '{}'",
        world.build_id
    );
    assert!(
        error.contains("name unknown") && error.contains(&message),
        "{error}"
    );
}

#[tokio::test]
async fn an_immutable_tag_is_pushed_again_only_as_what_it_is() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .image_tag_mutability(ImageTagMutability::Immutable)
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(one.path(), "one");
    image(two.path(), "two");
    push(one.path(), &host, &password, "shop:v1").await.unwrap();
    push(one.path(), &host, &password, "shop:v1").await.unwrap();
    let error = push(two.path(), &host, &password, "shop:v1")
        .await
        .unwrap_err();
    assert!(
        error.contains("tag invalid")
            && error.contains("cannot be overwritten because the tag is immutable"),
        "{error}"
    );
    push(two.path(), &host, &password, "shop:v2").await.unwrap();
    let got = ecr
        .batch_get_image()
        .repository_name("shop")
        .image_ids(tag("v2"))
        .send()
        .await
        .unwrap();
    let moved = ecr
        .put_image()
        .repository_name("shop")
        .image_manifest(got.images()[0].image_manifest().unwrap())
        .image_tag("v1");
    assert_eq!(
        refused(moved.send().await).0,
        "ImageTagAlreadyExistsException"
    );
}

#[tokio::test]
async fn a_mutable_tag_moves_and_leaves_the_old_image_untagged() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(one.path(), "one");
    image(two.path(), "two");
    push(one.path(), &host, &password, "shop:latest")
        .await
        .unwrap();
    let first = digest_of(&host, &password, "shop:latest").await.unwrap();
    push(two.path(), &host, &password, "shop:latest")
        .await
        .unwrap();
    let described = ecr
        .describe_images()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let untagged: Vec<_> = described
        .image_details()
        .iter()
        .filter(|detail| detail.image_tags().is_empty())
        .collect();
    assert_eq!((described.image_details().len(), untagged.len()), (2, 1));
    assert_eq!(untagged[0].image_digest(), Some(first.as_str()));
}

#[tokio::test]
async fn another_account_pulls_only_by_the_repositorys_policy() {
    let world = world().await;
    let (build, dev) = (
        client(&world, &world.build).await,
        client(&world, &world.dev).await,
    );
    build
        .create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&build).await;
    let (own, foreign) = login(&dev).await;
    assert_ne!(host, own, "each account has a registry of its own");
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    let error = digest_of(&host, &foreign, "shop:v1").await.unwrap_err();
    assert!(error.contains("denied") || error.contains("403"), "{error}");
    let elsewhere = || {
        dev.describe_images()
            .registry_id(&world.build_id)
            .repository_name("shop")
    };
    assert_eq!(refused(elsewhere().send().await).0, "AccessDeniedException");
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", world.dev_id)},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:DescribeImages"]}]});
    build
        .set_repository_policy()
        .repository_name("shop")
        .policy_text(policy.to_string())
        .send()
        .await
        .unwrap();
    digest_of(&host, &foreign, "shop:v1").await.unwrap();
    assert_eq!(elsewhere().send().await.unwrap().image_details().len(), 1);
    let error = push(folder.path(), &host, &foreign, "shop:v2")
        .await
        .unwrap_err();
    assert!(error.contains("denied") || error.contains("403"), "{error}");
}

#[tokio::test]
async fn a_repository_with_images_is_deleted_only_by_force_and_comes_back_empty() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    assert_eq!(
        refused(ecr.delete_repository().repository_name("shop").send().await).0,
        "RepositoryNotEmptyException"
    );
    ecr.delete_repository()
        .repository_name("shop")
        .force(true)
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(ecr.describe_images().repository_name("shop").send().await).0,
        "RepositoryNotFoundException"
    );
    ecr.create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    assert_eq!(
        ecr.list_images()
            .repository_name("shop")
            .send()
            .await
            .unwrap()
            .image_ids()
            .len(),
        0
    );
}

#[tokio::test]
async fn pushes_and_pulls_are_recorded_as_the_actions_they_need() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    ecr.create_repository()
        .repository_name("shop")
        .send()
        .await
        .unwrap();
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "one");
    push(folder.path(), &host, &password, "shop:v1")
        .await
        .unwrap();
    let calls = world.calls().await;
    let of_registry: Vec<&str> = calls
        .iter()
        .filter(|call| call["via"] == "registry")
        .map(|call| call["operation"].as_str().unwrap())
        .collect();
    for action in ["InitiateLayerUpload", "CompleteLayerUpload", "PutImage"] {
        assert!(
            of_registry.contains(&action),
            "{action} is not among {of_registry:?}"
        );
    }
    let put = calls
        .iter()
        .find(|call| call["operation"] == "PutImage")
        .unwrap();
    assert_eq!(
        (&put["resource"], &put["account"]),
        (&json!("shop@v1"), &json!(world.build_id))
    );
}

#[tokio::test]
async fn a_scan_finds_what_was_told_and_is_asked_for_once_a_day() {
    let world = world().await;
    let ecr = client(&world, &world.build).await;
    let create = ecr.create_repository().repository_name("team/scan");
    create.send().await.unwrap();
    let (host, password) = login(&ecr).await;
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "scanned");
    push(folder.path(), &host, &password, "team/scan:v1")
        .await
        .unwrap();
    let digest = digest_of(&host, &password, "team/scan:v1").await.unwrap();
    let look = || {
        ecr.describe_image_scan_findings()
            .repository_name("team/scan")
            .image_id(tag("v1"))
    };
    let start = || {
        ecr.start_image_scan()
            .repository_name("team/scan")
            .image_id(tag("v1"))
    };
    assert_eq!(
        refused(look().send().await).0,
        "ScanNotFoundException".to_owned()
    );
    start().send().await.unwrap();
    assert_eq!(refused(start().send().await).0, "LimitExceededException");
    let status = |answer: &aws_sdk_ecr::operation::describe_image_scan_findings::DescribeImageScanFindingsOutput| {
        answer.image_scan_status().unwrap().status().unwrap().as_str().to_owned()
    };
    for wanted in ["IN_PROGRESS", "COMPLETE", "COMPLETE"] {
        assert_eq!(status(&look().send().await.unwrap()), wanted);
    }

    let finding = |id: &str| json!({"name": id, "severity": "HIGH"});
    let mut script = json!({
        "account": world.build_id, "region": crate::support::REGION, "repository": "team/scan", "digest": digest,
        "looks": [{"status": "COMPLETE", "findings": [finding("a"), finding("b"), finding("c")], "counts": {"HIGH": 3}}],
    });
    assert_eq!(world.control("scans", &script).await.0, 204);
    let first = look().max_results(2).send().await.unwrap();
    assert_eq!(first.image_scan_findings().unwrap().findings().len(), 2);
    let token = first.next_token().unwrap();
    let second = look()
        .max_results(2)
        .next_token(token)
        .send()
        .await
        .unwrap();
    assert_eq!(second.image_scan_findings().unwrap().findings().len(), 1);
    assert!(second.next_token().is_none());

    // What ECR could not have said is said by nobody.
    script["looks"][0]["findings"] = json!([{"name": "a", "severity": "DREADFUL"}]);
    assert_eq!(world.control("scans", &script).await.0, 204);
    assert_eq!(
        refused(look().send().await).0,
        "StandInContractViolation".to_owned()
    );
}

#[tokio::test]
async fn settings_of_a_repository_are_taken_as_ecr_takes_them() {
    let world = world().await;
    let call = async |operation: &str, input: &serde_json::Value| {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        let body = input.to_string();
        world.call(&world.build, "ecr", &headers, &body).await
    };
    let name = json!({"repositoryName": "team/settings"});
    assert_eq!(call("CreateRepository", &name).await.0, 200);
    let filters = |number: usize| {
        let filter = |n| json!({"filterType": "WILDCARD", "filter": format!("cache{n}-*")});
        let all: Vec<_> = (0..number).map(filter).collect();
        json!({"repositoryName": "team/settings", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
               "imageTagMutabilityExclusionFilters": all})
    };
    for (number, status) in [(5, 200), (6, 400)] {
        let (found, text) = call("PutImageTagMutability", &filters(number)).await;
        assert_eq!(found, status, "{text}");
    }
    // No shorter text can be a policy.
    let policy =
        json!({"repositoryName": "team/settings", "lifecyclePolicyText": "{\"rules\": []}"});
    let (status, text) = call("PutLifecyclePolicy", &policy).await;
    assert!(
        status == 400 && text.contains("InvalidParameterException"),
        "{text}"
    );
    let (status, text) = call("GetLifecyclePolicy", &name).await;
    assert!(
        status == 400 && text.contains("LifecyclePolicyNotFoundException"),
        "{text}"
    );
}
