//! Starts the real parts once for all tests. Each runs under a shell that ends it when this process's pipe closes,
//! and a last one then removes their folder.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gateway::{Backend, Config, Distribution, DynamoDb, Front, Issuer};

use crate::support::{Echo, Idp};

/// Everything a test needs to know.
pub(crate) struct Parts {
    /// `http://IP:4000`.
    pub(crate) url: String,
    pub(crate) idp: Idp,
    _children: Mutex<Vec<Child>>,
}

static PARTS: tokio::sync::OnceCell<Result<Arc<Parts>, String>> =
    tokio::sync::OnceCell::const_new();

/// The parts, started by the first test that asks; a failed start fails every test, once.
pub(crate) async fn parts() -> Arc<Parts> {
    let started = PARTS.get_or_init(|| async {
        tokio::task::spawn_blocking(start)
            .await
            .map_err(|cause| cause.to_string())
    });
    Arc::clone(started.await.as_ref().unwrap())
}

/// The sandbox's own folder where it is installed already, and one beside it for what is not.
fn folders() -> (PathBuf, PathBuf) {
    let exe = std::env::current_exe().unwrap();
    let target = exe
        .ancestors()
        .filter(|folder| folder.join("CACHEDIR.TAG").is_file())
        .last()
        .unwrap();
    (target.join("sandbox"), target.join("gateway-parts"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The sandbox's manifest, the one place that names versions.
fn manifest() -> toml::Table {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../parts.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

fn moto_server() -> PathBuf {
    let (sandbox, own) = folders();
    let found = [sandbox, own.clone()].map(|folder| folder.join("venv/bin/moto_server"));
    if let Some(program) = found.iter().find(|program| program.exists()) {
        return program.clone();
    }
    let manifest = manifest();
    let packages = manifest["pip"]["packages"].as_array().unwrap();
    let moto = packages
        .iter()
        .filter_map(|package| package.as_str())
        .find(|package| package.starts_with("moto["))
        .unwrap();
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(own.join("venv")));
    run(Command::new(own.join("venv/bin/pip")).args(["install", "--quiet", moto]));
    found[1].clone()
}

/// The service models of botocore, which moto brings along.
fn models() -> PathBuf {
    let environment = moto_server();
    let lib = environment.ancestors().nth(2).unwrap().join("lib");
    std::fs::read_dir(lib)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("site-packages/botocore/data"))
        .find(|folder| folder.is_dir())
        .unwrap()
}

fn dynamodb_local() -> PathBuf {
    const PACKAGE: &str = "amplify-dynamodb-simulator";
    let (sandbox, own) = folders();
    let found = [
        sandbox.join("npm").join(PACKAGE).join("emulator"),
        own.join("package/emulator"),
    ];
    if let Some(folder) = found
        .iter()
        .find(|folder| folder.join("DynamoDBLocal.jar").exists())
    {
        return folder.clone();
    }
    let manifest = manifest();
    let packages = manifest["npm"].as_array().unwrap();
    let version = packages
        .iter()
        .find(|package| package["package"].as_str() == Some(PACKAGE))
        .unwrap()["version"]
        .as_str()
        .unwrap();
    std::fs::create_dir_all(&own).unwrap();
    run(Command::new("npm")
        .args(["pack", "--silent", &format!("{PACKAGE}@{version}")])
        .current_dir(&own));
    run(Command::new("sh")
        .args(["-c", "tar xzf *.tgz && rm *.tgz"])
        .current_dir(&own));
    found[1].clone()
}

/// A line for htpasswd: the user `AWS` with the password `sandbox`, hashed by the C library, through perl.
fn htpasswd() -> String {
    let salt = "abcdefghijklmnopqrstuu";
    let output = Command::new("perl")
        .args([
            "-e",
            "print crypt('sandbox', $ARGV[0])",
            &format!("$2b$04${salt}"),
        ])
        .output()
        .unwrap();
    format!("AWS:{}\n", String::from_utf8_lossy(&output.stdout))
}

/// Starts a shell line that ends with this process.
fn supervised(line: &str, folder: &Path, log: &str) -> Child {
    let log = std::fs::File::create(folder.join(log)).unwrap();
    Command::new("setsid")
        .args([
            "sh",
            "-c",
            &format!("{{ {line}; }} </dev/null & child=$!; cat >/dev/null; kill -- -$$ $child"),
        ])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn wait_for(name: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !ready() {
        assert!(
            Instant::now() < deadline,
            "{name} did not start within five minutes"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// DynamoDB Local listens on all interfaces, so it gets a network of its own, and a socket leads in.
const BRIDGE: &str = r"
import socket, sys, threading
def pipe(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    finally:
        for s in (a, b):
            try: s.shutdown(socket.SHUT_RDWR)
            except OSError: pass
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(256)
while True:
    a, _ = server.accept(); b = socket.create_connection(('127.0.0.1', 8000))
    for pair in ((a, b), (b, a)): threading.Thread(target=pipe, args=pair, daemon=True).start()
";

/// Claims a loopback network for this process alone, for as long as it lives. Sandboxes of checkouts use 127.64 to 127.191,
/// the tests of the ECS stand-in 127.192 to 127.221.
fn network() -> String {
    static CLAIM: Mutex<Option<File>> = Mutex::new(None);
    for number in 222..=251 {
        let name = format!("slipway-test-network-{number}");
        let claim = File::create(std::env::temp_dir().join(name));
        let Ok(claim) = claim.and_then(|file| file.try_lock().map(|()| file).map_err(Into::into))
        else {
            continue;
        };
        let net = format!("127.{number}.1");
        // A process that a killed test left behind may still listen there.
        let free = |port| std::net::TcpListener::bind(format!("{net}.1:{port}")).is_ok();
        if (4000..=4004).all(free) {
            *CLAIM.lock().unwrap() = Some(claim);
            return net;
        }
    }
    panic!("other processes have claimed all networks of these tests")
}

/// The programs behind the gateway, in a folder that goes away with them.
fn children(at: &Path, ip: &str) -> Vec<Child> {
    let emulator = dynamodb_local();
    std::fs::write(at.join("bridge.py"), BRIDGE).unwrap();
    let registry = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/registry}}}}\nhttp: {{addr: '{ip}:4003', relativeurls: true}}\n\
         auth: {{htpasswd: {{realm: r, path: {0}/htpasswd}}}}\n",
        at.display()
    );
    std::fs::write(at.join("registry.yml"), registry).unwrap();
    std::fs::write(at.join("htpasswd"), htpasswd()).unwrap();
    let janitor = Command::new("setsid")
        .args(["sh", "-c", "cat >/dev/null; sleep 2; rm -rf \"$0\""])
        .arg(at)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    vec![
        janitor,
        supervised(
            &format!("{} -H {ip} -p 4004", moto_server().display()),
            at,
            "moto.log",
        ),
        supervised("docker-registry serve registry.yml", at, "registry.log"),
        supervised(
            &format!(
                "unshare -n sh -c 'ip link set lo up; cd {}; java -Djava.library.path=DynamoDBLocal_lib -jar DynamoDBLocal.jar \
                 -inMemory -sharedDb -disableTelemetry -port 8000 & \
                 until python3 -c \"import socket; socket.create_connection((\\\"127.0.0.1\\\", 8000))\" 2>/dev/null; do sleep 0.2; done; \
                 python3 {1}/bridge.py {1}/dynamodb.sock'",
                emulator.display(),
                at.display()
            ),
            at,
            "dynamodb.log",
        ),
    ]
}

/// Serves the gateway and the keys of the identity provider. They outlive the runtime of whichever test came first.
fn serve(config: Config, jwks: String, address: String) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let issuer = tokio::net::TcpListener::bind(format!("{address}:4001"))
                .await
                .unwrap();
            let router =
                axum::Router::new().route("/jwks", axum::routing::get(move || async move { jwks }));
            tokio::spawn(async move { axum::serve(issuer, router).await });
            let listener = tokio::net::TcpListener::bind(format!("{address}:4000"))
                .await
                .unwrap();
            gateway::serve(config, listener).await.unwrap();
        });
    });
}

fn start() -> Arc<Parts> {
    let folder = tempfile::Builder::new()
        .prefix("gateway-")
        .tempdir()
        .unwrap()
        .keep();
    let at = folder.as_path();
    let net = network();
    let ip = format!("{net}.1");
    let socket = at.join("dynamodb.sock");
    let children = children(at, &ip);
    let answers = |port: u16| std::net::TcpStream::connect(format!("{ip}:{port}")).is_ok();
    wait_for("moto", || answers(4004));
    wait_for("docker-registry", || answers(4003));
    wait_for("DynamoDB Local", || socket.exists());
    let idp = Idp::new(at);
    let config = Config {
        moto: format!("http://{ip}:4004"),
        dynamodb: DynamoDb::Socket(socket),
        distribution: Distribution {
            url: format!("http://{ip}:4003"),
            user: "AWS".into(),
            password: "sandbox".into(),
        },
        front: Front {
            first: format!("{net}.2").parse().unwrap(),
            port: 4002,
        },
        schemas: models().join("../../cfnlint/data/schemas"),
        models: models(),
        issuers: vec![Issuer {
            issuer: crate::support::ISSUER.into(),
            jwks: format!("http://{ip}:4001/jwks"),
        }],
        backends: HashMap::from([("ecs".to_owned(), Arc::new(Echo) as Arc<dyn Backend>)]),
    };
    serve(config, idp.jwks(), ip.clone());
    wait_for("the gateway", || answers(4000) && answers(4001));
    Arc::new(Parts {
        url: format!("http://{ip}:4000"),
        idp,
        _children: Mutex::new(children),
    })
}
