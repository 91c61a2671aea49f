//! The launcher under the sandbox's node: which binary it becomes, and that it does not disturb the job.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use sandbox::instance::sha256;

use crate::support::{Started, instance, log, read, until};

const DEADLINE: Duration = Duration::from_secs(300);

/// The launcher as an action has it, beside a lock of the test's own, and a folder for the binary.
struct Launcher {
    folder: tempfile::TempDir,
}

impl Launcher {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["launch.js", "main.js", "post.js"] {
            let from = instance().checkout.join("actions/launch").join(name);
            fs::copy(from, folder.path().join(name)).unwrap();
        }
        // Node older than 23.11 has no process.execve.
        fs::write(folder.path().join("older.js"), "delete process.execve;\n").unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Pins a hash for the step `probe`.
    fn lock(&self, hash: &str) {
        self.lock_step("probe", hash);
    }

    fn lock_step(&self, step: &str, hash: &str) {
        let asset = format!("slipway-{step}-{}-linux", std::env::consts::ARCH);
        let lock = serde_json::json!({"version": "1.2.3", "assets": {asset: {"sha256": hash}}});
        fs::write(self.file("release.lock"), lock.to_string()).unwrap();
    }

    /// Where the tool cache has the binary of this hash.
    fn cached(&self, hash: &str, script: &str) {
        let folder = self.file("cache/slipway/1.2.3").join(&hash[..16]);
        program(&folder, script);
    }

    fn command(&self, phase: &str) -> Command {
        let mut command = Command::new(instance().bin().join("node"));
        command
            .arg(self.file(&format!("{phase}.js")))
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("INPUT_STEP", "probe")])
            .env("RUNNER_TOOL_CACHE", self.file("cache"))
            .env("RAN", self.file("ran"));
        command
    }

    fn run(&self, command: &mut Command) -> Output {
        Started::new(command).end(DEADLINE)
    }

    /// Expects that nothing was started, and why.
    fn refuses(&self, command: &mut Command, why: &str) {
        let output = self.run(command);
        let log = log(&output);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.starts_with(&format!("error: {why}")), "{log}");
        assert!(log.contains("::error title=slipway::"), "{log}");
        assert!(!self.file("ran").exists(), "{log}");
    }
}

fn program(folder: &Path, script: &str) {
    fs::create_dir_all(folder).unwrap();
    step_job::program(&folder.join("slipway-probe"), script);
}

const RAN: &str = "#!/bin/bash\ntouch \"$RAN\"\n";

#[test]
fn a_cached_binary_runs_only_with_the_pinned_hash() {
    let launcher = Launcher::new();
    let hash = sha256(RAN.as_bytes());
    launcher.lock(&hash);
    launcher.cached(&hash, &RAN.replace("touch", "touch -a"));
    let why = format!("{}/cache/", launcher.folder.path().display());
    launcher.refuses(&mut launcher.command("main"), &why);
    launcher.refuses(&mut launcher.command("post"), &why);

    launcher.cached(&hash, RAN);
    let output = launcher.run(&mut launcher.command("main"));
    assert!(output.status.success(), "{}", log(&output));
    assert!(launcher.file("ran").exists());
}

#[test]
fn a_step_that_this_commit_pins_no_hash_for_is_refused() {
    let launcher = Launcher::new();
    let why = "release.lock of this commit has no hash for slipway-probe-";
    for lock in [r#"{"version": "1.2.3", "assets": {}}"#.to_owned(), {
        launcher.lock("not-a-hash");
        read(&launcher.file("release.lock"))
    }] {
        fs::write(launcher.file("release.lock"), lock).unwrap();
        launcher.refuses(&mut launcher.command("main"), why);
    }
    // The lock that is shipped pins nothing yet, or real hashes; of this step it knows nothing.
    let shipped = instance().checkout.join("actions/launch/release.lock");
    fs::copy(shipped, launcher.file("release.lock")).unwrap();
    launcher.refuses(&mut launcher.command("main"), why);
    for step in ["", "../probe", "Probe"] {
        let why = "the input `step` is missing";
        launcher.refuses(launcher.command("main").env("INPUT_STEP", step), why);
    }
}

#[test]
fn a_folder_of_binaries_comes_before_a_download() {
    let launcher = Launcher::new();
    let folder = launcher.file("built");
    let why = "SLIPWAY_BIN_DIR has no slipway-probe";
    launcher.refuses(
        launcher.command("main").env("SLIPWAY_BIN_DIR", &folder),
        why,
    );

    let script = "#!/bin/bash\ntr '\\0' '\\n' < /proc/$$/environ > \"$RAN\"; exit 7\n";
    program(&folder, script);
    launcher.lock(&sha256(script.as_bytes()));
    for phase in ["main", "post"] {
        let mut command = launcher.command(phase);
        command
            .env("SLIPWAY_BIN_DIR", &folder)
            .env("INPUT_DRY-RUN", "true");
        let output = launcher.run(&mut command);
        assert_eq!(output.status.code(), Some(7), "{}", log(&output));
        let seen = read(&launcher.file("ran"));
        let lines: Vec<&str> = seen.lines().collect();
        assert!(lines.contains(&"INPUT_DRY-RUN=true"), "{seen}");
        assert!(
            lines.contains(&format!("SLIPWAY_PHASE={phase}").as_str()),
            "{seen}"
        );
        assert!(!seen.contains("INPUT_STEP="), "{seen}");
    }
}

#[test]
fn a_folder_of_binaries_is_believed_no_more_than_a_download() {
    let launcher = Launcher::new();
    let theirs = launcher.file("theirs");
    program(&theirs, RAN);
    let file = theirs.join("slipway-probe").display().to_string();
    let altered = RAN.replace("touch", "touch -a");
    for (hash, why) in [
        (
            sha256(altered.as_bytes()),
            format!("{file} is not the binary that this commit pins"),
        ),
        (
            "no-hash".to_owned(),
            "release.lock of this commit has no hash for slipway-probe-".to_owned(),
        ),
    ] {
        launcher.lock(&hash);
        for phase in ["main", "post"] {
            let mut command = launcher.command(phase);
            launcher.refuses(command.env("SLIPWAY_BIN_DIR", &theirs), &why);
        }
    }
}

#[test]
fn every_step_refuses_an_input_that_its_action_does_not_have() {
    let launcher = Launcher::new();
    let mut steps = 0;
    for entry in fs::read_dir(instance().checkout.join("actions")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("action.yml").exists() {
            continue;
        }
        steps += 1;
        let step = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let binary = instance().built().join(format!("slipway-{step}"));
        launcher.lock_step(&step, &sha256(&fs::read(binary).unwrap()));
        let command = |phase: &str| {
            let mut command = launcher.command(phase);
            command
                .current_dir(launcher.folder.path())
                .env("INPUT_STEP", &step)
                .env("SLIPWAY_BIN_DIR", instance().built())
                .env("GITHUB_ACTIONS", "true")
                .env("INPUT_ENVIROMENT", "dev")
                .env("INPUT_NOT-AN-INPUT", "true");
            command
        };
        let output = launcher.run(&mut command("main"));
        let text = log(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let message = "error: the action does not have the inputs `enviroment`, `not-an-input`\n\n\
             hint: `enviroment`: did you mean `environment`?\n\
             hint: remove `not-an-input` from the step's `with:`\n\
             hint: or, for a variable of the job that has such a name, hide it from the step: \
             `env: { INPUT_ENVIROMENT: \"\" }`\n";
        assert!(text.starts_with(message), "{step}: {text}");
        // The post step still cleans up, and act hands a composite action's inputs to the steps in it.
        for (phase, act) in [("post", ""), ("main", "true")] {
            let output = launcher.run(command(phase).env("ACT", act));
            let text = log(&output);
            assert!(!text.contains(&message[..40]), "{step}: {text}");
        }
    }
    assert_eq!(steps, 8);
}

#[test]
fn a_signal_reaches_the_binary_once() {
    let script = "#!/bin/bash\nn=0; trap 'n=$((n+1))' INT TERM; touch \"$RAN\"\n\
                  for i in {1..300}; do [ $n = 0 ] || break; sleep 0.1 || true; done; sleep 1 || true; exit $((10 + n))\n";
    for older in [false, true] {
        let launcher = Launcher::new();
        let folder = launcher.file("built");
        program(&folder, script);
        launcher.lock(&sha256(script.as_bytes()));
        let mut command = launcher.command("main");
        command.env("SLIPWAY_BIN_DIR", &folder);
        if older {
            let require = format!("--require={}", launcher.file("older.js").display());
            command.env("NODE_OPTIONS", require);
        }
        let started = Started::new(&mut command);
        until("the binary runs", DEADLINE, || {
            launcher.file("ran").exists().then_some(())
        });
        started.signal(Signal::INT);
        let ended = started.end(DEADLINE);
        assert_eq!(
            ended.status.code(),
            Some(11),
            "older: {older}: {}",
            log(&ended)
        );
    }
}

#[test]
fn a_binary_that_dies_of_a_signal_ends_the_step_as_one() {
    for older in [false, true] {
        let launcher = Launcher::new();
        let folder = launcher.file("built");
        let script = "#!/bin/bash\ntouch \"$RAN\"; kill -KILL $$\n";
        program(&folder, script);
        launcher.lock(&sha256(script.as_bytes()));
        let mut command = launcher.command("main");
        command.env("SLIPWAY_BIN_DIR", &folder);
        if older {
            let require = format!("--require={}", launcher.file("older.js").display());
            command.env("NODE_OPTIONS", require);
        }
        let output = launcher.run(&mut command);
        use std::os::unix::process::ExitStatusExt;
        let expected = if older {
            (Some(137), None)
        } else {
            (None, Some(9))
        };
        assert_eq!(
            (output.status.code(), output.status.signal()),
            expected,
            "older: {older}"
        );
    }
}
