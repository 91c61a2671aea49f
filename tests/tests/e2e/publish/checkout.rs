//! A checkout with a Dockerfile in a job, and what a publication of it leaves.

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
use crate::support::{PATIENCE, Started, instance, log, until, wait};

/// The arguments for a build without the engine.
pub(super) const BUILDAH: &[&str] = &["--builder", "buildah"];

const REPOSITORY: &str = "storefront";
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921";
/// A registry's answer is a manifest of one of these.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json";

pub(super) struct Checkout {
    pub(super) setting: Setting,
    head: String,
    storage: Option<PathBuf>,
    /// Where another engine answers than the machine's.
    pub(super) docker_host: Option<String>,
}

/// Images that something else built: one as OCI layout, folder and tar, another as docker archive.
pub(super) struct Made {
    pub(super) folder: String,
    pub(super) tar: String,
    pub(super) docker: String,
    /// The layout's.
    pub(super) digest: String,
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
    pub(super) fn new(what: &str) -> Self {
        Self::of(Setting::new(what))
    }

    /// Beside a contract whose key signs each image.
    pub(super) fn signing(what: &str) -> Self {
        Self::of(Setting::signing(what))
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

    /// Ends the build's step that this marks, and with it the wait of the build.
    #[expect(clippy::unused_self, reason = "it belongs to `held`")]
    pub(super) fn go_on(&self, mark: &str) {
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

    /// What the step handed on, by name.
    pub(super) fn outputs(&self) -> BTreeMap<String, String> {
        let text = self.setting.job.read("output");
        let mut lines = text.lines();
        let mut found = BTreeMap::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            found.insert(name.to_owned(), value.join("\n"));
        }
        found
    }

    /// The digest that a tag names, as ECR's API has it.
    pub(super) fn tagged(&self, tag: &str) -> Option<String> {
        let input = json!({"repositoryName": REPOSITORY, "imageIds": [{"imageTag": tag}]});
        let answer = self.setting.ecr("DescribeImages", &input).ok()?;
        Some(
            answer["imageDetails"][0]["imageDigest"]
                .as_str()?
                .to_owned(),
        )
    }

    /// The repository's tags.
    pub(super) fn tags(&self) -> Vec<String> {
        let input = json!({"repositoryName": REPOSITORY, "filter": {"tagStatus": "TAGGED"}});
        let Ok(answer) = self.setting.ecr("ListImages", &input) else {
            return Vec::new();
        };
        let ids = answer["imageIds"].as_array().unwrap();
        ids.iter()
            .map(|id| id["imageTag"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The manifest of an image that ECR's API names so.
    pub(super) fn manifest(&self, id: &Value) -> Value {
        let input = json!({"repositoryName": REPOSITORY, "imageIds": [id]});
        let answer = self.setting.ecr("BatchGetImage", &input).unwrap();
        let text = answer["images"][0]["imageManifest"].as_str().unwrap();
        serde_json::from_str(text).unwrap()
    }

    /// How each layer of what was published is compressed, by its media type's end.
    pub(super) fn layers(&self, published: &Value) -> Vec<String> {
        let manifest = self.manifest(&json!({"imageDigest": published["digest"]}));
        let layers = manifest["layers"].as_array().unwrap();
        layers
            .iter()
            .map(|layer| {
                let kind = layer["mediaType"].as_str().unwrap();
                kind.rsplit('+').next().unwrap().to_owned()
            })
            .collect()
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

    /// The calls of the world after number `since`, and the newest number of all.
    pub(super) fn calls(&self, since: u64) -> (u64, Vec<Value>) {
        let url = format!(
            "{}/_sandbox/calls?since={since}&world={}",
            instance().url(port::GATEWAY),
            self.setting.world.name
        );
        let answer: Value = wait(PATIENCE, async {
            let http = sandbox::world::http_client().unwrap();
            http.get(url).send().await.unwrap().json().await.unwrap()
        });
        let calls = answer["calls"].as_array().unwrap().clone();
        let newest = calls
            .last()
            .map_or(since, |call| call["seq"].as_u64().unwrap());
        (newest, calls)
    }

    pub(super) fn newest_call(&self) -> u64 {
        self.calls(0).0
    }

    /// The operations since then that changed something.
    pub(super) fn changes_since(&self, since: u64) -> Vec<String> {
        const LOOKS: [&str; 6] = ["Get", "Describe", "List", "Batch", "Query", "Assume"];
        let (_, calls) = self.calls(since);
        calls
            .iter()
            .map(|call| call["operation"].as_str().unwrap().to_owned())
            .filter(|name| !LOOKS.iter().any(|look| name.starts_with(look)) && name != "Ping")
            .collect()
    }

    /// What a run leaves where it worked: files, images of the engine, processes.
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

    /// A role of another account that this world's first stage may take.
    pub(super) fn receiver(&self, account: &Account) -> String {
        let world = &self.setting.world;
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{}:role/slipway-codebuild-dev", world.build.id)},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }]})
        .to_string();
        wait(PATIENCE, async {
            let aws = world.administrator(instance(), account).await.unwrap();
            let parameters = [
                ("RoleName", "slipway-receive"),
                ("AssumeRolePolicyDocument", trust.as_str()),
            ];
            let made = aws
                .query("iam", "2010-05-08", "CreateRole", &parameters)
                .await;
            made.unwrap().unwrap();
            let role = format!("arn:aws:iam::{}:role/slipway-receive", account.id);
            let images = format!("arn:aws:ecr:*:{}:repository/*", account.id);
            permit(
                &aws,
                "slipway-receive",
                &[("ecr:*", &images), ("ecr:GetAuthorizationToken", "*")],
            )
            .await;
            let stage = "slipway-codebuild-dev";
            permit(&self.setting.aws, stage, &[("sts:AssumeRole", &role)]).await;
            role
        })
    }

    pub(super) fn clear_faults(&self, account: &Account) {
        let url = format!(
            "{}/_sandbox/faults?account={}",
            instance().url(port::GATEWAY),
            account.id
        );
        wait(PATIENCE, async {
            let http = sandbox::world::http_client().unwrap();
            http.delete(url).send().await.unwrap();
        });
    }

    /// The faults that still wait for a call of the build account to strike.
    pub(super) fn faults(&self) -> Vec<Value> {
        let url = format!(
            "{}/_sandbox/faults?account={}",
            instance().url(port::GATEWAY),
            self.setting.world.build.id
        );
        let answer: Value = wait(PATIENCE, async {
            let http = sandbox::world::http_client().unwrap();
            http.get(url).send().await.unwrap().json().await.unwrap()
        });
        answer.as_array().unwrap().clone()
    }

    /// The host of an account's registry.
    pub(super) fn registry(&self, account: &Account, region: &str) -> String {
        let url = format!("{}/_sandbox/registry", instance().url(port::GATEWAY));
        let body = json!({"account": account.id, "region": region});
        let answer: Value = wait(PATIENCE, async {
            let http = sandbox::world::http_client().unwrap();
            let sent = http.post(url).json(&body).send().await.unwrap();
            sent.json().await.unwrap()
        });
        answer["host"].as_str().unwrap().to_owned()
    }

    /// The digest of a tag, as the registry itself has it. `account`: whose, if not the build account's.
    pub(super) fn head(&self, host: &str, tag: &str, account: Option<&Account>) -> Option<String> {
        wait(PATIENCE, async {
            let world = &self.setting.world;
            let aws = match account {
                Some(account) => world.administrator(instance(), account).await.unwrap(),
                None => self.setting.aws.clone(),
            };
            let target = format!("{ECR}.GetAuthorizationToken");
            let answer = aws.json("ecr", &target, &json!({})).await.unwrap().unwrap();
            let token = answer["authorizationData"][0]["authorizationToken"]
                .as_str()
                .unwrap();
            let http = sandbox::world::http_client().unwrap();
            let head = http
                .head(format!("http://{host}/v2/{REPOSITORY}/manifests/{tag}"))
                .header("authorization", format!("Basic {token}"))
                .header("accept", MANIFESTS);
            let answer = head.send().await.unwrap();
            let digest = answer.headers().get("docker-content-digest")?;
            answer
                .status()
                .is_success()
                .then(|| digest.to_str().unwrap().to_owned())
        })
    }

    /// What the registry answers who has no token.
    pub(super) fn anonymous_pull(&self) -> u16 {
        let url = format!(
            "http://{}/v2/{THERE}/manifests/base",
            self.setting.world.registry
        );
        wait(PATIENCE, async {
            let http = sandbox::world::http_client().unwrap();
            http.get(url).send().await.unwrap().status().as_u16()
        })
    }

    /// An image of one layer with this content, in each form `--layout` takes.
    pub(super) fn layouts(&self, content: &[u8]) -> Made {
        let path = |name: &str| self.setting.job.file(name);
        std::fs::create_dir(path("root")).unwrap();
        std::fs::write(path("root/content"), content).unwrap();
        let layer = path("layer.tar");
        tar(&path("root"), &["content"], &layer);
        let bytes = std::fs::read(&layer).unwrap();
        let diff_id = format!("sha256:{}", sha256(&bytes));
        let architecture = if std::env::consts::ARCH == "aarch64" {
            "arm64"
        } else {
            "amd64"
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        })
        .to_string();

        let blobs = path("oci/blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(&bytes).unwrap();
        let zipped = zip.finish().unwrap();
        let blob = |kind: &str, bytes: &[u8]| {
            let name = sha256(bytes);
            std::fs::write(blobs.join(&name), bytes).unwrap();
            json!({"mediaType": kind, "digest": format!("sha256:{name}"), "size": bytes.len()})
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", &zipped)],
        })
        .to_string();
        let root = blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.as_bytes(),
        );
        let digest = root["digest"].as_str().unwrap().to_owned();
        let index = json!({"schemaVersion": 2, "manifests": [root]}).to_string();
        std::fs::write(path("oci/index.json"), index).unwrap();
        std::fs::write(path("oci/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        tar(
            &path("oci"),
            &["oci-layout", "index.json", "blobs"],
            &path("oci.tar"),
        );

        std::fs::create_dir(path("docker")).unwrap();
        std::fs::rename(&layer, path("docker/layer.tar")).unwrap();
        std::fs::write(path("docker/config.json"), config).unwrap();
        let list =
            json!([{"Config": "config.json", "RepoTags": ["made:1"], "Layers": ["layer.tar"]}]);
        std::fs::write(path("docker/manifest.json"), list.to_string()).unwrap();
        tar(
            &path("docker"),
            &["layer.tar", "config.json", "manifest.json"],
            &path("docker.tar"),
        );
        let text = |name: &str| path(name).display().to_string();
        Made {
            folder: text("oci"),
            tar: text("oci.tar"),
            docker: text("docker.tar"),
            digest,
        }
    }
}

fn tar(folder: &Path, names: &[&str], to: &Path) {
    let output = Command::new("tar")
        .args([
            "--create",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg("--file")
        .arg(to)
        .arg("--directory")
        .arg(folder)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", log(&output));
}

/// Permits a role of somebody's account further actions, each on one kind of resource.
async fn permit(aws: &Aws, role: &str, may: &[(&str, &str)]) {
    let statements: Vec<Value> = may
        .iter()
        .map(
            |(action, resource)| json!({"Effect": "Allow", "Action": action, "Resource": resource}),
        )
        .collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let parameters = [
        ("RoleName", role),
        ("PolicyName", "receive"),
        ("PolicyDocument", document.as_str()),
    ];
    let put = aws.query("iam", "2010-05-08", "PutRolePolicy", &parameters);
    put.await.unwrap().unwrap();
}
