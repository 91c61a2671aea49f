//! A newer Docker Engine with containerd's image store: what the older one cannot build, and base layers as they are in their
//! registry.

use sandbox::newer::Engine;
use serde_json::{Value, json};

use super::DEADLINE;
use super::checkout::Checkout;
use super::{seen, stopped};
use crate::support::{heavy, instance, log, until};

#[test]
fn an_index_of_two_platforms_with_provenance_is_built_and_its_cache_is_in_ecr() {
    let _turn = heavy();
    let mut checkout = Checkout::new("newer");
    let engine = Engine::start(instance()).unwrap();
    checkout.docker_host = Some(engine.host());
    checkout.write(
        "Dockerfile",
        "FROM scratch AS made\nCOPY greeting /greeting\nFROM made\nCOPY greeting /again\n",
    );
    checkout.commit("first");
    let cache = format!(
        "type=registry,ref={}/storefront:cache",
        checkout.setting.world.registry
    );
    let cache_to = format!("{cache},mode=max");
    let arguments = [
        "--platform",
        "linux/amd64",
        "--platform",
        "linux/arm64",
        "--provenance",
        "mode=max",
        "--cache-to",
        &cache_to,
    ];
    // A tag that never moves would take the cache once, and no second time.
    let before = checkout.newest_call();
    let refused = log(&checkout.run(&arguments, 3));
    assert!(
        refused.contains("tag cache of storefront, which cannot move"),
        "{refused}"
    );
    assert_eq!(checkout.changes_since(before), [""; 0]);
    let arguments = [&arguments[..], &["--mutable-tag", "cache*"]].concat();
    let built = checkout.json(&arguments, 0);
    assert_eq!(built["outcome"], "built", "{built}");
    let platforms = checkout.outputs()["platforms"].clone();
    let platforms: Vec<&str> = platforms
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let index = checkout.manifest(&json!({"imageDigest": built["digest"]}));
    let entries = index["manifests"].as_array().unwrap();
    let attests = |entry: &&Value| {
        entry["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    };
    assert_eq!(entries.iter().filter(attests).count(), 2, "{index}");
    // ECR keeps a cache only as what it takes for an image.
    let kept = checkout.manifest(&json!({"imageTag": "cache"}));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(kept["mediaType"], kind, "{kept}");
    assert_eq!(checkout.left_behind(), [""; 0]);

    // A builder that knows nothing any more takes it from there.
    engine
        .docker(&["builder", "prune", "--all", "--force"])
        .unwrap();
    checkout.commit("second");
    let again = [&arguments[..], &["--rebuild", "--cache-from", &cache]].concat();
    let stderr = log(&checkout.run(&again, 0));
    assert!(stderr.contains("importing cache manifest"), "{stderr}");
    assert!(stderr.contains("CACHED"), "{stderr}");
}

#[test]
fn a_base_of_the_same_registry_is_mounted_where_the_account_allows_it() {
    let _turn = heavy();
    let mut checkout = Checkout::new("mounted");
    let engine = Engine::start(instance()).unwrap();
    checkout.docker_host = Some(engine.host());
    let allow = json!({"name": "BLOB_MOUNTING", "value": "ENABLED"});
    checkout.setting.ecr("PutAccountSetting", &allow).unwrap();
    checkout.commit("first");
    // Without a content key as well, as it is where a base's digest cannot be told.
    let built = checkout.json(&["--rebuild"], 0);
    assert_eq!(built["outcome"], "built", "{built}");
    let bytes = &built["to"][0]["bytes"];
    assert_ne!(bytes["mounted"], 0, "{built}");
    assert!(
        bytes["pushed"].as_u64().unwrap() < bytes["mounted"].as_u64().unwrap(),
        "{built}"
    );
    assert_eq!(
        checkout.outputs()["bytes-mounted"],
        bytes["mounted"].to_string()
    );

    // Compressed otherwise they are other blobs, the base's too.
    checkout.write("greeting", "good evening\n");
    checkout.commit("second");
    let built = checkout.json(&["--compression", "zstd"], 0);
    assert_eq!(checkout.layers(&built), ["zstd"; 2], "{built}");
    assert_eq!(built["to"][0]["bytes"]["mounted"], 0, "{built}");
}

/// BuildKit runs elsewhere and asks its client for logins and secrets, which the step's helper and environment have.
#[test]
fn a_build_that_is_stopped_leaves_nothing_behind_and_shows_no_token() {
    let _turn = heavy();
    let mut checkout = Checkout::new("newer-stop");
    let engine = Engine::start(instance()).unwrap();
    checkout.docker_host = Some(engine.host());
    assert_eq!(checkout.anonymous_pull(), 401, "the base is guarded");
    let mark = checkout.slow(300);
    checkout.commit("slow");
    let started = checkout.start(&["--tag", "v1", "--secret", "id=npm,env=NPM_TOKEN"]);
    checkout.until_building(&started, &mark);
    let seen = seen::snapshot(&started, &checkout.temp());
    assert!(
        seen.processes > 1 && seen.files > 0,
        "the builder is among what was looked at"
    );
    assert_eq!(seen.found, [""; 0]);
    stopped::stop(&checkout, started);
    assert!(checkout.tags().is_empty());
    until("the build's step is gone", DEADLINE, || {
        (!seen::running(&mark)).then_some(())
    });
    assert_eq!(engine.docker(&["image", "ls", "--quiet"]).unwrap(), "");

    checkout.slow(0);
    let commit = checkout.commit("fast");
    let done = stopped::second_run_completes(&checkout, &commit);
    assert_eq!(done["outcome"], "built", "{done}");
}
