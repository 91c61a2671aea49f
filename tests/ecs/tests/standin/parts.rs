//! The surroundings of the stand-in: Docker, a registry that asks for a password, an image in it, and AWS's service models.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Of the test's registry; the hash below is of it.
pub(crate) const PASSWORD: &str = "standin-test";
const HTPASSWD: &str = "AWS:$2a$04$LhaX6YDBKSAPw07w7vOpEOOugSVV1lOqAB.839IavTYFLzJT7JSwK\n";
/// Longer than anything takes, even on a slow machine that is busy with something else.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

static NEXT: AtomicU8 = AtomicU8::new(1);

/// botocore's data folder: where the environment says, or of the Python on PATH.
pub(crate) fn models() -> PathBuf {
    if let Some(folder) = std::env::var_os("SLIPWAY_MODELS_DIR") {
        return folder.into();
    }
    let script =
        "import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), 'data'))";
    let found = Command::new("python3").args(["-c", script]).output();
    let folder = found
        .ok()
        .filter(|out| out.status.success())
        .map(|out| String::from_utf8(out.stdout).unwrap().trim().to_owned());
    folder.expect("these tests need AWS's service models: set SLIPWAY_MODELS_DIR to botocore's data folder, or pip install botocore").into()
}

pub(crate) fn docker_socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://")
        .unwrap_or("/var/run/docker.sock")
        .into()
}

pub(crate) fn docker() -> Command {
    let mut command = Command::new("/usr/bin/docker");
    command
        .arg("--host")
        .arg(format!("unix://{}", docker_socket().display()))
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> String {
    let out = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// IDs of containers with this label, running or not.
pub(crate) fn containers(label: &str) -> Vec<String> {
    let listed = run(docker().args([
        "ps",
        "-aq",
        "--filter",
        &format!("label=slipway.sandbox={label}"),
    ]));
    listed.lines().map(str::to_owned).collect()
}

pub(crate) fn images(registry: &str) -> Vec<String> {
    let listed = docker()
        .args([
            "images",
            "--digests",
            "--format",
            "{{.Repository}}@{{.Digest}}",
        ])
        .output();
    let listed = listed
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .unwrap_or_default();
    listed
        .lines()
        .filter(|one| one.starts_with(registry) && !one.ends_with("<none>"))
        .map(str::to_owned)
        .collect()
}

/// An address of its own for each test, in a network that this process alone has claimed. Sandboxes of checkouts use 127.64 to
/// 127.191, the gateway's tests 127.222 to 127.251.
pub(crate) fn address() -> (u8, Ipv4Addr) {
    static NETWORK: OnceLock<(u8, File)> = OnceLock::new();
    let (network, _) = NETWORK.get_or_init(|| {
        let claimed = |number: u8| {
            let name = format!("slipway-test-network-{number}");
            let file = File::create(std::env::temp_dir().join(name)).ok()?;
            file.try_lock().ok().map(|()| (number, file))
        };
        (192..=221)
            .find_map(claimed)
            .expect("other processes have claimed all networks of these tests")
    });
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let ip = Ipv4Addr::new(127, *network, number, 1);
        // A process that a killed test left behind may still listen there.
        if [5000, 4100].map(|port| TcpListener::bind((ip, port)).is_ok()) == [true; 2] {
            return (number, ip);
        }
    }
}

pub(crate) fn start_registry(folder: &Path, address: &str) -> Child {
    let settings = folder.join("registry.yml");
    let passwords = folder.join("htpasswd");
    std::fs::write(&passwords, HTPASSWD).unwrap();
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/store}}}}\nhttp: {{addr: '{address}'}}\n\
         auth: {{htpasswd: {{realm: test, path: {0}/htpasswd}}}}\n",
        folder.display()
    );
    std::fs::write(&settings, text).unwrap();
    let mut child = Command::new("docker-registry")
        .arg("serve")
        .arg(&settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need docker-registry (Debian package docker-registry)");
    let start = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(
            start.elapsed() < TIMEOUT,
            "the registry does not listen at {address}"
        );
        assert_eq!(child.try_wait().unwrap(), None, "the registry ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Builds the test program once for all tests, static, so that it runs in an image made of it alone.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standin-app");
        std::fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin/app.rs");
        run(Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "-C",
                "opt-level=s",
                "-C",
                "strip=symbols",
                "-C",
                "target-feature=+crt-static",
                "-o",
            ])
            .arg(folder.join("app"))
            .arg(source));
        folder
    })
}

/// Pushes an image made of the program alone, forgets it locally, and returns its reference by digest.
pub(crate) fn push_image(folder: &Path, registry: &str) -> String {
    let image = format!("{registry}/shop/app:test");
    let archive = folder.join("app.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(program())
        .arg("app"));
    run(docker()
        .args(["import", "--change", "ENTRYPOINT [\"/app\"]"])
        .arg(&archive)
        .arg(&image));
    let login = json!({"auths": {registry: {"auth": STANDARD.encode(format!("AWS:{PASSWORD}"))}}});
    std::fs::write(folder.join("config.json"), login.to_string()).unwrap();
    run(docker()
        .arg("--config")
        .arg(folder)
        .args(["push", "-q", &image]));
    let digest = run(docker().args(["inspect", "--format", "{{index .RepoDigests 0}}", &image]));
    run(docker().args(["rmi", "-f", &image, &digest]));
    digest
}
