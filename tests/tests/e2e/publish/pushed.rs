//! An engine with containerd's store that pushes to the step itself, and what is left of it at the engine.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use sandbox::newer::Engine;

use super::DEADLINE;
use super::checkout::Checkout;
use super::stopped::{hang, until_hanging};
use crate::ecr::THERE;
use crate::support::{heavy, instance, log, until};

/// The names of the engine's images, one of which a push needs while it lasts.
fn names(engine: &Engine) -> String {
    engine
        .docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"])
        .unwrap()
}

/// The engine as one of another machine is: by an address. Returns it.
fn elsewhere(engine: &Engine) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = engine.socket();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            forward(client.unwrap(), &socket);
        }
    });
    format!("tcp://{address}")
}

fn forward(client: TcpStream, socket: &PathBuf) {
    let engine = UnixStream::connect(socket).unwrap();
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
    let (mut from_engine, mut to_engine) = (engine.try_clone().unwrap(), engine);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_engine);
        let _ = to_engine.shutdown(std::net::Shutdown::Write);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Write);
    });
}

#[test]
fn only_missing_layers_are_pushed_and_they_come_to_all_places() {
    let _turn = heavy();
    let mut checkout = Checkout::new("pushed");
    let engine = Engine::start(instance()).unwrap();
    checkout.docker_host = Some(engine.host());
    let staging = checkout.staging();
    let replica = format!("{}@ca-central-1", checkout.receiver(&staging));
    let commit = checkout.commit("first");
    let ran = checkout.run(&["--to", &replica, "--json"], 0);
    let text = log(&ran);
    assert!(text.contains("which pushes them to this step"), "{text}");
    assert!(!text.contains("engine's export"), "{text}");
    let built: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let other = checkout.registry(&staging, "ca-central-1");
    let digest = built["digest"].as_str().unwrap().to_owned();
    assert_eq!(
        checkout.head(&other, &commit, Some(&staging)).as_deref(),
        Some(digest.as_str())
    );
    assert_eq!(names(&engine), "");
    assert_eq!(checkout.left_behind(), [""; 0]);

    // The base's layer is there, and is not sent again.
    checkout.write("greeting", "good evening\n");
    checkout.commit("second");
    let next = checkout.json(&["--to", &replica], 0);
    for place in [&next["to"][0], &next["to"][1]] {
        let bytes = &place["bytes"];
        assert!(
            bytes["skipped"].as_u64() > bytes["pushed"].as_u64(),
            "{next}"
        );
    }
}

#[test]
fn the_digest_is_the_exports_and_an_engine_that_may_be_elsewhere_exports() {
    let _turn = heavy();
    let engine = Engine::start(instance()).unwrap();
    let mut checkout = Checkout::new("pushed-digest");
    checkout.commit("first");
    // One repository for each way, so that the other one's image is not found.
    let ways = [
        (
            engine.host(),
            "storefront",
            "which pushes them to this step",
        ),
        (elsewhere(&engine), THERE, "it cannot push to this step"),
    ];
    let digests = ways.map(|(host, repository, expected)| {
        checkout.docker_host = Some(host);
        let ran = checkout.run(&["--repository", repository, "--json"], 0);
        let text = log(&ran);
        assert!(text.contains(expected), "{text}");
        assert_eq!(names(&engine), "");
        let built: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        built["digest"].clone()
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_run_that_is_killed_while_the_engine_pushes_leaves_a_name_that_the_next_removes() {
    let _turn = heavy();
    let mut checkout = Checkout::new("pushed-kill");
    let engine = Engine::start(instance()).unwrap();
    checkout.docker_host = Some(engine.host());
    let commit = checkout.commit("first");
    hang(&checkout, "InitiateLayerUpload", 0);
    let started = checkout.start(&["--tag", "v1"]);
    until_hanging(&checkout, &started);
    assert!(names(&engine).contains("/slipway-push-"));
    started.kill();
    until("the engine knows the name still", DEADLINE, || {
        names(&engine).contains("/slipway-push-").then_some(())
    });
    checkout.clear_faults(&checkout.setting.world.build.clone());
    let done = checkout.json(&["--tag", "v1"], 0);
    assert_eq!(done["outcome"], "built", "{done}");
    assert_eq!(checkout.tagged(&commit).as_deref(), done["digest"].as_str());
    assert!(!names(&engine).contains("/slipway-push-"));
}
