//! Two sandboxes on one machine, as of two checkouts: each runs the demo while the other does, and one that is ended leaves
//! nothing running while the other goes on. And two commands on one sandbox.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sandbox::demo::Host;
use sandbox::instance::{Instance, port};
use sandbox::process::marked;
use sandbox::state::State;

use crate::support::{Started, demo, instance, log};

const DEADLINE: Duration = Duration::from_secs(300);
/// Two demos at once, on a busy machine.
const LONG: Duration = Duration::from_secs(600);

/// Another target folder with the same programs built into it, and what the sandbox installs there already.
struct Apart {
    folder: tempfile::TempDir,
    instance: Instance,
}

impl Apart {
    fn new(here: &Instance) -> Self {
        // In Cargo's target folder, where hard links reach, and so deep that a program there does not find that folder's tag.
        let folder = tempfile::tempdir_in(&here.target).unwrap();
        let target = folder.path().join("another/checkout/target");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
        let there = Instance::of(&here.checkout, &target);
        fs::create_dir_all(there.built()).unwrap();
        for entry in fs::read_dir(here.built()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            let own = name == "sandbox" || name.to_string_lossy().starts_with("slipway-");
            if own && path.extension().is_none() {
                fs::hard_link(&path, there.built().join(name)).unwrap();
            }
        }
        fs::create_dir_all(&there.dir).unwrap();
        for installed in ["bin", "docker-config", "npm", "terraform", "venv"] {
            let from = here.dir.join(installed);
            std::os::unix::fs::symlink(from, there.dir.join(installed)).unwrap();
        }
        // The stamp names its folder, since a folder that was moved is installed anew.
        let stamp = fs::read_to_string(here.dir.join("installed")).unwrap();
        let from = here.dir.display().to_string();
        let stamp = stamp.replace(&from, &there.dir.display().to_string());
        fs::write(there.dir.join("installed"), stamp).unwrap();
        Self {
            folder,
            instance: there,
        }
    }

    fn sandbox(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.instance.built().join("sandbox"));
        command
            .args(arguments)
            // The programs that it would build are there already.
            .env("CARGO", "true")
            .current_dir(self.folder.path());
        command
    }

    /// Every sign that something of it runs.
    fn signs(&self) -> Vec<String> {
        let mut signs: Vec<String> = marked(&format!("{}/", self.instance.id))
            .iter()
            .map(|pid| format!("process {pid}"))
            .collect();
        let label = format!("label=slipway.sandbox={}", self.instance.id);
        let found = Command::new(instance().bin().join("docker"))
            .args(["ps", "--all", "--quiet", "--filter", &label])
            .env("DOCKER_HOST", "unix:///var/run/docker.sock")
            .output()
            .unwrap();
        assert!(found.status.success(), "{found:?}");
        let found = String::from_utf8(found.stdout).unwrap();
        signs.extend(
            found
                .lines()
                .map(|container| format!("container {container}")),
        );
        signs.extend(
            [port::GATEWAY, port::GITHUB, port::MOTO]
                .iter()
                .filter(|port| answers(&self.instance, **port))
                .map(|port| format!("port {port}")),
        );
        signs
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.sandbox(&["down"]).output();
    }
}

fn answers(instance: &Instance, port: u16) -> bool {
    TcpStream::connect_timeout(&instance.at(port), Duration::from_secs(60)).is_ok()
}

#[test]
fn two_sandboxes_run_the_demo_at_once_and_one_ends_without_a_trace() {
    let here = instance();
    let there = Apart::new(here);
    assert_ne!(there.instance.ip, here.ip);
    let started = Started::new(&mut there.sandbox(&["demo", "--host", "codebuild"]));
    demo(Host::Github);
    let ended = started.end(LONG);
    assert!(ended.status.success(), "{}", log(&ended));
    let table = String::from_utf8_lossy(&ended.stdout).into_owned() + &log(&ended);
    for environment in ["dev", "staging", "production"] {
        let line = table.lines().find(|line| line.starts_with(environment));
        let line = line.unwrap_or_else(|| panic!("{environment}: {table}"));
        let address = format!("http://{}:", there.instance.ip);
        assert!(
            line.contains("healthy") && line.contains(&address),
            "{line}"
        );
    }

    // The test that nothing is left is one only if there was something.
    let signs = there.signs();
    for kind in ["process", "container", "port"] {
        assert!(signs.iter().any(|sign| sign.starts_with(kind)), "{signs:?}");
    }
    let down = Started::new(&mut there.sandbox(&["down"])).end(DEADLINE);
    assert!(down.status.success(), "{}", log(&down));
    assert_eq!(there.signs(), [""; 0]);
    assert!(answers(here, port::GATEWAY));

    // Down again, with nothing there, is not an error.
    let again = Started::new(&mut there.sandbox(&["down"])).end(DEADLINE);
    assert!(again.status.success(), "{}", log(&again));
}

/// A part keeps in memory what the tests made, so one that is replaced under them fails them all.
#[test]
fn another_up_leaves_the_parts_to_the_tests_that_use_them() {
    let here = instance();
    let parts = || {
        let parts = State::read(&here.dir).parts.into_iter();
        let pids = parts.map(|(name, started)| (name, started.process.pid));
        pids.collect::<Vec<_>>()
    };
    let before = parts();
    let up = |program: &Path| {
        let mut command = Command::new(program);
        let ended = Started::new(command.arg("up").env("CARGO", "true")).end(DEADLINE);
        assert_eq!(parts(), before, "{}", log(&ended));
        ended
    };
    let built = here.built().join("sandbox");
    let same = up(&built);
    assert!(same.status.success(), "{}", log(&same));
    assert!(log(&same).contains("(found running in "), "{}", log(&same));

    let folder = tempfile::tempdir_in(here.built()).unwrap();
    let another = folder.path().join("sandbox");
    fs::hard_link(&built, &another).unwrap();
    let other = up(&another);
    assert_eq!(other.status.code(), Some(1), "{}", log(&other));
    let why = format!("is in use by process {} (e2e", std::process::id());
    assert!(log(&other).contains(&why), "{}", log(&other));
}
