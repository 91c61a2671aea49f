//! The progress messages of a slow upload.

use serde_json::json;

use super::checkout::Checkout;
use super::noise;
use crate::support::log;

#[test]
fn a_slow_upload_reports_how_much_of_which_layer_was_sent() {
    let mut checkout = Checkout::new("told");
    let made = checkout.layouts(&noise(3 << 20));
    checkout.commit("first");
    // Longer than the step is silent.
    let slow = json!({"service": "ecr", "operation": "UploadLayerPart", "account": checkout.setting.world.build.id,
                      "times": 1, "fault": {"kind": "delay", "millis": 12_000}});
    checkout.setting.tell("faults", &slow);
    let stderr = log(&checkout.run(&["--layout", &made.docker], 0));
    let line = stderr.lines().find(|line| line.contains("unpacked"));
    let line = line.unwrap_or_else(|| panic!("{stderr}"));
    assert!(line.contains("sent; layer 1 of 1 (sha256:"), "{line}");
    let end = stderr
        .lines()
        .find(|line| line.contains("pushed as sha256:"));
    assert!(
        end.is_some_and(|line| line.contains("layer 1 of 1")),
        "{stderr}"
    );
}
