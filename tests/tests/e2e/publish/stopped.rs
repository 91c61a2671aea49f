//! A publication that is stopped at each of its stages, and one after it that ends right.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::checkout::{BUILDAH, Checkout};
use super::{DEADLINE, notes};
use crate::support::{Started, heavy, log, until};

/// How long an operation hangs that is to be interrupted.
const HANGS: u64 = 3_600_000;
/// How many calls hang, more than a run makes.
const MANY: u32 = 50;

/// Ends it as a runner does, and looks that nothing is left; what stayed is in the registry alone.
pub(super) fn stop(checkout: &Checkout, started: Started) {
    started.signal(Signal::TERM);
    let ended = started.end(DEADLINE);
    assert_eq!(ended.status.code(), Some(130), "{}", log(&ended));
    assert_eq!(checkout.left_behind(), [""; 0]);
    assert_eq!(checkout.setting.job.read("output"), "");
    for tag in checkout.tags() {
        let digest = checkout.tagged(&tag).unwrap();
        let host = &checkout.setting.world.registry;
        assert_eq!(checkout.head(host, &tag, None), Some(digest), "{tag}");
    }
}

/// A second run that ends as if the first had not been: image, tags, and the ledger's note.
pub(super) fn second_run_completes(checkout: &Checkout, commit: &str) -> Value {
    checkout.clear_faults(&checkout.setting.world.build.clone());
    let done = checkout.json(&["--tag", "v1"], 0);
    let digest = done["digest"].as_str().unwrap();
    for tag in [commit, "v1"] {
        assert_eq!(checkout.tagged(tag).as_deref(), Some(digest), "{tag}");
    }
    proven(checkout, commit, digest);
    done
}

fn proven(checkout: &Checkout, commit: &str, digest: &str) {
    let notes = notes(checkout);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0]["commit"], commit);
    assert_eq!(notes[0]["digest"], digest);
    assert_eq!(checkout.left_behind(), [""; 0]);
}

/// The next `times` calls of an operation go through, and those after it hang.
pub(super) fn hang(checkout: &Checkout, operation: &str, times: u32) {
    hang_at(checkout, "ecr", operation, times);
}

/// The same for an operation of any service.
pub(super) fn hang_at(checkout: &Checkout, service: &str, operation: &str, times: u32) {
    let fault = |times: u32, millis: u64| {
        json!({"service": service, "operation": operation, "account": checkout.setting.world.build.id,
               "times": times, "fault": {"kind": "delay", "millis": millis}})
    };
    if times > 0 {
        checkout.setting.tell("faults", &fault(times, 0));
    }
    checkout.setting.tell("faults", &fault(MANY, HANGS));
}

/// Waits until a call hangs that [`hang`] was asked to hold.
pub(super) fn until_hanging(checkout: &Checkout, started: &Started) {
    until("a call that hangs", DEADLINE, || {
        assert!(!super::seen::ended(started.id()), "it ended before");
        let hangs = |fault: &Value| fault["fault"]["millis"] == HANGS && fault["times"] != MANY;
        checkout.faults().iter().any(hangs).then_some(())
    });
}

#[test]
fn while_it_builds() {
    let _turn = heavy();
    for (name, builder) in [("stop-engine", &[][..]), ("stop-buildah", BUILDAH)] {
        let mut checkout = Checkout::new(name);
        checkout.own_storage();
        let mark = checkout.slow(300);
        checkout.commit("slow");
        let started = checkout.start(&[builder, &["--tag", "v1"]].concat());
        checkout.until_building(&started, &mark);
        stop(&checkout, started);
        assert!(checkout.tags().is_empty());
        until("the build's step is gone", DEADLINE, || {
            (!super::seen::running(&mark)).then_some(())
        });
        checkout.slow(0);
        let commit = checkout.commit("fast");
        assert_eq!(second_run_completes(&checkout, &commit)["outcome"], "built");
    }
}

#[test]
fn while_it_creates_the_repository_while_it_pushes_and_while_it_tags() {
    let _turn = heavy();
    for (name, operation, times, outcome, tags) in [
        ("stop-create", "CreateRepository", 0, "built", 0),
        ("stop-blobs", "InitiateLayerUpload", 0, "built", 0),
        ("stop-manifest", "PutImage", 0, "built", 0),
        // The manifest by its digest, the content's tag, the commit's.
        ("stop-content", "PutImage", 1, "built", 0),
        ("stop-commit", "PutImage", 2, "same content", 1),
        ("stop-tag", "PutImage", 3, "tags added", 2),
    ] {
        let mut checkout = Checkout::new(name);
        let commit = checkout.commit("first");
        hang(&checkout, operation, times);
        let started = checkout.start(&["--tag", "v1"]);
        until_hanging(&checkout, &started);
        stop(&checkout, started);
        assert_eq!(checkout.tags().len(), tags, "{name}: {:?}", checkout.tags());
        let done = second_run_completes(&checkout, &commit);
        assert_eq!(done["outcome"], outcome, "{name}: {done}");
    }
}

/// Stopped when the image is everywhere and its content's tag comes; the engine keeps times, so that without its cache the
/// next run makes another image.
#[test]
fn while_it_tags_and_other_places_have_the_image() {
    let _turn = heavy();
    let mut checkout = Checkout::new("stop-places");
    let staging = checkout.staging();
    let replica = format!("{}@ca-central-1", checkout.receiver(&staging));
    let commit = checkout.commit("first");
    let arguments = ["--no-cache", "--tag", "v1", "--to", &replica];
    hang(&checkout, "PutImage", 1);
    let started = checkout.start(&arguments);
    // Both places have the manifest by then.
    until_hanging(&checkout, &started);
    stop(&checkout, started);
    let other = checkout.registry(&staging, "ca-central-1");
    assert_eq!(checkout.head(&other, &commit, Some(&staging)), None);

    checkout.clear_faults(&checkout.setting.world.build.clone());
    let done = checkout.json(&arguments, 0);
    let digest = done["digest"].as_str().unwrap();
    proven(&checkout, &commit, digest);
    for tag in [&commit, "v1"] {
        assert_eq!(checkout.tagged(tag).as_deref(), Some(digest), "{tag}");
        let there = checkout.head(&other, tag, Some(&staging));
        assert_eq!(there.as_deref(), Some(digest), "{tag}");
    }
}

/// To another repository of the same registry: before its blobs, its manifest, its tag.
#[test]
fn while_it_copies() {
    for (name, operation, times) in [
        ("stop-copy-blobs", "InitiateLayerUpload", 0),
        ("stop-copy-manifest", "PutImage", 0),
        ("stop-copy-tag", "PutImage", 1),
    ] {
        let checkout = Checkout::new(name);
        let (digest, _) = checkout.setting.first();
        let to = ["--to-repository", "storefront", "--tag", "v1"];
        let arguments = Checkout::copy(&digest, &to);
        hang(&checkout, operation, times);
        let mut command = checkout.setting.job.command("slipway-image", &arguments);
        let started = Started::new(&mut command);
        until_hanging(&checkout, &started);
        stop(&checkout, started);
        assert_eq!(checkout.tagged("v1"), None, "{name}");
        checkout.clear_faults(&checkout.setting.world.build.clone());
        checkout.setting.image(&arguments, 0);
        assert_eq!(checkout.tagged("v1"), Some(digest), "{name}");
    }
}
