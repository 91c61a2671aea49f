//! Against the machine's own engine and its tools; the listener that misbehaves is ours, since no engine can be made to.

use super::*;
use crate::blob::{Chunk, Compression};
use crate::digest::digest;
use crate::source::Source;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

const SOCKET: &str = "/var/run/docker.sock";

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(in crate::source) fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker")
        .args(arguments)
        .env("DOCKER_HOST", format!("unix://{SOCKET}"))
        .env("DOCKER_BUILDKIT", "0"))
}

/// An image that goes away.
pub(in crate::source) struct Image(pub(in crate::source) String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// Builds an image of `files`, one layer each, without a layer shared with anybody.
fn build(folder: &Path, name: &str, files: &[Vec<u8>]) -> Image {
    let mut dockerfile = "FROM scratch\n".to_owned();
    for (number, bytes) in files.iter().enumerate() {
        std::fs::write(folder.join(format!("file{number}")), bytes).unwrap();
        dockerfile.push_str(&format!("COPY file{number} /{name}-{number}\n"));
    }
    // The same layer a second time.
    dockerfile.push_str(&format!("COPY file0 /{name}-0\nCMD [\"/x\"]\n"));
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let tag = format!("slipway-test/{name}:{}", std::process::id());
    docker(&["build", "-q", "-t", &tag, folder.to_str().unwrap()]);
    Image(tag)
}

/// Reads `source` whole; the layers as they came.
/// Each layer that was asked for: its diff ID, where it was known before, and its bytes.
pub(in crate::source) type Taken = Vec<(Option<Digest>, Vec<u8>)>;

pub(in crate::source) fn take(source: &Source) -> (crate::source::Contents, Taken) {
    let Source::Archive(archive) = source else {
        panic!("a layout");
    };
    let mut readers = Vec::new();
    let contents = archive
        .read(Compression::Gzip, &mut |entry| {
            let (sink, mut chunks) = tokio::sync::mpsc::channel(2);
            let reader = std::thread::spawn(move || {
                let mut bytes = Vec::new();
                while let Some(Chunk::Bytes(piece)) = chunks.blocking_recv() {
                    bytes.extend(piece);
                }
                bytes
            });
            readers.push((entry.diff_id.clone(), reader));
            Some(sink)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let layers = readers
        .into_iter()
        .map(|(diff_id, reader)| (diff_id, reader.join().unwrap()))
        .collect();
    (contents, layers)
}

#[tokio::test]
async fn the_engines_image_is_the_same_read_from_it_and_from_its_tools_archives() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<Vec<u8>> = (0..4_u8)
        .map(|n| vec![n; 1 << (5 * u32::from(n) + 2)])
        .collect();
    let image = build(folder.path(), "tools", &files);
    let env = Env::from([("DOCKER_HOST", "unix:///var/run/docker.sock")]);
    let source = Source::engine(&env, &image.0, None).await.unwrap();
    let id = docker(&["inspect", "--format", "{{.Id}}", &image.0]);
    let Source::Archive(archive) = &source else {
        panic!("a layout");
    };
    let known = archive.known().unwrap().clone();
    assert_eq!(known.config.as_str(), id);
    let (contents, layers) = take(&source);
    assert_eq!(digest(&contents.config), known.config);
    assert_eq!(contents.layers.len(), 5);
    for (layer, diff_id) in contents.layers.iter().zip(&known.diff_ids) {
        assert_eq!(layer.diff_id, *diff_id);
    }
    // Each is known before it is read.
    for (claimed, bytes) in &layers {
        let mut back = Vec::new();
        flate2::bufread::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(claimed.as_ref(), Some(&digest(&back)));
    }
    let measured = |contents: &crate::source::Contents| -> Vec<_> {
        contents
            .layers
            .iter()
            .map(|layer| layer.measured.clone().unwrap())
            .collect()
    };
    let from_engine = measured(&contents);

    let saved = folder.path().join("saved.tar");
    docker(&["save", "-o", saved.to_str().unwrap(), &image.0]);
    let (contents, _) = take(&Source::open(&saved, &Env::default()).unwrap());
    assert_eq!(measured(&contents), from_engine);
    assert_eq!(digest(&contents.config), known.config);

    let copied = folder.path().join("copied.tar");
    run(Command::new("skopeo").args([
        "copy",
        "-q",
        &format!("docker-archive:{}", saved.display()),
        &format!("docker-archive:{}:x:y", copied.display()),
    ]));
    let (contents, _) = take(&Source::open(&copied, &Env::default()).unwrap());
    assert_eq!(measured(&contents), from_engine);

    for (target, path) in [
        ("oci", folder.path().join("oci")),
        ("oci-archive", folder.path().join("oci.tar")),
    ] {
        run(Command::new("skopeo").args([
            "copy",
            "-q",
            &format!("docker-archive:{}", saved.display()),
            &format!("{target}:{}:x", path.display()),
        ]));
        let Source::Layout(layout) = Source::open(&path, &Env::default()).unwrap() else {
            panic!("an archive");
        };
        let root = layout.root();
        let manifest: serde_json::Value =
            serde_json::from_slice(&layout.small(&root.digest).unwrap()).unwrap();
        let parse = |descriptor: &serde_json::Value| {
            Digest::parse(descriptor["digest"].as_str().unwrap()).unwrap()
        };
        layout.small(&parse(&manifest["config"])).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let mut blob = layout.open(&parse(layer)).unwrap();
            assert_eq!(Some(blob.size), layer["size"].as_u64());
            blob.reader.read_to_end(&mut Vec::new()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_image_the_engine_has_not_is_named() {
    let env = Env::from([("DOCKER_HOST", "unix:///var/run/docker.sock")]);
    let error = Source::engine(&env, "slipway-test/no-such-image:1", None)
        .await
        .err()
        .unwrap();
    assert!(error.message.contains("answers 404"), "{error}");
    assert!(
        error.causes()[0].contains("slipway-test/no-such-image:1"),
        "{error}"
    );
    let error = Source::engine(&env, "../x y", None).await.err().unwrap();
    assert_eq!(error.exit(), kit::Exit::Usage);
}

/// A listener that sends `answer` and hangs up.
fn listener(folder: &Path, answer: Vec<u8>) -> Engine {
    let path = folder.join("engine.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Whole, or what is left of it would reset the connection.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        assert!(request.starts_with(b"GET /images/x/get HTTP/1.0\r\n"));
        let _ = stream.write_all(&answer);
    });
    Engine::Unix(path)
}

#[test]
fn an_engine_that_breaks_off_or_talks_nonsense_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, wanted) in [
        (&b""[..], "breaks off in its head"),
        (b"HTTP/1.1 200 OK\r\nContent-Ty", "breaks off in its head"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "in chunks",
        ),
        (
            b"HTTP/1.0 500 X\r\n\r\n{\"message\":\"no space left on device\"}",
            "no space left on device",
        ),
        (b"HTTP/1.0 500 X\r\n\r\n", "gives no reason"),
    ] {
        let error = listener(folder.path(), answer.to_vec())
            .export("x")
            .err()
            .unwrap();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(!error.hints.is_empty());
    }
    let mut body = String::new();
    listener(folder.path(), b"HTTP/1.0 200 OK\r\n\r\nthe body".to_vec())
        .export("x")
        .unwrap()
        .read_to_string(&mut body)
        .unwrap();
    assert_eq!(body, "the body");
}

#[tokio::test]
async fn the_endpoint_is_the_clients() {
    let at =
        |host: &'static str| async move { Engine::find(&Env::from([("DOCKER_HOST", host)])).await };
    assert_eq!(
        at("unix:///run/other.sock").await.unwrap(),
        Engine::Unix("/run/other.sock".into())
    );
    for (host, address) in [
        ("tcp://127.0.0.1:2377", "127.0.0.1:2377"),
        ("tcp://localhost", "127.0.0.1:2375"),
        ("tcp://[::1]:9/", "[::1]:9"),
    ] {
        assert_eq!(
            at(host).await.unwrap(),
            Engine::Tcp(address.parse().unwrap()),
            "{host}"
        );
    }
    for host in [
        "ssh://me@host",
        "npipe:////./pipe/x",
        "tcp://name:2375",
        "tcp://",
    ] {
        let error = at(host).await.unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage, "{host}");
        assert!(error.hints[0].contains("--layout"), "{error}");
    }
    let tls = Env::from([
        ("DOCKER_HOST", "tcp://127.0.0.1:2376"),
        ("DOCKER_TLS_VERIFY", "1"),
    ]);
    assert!(Engine::find(&tls).await.is_err());
    // Neither a variable nor a client.
    let none = Engine::find(&Env::from([("PATH", "/nowhere")]))
        .await
        .unwrap();
    assert_eq!(none, Engine::Unix(SOCKET.into()));
    // A client with a context of its own.
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let path = std::env::var("PATH").unwrap();
    run(Command::new("docker")
        .args([
            "context",
            "create",
            "other",
            "--docker",
            "host=unix:///run/context.sock",
        ])
        .env("DOCKER_CONFIG", home));
    let env = Env::from([
        ("PATH", path.as_str()),
        ("DOCKER_CONFIG", home),
        ("DOCKER_CONTEXT", "other"),
    ]);
    assert_eq!(
        Engine::find(&env).await.unwrap(),
        Engine::Unix("/run/context.sock".into())
    );
}
