//! Layouts: tokens, roles, tags and repositories that the registry refuses, and answers that are not believed.

use super::hostile::Act;
use super::images::{Folder, layout, noise};
use super::{Fixture, push_one};
use crate::push::Target;
use kit::Exit;
use std::sync::atomic::Ordering;

const KIB: usize = 1 << 10;

#[tokio::test]
async fn a_token_that_ends_in_mid_push_is_fetched_once() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    for (status, body) in [(401, ""), (403, denied)] {
        for after in [0, 3, 12, 24, 30] {
            let fixture = Fixture::new().await;
            let folder = Folder::new();
            let layers: Vec<Vec<u8>> = (0..10).map(|seed| noise(seed, 30 * KIB)).collect();
            let layers: Vec<&[u8]> = layers.iter().map(|layer| &layer[..]).collect();
            let source = layout(&folder, &layers);
            fixture.proxy.expire(after, status, body);
            push_one(&source, fixture.target(&["v1"])).await.unwrap();
            assert_eq!(
                fixture.fetched.load(Ordering::SeqCst),
                1,
                "{status} after {after}"
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_the_role_lacks() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let body = r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:InitiateLayerUpload"}]}"#;
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        usize::MAX,
        Act::Answer(403, "", body.to_owned()),
    );
    let source = layout(&folder, &[&noise(1, 10)]);
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("ecr:InitiateLayerUpload"),
        "{error}"
    );
    // Another token is fetched once, as the first could have ended; each of the two blobs is asked for with it, and not again.
    assert_eq!(fixture.fetched.load(Ordering::SeqCst), 1);
    assert!((2..=4).contains(&fixture.proxy.count("POST", "/blobs/")));
}

#[tokio::test]
async fn a_wrong_digest_is_never_taken_for_success() {
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10)]);
    let other = format!("sha256:{}", "0".repeat(64));
    for stage in ["/blobs/uploads/", "/manifests/sha256:", "/manifests/v1"] {
        let fixture = Fixture::new().await;
        let act = Act::Header("Docker-Content-Digest", other.clone());
        fixture.proxy.rule("PUT", stage, usize::MAX, act);
        let error = push_one(&source, fixture.target(&["v1"]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("says it stored"), "{error}");
    }
    let fixture = Fixture::new().await;
    fixture.proxy.rule(
        "GET",
        "/manifests/",
        9,
        Act::Answer(200, "", "{}".to_owned()),
    );
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("changed in transit"), "{error}");
    fixture.proxy.peace();
    assert_eq!(fixture.tagged("acme/app", "v1").await, None);
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
}

#[tokio::test]
async fn the_token_does_not_follow_an_upload_to_another_host() {
    let fixture = Fixture::new().await;
    let thief = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10)]);
    let location = format!("http://{}/v2/acme/app/blobs/uploads/x", thief.proxy.address);
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        usize::MAX,
        Act::Header("Location", location),
    );
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert!(
        error.to_string().contains("is not for that host"),
        "{error}"
    );
    assert!(thief.proxy.seen().is_empty());
    // A relative one is the registry's own.
    let fixture = Fixture::new().await;
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        1,
        Act::Header("Location", "/v2/acme/app/blobs/uploads/none".to_owned()),
    );
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(fixture.proxy.count("PUT", "/uploads/none?digest=") >= 1);
}

#[tokio::test]
async fn an_immutable_tag_is_a_success_or_names_both() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let first = layout(&folder, &[&noise(1, 10)]);
    let done = push_one(&first, fixture.target(&["v1"])).await.unwrap();
    let taken = r#"{"errors":[{"code":"TAG_INVALID","message":"cannot be overwritten because the tag is immutable."}]}"#;
    fixture.proxy.rule(
        "PUT",
        "/manifests/v1",
        usize::MAX,
        Act::Answer(400, "", taken.to_owned()),
    );
    push_one(&first, fixture.target(&["v1"])).await.unwrap();
    let folder = Folder::new();
    let second = layout(&folder, &[&noise(2, 10)]);
    let error = push_one(&second, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert!(
        error.message.contains(done.manifest.digest.as_str()),
        "{error}"
    );
    assert_eq!(error.message.matches("sha256:").count(), 2, "{error}");
}

#[tokio::test]
async fn a_missing_repository_is_reported_and_a_new_one_is_waited_for() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10)]);
    let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'acme/app' does not exist"}]}"#;
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        3,
        Act::Answer(404, "", unknown.to_owned()),
    );
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NAME_UNKNOWN"), "{error}");
    assert!(
        error
            .hints
            .iter()
            .any(|hint| hint.contains("slipway-image repository"))
    );
    fixture.proxy.peace();
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        3,
        Act::Answer(404, "", unknown.to_owned()),
    );
    let created = Target {
        created: true,
        ..fixture.target(&["v1"])
    };
    push_one(&source, created).await.unwrap();
}

#[tokio::test]
async fn a_damaged_layout_is_not_reported_as_a_registry_error() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let layer = noise(1, 100);
    let source = layout(&folder, &[&layer]);
    let path = folder
        .path()
        .join("blobs")
        .join(crate::digest::digest(&layer).as_str().replace(':', "/"));
    std::fs::write(&path, noise(2, 100)).unwrap();
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    std::fs::write(&path, noise(1, 99)).unwrap();
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has 99 bytes, its manifest says 100"),
        "{error}"
    );
}
