//! An engine with containerd's store that pushes its image to the step, as containerd does it.

use super::containerd::{Engine, Stored, gzip, zstd};
use super::images::noise;
use super::{Fixture, push, push_one};
use crate::digest::digest;
use crate::source::Source;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

const KIB: usize = 1 << 10;

/// A client of the step's registry.
struct Client {
    host: String,
    repository: String,
    login: String,
}

impl Client {
    /// What the call that has the engine push says of it.
    fn of(request: &str) -> Self {
        let path = request.split(' ').nth(1).unwrap();
        let name = path.strip_prefix("/images/").unwrap();
        let (host, rest) = name.split_once('/').unwrap();
        let auth = request
            .lines()
            .find_map(|line| line.strip_prefix("X-Registry-Auth: "))
            .unwrap();
        let auth: serde_json::Value =
            serde_json::from_slice(&URL_SAFE.decode(auth).unwrap()).unwrap();
        assert_eq!(auth["serveraddress"], host);
        let text = |name: &str| auth[name].as_str().unwrap().to_owned();
        Self {
            host: host.to_owned(),
            repository: rest.split_once('/').unwrap().0.to_owned(),
            login: STANDARD.encode(format!("{}:{}", text("username"), text("password"))),
        }
    }

    /// Status and head of an answer.
    fn ask(&self, method: &str, rest: &str, body: &[u8]) -> io::Result<(u16, String)> {
        let path = format!("/v2/{}/{rest}", self.repository);
        self.ask_at(method, &path, &format!("Basic {}", self.login), body)
    }

    fn ask_at(
        &self,
        method: &str,
        path: &str,
        login: &str,
        body: &[u8],
    ) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.host)?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {login}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            self.host
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok((status.unwrap_or_default(), answer))
    }

    /// Sends a blob, unless it is there. The status of what it was sent with.
    fn blob(&self, name: &str, bytes: &[u8]) -> io::Result<u16> {
        if self.ask("HEAD", &format!("blobs/{name}"), b"")?.0 == 200 {
            return Ok(200);
        }
        let (status, head) = self.ask("POST", "blobs/uploads/", b"")?;
        assert_eq!(status, 202, "{head}");
        let place = head
            .lines()
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap();
        let place = format!("{place}?digest={}", name.replace(':', "%3A"));
        let login = format!("Basic {}", self.login);
        Ok(self.ask_at("PUT", &place, &login, bytes)?.0)
    }

    /// Sends all of an image. The statuses, the manifest's last.
    fn image(&self, stored: &Stored) -> io::Result<Vec<u16>> {
        let mut statuses = Vec::new();
        let blobs = stored.blobs.iter().map(Vec::as_slice);
        for bytes in blobs.chain([stored.config.as_bytes()]) {
            statuses.push(self.blob(digest(bytes).as_str(), bytes)?);
        }
        assert_eq!(self.ask("HEAD", "manifests/image", b"")?.0, 404);
        let manifest = stored.manifest.as_bytes();
        statuses.push(self.ask("PUT", "manifests/image", manifest)?.0);
        Ok(statuses)
    }
}

fn ended(stream: &mut UnixStream, reason: &str) -> io::Result<()> {
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"status\":\"Preparing\"}\r\n")?;
    writeln!(stream, "{}", serde_json::json!({ "error": reason }))
}

/// An engine that pushes, and the statuses of its pushes.
fn pushing(layers: &[(&[u8], Vec<u8>)]) -> (Engine, Arc<Mutex<Vec<u16>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let engine = Engine::with(Stored::new(layers), move |stored, request, stream| {
        let done = Client::of(request).image(stored)?;
        statuses.lock().unwrap().extend(done);
        ended(stream, "denied")
    });
    (engine, seen)
}

/// An engine that fails at a push, and exports.
fn failing(layers: &[(&[u8], Vec<u8>)], reason: &'static str) -> Engine {
    Engine::with(Stored::new(layers), move |_, _, stream| {
        ended(stream, reason)
    })
}

#[tokio::test]
async fn a_pushed_image_has_the_digest_of_the_exported_one_and_what_is_there_is_not_sent() {
    let (large, small, other) = (
        noise(1, 3000 * KIB),
        noise(2, 40 * KIB),
        noise(3, 2000 * KIB),
    );
    let layers = [
        (&large[..], gzip(&large)),
        (&small[..], gzip(&small)),
        (&other[..], zstd(&other)),
    ];
    let fixture = Fixture::new().await;
    let (engine, statuses) = pushing(&layers);
    let done = push_one(&engine.source().await, fixture.target(&["v1"]))
        .await
        .unwrap();
    assert_eq!(engine.exports(), 0);
    assert_eq!(*statuses.lock().unwrap(), [201, 201, 201, 201, 403]);
    assert_eq!(engine.count("POST /images/sha256:"), 1);
    assert_eq!(engine.count("DELETE /images/127.0.0.1:"), 1);
    assert_eq!(done.counts.skipped, 0, "{:?}", done.counts);

    let elsewhere = Fixture::new().await;
    let exporting = failing(&layers, "no route");
    let exported = push_one(&exporting.source().await, elsewhere.target(&["v1"]))
        .await
        .unwrap();
    assert_eq!(exporting.exports(), 1);
    assert_eq!(exported.manifest, done.manifest);
    assert_eq!(exported.counts, done.counts);

    // Another image with two of the layers.
    let changed = noise(4, 1500 * KIB);
    let layers = [
        layers[0].clone(),
        layers[2].clone(),
        (&changed[..], gzip(&changed)),
    ];
    let (engine, statuses) = pushing(&layers);
    let next = push_one(&engine.source().await, fixture.target(&["v2"]))
        .await
        .unwrap();
    assert_eq!(*statuses.lock().unwrap(), [200, 200, 201, 201, 403]);
    assert!(next.counts.skipped > 4900 * 1024, "{:?}", next.counts);
    assert!(next.counts.pushed < 1600 * 1024, "{:?}", next.counts);
}

#[tokio::test]
async fn one_push_serves_all_targets_and_a_failing_one_does_not_end_it() {
    let layer = noise(1, 2500 * KIB);
    let layers = [(&layer[..], gzip(&layer))];
    let (first, second) = (Fixture::new().await, Fixture::new().await);
    let (engine, statuses) = pushing(&layers);
    let source = engine.source().await;
    let broken = super::target(&first.client(), "Not/A/Name", &["v1"]);
    let targets = [first.target(&["v1"]), second.target(&["v1"]), broken];
    let outcomes = push(&source, &targets).await;
    let digests: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            outcome
                .result
                .as_ref()
                .ok()
                .map(|done| &done.manifest.digest)
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert!(digests[0].is_some() && digests[2].is_none(), "{outcomes:?}");
    assert_eq!(statuses.lock().unwrap()[..3], [201, 201, 403]);
    assert_eq!(engine.exports(), 0);
}

#[tokio::test]
async fn nobody_but_the_engine_gets_an_answer() {
    let layer = noise(1, 1500 * KIB);
    let stored = Stored::new(&[(&layer[..], gzip(&layer))]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let engine = Engine::with(stored, move |stored, request, stream| {
        let client = Client::of(request);
        let blob = digest(&stored.blobs[0]);
        let path = |repository: &str| format!("/v2/{repository}/blobs/{blob}");
        let own = path(&client.repository);
        let login = format!("Basic {}", client.login);
        let other = format!("Basic {}", STANDARD.encode("slipway:guessed"));
        for (method, path, login) in [
            ("HEAD", own.as_str(), "Basic"),
            ("HEAD", own.as_str(), other.as_str()),
            ("GET", "/v2/", other.as_str()),
            ("HEAD", &path("app"), login.as_str()),
            // With the login, too, nothing is read from it.
            ("GET", own.as_str(), login.as_str()),
            ("DELETE", own.as_str(), login.as_str()),
        ] {
            let (status, _) = client.ask_at(method, path, login, b"")?;
            statuses.lock().unwrap().push(status);
        }
        client.image(stored)?;
        ended(stream, "denied")
    });
    let fixture = Fixture::new().await;
    let done = push_one(&engine.source().await, fixture.target(&["v1"])).await;
    done.unwrap();
    assert_eq!(*seen.lock().unwrap(), [401, 401, 401, 404, 405, 405]);
    assert_eq!(engine.exports(), 0);
}

#[tokio::test]
async fn a_wrong_blob_is_refused_and_the_export_is_read() {
    let layer = noise(1, 1500 * KIB);
    let stored = Stored::new(&[(&layer[..], gzip(&layer))]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let engine = Engine::with(stored, move |stored, request, stream| {
        let blob = digest(&stored.blobs[0]);
        let mut bytes = stored.blobs[0].clone();
        bytes[4711] ^= 1;
        let status = Client::of(request).blob(blob.as_str(), &bytes)?;
        statuses.lock().unwrap().push(status);
        ended(stream, "digest invalid")
    });
    let fixture = Fixture::new().await;
    let done = push_one(&engine.source().await, fixture.target(&["v1"]))
        .await
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), [400]);
    assert_eq!(engine.exports(), 1);
    assert!(done.counts.pushed > 1400 * 1024, "{:?}", done.counts);
}

#[tokio::test]
async fn another_image_than_the_one_that_was_built_is_refused() {
    let (layer, other) = (noise(1, 20 * KIB), noise(2, 20 * KIB));
    let stored = Stored::new(&[(&layer[..], gzip(&layer))]);
    let engine = Engine::with(stored, move |stored, request, stream| {
        let config = stored.config.as_bytes();
        let client = Client::of(request);
        client.blob(digest(config).as_str(), config)?;
        let theirs = Stored::new(&[(&other[..], gzip(&other))]);
        client.ask("PUT", "manifests/image", theirs.manifest.as_bytes())?;
        ended(stream, "denied")
    });
    let fixture = Fixture::new().await;
    push_one(&engine.source().await, fixture.target(&["v1"]))
        .await
        .unwrap();
    assert_eq!(engine.exports(), 1);
}

#[tokio::test]
async fn the_engines_own_reason_is_named() {
    let layer = noise(1, 20 * KIB);
    let engine = failing(&[(&layer[..], gzip(&layer))], "no space left on device");
    let source = engine.source().await;
    let Source::Archive(archive) = &*source else {
        panic!("a layout");
    };
    let push = archive.push().unwrap();
    let error = push.read(Box::new(|_| None)).await.err().unwrap();
    let line = error.line();
    assert!(line.contains("cannot push sha256:"), "{line}");
    assert!(line.contains("no space left on device"), "{line}");
    assert_eq!(engine.count("DELETE /images/127.0.0.1:"), 1);
}

#[tokio::test]
async fn a_push_that_is_given_up_ends_at_the_engine_and_leaves_no_name() {
    let layer = noise(1, 20 * KIB);
    let stored = Stored::new(&[(&layer[..], gzip(&layer))]);
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine::with(stored, move |_, _, stream| {
        began.send("began").unwrap();
        // Until the other side is gone.
        let _ = stream.read(&mut [0]);
        let _ = began.send("ended");
        Ok(())
    });
    let source = engine.source().await;
    let fixture = Fixture::new().await;
    {
        let targets = [fixture.target(&["v1"])];
        let mut pushing = std::pin::pin!(push(&source, &targets));
        tokio::select! {
            _ = &mut pushing => panic!("it ended"),
            word = begun.recv() => assert_eq!(word, Some("began")),
        }
    }
    assert_eq!(begun.recv().await, Some("ended"));
    assert_eq!(engine.count("DELETE /images/127.0.0.1:"), 1);
}
