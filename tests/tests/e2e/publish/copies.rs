//! `copy` and `retag`: by digest, to other repositories, regions and accounts, and what they refuse.

use serde_json::json;

use super::checkout::Checkout;
use crate::ecr::THERE;
use crate::support::log;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn a_copy_is_the_same_bytes_and_its_repository_is_made_where_it_is_missing() {
    let checkout = Checkout::new("copy");
    let setting = &checkout.setting;
    let staging = checkout.staging();
    let role = checkout.receiver(&staging);
    let (digest, _) = setting.first();
    let to = format!("{role}@ca-central-1\neu-west-1");
    let run = |digest: &str, more: &[&str], exit: i32| {
        let to = ["--to-repository", "storefront", "--tag", "v1"];
        setting.image(&Checkout::copy(digest, &[&to[..], more].concat()), exit)
    };
    let json = |more: &[&str]| {
        let output = run(&digest, &[more, &["--json"]].concat(), 0);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };

    let before = checkout.newest_call();
    let plan = json(&["--to", &to, "--dry-run"]);
    assert_eq!(plan["created"].as_array().unwrap().len(), 2, "{plan}");
    assert_eq!(checkout.changes_since(before), [""; 0]);
    // Nothing is made for an image that is not there.
    let missing = log(&run(DIGEST, &["--to", &to], 2));
    assert!(
        missing.contains(&format!("has no image {DIGEST}")),
        "{missing}"
    );
    assert_eq!(checkout.changes_since(before), [""; 0]);

    let done = json(&["--to", &to]);
    assert_eq!(done["created"].as_array().unwrap().len(), 2, "{done}");
    let other = checkout.registry(&staging, "ca-central-1");
    let region = checkout.registry(&setting.world.build, "eu-west-1");
    assert_eq!(
        checkout.head(&other, "v1", Some(&staging)),
        Some(digest.clone())
    );
    assert_eq!(checkout.head(&region, "v1", None), Some(digest.clone()));

    let again = json(&["--to", &to]);
    assert_eq!(again["created"], json!([]), "{again}");
    for repository in again["to"].as_array().unwrap() {
        assert_eq!(repository["bytes"]["pushed"], 0, "{again}");
    }

    // The repositories were made with tags that stay; that is found before anything is sent.
    let newer = setting.another("newer", None);
    let before = checkout.newest_call();
    let refused = log(&run(&newer, &["--to", &to], 3));
    for piece in ["tag v1 names", &digest, &newer] {
        assert!(refused.contains(piece), "no {piece} in {refused}");
    }
    assert_eq!(checkout.changes_since(before), [""; 0]);
    let nowhere = log(&setting.image(&Checkout::copy(&digest, &[]), 2));
    assert!(
        nowhere.contains("source and destination of the copy are the same"),
        "{nowhere}"
    );
}

#[test]
fn tags_are_put_on_a_digest_or_refused_all_together() {
    let checkout = Checkout::new("retag");
    let setting = &checkout.setting;
    let ours = setting.another("ours", None);
    let theirs = setting.another("theirs", Some("taken"));
    let fixed = json!({"repositoryName": THERE, "imageTagMutability": "IMMUTABLE"});
    setting.ecr("PutImageTagMutability", &fixed).unwrap();
    let retag = |digest: &str, more: &[&str], exit: i32| {
        let base = [
            "retag",
            "--environment",
            "dev",
            "--repository",
            THERE,
            "--digest",
            digest,
        ];
        setting.image(&[&base[..], more].concat(), exit)
    };
    let names = |tag: &str| {
        let input = json!({"repositoryName": THERE, "imageIds": [{"imageTag": tag}]});
        let answer = setting.ecr("DescribeImages", &input).ok()?;
        Some(
            answer["imageDetails"][0]["imageDigest"]
                .as_str()?
                .to_owned(),
        )
    };

    let before = checkout.newest_call();
    retag(&ours, &["--tag", "one", "--dry-run"], 0);
    for dry in [&["--dry-run"][..], &[]] {
        let missing = log(&retag(DIGEST, &[&["--tag", "one"], dry].concat(), 2));
        assert!(
            missing.contains(&format!("has no image {DIGEST}")),
            "{missing}"
        );
        let refused = log(&retag(&ours, &[&["--tag", "one\ntaken"], dry].concat(), 3));
        assert!(
            refused.contains(&ours) && refused.contains(&theirs),
            "{refused}"
        );
    }
    assert_eq!(checkout.changes_since(before), [""; 0]);
    assert_eq!(names("one"), None);

    retag(&ours, &["--tag", "one\ntwo"], 0);
    for tag in ["one", "two"] {
        assert_eq!(names(tag).as_deref(), Some(ours.as_str()));
    }
    let before = checkout.newest_call();
    retag(&ours, &["--tag", "one\ntwo"], 0);
    assert_eq!(checkout.changes_since(before), [""; 0]);
    let none = log(&retag(&ours, &[], 2));
    assert!(none.contains("no tag is given"), "{none}");
}
