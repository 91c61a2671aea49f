//! An anchor as docs/ledger.md asks for it: a bucket with object lock and a default retention, whose policy denies overwriting and
//! deleting.

use sandbox::world::aws::Refused;
use serde_json::json;

use super::{BOTH, Scene};
use crate::support::{TIMEOUT, element, instance, log, wait};

impl Scene {
    fn bucket(&self) -> String {
        format!("/{}", self.setting.world.anchor_bucket())
    }

    /// The object of a record.
    fn anchored(&self, seq: u64) -> String {
        format!("{}/slipway/storefront/dev/{seq:020}", self.bucket())
    }

    fn lock_anchor(&self) {
        let lock = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                    <Mode>COMPLIANCE</Mode><Years>7</Years></DefaultRetention></Rule></ObjectLockConfiguration>";
        let path = format!("{}?object-lock", self.bucket());
        wait(TIMEOUT, self.setting.aws.put(&path, lock.to_owned()))
            .unwrap()
            .unwrap();
    }

    /// The policy that docs/ledger.md describes.
    fn deny_changes(&self) {
        let all = format!("arn:aws:s3:::{}/*", self.setting.world.anchor_bucket());
        let deny = |action: &str| json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": all});
        let mut overwrite = deny("s3:PutObject");
        overwrite["Condition"] = json!({"Null": {"s3:if-none-match": "true"}});
        let policy =
            json!({"Version": "2012-10-17", "Statement": [overwrite, deny("s3:DeleteObject*")]});
        let path = format!("{}?policy", self.bucket());
        wait(TIMEOUT, self.setting.aws.put(&path, policy.to_string()))
            .unwrap()
            .unwrap();
    }

    fn delete_policy(&self) {
        let path = format!("{}?policy", self.bucket());
        wait(TIMEOUT, self.setting.aws.delete(&path))
            .unwrap()
            .unwrap();
    }

    fn deleted(&self, path: &str) -> Result<String, Refused> {
        wait(TIMEOUT, self.setting.aws.delete(path)).unwrap()
    }

    /// The number of an object's version, or of its delete marker.
    fn version(&self, seq: u64, kind: &str) -> String {
        let path = format!(
            "{}?prefix=slipway%2Fstorefront%2Fdev%2F{seq:020}&versions=",
            self.bucket()
        );
        let listed = wait(TIMEOUT, self.setting.aws.get(&path)).unwrap().unwrap();
        let one = element(&listed, kind).unwrap_or_else(|| panic!("no {kind}: {listed}"));
        element(&one, "VersionId").unwrap()
    }
}

fn denied(refused: &Result<String, Refused>) {
    let refusal = refused.as_ref().unwrap_err();
    assert!(refusal.is("AccessDenied"), "{refusal:?}");
}

#[test]
fn what_is_anchored_in_a_locked_bucket_stays_and_a_marker_over_it_is_found() {
    let scene = Scene::new("ledger-locked", BOTH);
    scene.lock_anchor();
    scene.deny_changes();
    for commit in ["1", "2", "3"] {
        scene.record(commit, &[], 0);
    }
    assert_eq!(scene.faults(), json!([]));
    let found = scene.json(&["verify", "--environment", "dev"], 0);
    let anchored = &found["anchor"];
    assert_eq!(
        (&anchored["from"], &anchored["compared"]),
        (&json!(1), &json!(3)),
        "{found}"
    );
    scene.promote(&["status", "--environment", "dev"], 0);
    let doctor = ["doctor", "--environment", "dev"];
    let looked = scene.setting.job.run(&mut scene.command(&doctor));
    let text = String::from_utf8_lossy(&looked.stdout).into_owned() + &log(&looked);
    assert!(text.contains("COMPLIANCE, 7 years"), "{text}");

    // Neither the role that appends nor the administrator replaces or deletes anything.
    let world = &scene.setting.world;
    let keys = wait(TIMEOUT, world.codebuild_session(instance(), "dev", "dora")).unwrap();
    let stage = world.caller(instance(), keys).unwrap();
    let role = format!("arn:aws:iam::{}:role/slipway-permit-dev", world.build.id);
    let appends = crate::permits::roles::assumed(world, &stage, &role, None).unwrap();
    let (object, other) = (scene.anchored(2), format!("{}\n", "0".repeat(64)));
    let version = scene.version(2, "Version");
    for aws in [&appends, &scene.setting.aws] {
        denied(&wait(TIMEOUT, aws.put(&object, other.clone())).unwrap());
        denied(&wait(TIMEOUT, aws.delete(&object)).unwrap());
        let whole = format!("{object}?versionId={version}");
        denied(&wait(TIMEOUT, aws.delete(&whole)).unwrap());
    }
    assert_eq!(scene.faults(), json!([]));

    // An administrator who removes the policy first removes no version, but can put a delete marker over it.
    scene.delete_policy();
    denied(&scene.deleted(&format!("{object}?versionId={version}")));
    scene.deleted(&object).unwrap();
    let replaced = |seq: u64| json!([{"fault": "replaced", "seq": seq}]);
    assert_eq!(scene.faults(), replaced(2));
    let marker = scene.version(2, "DeleteMarker");
    scene
        .deleted(&format!("{object}?versionId={marker}"))
        .unwrap();
    assert_eq!(scene.faults(), json!([]));
    // At the head, every reader refuses it.
    let head = scene.anchored(3);
    scene.deleted(&head).unwrap();
    assert_eq!(scene.faults(), replaced(3));
    scene.refused("record 3 is not the one that was anchored");
    let marker = scene.version(3, "DeleteMarker");
    scene
        .deleted(&format!("{head}?versionId={marker}"))
        .unwrap();
    assert_eq!(scene.faults(), json!([]));
    scene.record("4", &[], 0);
}
