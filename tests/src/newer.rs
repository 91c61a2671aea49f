//! A Docker Engine with containerd's image store, as it is the default since version 29, started for one test or benchmark
//! beside the machine's own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::fault::{Context, Fault, Result};
use crate::install;
use crate::instance::Instance;
use crate::probe::{Endpoint, Probe};

/// How long it may take to answer on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(240);

/// A running engine, which ends and forgets everything when it is dropped.
///
/// It has a bridge of its own: without one it would remove that of the machine's engine. It touches no firewall, and its
/// mounts end with it.
#[derive(Debug)]
pub struct Engine {
    dockerd: Child,
    folder: TempDir,
    client: PathBuf,
    config: PathBuf,
    _bridge: Bridge,
}

impl Engine {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be installed or started, or it took the bridge of the machine's engine away.
    pub fn start(instance: &Instance) -> Result<Self> {
        install::newer_engine(instance)?;
        let had_docker0 = docker0();
        let bridge = Bridge::create()?;
        let folder = tempfile::tempdir().context("creating the newer engine's folder")?;
        // Its socket is for the group `docker`, whose users have to reach it.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))
            .context("opening the newer engine's folder")?;
        let dockerd = spawn(instance, folder.path(), &bridge)?;
        let mut engine = Self {
            dockerd,
            folder,
            client: instance.bin().join("docker"),
            config: instance.docker_config(),
            _bridge: bridge,
        };
        engine.wait()?;
        if had_docker0 && !docker0() {
            return Err(Fault::new("the machine's Docker Engine lost its bridge"));
        }
        Ok(engine)
    }

    fn wait(&mut self) -> Result<()> {
        let probe = Probe {
            at: Endpoint::Unix(self.socket()),
            path: "/_ping",
            status: 200,
        };
        let began = Instant::now();
        while !probe.answers(Duration::from_secs(10)) {
            let ended = self
                .dockerd
                .try_wait()
                .context("watching the newer engine")?;
            if ended.is_some() || began.elapsed() > TIMEOUT {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(Fault::new(format!(
                    "the newer engine does not start:\n{log}"
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The socket at which it answers.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The output of the Docker client, if it succeeds.
    pub fn docker(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new(&self.client)
            .args(arguments)
            .env("DOCKER_CONFIG", &self.config)
            .env("DOCKER_HOST", self.host())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.dockerd.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.dockerd.wait();
    }
}

fn spawn(instance: &Instance, folder: &Path, bridge: &Bridge) -> Result<Child> {
    let path = |name: &str| folder.join(name).display().to_string();
    let settings = serde_json::json!({"features": {"containerd-snapshotter": true}});
    fs::write(path("daemon.json"), settings.to_string())
        .context("writing the newer engine's settings")?;
    let log = File::create(path("log")).context("creating the newer engine's log")?;
    // A program that is killed takes it along.
    Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "unshare", "--mount", "--"])
        .arg(instance.newer_engine().join("dockerd"))
        .args(["--host", &format!("unix://{}", path("socket"))])
        .args(["--config-file", &path("daemon.json")])
        .args(["--data-root", &path("data"), "--exec-root", &path("run")])
        .args(["--pidfile", &path("pid"), "--log-level", "warn"])
        .args([
            "--bridge",
            &bridge.0,
            "--iptables=false",
            "--ip6tables=false",
        ])
        .args(["--ip-forward=false", "--ip-masq=false"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("starting the newer engine")
}

/// A network interface that goes away with this.
#[derive(Debug)]
struct Bridge(String);

impl Bridge {
    fn create() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Several tests may have an engine of their own at the same time.
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bridge = Self(format!("slip{process}n{number}"));
        // Addresses without a host (RFC 5737).
        let address = format!("198.51.100.{}/29", 8 * ((process + number) % 32) + 1);
        for words in [
            &["link", "add", "name", &bridge.0, "type", "bridge"][..],
            &["address", "add", &address, "dev", &bridge.0],
        ] {
            let output = Command::new("ip")
                .args(words)
                .output()
                .context("running ip")?;
            if !output.status.success() {
                return Err(Fault::new(format!(
                    "ip {} ended with {}: {}",
                    words.join(" "),
                    output.status,
                    String::from_utf8_lossy(&output.stderr).trim()
                )));
            }
        }
        Ok(bridge)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["link", "delete", &self.0])
            .output();
    }
}

/// Returns true if the machine's engine has its bridge.
fn docker0() -> bool {
    Path::new("/sys/class/net/docker0").exists()
}
