//! Signed provenance: what a build stores beside its image, and what a person who may push but not sign can do.

use sandbox::world::World;
use serde_json::{Value, json};

use super::DEADLINE;
use super::checkout::Checkout;
use super::stopped::{hang_at, until_hanging};
use crate::content::stage;
use crate::ecr::Setting;
use crate::support::{TIMEOUT, heavy, log, wait};

const REPOSITORY: &str = "storefront";

/// The tag of an image's provenance for a commit.
fn tag(digest: &str, commit: &str) -> String {
    format!("provenance-{}-{commit}", &digest["sha256:".len()..])
}

/// The statement that the image's provenance holds. Its signature is not looked at here.
fn statement(checkout: &Checkout, tag: &str) -> Value {
    let manifest = checkout.manifest(&json!({"imageTag": tag}));
    let decode = |text: &Value| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap());
        serde_json::from_slice::<Value>(&bytes.unwrap()).unwrap()
    };
    decode(&decode(&manifest["layers"][0]["data"])["payload"])
}

/// Puts a manifest into the repository as its administrator, who may not sign; answers its digest.
fn plant(checkout: &Checkout, manifest: &Value, tag: &str) -> String {
    let input = json!({
        "repositoryName": REPOSITORY,
        "imageManifest": manifest.to_string(),
        "imageManifestMediaType": manifest["mediaType"],
        "imageTag": tag,
    });
    let answer = checkout.setting.ecr("PutImage", &input).unwrap();
    answer["image"]["imageId"]["imageDigest"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The same image under another digest.
fn another(checkout: &Checkout, digest: &str, name: &str, tag: &str) -> String {
    let mut manifest = checkout.manifest(&json!({"imageDigest": digest}));
    manifest["annotations"] = json!({"name": name});
    plant(checkout, &manifest, tag)
}

#[test]
fn a_build_is_signed_once_and_found_again() {
    let _turn = heavy();
    let mut checkout = Checkout::signing("proof");
    let first = checkout.commit("first");
    let plan = checkout.json(&["--dry-run"], 0);
    assert_eq!(
        plan["provenance_plan"],
        "sign with alias/slipway-provenance"
    );
    let built = checkout.json(&[], 0);
    let digest = built["digest"].as_str().unwrap().to_owned();
    let proof = tag(&digest, &first);
    assert_eq!(
        built["provenance"],
        json!({"key": World::PROVENANCE_KEY, "tag": proof}),
        "{built}"
    );
    let provenance = statement(&checkout, &proof);
    let definition = &provenance["predicate"]["buildDefinition"];
    let repository = format!("https://github.com/{}", checkout.setting.world.repository);
    assert_eq!(
        provenance["subject"][0]["digest"]["sha256"],
        digest["sha256:".len()..]
    );
    assert_eq!(definition["externalParameters"]["repository"], repository);
    assert_eq!(definition["externalParameters"]["commit"], first);
    assert_eq!(
        definition["internalParameters"]["contentKey"],
        built["content_key"]
    );
    let tree = &definition["resolvedDependencies"][0]["digest"]["gitTree"];
    assert_eq!(tree.as_str().unwrap().len(), 40, "{provenance}");

    let before = checkout.newest_call();
    assert_eq!(checkout.json(&[], 0)["outcome"], "already published");
    assert_eq!(checkout.changes_since(before), [""; 0]);

    // Another commit of the same content: the same image, with a statement of its own.
    std::fs::write(checkout.setting.job.file("README"), "more\n").unwrap();
    let second = checkout.commit("second");
    let same = checkout.json(&[], 0);
    assert_eq!(same["outcome"], "same content", "{same}");
    let provenance = statement(&checkout, &tag(&digest, &second));
    let parameters = &provenance["predicate"]["buildDefinition"]["internalParameters"];
    assert_eq!(parameters["origin"], "same-content");
    assert_eq!(parameters["builtFor"], first);

    // Only the role that publishes signs, with a digest.
    let (_, calls) = checkout.calls(0);
    let signed: Vec<&Value> = calls
        .iter()
        .filter(|call| call["operation"] == "Sign")
        .collect();
    assert_eq!(signed.len(), 2, "{signed:?}");
    for call in signed {
        assert!(call.to_string().contains("slipway-publish"), "{call}");
    }
}

/// A person who once held the role that pushes plants an image under the tag of a commit that is yet to be built.
#[test]
fn a_planted_image_is_refused_whatever_is_put_beside_it() {
    let mut checkout = Checkout::signing("planted");
    let first = checkout.commit("first");
    let made = checkout.layouts(b"honest");
    let arguments = ["--layout", made.folder.as_str()];
    let honest = checkout.json(&arguments, 0);
    let honest = honest["digest"].as_str().unwrap().to_owned();

    let second = checkout.commit("second");
    let planted = another(&checkout, &honest, "planted", &second);
    let refuse = |why: &str| {
        let before = checkout.newest_call();
        let refused = log(&checkout.run(&arguments, 3));
        let expected =
            format!("tag {second} names {planted}, which is not shown to be that commit's");
        assert!(refused.contains(&expected), "{refused}");
        assert!(refused.contains(why), "{why}: {refused}");
        assert!(refused.contains("batch-delete-image"), "{refused}");
        assert_eq!(checkout.changes_since(before), [""; 0]);
    };
    refuse("it has no provenance");
    // The honest image's provenance, under the planted one's tag.
    let proof = checkout.manifest(&json!({"imageTag": tag(&honest, &first)}));
    plant(&checkout, &proof, &tag(&planted, &second));
    refuse(&format!("it is for image {honest}"));
    assert_eq!(checkout.tagged(&second), Some(planted.clone()));

    // The same with a statement that was changed after it was signed.
    let third = checkout.commit("third");
    let planted = another(&checkout, &honest, "planted again", &third);
    let text = proof.to_string();
    let mut altered: Value = serde_json::from_str(&text).unwrap();
    let data = altered["layers"][0]["data"].as_str().unwrap().to_owned();
    altered["layers"][0]["data"] = json!(reworded(
        &data,
        &[(&honest[7..], &planted[7..]), (&first, &third)]
    ));
    plant(&checkout, &altered, &tag(&planted, &third));
    let refused = log(&checkout.run(&arguments, 3));
    assert!(refused.contains("it is not signed by the key"), "{refused}");
}

/// An envelope whose statement says something else, under the signature that it had.
fn reworded(data: &str, words: &[(&str, &str)]) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let mut envelope: Value = serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap();
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let mut payload = String::from_utf8(payload).unwrap();
    for (from, to) in words {
        assert!(payload.contains(from), "{payload}");
        payload = payload.replace(from, to);
    }
    envelope["payload"] = json!(STANDARD.encode(payload));
    STANDARD.encode(envelope.to_string())
}

/// An image under the content's tag is left alone, and the commit gets one that was built.
#[test]
fn a_planted_content_is_built_anew() {
    let _turn = heavy();
    let mut checkout = Checkout::signing("planted-content");
    checkout.commit("first");
    let built = checkout.json(&[], 0);
    let first = built["digest"].as_str().unwrap().to_owned();
    checkout.write("greeting", "good evening\n");
    let second = checkout.commit("second");
    let plan = checkout.json(&["--dry-run"], 0);
    let content = format!("content-{}", plan["content_key"].as_str().unwrap());
    let planted = another(&checkout, &first, "planted", &content);
    let output = checkout.run(&["--json"], 0);
    let stderr = log(&output);
    assert!(
        stderr.contains("which is not shown to have this content"),
        "{stderr}"
    );
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["outcome"], "built", "{done}");
    let digest = done["digest"].as_str().unwrap();
    assert_ne!(digest, planted);
    assert_eq!(checkout.tagged(&second).as_deref(), Some(digest));
    assert_eq!(checkout.tagged(&content), Some(planted));
}

/// A signature by another key is not accepted, even if the same role made it.
#[test]
fn another_key_proves_nothing() {
    let mut checkout = Checkout::signing("another-key");
    let world = &checkout.setting.world;
    let role = format!("arn:aws:iam::{}:role/slipway-publish", world.build.id);
    let root = format!("arn:aws:iam::{}:root", world.build.id);
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": ["kms:Sign", "kms:GetPublicKey"], "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": root}, "Action": ["kms:CreateAlias", "kms:PutKeyPolicy", "kms:GetPublicKey"], "Resource": "*"},
    ]});
    let kms = |operation: &str, input: Value| {
        let target = format!("TrentService.{operation}");
        let answer = wait(TIMEOUT, checkout.setting.aws.json("kms", &target, &input));
        answer.unwrap().map_err(|refused| refused.body).unwrap()
    };
    let made = kms(
        "CreateKey",
        json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "Policy": policy.to_string()}),
    );
    let id = &made["KeyMetadata"]["KeyId"];
    kms(
        "CreateAlias",
        json!({"AliasName": "alias/other", "TargetKeyId": id}),
    );
    let contract = checkout.setting.job.read("delivery.yaml");
    let other = contract.replace(World::PROVENANCE_KEY, "alias/other");
    assert_ne!(other, contract);

    checkout.commit("first");
    let made = checkout.layouts(b"image");
    let arguments = ["--layout", made.folder.as_str()];
    checkout.setting.write("delivery.yaml", &other);
    checkout.run(&arguments, 0);
    checkout.setting.write("delivery.yaml", &contract);
    let refused = log(&checkout.run(&arguments, 3));
    assert!(refused.contains("it is not signed by the key"), "{refused}");

    // A key of another account is refused before any call.
    let staging = &checkout
        .setting
        .world
        .environment("staging")
        .unwrap()
        .account
        .id;
    let foreign =
        format!("arn:aws:kms:ca-central-1:{staging}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    checkout.setting.write(
        "delivery.yaml",
        &contract.replace(World::PROVENANCE_KEY, &format!("\"{foreign}\"")),
    );
    let refused = log(&checkout.run(&arguments, 2));
    assert!(refused.contains("this key is not in account"), "{refused}");
}

/// Stopped before and after each write, and ended by the next run as if nothing had happened.
#[test]
fn a_run_that_is_killed_anywhere_is_ended_by_the_next() {
    let puts = (0..=6).map(|times| ("ecr", "PutImage", times));
    let (mut unproven, mut untagged, mut tagged) = (0, 0, 0);
    for (service, operation, times) in std::iter::once(("kms", "Sign", 0)).chain(puts) {
        let name = format!("kill-{}-{times}", operation.to_lowercase());
        let name = name.as_str();
        let mut checkout = Checkout::signing(name);
        let commit = checkout.commit("first");
        let made = checkout.layouts(b"image");
        let arguments = ["--layout", made.folder.as_str(), "--tag", "v1"];
        hang_at(&checkout, service, operation, times);
        let started = checkout.start(&arguments);
        until_hanging(&checkout, &started);
        started.signal(rustix::process::Signal::KILL);
        started.end(DEADLINE);
        checkout.clear_faults(&checkout.setting.world.build.clone());
        // Nothing that another run would believe is there without its proof.
        let proof = tag(&made.digest, &commit);
        let at = [&commit, &proof].map(|tag| checkout.tagged(tag).is_some());
        match at {
            [false, false] => unproven += 1,
            [false, true] => untagged += 1,
            [true, true] => tagged += 1,
            [true, false] => panic!("{name}: the commit's tag came before its proof"),
        }

        checkout.run(&arguments, 0);
        for tag in [&commit, "v1"] {
            assert_eq!(checkout.tagged(tag), Some(made.digest.clone()), "{name}");
        }
        assert_eq!(
            statement(&checkout, &proof)["subject"][0]["digest"]["sha256"],
            made.digest["sha256:".len()..]
        );
        assert_eq!(
            checkout.json(&arguments, 0)["outcome"],
            "already published",
            "{name}"
        );
    }
    let stages = [unproven, untagged, tagged];
    assert!(stages.iter().all(|runs| *runs > 0), "{stages:?}");
}

#[test]
fn two_runs_at_once_end_with_one_image_and_one_proof() {
    let mut checkout = Checkout::signing("proof-twice");
    let commit = checkout.commit("first");
    let made = checkout.layouts(b"image");
    // The repository is there, so that both do the same.
    checkout
        .setting
        .image(&["repository", "--environment", "dev"], 0);
    let arguments = ["--layout", made.folder.as_str()];
    let both = [checkout.start(&arguments), checkout.start(&arguments)];
    for started in both {
        let ended = started.end(DEADLINE);
        assert_eq!(ended.status.code(), Some(0), "{}", log(&ended));
    }
    assert_eq!(checkout.tagged(&commit), Some(made.digest.clone()));
    let provenance = statement(&checkout, &tag(&made.digest, &commit));
    assert_eq!(
        provenance["predicate"]["buildDefinition"]["externalParameters"]["commit"],
        commit
    );
}

/// Another tool's image that is not proven to be the commit's.
#[test]
fn an_image_of_another_tool_is_promoted_only_where_the_contract_says_so() {
    let mut checkout = Checkout::signing("prebuilt");
    let commit = checkout.commit("first");
    let made = checkout.layouts(b"image");
    checkout.run(&["--layout", made.folder.as_str()], 0);
    let signed = statement(&checkout, &tag(&made.digest, &commit));
    let parameters = &signed["predicate"]["buildDefinition"]["internalParameters"];
    assert_eq!(parameters["origin"], "prebuilt", "{signed}");

    let setting = &checkout.setting;
    failed_in_dev(setting, &made.digest, &commit);
    let staging = stage(setting, "staging");
    let provenance = || {
        let check = [
            "check",
            "--environment",
            "staging",
            "--digest",
            &made.digest,
            "--json",
        ];
        let ended = staging.run(&mut staging.command("slipway-promote", &check));
        assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
        let answer: Value = serde_json::from_slice(&ended.stdout).unwrap();
        let first = answer["details"]["rules"][0].clone();
        assert_eq!(first["rule"], "provenance", "{answer}");
        first["fact"].as_str().unwrap().to_owned()
    };
    let fact = provenance();
    let unsaid = "the image was built by another tool and not compared with the commit";
    assert!(fact.starts_with(unsaid), "{fact}");
    let contract = staging.read("delivery.yaml");
    let accepting = contract.replacen("build:\n", "build:\n  prebuilt: true\n", 1);
    assert_ne!(accepting, contract);
    std::fs::write(staging.file("delivery.yaml"), accepting).unwrap();
    let fact = provenance();
    assert!(!fact.contains(unsaid), "{fact}");
}

/// Puts on record that a deployment to the first environment failed, so that the ledger knows the digest.
fn failed_in_dev(setting: &Setting, digest: &str, commit: &str) {
    let record = [
        "record",
        "--environment",
        "dev",
        "--digest",
        digest,
        "--commit",
        commit,
        "--verdict",
        "failed",
    ];
    let recorded = setting
        .job
        .run(&mut setting.job.command("slipway-promote", &record));
    assert_eq!(recorded.status.code(), Some(0), "{}", log(&recorded));
}

/// The ledger's record of a digest that nobody built, with a commit that was honestly approved.
#[test]
fn a_record_of_what_was_never_built_promotes_nothing() {
    let checkout = Checkout::signing("planted-record");
    let setting = &checkout.setting;
    setting.image(&["repository", "--environment", "dev"], 0);
    let staging = stage(setting, "staging");
    let (digest, commit) = (format!("sha256:{}", "d".repeat(64)), "1".repeat(40));
    failed_in_dev(setting, &digest, &commit);
    let check = [
        "check",
        "--environment",
        "staging",
        "--digest",
        &digest,
        "--json",
    ];
    let ended = staging.run(&mut staging.command("slipway-promote", &check));
    assert_eq!(ended.status.code(), Some(3), "{}", log(&ended));
    let answer: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let first = &answer["details"]["rules"][0];
    assert_eq!(first["rule"], "provenance", "{answer}");
    assert_eq!(first["answer"], "fail", "{answer}");
    let fact = format!("the image has no provenance for commit {commit}");
    assert_eq!(first["fact"], fact, "{answer}");
}
