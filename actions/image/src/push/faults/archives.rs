//! Archives: one stream for all targets, read as seldom as can be.

use super::hostile::Act;
use super::images::{Folder, archive, noise};
use super::registry::Distribution;
use super::{Fixture, push, push_one};
use crate::blob::Compression;
use crate::push::Target;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KIB: usize = 1 << 10;

#[tokio::test]
async fn an_archive_is_pushed_once_and_then_not_read_again() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (large, small) = (noise(1, 3000 * KIB), noise(2, 40 * KIB));
    let source = archive(&folder, &[&small, &large, &small]);
    // As ECR answers.
    fixture.proxy.rule("PATCH", "", 1, Act::Status(201));
    let done = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert!(done.counts.pushed > 3040 * 1024, "{:?}", done.counts);
    assert_eq!(fixture.proxy.count("PATCH", ""), 1);
    assert_eq!(done.platforms[0].0, "linux/amd64");
    fixture.proxy.forget();
    let again = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert_eq!(again.manifest, done.manifest);
    assert_eq!(again.counts.pushed, 0);
    assert!(
        fixture
            .proxy
            .seen()
            .iter()
            .all(|seen| matches!(&*seen.method, "HEAD" | "GET"))
    );
}

#[tokio::test]
async fn layers_that_an_earlier_image_has_are_passed_over() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (base, app) = (noise(1, 2000 * KIB), noise(2, 50 * KIB));
    push_one(&archive(&folder, &[&base]), fixture.target(&["v1"]))
        .await
        .unwrap();
    let next = Folder::new();
    let target = Target {
        earlier: vec!["v0".to_owned(), "v1".to_owned()],
        ..fixture.target(&["v2"])
    };
    let done = push_one(&archive(&next, &[&base, &app]), target)
        .await
        .unwrap();
    assert!(done.counts.pushed < 60 * 1024, "{:?}", done.counts);
    assert!(done.counts.skipped > 1900 * 1024, "{:?}", done.counts);
}

#[tokio::test]
async fn all_targets_get_one_digest_from_one_reading() {
    let (first, second) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let (base, app) = (noise(1, 2000 * KIB), noise(2, 1500 * KIB));
    push_one(&archive(&folder, &[&base]), first.target(&["v1"]))
        .await
        .unwrap();
    let next = Folder::new();
    let source = archive(&next, &[&base, &app]);
    let earlier = Target {
        earlier: vec!["v1".to_owned()],
        ..first.target(&["v2"])
    };
    let outcomes = push(&source, &[earlier, second.target(&["v2"])]).await;
    let all = super::super::all(outcomes).unwrap();
    assert_eq!(all[0].manifest, all[1].manifest);
    // The layer that the first target already has is copied from there to the second.
    assert!(all[1].counts.pushed > 3500 * 1024, "{:?}", all[1].counts);
    assert_eq!(first.proxy.count("PATCH", ""), 2);
    assert_eq!(second.proxy.count("PATCH", ""), 1);
    assert!(first.proxy.count("GET", "/blobs/") >= 1);
}

#[tokio::test]
async fn a_target_that_hangs_is_left_behind_and_the_other_finishes() {
    let (good, bad) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    // More than a connection holds.
    let source = archive(&folder, &[&noise(1, 10_000 * KIB)]);
    bad.proxy.rule("PATCH", "", 1, Act::Hang);
    let outcomes = push(&source, &[bad.target(&["v1"]), good.target(&["v1"])]).await;
    let all = super::super::all(outcomes).unwrap();
    assert_eq!(all[0].manifest, all[1].manifest);
    // The other had it from the first reading.
    assert_eq!(good.proxy.count("PATCH", ""), 1);
    assert_eq!(bad.proxy.count("PATCH", ""), 2);
}

#[tokio::test]
async fn a_small_layer_that_hangs_at_one_target_is_brought_by_the_next_reading() {
    let (good, bad) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let source = archive(&folder, &[&noise(1, 20 * KIB), &noise(2, 30 * KIB)]);
    bad.proxy.rule("PUT", "/blobs/", 2, Act::Hang);
    let outcomes = push(&source, &[bad.target(&["v1"]), good.target(&["v1"])]).await;
    let all = super::super::all(outcomes).unwrap();
    assert_eq!(all[0].manifest, all[1].manifest);
    // The other has each blob from one session, however often there was a reading.
    assert_eq!(good.proxy.count("POST", "/blobs/uploads/"), 3);
}

#[tokio::test]
async fn a_stream_that_is_refused_for_now_is_tried_again_when_the_registry_says() {
    for (status, header, least) in [
        (429, "Retry-After: 1\r\n", 1000),
        (503, "Retry-After: 1\r\n", 1000),
        (503, "", 1),
        (500, "", 1),
    ] {
        let fixture = Fixture::new().await;
        let folder = Folder::new();
        let source = archive(&folder, &[&noise(1, 3000 * KIB)]);
        fixture
            .proxy
            .rule("PATCH", "", 1, Act::Answer(status, header, String::new()));
        let started = Instant::now();
        push_one(&source, fixture.target(&["v1"])).await.unwrap();
        assert!(
            started.elapsed() >= Duration::from_millis(least),
            "{status}"
        );
        assert_eq!(fixture.proxy.count("PATCH", ""), 2, "{status}");
    }
    // One that asks for a longer wait than the policy allows.
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let source = archive(&folder, &[&noise(1, 3000 * KIB)]);
    let act = Act::Answer(429, "Retry-After: 3600\r\n", String::new());
    fixture.proxy.rule("PATCH", "", usize::MAX, act);
    let error = push_one(&source, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    assert_eq!(fixture.proxy.count("PATCH", ""), 1);
}

#[tokio::test]
async fn layers_that_are_compressed_otherwise_do_not_stand_for_what_is_asked() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let (base, app) = (noise(1, 2000 * KIB), noise(2, 50 * KIB));
    let first = archive(&folder, &[&base]);
    push_one(&first, fixture.target(&["v1"])).await.unwrap();
    let next = Folder::new();
    // The same image, and one that has its layer.
    for source in [first, archive(&next, &[&base, &app])] {
        let target = Target {
            earlier: vec!["v1".to_owned()],
            ..fixture.target(&["v2"])
        };
        let outcomes =
            super::super::push(&super::host(), &source, Compression::Zstd, &[target]).await;
        let done = super::super::all(outcomes).unwrap().remove(0);
        let manifest = String::from_utf8(done.manifest.bytes.to_vec()).unwrap();
        assert!(!manifest.contains("tar+gzip"), "{manifest}");
        assert!(manifest.contains("tar+zstd"), "{manifest}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_at_one_target_is_read_again_for_that_one() {
    let (first, second) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let source = archive(&folder, &[&noise(1, 3000 * KIB), &noise(2, 2000 * KIB)]);
    second.proxy.rule("PATCH", "", 1, Act::Cut(1200 * KIB));
    let outcomes = push(&source, &[first.target(&["v1"]), second.target(&["v1"])]).await;
    let all = super::super::all(outcomes).unwrap();
    assert_eq!(all[0].manifest, all[1].manifest);
    assert_eq!(first.proxy.count("PATCH", ""), 2);
    assert_eq!(second.proxy.count("PATCH", ""), 3);
}

#[tokio::test]
async fn a_token_that_ends_in_mid_stream_and_lost_answers_cost_a_reading_at_most() {
    for after in [4, 6, 8] {
        let fixture = Fixture::new().await;
        let folder = Folder::new();
        let source = archive(&folder, &[&noise(1, 2000 * KIB), &noise(2, 1800 * KIB)]);
        fixture.proxy.expire(after, 401, "");
        fixture.proxy.rule("PUT", "/blobs/uploads/", 1, Act::Lose);
        push_one(&source, fixture.target(&["v1"])).await.unwrap();
        assert!(fixture.proxy.count("PATCH", "") <= 4);
    }
}

#[tokio::test]
async fn a_failing_target_is_left_behind_and_a_second_run_completes_it() {
    let (good, bad) = (Fixture::new().await, Fixture::new().await);
    let folder = Folder::new();
    let source = archive(&folder, &[&noise(1, 2000 * KIB), &noise(2, 10 * KIB)]);
    for first in [true, false] {
        bad.proxy.peace();
        bad.proxy
            .rule("PATCH", "", usize::MAX, Act::Answer(500, "", String::new()));
        let tag = if first { "v1" } else { "v2" };
        let targets = |tag| match first {
            true => [bad.target(&[tag]), good.target(&[tag])],
            false => [good.target(&[tag]), bad.target(&[tag])],
        };
        let outcomes = push(&source, &targets(tag)).await;
        let ok: Vec<bool> = outcomes
            .iter()
            .map(|outcome| outcome.result.is_ok())
            .collect();
        assert_eq!(ok, [!first, first], "{outcomes:?}");
        bad.proxy.peace();
        let all = super::super::all(push(&source, &targets(tag)).await).unwrap();
        assert_eq!(all[0].manifest, all[1].manifest);
    }
}

#[tokio::test]
async fn a_layer_that_vanishes_is_read_again() {
    let fixture = Fixture::new().await;
    let folder = Folder::new();
    let lost = noise(1, 2000 * KIB);
    let source = archive(&folder, &[&lost, &noise(2, 10 * KIB)]);
    let data = fixture.registry.data();
    // The blob's name is known from the manifest that is about to be put.
    let config = String::from(crate::digest::digest(&noise(2, 10 * KIB)));
    fixture.proxy.rule(
        "PUT",
        "/manifests/sha256:",
        1,
        Act::First(Arc::new(move || {
            let layers = data.join("docker/registry/v2/repositories/acme/app/_layers/sha256");
            let mut largest: Vec<(u64, String)> = std::fs::read_dir(&layers)
                .unwrap()
                .map(|entry| {
                    let hex = entry.unwrap().file_name().into_string().unwrap();
                    let blob = data
                        .join("docker/registry/v2/blobs/sha256")
                        .join(&hex[..2])
                        .join(&hex);
                    (std::fs::metadata(blob.join("data")).unwrap().len(), hex)
                })
                .collect();
            largest.sort();
            let (_, hex) = largest.pop().unwrap();
            assert!(!config.contains(&hex));
            Distribution::lose(&data, "acme/app", &format!("sha256:{hex}"));
        })),
    );
    let done = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert_eq!(fixture.proxy.count("PATCH", ""), 2);
    assert_eq!(
        fixture.tagged("acme/app", "v1").await.as_deref(),
        Some(done.manifest.digest.as_str())
    );
}
