//! `publish` as a user meets it: real builders, a real registry, and a run that is stopped at any moment.

mod checkout;
mod copies;
mod large;
mod newer;
mod progress;
mod proof;
mod pushed;
mod replicas;
mod seen;
mod stopped;
mod unseen;

use checkout::{BUILDAH, Checkout};
use serde_json::{Value, json};

use crate::record::{calls, nothing_was_denied, of_steps};
use crate::support::{TIMEOUT, heavy, log, wait};

/// Longer than any one publication takes, even while other tests use the machine.
const DEADLINE: std::time::Duration = TIMEOUT;

/// The most memory that a publication holds, in KiB.
const LIMIT: u64 = 64 << 10;

/// The notes in the build account's ledger, as they were written.
fn notes(checkout: &Checkout) -> Vec<Value> {
    let scan = json!({"TableName": sandbox::world::World::LEDGER, "ConsistentRead": true});
    let aws = &checkout.setting.aws;
    let answer = wait(
        TIMEOUT,
        aws.json("dynamodb", "DynamoDB_20120810.Scan", &scan),
    );
    let answer = answer.unwrap().unwrap();
    let items = answer["Items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let list = item["chain"]["S"].as_str().unwrap();
            assert!(list.starts_with("content#storefront#"), "{list}");
            serde_json::from_str(item["content"]["S"].as_str().unwrap()).unwrap()
        })
        .collect()
}

/// Bytes that nothing compresses, the same ones each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

/// Expects that both commits are noted for the image, by the role that may write notes alone.
fn are_noted(checkout: &Checkout, digest: &str, first: &str, second: &str) {
    let mut noted: Vec<(String, String)> = notes(checkout)
        .iter()
        .map(|note| {
            assert_eq!(note["digest"], digest);
            let text = |name: &str| note[name].as_str().unwrap().to_owned();
            (text("commit"), text("first_commit"))
        })
        .collect();
    noted.sort();
    let of = |commit: &str| (commit.to_owned(), first.to_owned());
    let mut wanted = vec![of(first), of(second)];
    wanted.sort();
    assert_eq!(noted, wanted);
    wait(TIMEOUT, async {
        let world = &checkout.setting.world;
        let calls = of_steps(calls(world).await);
        let notes = calls
            .iter()
            .filter(|call| call.operation == "PutItem" && call.role() == Some("slipway-publish"));
        assert_eq!(notes.count(), 2);
        nothing_was_denied(&calls);
    });
}

#[test]
fn a_commit_is_built_once_and_its_content_is_too() {
    let _turn = heavy();
    let mut checkout = Checkout::new("publish");
    let first = checkout.commit("first");
    let built = checkout.json(&[], 0);
    assert_eq!(built["outcome"], "built", "{built}");
    assert_eq!(built["repository_created"], true);
    let digest = built["digest"].as_str().unwrap().to_owned();
    // The next job gets these outputs: the runner would drop one that contains a masked value, such as the account's ID.
    let outputs = checkout.outputs();
    assert_eq!(outputs["digest"], digest);
    assert_eq!(outputs["repository"], "storefront");
    assert_ne!(outputs["bytes-pushed"], "0");
    for name in ["digest", "repository"] {
        assert!(!outputs[name].contains(&checkout.setting.world.build.id));
    }
    assert_eq!(checkout.tagged(&first), Some(digest.clone()));

    let before = checkout.newest_call();
    let again = checkout.json(&[], 0);
    assert_eq!(again["outcome"], "already published", "{again}");
    assert_eq!(again["digest"], digest);
    assert_eq!(checkout.changes_since(before), [""; 0]);
    // A second run sets the same outputs for later steps; it pushed 0 bytes in 0 seconds.
    let second = checkout.outputs();
    assert!(second["platforms"].contains(&digest), "{second:?}");
    for name in [
        "digest",
        "reference",
        "repository",
        "registry",
        "tags",
        "platforms",
    ] {
        assert_eq!(second[name], outputs[name], "{name}");
    }
    assert_eq!(second["bytes-pushed"], "0");
    assert_eq!(second["seconds"], "0");

    // Another commit, and nothing of it goes into the image.
    std::fs::write(checkout.setting.job.file("README"), "more\n").unwrap();
    let second = checkout.commit("second");
    let before = checkout.newest_call();
    let same = checkout.json(&["--tag", "v2"], 0);
    assert_eq!(same["outcome"], "same content", "{same}");
    assert_eq!(same["digest"], digest);
    assert_eq!(same["built_for"], first);
    assert_eq!(same["builder"], Value::Null);
    assert_eq!(checkout.tagged(&second), Some(digest.clone()));
    assert_eq!(checkout.tagged("v2"), Some(digest.clone()));
    let summary = checkout.setting.job.read("summary");
    assert!(
        summary.contains(&format!("{first}, of the same content")),
        "{summary}"
    );
    let changes = checkout.changes_since(before);
    assert!(
        !changes.iter().any(|change| change.contains("Layer")),
        "{changes:?}"
    );
    are_noted(&checkout, &digest, &first, &second);

    // The content's own tag leads nowhere when a build is asked for; the engine keeps times, so it is another image.
    checkout.commit("third");
    let rebuilt = checkout.json(&["--rebuild", "--no-cache"], 0);
    assert_eq!(rebuilt["outcome"], "built", "{rebuilt}");
    assert_eq!(rebuilt["content_key"], Value::Null);
    let refused = log(&checkout.run(&["--rebuild"], 3));
    assert!(
        refused.contains("is immutable; a rebuild could not be published"),
        "{refused}"
    );
    a_change_shares_what_it_can(&mut checkout, &digest);
    assert_eq!(checkout.left_behind(), [""; 0]);
}

/// The changed layer is built and pushed; the base is in the registry already.
fn a_change_shares_what_it_can(checkout: &mut Checkout, digest: &str) {
    checkout.write("greeting", "good evening\n");
    checkout.commit("fourth");
    let output = checkout.run(&["--json"], 0);
    let changed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stderr = log(&output);
    assert!(stderr.contains("layer 2 of 2 (sha256:"), "{stderr}");
    assert!(
        !stderr.contains("layer 1 of 2"),
        "the base was there: {stderr}"
    );
    assert_eq!(changed["outcome"], "built", "{changed}");
    assert_ne!(changed["digest"], digest);
    let bytes = &changed["to"][0]["bytes"];
    assert!(bytes["skipped"].as_u64().unwrap() > 0, "{changed}");
    assert!(
        bytes["pushed"].as_u64().unwrap() < bytes["skipped"].as_u64().unwrap(),
        "{changed}"
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut checkout = Checkout::new("dry");
    checkout.commit("first");
    let before = checkout.newest_call();
    let plan = checkout.json(&["--dry-run", "--to", "eu-west-1"], 0);
    assert_eq!(plan["dry_run"], true, "{plan}");
    assert!(
        plan["image_plan"]
            .as_str()
            .unwrap()
            .starts_with("build with docker")
    );
    assert_eq!(plan["repository_changes"][0]["setting"], "repository");
    assert!(plan["to"][0].as_str().unwrap().contains("eu-west-1"));
    assert_eq!(checkout.changes_since(before), [""; 0]);
    // The plan was made of looking, or the record would be of another world.
    assert!(checkout.newest_call() > before);
    assert_eq!(checkout.left_behind(), [""; 0]);
}

#[test]
fn an_immutable_tag_that_is_taken_is_refused_before_the_build() {
    let mut checkout = Checkout::new("taken");
    let arguments = ["--repository", crate::ecr::THERE, "--environment", "dev"];
    let mutability =
        json!({"repositoryName": crate::ecr::THERE, "imageTagMutability": "IMMUTABLE"});
    checkout
        .setting
        .ecr("PutImageTagMutability", &mutability)
        .unwrap();
    let theirs = checkout.setting.another("theirs", Some("v1"));
    let commit = checkout.commit("first");
    let before = checkout.newest_call();
    let refused = log(&checkout.run(&[&arguments[..], &["--tag", "v1"]].concat(), 3));
    let expected = format!(
        "tag v1 already names {theirs} and is immutable; commit {commit} is not published yet"
    );
    assert!(refused.contains(&expected), "{refused}");
    assert_eq!(checkout.changes_since(before), [""; 0]);
    assert!(!refused.contains("builds"), "{refused}");

    let ours = checkout.setting.another("ours", Some(&commit));
    let refused = log(&checkout.run(&[&arguments[..], &["--tag", "v1"]].concat(), 3));
    assert!(
        refused.contains(&theirs) && refused.contains(&ours),
        "{refused}"
    );
    assert_eq!(
        checkout.changes_since(before),
        ["PutImage"],
        "the test's own"
    );
}

#[test]
fn the_same_source_is_the_same_image_in_two_worlds_without_a_cache() {
    let _turn = heavy();
    let digests = ["twice-a", "twice-b"].map(|name| {
        let mut checkout = Checkout::new(name);
        // The source's repository is a label of the image, and each world has a repository of its own.
        let job = &mut checkout.setting.job;
        job.set("GITHUB_REPOSITORY", "acme/storefront");
        checkout.start_from_scratch();
        checkout.own_storage();
        checkout.commit("first");
        let built = checkout.json(&[BUILDAH, &["--no-cache"]].concat(), 0);
        assert!(
            built["builder"].as_str().unwrap().starts_with("buildah "),
            "{built}"
        );
        let digest = built["digest"].as_str().unwrap().to_owned();
        assert_eq!(checkout.left_behind(), [""; 0]);
        (checkout.setting.world.name.clone(), digest)
    });
    assert_ne!(digests[0].0, digests[1].0);
    assert_eq!(digests[0].1, digests[1].1);
}

/// The base is in the world's own registry, which lets nobody in without a token: the first test's builds got it through
/// the helper with the engine, this one with buildah. No file, argument list or environment of a builder holds it.
#[test]
fn a_base_in_ecr_is_pulled_and_the_token_is_nowhere() {
    let _turn = heavy();
    for (name, builder) in [("base-engine", &[][..]), ("base-buildah", BUILDAH)] {
        let mut checkout = Checkout::new(name);
        checkout.own_storage();
        let anonymous = checkout.anonymous_pull();
        assert_eq!(anonymous, 401, "the base is guarded");
        let mark = checkout.held();
        checkout.commit("first");
        let secret = ["--no-cache", "--secret", "id=npm,env=NPM_TOKEN"];
        let started = checkout.start(&[builder, &secret].concat());
        checkout.until_building(&started, &mark);
        let seen = seen::snapshot(&started, &checkout.temp());
        assert!(
            seen.processes > 1,
            "the builder is among what was looked at"
        );
        assert!(
            seen.files > 0,
            "its configuration is among what was looked at"
        );
        assert_eq!(seen.found, [""; 0]);
        checkout.end_build_step(&mark);
        let output = started.end(DEADLINE);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            log(&output)
        );
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert_eq!(seen::tokens(&text), [""; 0]);
        for file in ["output", "env", "state", "summary"] {
            assert_eq!(
                seen::tokens(&checkout.setting.job.read(file)),
                [""; 0],
                "{file}"
            );
        }
        assert_eq!(checkout.left_behind(), [""; 0]);
    }
}

/// An older image of the base's name is in the builder's own storage; the key is over the one that the registry has.
#[test]
fn a_base_that_is_known_is_never_the_builder_s_older_one() {
    let _turn = heavy();
    for (name, builder) in [("stale-engine", &[][..]), ("stale-buildah", BUILDAH)] {
        let mut checkout = Checkout::new(name);
        checkout.own_storage();
        checkout.slow(0);
        checkout.commit("first");
        let stale = checkout.stale_base(!builder.is_empty());
        // A build on the older image would fail, since it has no busybox to run.
        let built = checkout.json(builder, 0);
        assert_eq!(built["outcome"], "built", "{built}");
        assert_ne!(built["content_key"], Value::Null);
        drop(stale);
    }
}

#[test]
fn a_build_argument_of_several_lines_arrives_whole() {
    let _turn = heavy();
    for (name, builder) in [("lines-engine", &[][..]), ("lines-buildah", BUILDAH)] {
        let mut checkout = Checkout::new(name);
        checkout.own_storage();
        let base = format!(
            "{}/{}:base",
            checkout.setting.world.registry,
            crate::ecr::THERE
        );
        // buildah ignores SHELL in an image of the OCI's format.
        let check =
            r#"["/bin/busybox", "sh", "-c", "test \"$CONFIG\" = \"$(printf 'A=1\\nB=2 3')\""]"#;
        checkout.write(
            "Dockerfile",
            &format!("FROM {base}\nARG CONFIG\nRUN {check}\n"),
        );
        checkout.commit("first");
        let arguments = [builder, &["--build-arg", "CONFIG=A=1\nB=2 3"]].concat();
        assert_eq!(checkout.json(&arguments, 0)["outcome"], "built");
    }
}

#[test]
fn a_tag_that_the_same_run_makes_mutable_moves() {
    let mut checkout = Checkout::new("made-mutable");
    let made = checkout.layouts(&[7; 4096]);
    let immutable = json!({"repositoryName": crate::ecr::THERE, "imageTagMutability": "IMMUTABLE"});
    checkout
        .setting
        .ecr("PutImageTagMutability", &immutable)
        .unwrap();
    checkout.setting.another("theirs", Some("latest"));
    checkout.commit("first");
    let arguments = [
        "--environment",
        "dev",
        "--repository",
        crate::ecr::THERE,
        "--layout",
        &made.folder,
        "--tag",
        "latest",
    ];
    let refused = log(&checkout.run(&arguments, 3));
    assert!(refused.contains("tag latest already names"), "{refused}");
    let mutable = [&arguments[..], &["--mutable-tag", "latest"]].concat();
    let moved = checkout.json(&mutable, 0);
    assert_eq!(moved["digest"], made.digest);
    // A second run finds both tags on the image.
    assert_eq!(checkout.json(&mutable, 0)["outcome"], "already published");
}

#[test]
fn zstd_is_zstd_whatever_was_there_before() {
    let _turn = heavy();
    for (name, builder) in [("zstd-engine", &[][..]), ("zstd-buildah", BUILDAH)] {
        let mut checkout = Checkout::new(name);
        checkout.own_storage();
        checkout.commit("first");
        let before = checkout.json(builder, 0);
        assert_eq!(checkout.layers(&before), ["gzip"; 2], "{before}");
        checkout.write("more", "\n");
        checkout.commit("second");
        let zstd = [builder, &["--compression", "zstd"]].concat();
        let after = checkout.json(&zstd, 0);
        assert_eq!(after["outcome"], "built", "{after}");
        assert_eq!(checkout.layers(&after), ["zstd"; 2], "{after}");
    }
    let mut checkout = Checkout::new("zstd-layout");
    let made = checkout.layouts(&vec![7; 4096]);
    checkout.commit("first");
    let before = checkout.newest_call();
    let refused = log(&checkout.run(&["--layout", &made.folder, "--compression", "zstd"], 2));
    assert!(refused.contains("--compression zstd"), "{refused}");
    assert_eq!(checkout.changes_since(before), [""; 0]);
    let pushed = checkout.json(&["--layout", &made.docker, "--compression", "zstd"], 0);
    assert_eq!(checkout.layers(&pushed), ["zstd"]);
}

/// The call is done and its answer lost, so that the step's own second try finds a repository which it seems that another
/// run created; ECR's registry does not know it for a while.
#[test]
fn a_newly_created_repository_is_waited_for_regardless_of_its_creator() {
    let mut checkout = Checkout::new("created");
    let build = checkout.setting.world.build.clone();
    let made = checkout.layouts(&vec![7; 4096]);
    checkout.commit("first");
    let fault = |operation: &str, times: u32, fault: Value| json!({"service": "ecr", "operation": operation, "account": build.id, "times": times, "fault": fault});
    let lost = fault("CreateRepository", 1, json!({"kind": "lost_answer"}));
    let unknown = json!({"kind": "status", "status": 404, "code": "NAME_UNKNOWN", "message": "no such repository"});
    checkout.setting.tell("faults", &lost);
    checkout
        .setting
        .tell("faults", &fault("InitiateLayerUpload", 3, unknown));
    let pushed = checkout.json(&["--layout", &made.folder], 0);
    assert_eq!(pushed["repository_created"], false, "{pushed}");
    assert_eq!(pushed["digest"], made.digest);
}

#[test]
fn a_build_on_a_full_disk_fails_with_a_hint_and_succeeds_once_there_is_space() {
    let _turn = heavy();
    let mut checkout = Checkout::new("room");
    checkout.own_storage();
    let commit = checkout.commit("first");
    let failed = checkout.start_without_room(BUILDAH).end(DEADLINE);
    let stderr = log(&failed);
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    assert!(stderr.to_lowercase().contains("no space left"), "{stderr}");
    assert!(stderr.contains("hint"), "{stderr}");
    assert_eq!(checkout.tagged(&commit), None);
    assert_eq!(checkout.left_behind(), [""; 0]);
    let done = checkout.json(BUILDAH, 0);
    assert_eq!(done["outcome"], "built", "{done}");
}

#[test]
fn an_image_built_by_another_tool_is_pushed_unchanged() {
    let mut checkout = Checkout::new("layout");
    let made = checkout.layouts(&vec![7; 4096]);
    let (mut seen, mut moved) = (Vec::new(), 0);
    for path in [&made.folder, &made.tar, &made.docker] {
        let commit = checkout.commit(path);
        let pushed = checkout.json(&["--layout", path], 0);
        assert_eq!(pushed["outcome"], "pushed", "{pushed}");
        assert_eq!(pushed["content_key"], Value::Null);
        let digest = pushed["digest"].as_str().unwrap().to_owned();
        assert_eq!(checkout.tagged(&commit), Some(digest.clone()));
        seen.push(digest);
        moved = pushed["to"][0]["bytes"]["pushed"].as_u64().unwrap();
    }
    assert_eq!(seen[0], made.digest);
    assert_eq!(seen[1], made.digest);
    // The layer is uncompressed there, and known by its content from the images before.
    assert_eq!(moved, 0, "nothing of it was sent again");
    let refused = log(&checkout.run(&["--layout", &made.folder, "--build-arg", "A=b"], 2));
    assert!(
        refused.contains("--layout") && refused.contains("--build-arg"),
        "{refused}"
    );
    assert!(notes(&checkout).is_empty());
}
