//! An engine with containerd's image store, whose layers are compressed already: each goes on as it is, unless it is there.
//! Here it exports its image; `pushed` has one that pushes.

use super::images::{Folder, GZIP, config, file, noise};
use super::{Fixture, push_one, target};
use crate::blob::Compression;
use crate::digest::digest;
use crate::push::Target;
use crate::source::Source;
use flate2::write::GzEncoder;
use kit::env::Env;
use serde_json::json;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

const KIB: usize = 1 << 10;

/// The image of such an engine, in the words of Docker 26.
pub(super) struct Stored {
    pub(super) config: String,
    pub(super) manifest: String,
    /// What the layers are compressed to.
    pub(super) blobs: Vec<Vec<u8>>,
    /// The answer about the image.
    pub(super) inspected: String,
    pub(super) export: Vec<u8>,
}

impl Stored {
    /// `layers` with what they are compressed to.
    pub(super) fn new(layers: &[(&[u8], Vec<u8>)]) -> Self {
        let plain: Vec<&[u8]> = layers.iter().map(|(plain, _)| *plain).collect();
        let config = config(&plain, "amd64");
        let path = |bytes: &[u8]| format!("blobs/{}", digest(bytes).as_str().replace(':', "/"));
        let blobs: Vec<Vec<u8>> = layers.iter().map(|(_, blob)| blob.clone()).collect();
        let listed = blobs.iter().map(|blob| {
            let kind = match blob.starts_with(&[0x28, 0xb5]) {
                true => "application/vnd.docker.image.rootfs.diff.tar.zstd",
                false => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            };
            json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()})
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": digest(config.as_bytes()), "size": config.len()},
            "layers": listed.collect::<Vec<_>>(),
        })
        .to_string();
        let id = digest(manifest.as_bytes());
        let mut files: Vec<(String, Vec<u8>)> = blobs
            .iter()
            .map(|blob| (path(blob), blob.clone()))
            .collect();
        files.push((path(config.as_bytes()), config.clone().into()));
        files.push((path(manifest.as_bytes()), manifest.clone().into()));
        // As containerd writes them: by name, so that what names the rest comes last.
        files.sort();
        let index = json!({"schemaVersion": 2, "manifests": [{"digest": id}]});
        let names: Vec<String> = blobs.iter().map(|blob| path(blob)).collect();
        let list = json!([{"Config": path(config.as_bytes()), "Layers": names}]);
        files.push(("index.json".to_owned(), index.to_string().into()));
        files.push(("manifest.json".to_owned(), list.to_string().into()));
        let mut export = Vec::new();
        for (name, bytes) in &files {
            file(&mut export, name, bytes);
        }
        export.resize(export.len() + 1024, 0);
        let diff_ids: Vec<String> = plain.iter().map(|layer| digest(layer).into()).collect();
        let inspected = json!({"Id": id, "RootFS": {"Layers": diff_ids}}).to_string();
        Self {
            config,
            manifest,
            blobs,
            inspected,
            export,
        }
    }
}

/// An engine with one image, which answers everything but a push.
pub(super) struct Engine {
    folder: tempfile::TempDir,
    config: String,
    /// The first line of each request about something else than the image itself.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    fn start(layers: &[(&[u8], Vec<u8>)]) -> Self {
        Self::with(Stored::new(layers), |_, _, stream| {
            stream.write_all(b"HTTP/1.0 403 Forbidden\r\n\r\n")
        })
    }

    /// One that answers a push, which comes with its head, with `push`.
    pub(super) fn with(
        stored: Stored,
        push: impl Fn(&Stored, &str, &mut UnixStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let config = stored.config.clone();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, shared) = (Arc::clone(&asked), Arc::new((stored, push)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, noted, shared) =
                    (stream.unwrap(), Arc::clone(&noted), Arc::clone(&shared));
                // The other side may have heard enough.
                std::thread::spawn(move || {
                    let _ = answer(&shared.0, &shared.1, &noted, &mut stream);
                });
            }
        });
        Self {
            folder,
            config,
            asked,
        }
    }

    pub(super) async fn source(&self) -> Arc<Source> {
        let host = format!("unix://{}", self.folder.path().join("socket").display());
        let env = Env::from([("DOCKER_HOST", host.as_str())]);
        let config = digest(self.config.as_bytes());
        Arc::new(Source::engine(&env, "app", Some(config)).await.unwrap())
    }

    /// How often a request began so.
    pub(super) fn count(&self, start: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|line| line.starts_with(start)).count()
    }

    pub(super) fn exports(&self) -> usize {
        self.count("GET /images/sha256:")
    }
}

fn answer(
    stored: &Stored,
    push: &dyn Fn(&Stored, &str, &mut UnixStream) -> io::Result<()>,
    asked: &Mutex<Vec<String>>,
    stream: &mut UnixStream,
) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let line = request.lines().next().unwrap().to_owned();
    let mut good = |body: &[u8]| {
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
        stream.write_all(body)
    };
    if line.starts_with("GET /images/app/json ") {
        return good(stored.inspected.as_bytes());
    }
    asked.lock().unwrap().push(line.clone());
    match line.as_str() {
        line if line.contains("/push?") => push(stored, &request, stream),
        line if line.starts_with("GET /images/sha256:") => good(&stored.export),
        _ => good(b"[]"),
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Another level than ours, so that what is compressed anew is found out.
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    rusty_zstd::compress(bytes, 1).unwrap()
}

/// Media type and digest of each layer.
fn listed(manifest: &[u8]) -> Vec<(String, String)> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    layers
        .iter()
        .map(|layer| (text(&layer["mediaType"]), text(&layer["digest"])))
        .collect()
}

#[tokio::test]
async fn layers_go_on_as_they_are_and_are_not_read_twice() {
    let fixture = Fixture::new().await;
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
    let engine = Engine::start(&layers);
    let done = push_one(&engine.source().await, fixture.target(&["v1"]))
        .await
        .unwrap();
    let kinds = [GZIP, GZIP, Compression::Zstd.media_type()];
    let wanted: Vec<(String, String)> = kinds
        .iter()
        .zip(&layers)
        .map(|(kind, (_, blob))| ((*kind).to_owned(), digest(blob).into()))
        .collect();
    assert_eq!(listed(&done.manifest.bytes), wanted);
    assert_eq!(engine.exports(), 1);

    // A layer that no earlier image lists is looked up by its digest, and keeps its media type.
    fixture.proxy.forget();
    let changed = noise(4, 1500 * KIB);
    let layers = [
        layers[0].clone(),
        layers[2].clone(),
        (&changed[..], gzip(&changed)),
    ];
    let engine = Engine::start(&layers);
    let next = push_one(&engine.source().await, fixture.target(&["v2"]))
        .await
        .unwrap();
    let kinds = listed(&next.manifest.bytes);
    assert_eq!(kinds[..2], [wanted[0].clone(), wanted[2].clone()]);
    assert_eq!(fixture.proxy.count("PATCH", ""), 1);
    assert!(next.counts.skipped > 4900 * 1024, "{:?}", next.counts);
    assert!(next.counts.pushed < 1600 * 1024, "{:?}", next.counts);
}

#[tokio::test]
async fn an_image_that_is_there_is_not_exported() {
    let fixture = Fixture::new().await;
    let layer = noise(1, 1500 * KIB);
    let engine = Engine::start(&[(&layer[..], gzip(&layer))]);
    let source = engine.source().await;
    let first = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    let again = push_one(&source, fixture.target(&["v1"])).await.unwrap();
    assert_eq!(again.manifest, first.manifest);
    assert_eq!((again.counts.pushed, engine.exports()), (0, 1));
}

#[tokio::test]
async fn a_layer_of_a_base_in_the_same_registry_is_mounted() {
    let fixture = Fixture::new().await;
    let (base, app) = (noise(1, 2000 * KIB), noise(2, 20 * KIB));
    let blob = gzip(&base);
    let folder = Folder::new();
    let source = folder.opened(&[folder.image(&[&blob], "amd64")]);
    let base_target = target(&fixture.client(), "acme/base", &["v1"]);
    push_one(&source, base_target).await.unwrap();
    let engine = Engine::start(&[(&base[..], blob.clone()), (&app[..], gzip(&app))]);
    let target = Target {
        from: vec!["acme/base".to_owned()],
        ..fixture.target(&["v1"])
    };
    let done = push_one(&engine.source().await, target).await.unwrap();
    assert_eq!(listed(&done.manifest.bytes)[0].1, digest(&blob).as_str());
    assert!(done.counts.mounted > 1900 * 1024, "{:?}", done.counts);
    assert!(done.counts.pushed < 30 * 1024, "{:?}", done.counts);
}

#[tokio::test]
async fn a_layer_that_does_not_match_its_name_is_refused() {
    let fixture = Fixture::new().await;
    let (layer, other) = (noise(1, 1500 * KIB), noise(2, 1500 * KIB));
    let engine = Engine::start(&[(&layer[..], gzip(&other))]);
    let error = push_one(&engine.source().await, fixture.target(&["v1"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not the one"), "{error}");
    assert!(fixture.tagged("acme/app", "v1").await.is_none());
}
