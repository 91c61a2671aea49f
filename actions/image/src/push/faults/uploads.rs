//! Layouts: every fault on the way of a blob, a manifest and a tag.

use super::hostile::Act;
use super::images::{Folder, layout, noise};
use super::registry::Distribution;
use super::{Fixture, RETRIES, push, push_one, target};
use crate::push::Target;
use crate::registry::{Fault, Kind, RetryPolicy};
use kit::{Error, Exit};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KIB: usize = 1 << 10;

#[tokio::test]
async fn a_pushed_image_is_tagged_and_a_second_push_sends_nothing() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (large, small) = (noise(1, 700 * KIB), noise(2, 1));
    // A layer twice, one of a byte, and an empty one.
    let source = layout(&folder, &[&large, &small, &large, b""]);
    let done = push_one(&source, fixture.target(&["v1", "latest"]))
        .await
        .unwrap();
    assert!(done.counts.pushed > 700 * 1024 && done.counts.pushed < 702 * 1024);
    assert_eq!(done.counts.skipped, 0);
    assert_eq!(done.platforms[0].0, "linux/amd64");
    for tag in ["v1", "latest"] {
        let there = fixture.tagged("acme/app", tag).await;
        assert_eq!(there.as_deref(), Some(done.manifest.digest.as_str()));
    }
    fixture.proxy.forget();
    let again = push_one(&source, fixture.target(&["v1", "latest"]))
        .await
        .unwrap();
    assert_eq!(
        (again.counts.pushed, again.counts.skipped),
        (0, done.counts.pushed)
    );
    assert_eq!(again.manifest, done.manifest);
    assert!(
        fixture
            .proxy
            .seen()
            .iter()
            .all(|seen| matches!(&*seen.method, "HEAD" | "GET"))
    );
}

#[tokio::test]
async fn an_index_comes_after_its_children_and_the_tag_last() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (shared, other) = (noise(1, 40 * KIB), noise(2, 30 * KIB));
    let mut amd = folder.image(&[&shared], "amd64");
    amd["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
    let mut arm = folder.image(&[&shared, &other], "arm64");
    arm["platform"] = serde_json::json!({"os": "linux", "architecture": "arm64"});
    let index = folder.index(&[amd.clone(), arm]);
    let done = push_one(&folder.opened(&[index]), fixture.target(&["v1"]))
        .await
        .unwrap();
    assert_eq!(done.platforms.len(), 2);
    assert_eq!(done.platforms[0].1.as_str(), amd["digest"]);
    let order: Vec<String> = fixture
        .proxy
        .seen()
        .into_iter()
        .filter(|seen| seen.path.contains("manifests/") && seen.method != "HEAD")
        .map(|seen| seen.method)
        .collect();
    assert_eq!(order, ["PUT", "PUT", "PUT", "GET", "GET", "GET", "PUT"]);
    assert!(
        fixture
            .proxy
            .seen()
            .iter()
            .any(|seen| seen.path.ends_with("manifests/v1"))
    );
}

#[tokio::test]
async fn a_connection_cut_in_mid_blob_costs_that_blob_a_new_session() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let layer = noise(1, 900 * KIB);
    // The configuration, which is too small to be cut, takes one of the three.
    fixture
        .proxy
        .rule("PUT", "/blobs/uploads/", 3, Act::Cut(300 * KIB));
    let source = layout(&folder, &[&layer]);
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert_eq!(fixture.proxy.count("POST", "/blobs/uploads/"), 4);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_found_by_asking() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    fixture.proxy.rule("PUT", "/blobs/uploads/", 2, Act::Lose);
    fixture.proxy.rule("PUT", "/manifests/", 1, Act::Lose);
    let source = layout(&folder, &[&noise(1, 900 * KIB)]);
    let done = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(done.counts.pushed > 900 * 1024, "{:?}", done.counts);
    assert_eq!(fixture.proxy.count("POST", "/blobs/uploads/"), 2);
    assert_eq!(fixture.proxy.count("PUT", "/manifests/sha256:"), 1);
}

#[tokio::test]
async fn every_stage_survives_answers_of_500_and_429() {
    for (status, header) in [(500, ""), (503, ""), (429, "Retry-After: 0\r\n"), (429, "")] {
        let fixture = Fixture::new().await;
        let folder = Folder::new();
        let layer = noise(1, 20 * KIB);
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#;
        for (method, path) in [
            ("HEAD", "/blobs/"),
            ("POST", "/blobs/uploads/"),
            ("PUT", "/blobs/uploads/"),
            ("HEAD", "/manifests/sha256:"),
            ("PUT", "/manifests/sha256:"),
            ("GET", "/manifests/sha256:"),
            ("HEAD", "/manifests/v1"),
            ("PUT", "/manifests/v1"),
        ] {
            fixture.proxy.rule(
                method,
                path,
                2,
                Act::Answer(status, header, body.to_owned()),
            );
        }
        let source = layout(&folder, &[&layer]);
        let done = push_one(&source, fixture.target(&["v1"])).await.unwrap();
        assert_eq!(
            fixture.tagged("acme/app", "v1").await.as_deref(),
            Some(done.manifest.digest.as_str())
        );
    }
}

#[tokio::test]
async fn a_push_waits_as_long_as_retry_after_asks() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    fixture.proxy.rule(
        "POST",
        "/blobs/",
        1,
        Act::Answer(429, "Retry-After: 1\r\n", String::new()),
    );
    let started = Instant::now();
    let source = layout(&folder, &[&noise(1, 10)]);
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_try_takes_no_patience() {
    let policy = RetryPolicy {
        within: Duration::from_millis(200),
        ..RETRIES
    };
    let nowhere = ([127, 0, 0, 1], 9).into();
    let client = super::with_policy(nowhere, policy, Arc::default());
    let mut tries = 0;
    let done: Result<(), Fault> = client
        .retry(async |_| {
            tries += 1;
            tokio::time::sleep(policy.within).await;
            Err(Fault::new(Kind::Passing, Error::failed("it broke off")))
        })
        .await;
    assert!(done.is_err());
    assert_eq!(tries, policy.tries);
}

#[tokio::test]
async fn a_storm_without_end_ends_in_words_and_the_next_run_ends_right() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10)]);
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"Rate exceeded"}]}"#;
    for stage in ["/manifests/v1", "/manifests/sha256:", "/blobs/uploads/"] {
        fixture.proxy.peace();
        fixture.proxy.rule(
            "PUT",
            stage,
            usize::MAX,
            Act::Answer(429, "", body.to_owned()),
        );
        let error = push_one(&source, fixture.target(&["v1"]))
            .await
            .unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        assert!(
            error.to_string().contains("TOOMANYREQUESTS: Rate exceeded"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("gave up after {} attempts", RETRIES.tries))
        );
        assert_eq!(fixture.tagged("acme/app", "v1").await, None);
        if stage == "/manifests/v1" {
            // All but the tag was there; begin anew for the earlier stages.
            let hidden = fixture
                .registry
                .data()
                .join("docker/registry/v2/repositories/acme/app");
            std::fs::remove_dir_all(hidden).unwrap();
        } else {
            let _none = std::fs::remove_dir_all(
                fixture
                    .registry
                    .data()
                    .join("docker/registry/v2/repositories/acme/app"),
            );
        }
    }
    fixture.proxy.peace();
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
}

#[tokio::test]
async fn a_blob_that_vanishes_before_the_manifest_is_brought_again() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (kept, lost) = (noise(1, 50 * KIB), noise(2, 60 * KIB));
    let digest = String::from(crate::digest::digest(&lost));
    let source = layout(&folder, &[&kept, &lost]);
    let data = fixture.registry.data();
    let lose = Act::First(Arc::new(move || {
        Distribution::lose(&data, "acme/app", &digest)
    }));
    fixture.proxy.rule("PUT", "/manifests/sha256:", 1, lose);
    let done = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(done.counts.pushed > 170 * 1024, "{:?}", done.counts);
    assert_eq!(
        fixture.tagged("acme/app", "v1").await.as_deref(),
        Some(done.manifest.digest.as_str())
    );
}

#[tokio::test]
async fn a_push_to_a_full_registry_fails_and_succeeds_once_there_is_space() {
    let fixture = Fixture::of(Distribution::with_disk(6)).await;
    let ballast = fixture.registry.data().join("ballast");
    std::fs::write(&ballast, vec![0; 5 << 20]).unwrap();
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 600 * KIB), &noise(2, 900 * KIB)]);
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the registry answered 500"),
        "{error}"
    );
    assert_eq!(fixture.tagged("acme/app", "v1").await, None);
    std::fs::remove_file(&ballast).unwrap();
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
}

#[tokio::test]
async fn a_blob_that_the_registry_fails_on_is_uploaded() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 20 * KIB)]);
    let act = Act::Answer(500, "", String::new());
    fixture.proxy.rule("HEAD", "/blobs/", usize::MAX, act);
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(fixture.tagged("acme/app", "v1").await.is_some());
}

#[tokio::test]
async fn a_request_without_an_answer_is_abandoned_and_retried() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10)]);
    fixture.proxy.rule("PUT", "/blobs/uploads/", 1, Act::Hang);
    let started = Instant::now();
    push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(started.elapsed() >= RETRIES.stall);
}

#[tokio::test]
async fn one_target_fails_and_the_other_finishes() {
    let (good, bad) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 100 * KIB)]);
    bad.proxy.rule(
        "PUT",
        "/blobs/",
        usize::MAX,
        Act::Answer(500, "", String::new()),
    );
    let both = || [bad.target(&["v1"]), good.target(&["v1"])];
    let outcomes = push(&source, &both()).await;
    assert!(outcomes[0].result.is_err() && outcomes[1].result.is_ok());
    let error = super::super::all(outcomes).unwrap_err();
    assert!(
        error.message.contains(&bad.proxy.address.to_string()),
        "{error}"
    );
    assert!(
        error
            .hints
            .iter()
            .any(|hint| hint.contains(&good.proxy.address.to_string()))
    );
    bad.proxy.peace();
    let outcomes = super::super::all(push(&source, &both()).await).unwrap();
    assert_eq!(outcomes[0].manifest, outcomes[1].manifest);
    assert_eq!(outcomes[1].counts.pushed, 0);
}

#[tokio::test]
async fn layers_of_another_repository_are_mounted_or_uploaded_if_the_mount_is_refused() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 100 * KIB)]);
    push_one(&source, target(&fixture.client(), "acme/base", &["v1"]))
        .await
        .unwrap();
    let from = |name: &str| {
        let target = target(&fixture.client(), name, &["v1"]);
        Target {
            from: vec!["acme/none".to_owned(), "acme/base".to_owned()],
            ..target
        }
    };
    let done = push_one(&source, from("acme/one")).await.unwrap();
    assert!(
        done.counts.mounted > 100 * 1024 && done.counts.pushed == 0,
        "{:?}",
        done.counts
    );
    fixture
        .proxy
        .rule("POST", "mount=", usize::MAX, Act::NoQuery);
    let done = push_one(&source, from("acme/two")).await.unwrap();
    assert!(
        done.counts.mounted == 0 && done.counts.pushed > 100 * 1024,
        "{:?}",
        done.counts
    );
    // The session that came instead of the mount is used.
    assert_eq!(fixture.proxy.count("POST", "/acme/two/blobs/uploads/"), 2);
}

#[tokio::test]
async fn a_push_that_is_dropped_leaves_no_tag_and_the_next_completes_it() {
    let folder = Folder::new();
    let layers: Vec<Vec<u8>> = (0..6).map(|seed| noise(seed, 200 * KIB)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(|layer| &layer[..]).collect();
    let source = layout(&folder, &layers);
    for (method, path, skip) in [
        ("HEAD", "/blobs/", 2),
        ("PUT", "/blobs/uploads/", 3),
        ("PUT", "/manifests/sha256:", 0),
        ("GET", "/manifests/sha256:", 0),
        ("PUT", "/manifests/v1", 0),
    ] {
        let fixture = Fixture::new().await;
        fixture.proxy.later(method, path, skip, 1, Act::Hang);
        let cut = tokio::time::timeout(
            Duration::from_millis(700),
            push_one(&source, fixture.target(&["v1"])),
        );
        assert!(cut.await.is_err(), "{method} {path} did not hang");
        assert_eq!(
            fixture.tagged("acme/app", "v1").await,
            None,
            "{method} {path}"
        );
        fixture.proxy.peace();
        push_one(&source, fixture.target(&["v1"])).await.unwrap();
        assert!(fixture.tagged("acme/app", "v1").await.is_some());
    }
}

#[tokio::test]
async fn a_repository_that_was_just_created_is_not_asked_for_what_it_cannot_have() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = layout(&folder, &[&noise(1, 10), &noise(2, 10)]);
    let created = Target {
        created: true,
        ..fixture.target(&["v1"])
    };
    push_one(&source, created).await.unwrap();
    assert_eq!(fixture.proxy.count("HEAD", "/blobs/"), 0);
    assert_eq!(fixture.proxy.count("HEAD", "/manifests/sha256:"), 0);
    // All of it is proven at the end, as anywhere.
    assert_eq!(fixture.proxy.count("GET", "/manifests/sha256:"), 1);
    assert!(fixture.tagged("acme/app", "v1").await.is_some());

    // A lost answer is looked for.
    let other = Folder::new();
    let source = layout(&other, &[&noise(3, 10)]);
    fixture.proxy.rule("PUT", "/blobs/", 1, Act::Lose);
    let again = Target {
        created: true,
        ..fixture.target(&["v2"])
    };
    push_one(&source, again).await.unwrap();
    assert_eq!(fixture.proxy.count("HEAD", "/blobs/"), 1);
}
