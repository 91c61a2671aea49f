//! CNCF distribution on loopback, from Debian's package `docker-registry`, which `cargo sandbox up` installs.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const PASSWORD: &str = "real";

/// `PASSWORD` in bcrypt, the only form that distribution takes.
const HTPASSWD: &str = "AWS:$2b$04$AtxOFx6p.NdwBrBvyMihke700nSWs1pVP5mXZSge5DL9X5rdSKYhq\n";

pub(super) struct Distribution {
    pub(super) address: SocketAddr,
    child: Child,
    dir: tempfile::TempDir,
}

impl Distribution {
    pub(super) fn start() -> Self {
        Self::with(|config| {
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(config);
            command
        })
    }

    /// One whose disk has so many MiB, in a mount namespace of its own.
    pub(super) fn with_disk(mebibytes: usize) -> Self {
        Self::with(|config| {
            let data = config.with_file_name("data");
            let script = format!(
                "mount -t tmpfs -o size={mebibytes}m tmpfs \"$1\" && exec docker-registry serve \"$2\""
            );
            let mut command = Command::new("unshare");
            command
                .args(["--mount", "sh", "-c", &script, "sh"])
                .arg(data)
                .arg(config);
            command
        })
    }

    fn with(command: impl Fn(&Path) -> Command) -> Self {
        (0..5)
            .find_map(|_| Self::listening(&command))
            .expect("docker-registry starts; Debian's package docker-registry has it")
    }

    /// One that listens, unless it ended: something else may have taken the port that was free.
    fn listening(command: impl Fn(&Path) -> Command) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("data")).unwrap();
        fs::write(at("htpasswd"), HTPASSWD).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"{address}\"}}\n\
             auth: {{htpasswd: {{realm: test, path: {}}}}}\n\
             validation: {{manifests: {{urls: {{allow: [\"^https://\"]}}}}}}\n",
            at("data").display(),
            at("htpasswd").display()
        );
        fs::write(at("config.yml"), config).unwrap();
        let child = command(&at("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self {
            address,
            child,
            dir,
        };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(300),
                "docker-registry does not listen"
            );
            if registry.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
            .child
            .try_wait()
            .unwrap()
            .is_none()
            .then_some(registry)
    }

    /// Its files, as it sees them.
    pub(super) fn data(&self) -> PathBuf {
        let there = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        let path = self.dir.path().join("data");
        there.join(path.strip_prefix("/").unwrap())
    }

    /// Loses a blob of a repository, as an expiring lifecycle does.
    pub(super) fn lose(data: &Path, repository: &str, digest: &str) {
        let hex = &digest["sha256:".len()..];
        let root = data.join("docker/registry/v2");
        let link = root
            .join("repositories")
            .join(repository)
            .join("_layers/sha256")
            .join(hex);
        fs::remove_dir_all(link).unwrap();
        let _gone = fs::remove_dir_all(root.join("blobs/sha256").join(&hex[..2]).join(hex));
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
