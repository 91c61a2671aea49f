//! The engine's own store of layers, where it is in sight and where it is not.

use std::process::Command;

use serde_json::Value;

use super::checkout::Checkout;
use super::{DEADLINE, LIMIT, noise, seen};
use crate::support::{heavy, log};

/// The message of a step that reads the engine's store.
const STORE: &str = "the layers are read from the engine's store in";

#[test]
fn without_access_to_the_engines_store_its_export_is_pushed_as_the_same_image() {
    let _turn = heavy();
    let mut checkout = Checkout::new("unseen");
    std::fs::write(checkout.setting.job.file("app/greeting"), noise(80 << 20)).unwrap();
    checkout.commit("first");
    let first = checkout.start(&["--json"]).end(DEADLINE);
    assert_eq!(first.status.code(), Some(0), "{}", log(&first));
    assert!(log(&first).contains(STORE), "{}", log(&first));
    // As in a container that is given the engine's socket, and none of its files.
    let hide = "mount -t tmpfs tmpfs \"$0\" && exec \"$@\"";
    let asked = Command::new("docker")
        .args(["info", "--format", "{{.DockerRootDir}}"])
        .output()
        .unwrap();
    let folder = String::from_utf8(asked.stdout).unwrap();
    let again = ["--repository", "unseen/storefront", "--json"];
    let hidden = ["unshare", "--mount", "sh", "-c", hide, folder.trim()];
    let (peak, second) = seen::peak(checkout.start_under(&hidden, &again));
    assert_eq!(second.status.code(), Some(0), "{}", log(&second));
    assert!(!log(&second).contains(STORE), "{}", log(&second));
    assert!((1 << 10..LIMIT).contains(&peak), "{peak} KiB");
    let [first, second]: [Value; 2] =
        [first, second].map(|output| serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(second["outcome"], "built", "{second}");
    assert_eq!(second["digest"], first["digest"]);
    assert!(second["to"][0]["bytes"]["pushed"].as_u64().unwrap() > 80 << 20);
}
