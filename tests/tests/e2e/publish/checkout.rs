//! A checkout with a Dockerfile in a job, and what a publication of it leaves.

mod layouts;
mod registry;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};
use sandbox::instance::{port, sha256};
use sandbox::world::Account;
use sandbox::world::aws::Aws;
use serde_json::{Value, json};

use super::DEADLINE;
use crate::ecr::{Setting, THERE};
use crate::support::{Started, TIMEOUT, instance, log, until, wait};
use layouts::tar;

/// The arguments for a build without the engine.
pub(super) const BUILDAH: &[&str] = &["--builder", "buildah"];

const REPOSITORY: &str = "storefront";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";

pub(super) struct Checkout {
    pub(super) setting: Setting,
    head: String,
    storage: Option<PathBuf>,
    /// Where another engine answers than the machine's.
    pub(super) docker_host: Option<String>,
}

/// An image of the engine that goes away with this.
pub(super) struct Stale(Option<Command>);

impl Drop for Stale {
    fn drop(&mut self) {
        if let Some(command) = &mut self.0 {
            let _removed = command.output();
        }
    }
}

impl Checkout {
    pub(super) fn new(name: &str) -> Self {
        Self::of(Setting::new(name))
    }

    /// Beside a contract whose key signs each image.
    pub(super) fn signing(name: &str) -> Self {
        Self::of(Setting::signing(name))
    }

    fn of(setting: Setting) -> Self {
        let checkout = Self {
            head: String::new(),
            storage: None,
            docker_host: None,
            setting,
        };
        for folder in ["app", "temp"] {
            std::fs::create_dir(checkout.setting.job.file(folder)).unwrap();
        }
        checkout.setting.another("base", Some("base"));
        checkout.write("greeting", "good morning\n");
        let base = format!("{}/{THERE}:base", checkout.setting.world.registry);
        checkout.write(
            "Dockerfile",
            &format!("FROM {base}\nCOPY greeting /www/greeting\n"),
        );
        checkout.git(&["init", "--quiet"]);
        checkout
    }

    /// The account of staging, which has nothing to do with the build.
    pub(super) fn staging(&self) -> Account {
        let staging = self.setting.world.environment("staging");
        staging.unwrap().account.clone()
    }

    /// The arguments that copy a digest of the setting's own repository.
    pub(super) fn copy<'a>(digest: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let copy = ["copy", "--environment", "dev", "--repository", THERE];
        [&copy[..], &["--digest", digest], more].concat()
    }

    /// A file of the build context.
    pub(super) fn write(&self, name: &str, text: &str) {
        self.setting.write(&format!("app/{name}"), text);
    }

    pub(super) fn start_from_scratch(&self) {
        self.write("Dockerfile", "FROM scratch\nCOPY greeting /greeting\n");
    }

    /// A build step that takes these seconds, and what its process can be told by.
    pub(super) fn slow(&self, seconds: u32) -> String {
        let base = format!("{}/{THERE}:base", self.setting.world.registry);
        let mark = format!(
            "{seconds}.{}",
            uuid::Uuid::new_v4().as_u128() % 1_000_000_007
        );
        self.write(
            "Dockerfile",
            &format!("FROM {base}\nCOPY greeting /www/greeting\nRUN [\"/bin/busybox\", \"sleep\", \"{mark}\"]\n"),
        );
        mark
    }

    /// A build step that lasts until [`Self::go_on`] ends it, and what its process can be told by.
    pub(super) fn held(&self) -> String {
        let base = format!("{}/{THERE}:base", self.setting.world.registry);
        let mark = format!("3600.{}", uuid::Uuid::new_v4().as_u128() % 1_000_000_007);
        self.write(
            "Dockerfile",
            &format!("FROM {base}\nCOPY greeting /www/greeting\nRUN [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox sleep {mark} || true\"]\n"),
        );
        mark
    }

    /// Ends the build step with this mark, so that the build continues.
    #[expect(clippy::unused_self, reason = "it belongs to `held`")]
    pub(super) fn end_build_step(&self, mark: &str) {
        for process in super::seen::sleepers(mark) {
            let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
            kill_process(pid.unwrap(), Signal::KILL).unwrap();
        }
    }

    /// Storage for buildah that nobody else has used.
    pub(super) fn own_storage(&mut self) {
        let folder = self.setting.job.file("storage");
        std::fs::create_dir(&folder).unwrap();
        let text = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            folder.display()
        );
        self.setting.write("storage.conf", &text);
        let registries = format!(
            "[[registry]]\nlocation = \"{}\"\ninsecure = true\n",
            self.setting.world.registry
        );
        self.setting.write("registries.conf", &registries);
        self.storage = Some(folder);
    }

    /// Commits what is there; always at the same times.
    pub(super) fn commit(&mut self, message: &str) -> String {
        self.git(&["add", "app"]);
        if self.setting.job.file("README").exists() {
            self.git(&["add", "README"]);
        }
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head = self.git(&["rev-parse", "HEAD"]);
        self.head.clone()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .current_dir(self.setting.job.file(""))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", log(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Where the step puts what it needs for a while.
    pub(super) fn temp(&self) -> PathBuf {
        self.setting.job.file("temp")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut arguments = vec!["publish", "--commit", &self.head];
        if !more.contains(&"--layout") {
            arguments.extend(["--context", "app", "--file", "app/Dockerfile"]);
        }
        if !more.contains(&"--environment") {
            arguments.extend(["--environment", "dev"]);
        }
        arguments.extend(more);
        let mut command = self.setting.job.command("slipway-image", &arguments);
        command.env("RUNNER_TEMP", self.temp());
        command.env("NPM_TOKEN", super::seen::SECRET);
        if let Some(engine) = &self.docker_host {
            command.env("DOCKER_HOST", engine);
        }
        if self.storage.is_some() {
            command.env(
                "CONTAINERS_STORAGE_CONF",
                self.setting.job.file("storage.conf"),
            );
            command.env(
                "CONTAINERS_REGISTRIES_CONF",
                self.setting.job.file("registries.conf"),
            );
        }
        command
    }

    pub(super) fn start(&self, more: &[&str]) -> Started {
        Started::new(&mut self.command(more))
    }

    /// The same where the folder for what is needed for a while holds a MiB.
    pub(super) fn start_without_room(&self, more: &[&str]) -> Started {
        let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"";
        let temp = self.temp().display().to_string();
        self.start_under(&["unshare", "--mount", "sh", "-c", script, &temp], more)
    }

    /// The same as the last arguments of another command, if there is one.
    pub(super) fn start_under(&self, before: &[&str], more: &[&str]) -> Started {
        let command = self.command(more);
        let Some((program, arguments)) = before.split_first() else {
            return self.start(more);
        };
        let mut outer = Command::new(program);
        outer
            .args(arguments)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            outer.env(name, value.unwrap());
        }
        Started::new(&mut outer)
    }

    /// Publishes, and expects the exit code.
    pub(super) fn run(&self, more: &[&str], exit: i32) -> Output {
        for name in ["output", "summary"] {
            let _ = std::fs::remove_file(self.setting.job.file(name));
        }
        let output = self.start(more).end(DEADLINE);
        let shown = format!(
            "{more:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            log(&output)
        );
        assert_eq!(output.status.code(), Some(exit), "{shown}");
        output
    }

    pub(super) fn json(&self, more: &[&str], exit: i32) -> Value {
        let output = self.run(&[more, &["--json"]].concat(), exit);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The step's outputs, by name.
    pub(super) fn outputs(&self) -> BTreeMap<String, String> {
        let text = self.setting.job.read("output");
        step_job::entries(&text).into_iter().collect()
    }

    /// Gives the base's name to another image in the builder's own storage.
    pub(super) fn stale_base(&self, buildah: bool) -> Stale {
        let base = format!("{}/{THERE}:base", self.setting.world.registry);
        let empty = self.setting.job.file("empty.tar");
        std::fs::create_dir(self.setting.job.file("empty")).unwrap();
        tar(&self.setting.job.file("empty"), &["."], &empty);
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", log(&output));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        if buildah {
            let buildah = || {
                let mut command = Command::new("buildah");
                let conf = self.setting.job.file("storage.conf");
                command.env("CONTAINERS_STORAGE_CONF", conf);
                command
            };
            let container = run(buildah().args(["from", "scratch"]));
            run(buildah().args(["commit", "--quiet", &container, &base]));
            return Stale(None);
        }
        let docker = || {
            let mut command = Command::new(instance().bin().join("docker"));
            command
                .env("DOCKER_CONFIG", instance().docker_config())
                .env("DOCKER_HOST", "unix:///var/run/docker.sock");
            command
        };
        run(docker().arg("import").arg(&empty).arg(&base));
        let mut remove = docker();
        remove.args(["image", "rm", "--force", &base]);
        Stale(Some(remove))
    }

    /// The files and the engine's images that a run left behind.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let mut found: Vec<String> = std::fs::read_dir(self.temp())
            .unwrap()
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        let output = Command::new(instance().bin().join("docker"))
            .args([
                "image",
                "ls",
                "--format",
                "{{.Repository}}:{{.Tag}} {{.ID}}",
            ])
            .args([
                "--filter",
                &format!("label=org.opencontainers.image.revision={}", self.head),
            ])
            .env("DOCKER_CONFIG", instance().docker_config())
            .env("DOCKER_HOST", format!("unix://{}", "/var/run/docker.sock"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", log(&output));
        let images = String::from_utf8(output.stdout).unwrap();
        found.extend(images.lines().map(str::to_owned));
        found
    }

    /// Waits until the build's step runs that this marks.
    pub(super) fn until_building(&self, started: &Started, mark: &str) {
        until("the build's step runs", DEADLINE, || {
            assert!(
                !super::seen::ended(started.id()),
                "it ended before it built"
            );
            super::seen::running(mark).then_some(())
        });
    }
}
