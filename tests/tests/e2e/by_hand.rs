//! The binaries by hand, in a shell that got its variables from `cargo sandbox env`: what CONTRIBUTING.md says to type.

use std::process::Command;

use crate::support::{Started, TIMEOUT, heavy, instance, log, read};

#[test]
fn the_commands_in_contributing_work_in_a_shell() {
    let instance = instance();
    let _turn = heavy();
    let text = read(&instance.checkout.join("CONTRIBUTING.md"));
    let (_, chapter) = text.split_once("## By hand").unwrap();
    let (_, block) = chapter.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    // Both would compile first; `up` is what the test has done already.
    let sandbox = instance.built().join("sandbox").display().to_string();
    let script = block.replace("cargo sandbox", &sandbox);
    assert_ne!(script, block);
    let home = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(&instance.checkout)
        .env_clear()
        .env("HOME", home.path())
        .env("CARGO", "true")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let ended = Started::new(&mut shell).end(TIMEOUT);
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), log(&ended));
    // The last command's: what came before would have ended the shell.
    assert_eq!(ended.status.code(), Some(3), "{stderr}\n{stdout}");
    assert!(stderr.contains("the contract does not list"), "{stderr}");
}
