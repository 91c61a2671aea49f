//! The doctor tries what a grant needs, and changes nothing.

use sandbox::world::World;

use super::{ALLOWED, Gate, digest};
use crate::support::{TIMEOUT, wait};

impl Gate {
    /// Names a key that signs the ledger, in a contract that names the anchor.
    fn key(&self, alias: &str) {
        let file = self.folder.path().join("delivery.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let anchored = "anchor: {bucket";
        assert!(text.contains(anchored), "{text}");
        let keyed = format!("keys: {{ledger: {alias}}}, {anchored}");
        std::fs::write(file, text.replace(anchored, &keyed)).unwrap();
    }
}

#[test]
fn the_doctor_tries_what_a_grant_needs_and_changes_nothing() {
    let gate = Gate::new("doctor");
    let fix = digest('2');
    gate.plant("staging", &[gate.healthy(&fix, 1)]);
    gate.plant("production", &[gate.healthy(&digest('1'), 0)]);
    wait(TIMEOUT, gate.world.serve(crate::support::instance())).unwrap();
    gate.declare("");
    gate.anchor();
    let grant = ["grant", "--digest", &fix];
    gate.run("linus", &grant).is(0, &[ALLOWED]);
    let before = gate.chain();
    let anchored = [
        "appending to storefront#production",
        "writing to the anchor",
        "record 2 is there",
        "keeping evidence",
        "none: whoever administers the bucket can remove hashes",
    ];
    gate.run("linus", &["doctor"]).is(0, &anchored);
    assert_eq!(gate.chain(), before);
    gate.run("grace", &["verify"]).is(0, &[]);

    // It may ask for the public half of this key, and not sign with it.
    gate.key(World::PROVENANCE_KEY);
    let unsigned = gate.run("linus", &["doctor"]);
    unsigned.is(
        3,
        &[
            "signing records",
            "cannot sign with the KMS key",
            "kms:Sign",
        ],
    );
    gate.declare("");
    gate.anchor();

    let role = [
        ("RoleName", "slipway-permit-production"),
        ("PolicyName", "slipway-permit-production"),
    ];
    let deleted = gate
        .build
        .query("iam", "2010-05-08", "DeleteRolePolicy", &role);
    wait(TIMEOUT, deleted).unwrap().unwrap();
    gate.run("linus", &["doctor"]).is(
        3,
        &[
            "cannot append to the ledger",
            "writing to the anchor",
            "s3:GetBucketObjectLockConfiguration",
        ],
    );
    assert_eq!(gate.chain(), before);
}
