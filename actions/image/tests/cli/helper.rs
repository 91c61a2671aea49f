//! The credential helper, as Docker calls it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary under the name by which Docker calls it.
fn helper(verb: &str, env: &[(&str, &Path)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("docker-credential-slipway-image");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_slipway-image"), &name).unwrap();
    Command::new(name)
        .arg(verb)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_credential_helper_works_only_for_its_own_step() {
    let output = helper("get", &[]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("it works only for its own step"), "{text}");

    let output = helper("list", &[]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{}");

    for verb in ["store", "erase"] {
        assert!(!helper(verb, &[]).status.success());
    }
}

#[test]
fn a_login_the_step_does_not_know_is_docker_s_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let output = helper("get", &[("SLIPWAY_CREDENTIAL_SOCKET", &socket)]);
    server.join().unwrap();
    assert!(!output.status.success());
    assert_eq!(output.stdout, b"credentials not found in native keychain");
}

#[test]
fn a_login_comes_over_a_socket_in_however_deep_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let short = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&short).unwrap();
    let deep = dir.path().join("x".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let socket = deep.join("socket");
    std::fs::rename(short, &socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"{}").unwrap();
    });
    let output = helper("get", &[("SLIPWAY_CREDENTIAL_SOCKET", &socket)]);
    server.join().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"{}");
}
