//! Images made by hand, and readings of them held against what went in.

mod archives;
mod layouts;

use super::*;
use crate::blob::{Chunk, Compression};
use crate::digest::digest;
use std::collections::HashSet;
use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::Command;
use tokio::sync::mpsc;

/// A folder for images, which goes away.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A tar of `members`, in their order.
    fn tar(&self, name: &str, members: &[(&str, Member)]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, tar(members)).unwrap();
        path
    }
}

#[derive(Clone)]
enum Member {
    File(Vec<u8>),
    Symlink(&'static str),
    Hardlink(&'static str),
}

fn tar(members: &[(&str, Member)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, member) in members {
        let mut header = tar::Header::new_gnu();
        // Written past the crate's own checks, since what comes from elsewhere had none.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let (kind, bytes, target) = match member {
            Member::File(bytes) => (tar::EntryType::Regular, bytes.as_slice(), ""),
            Member::Symlink(target) => (tar::EntryType::Symlink, &[][..], *target),
            Member::Hardlink(target) => (tar::EntryType::Link, &[][..], *target),
        };
        header.set_entry_type(kind);
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(bytes: impl Into<Vec<u8>>) -> Member {
    Member::File(bytes.into())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| digest(layer).to_string())
        .collect();
    serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", digest(bytes).hex())
}

/// An archive as engines before version 25 write it, with the names of moby v20.10.
fn legacy(layers: &[&[u8]]) -> Vec<(String, Member)> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let mut members = Vec::new();
    let mut folders: Vec<String> = Vec::new();
    let names = v1::Names::of(&diff_ids);
    for (number, layer) in layers.iter().enumerate() {
        let top = number + 1 == layers.len();
        let parent = folders.last().cloned();
        let folder = names
            .order
            .get(number)
            .cloned()
            .filter(|_| !top)
            .unwrap_or_else(|| digest(b"what the top layer is called").hex().to_owned());
        let mut json = serde_json::json!({"id": folder});
        if let Some(parent) = &parent {
            json["parent"] = parent.clone().into();
        }
        members.push((format!("{folder}/VERSION"), file("1.0")));
        members.push((format!("{folder}/json"), file(json.to_string())));
        let earlier = layers[..number].iter().position(|other| other == layer);
        let member = match earlier {
            Some(earlier) => {
                let target = format!("../{}/layer.tar", folders[earlier]);
                Member::Symlink(target.leak())
            }
            None => file(*layer),
        };
        members.push((format!("{folder}/layer.tar"), member));
        folders.push(folder);
    }
    let config = config(layers);
    let name = format!("{}.json", digest(&config).hex());
    let paths: Vec<_> = folders
        .iter()
        .map(|folder| format!("{folder}/layer.tar"))
        .collect();
    let manifest = serde_json::json!([{"Config": name, "RepoTags": null, "Layers": paths}]);
    members.push((name, file(config)));
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.push(("manifest.json".to_owned(), file(manifest.to_string())));
    members
}

/// An archive as later engines write it: `blobs` as they are in the store, under their digests.
fn modern(layers: &[&[u8]], blobs: &[Vec<u8>]) -> Vec<(String, Member)> {
    let config = config(layers);
    let manifest =
        serde_json::json!({"schemaVersion": 2, "config": {"digest": digest(&config).as_str()}})
            .to_string();
    let mut members = vec![
        (blob(&config), file(config.as_slice())),
        (blob(manifest.as_bytes()), file(manifest.as_str())),
    ];
    members.extend(
        blobs
            .iter()
            .map(|bytes| (blob(bytes), file(bytes.as_slice()))),
    );
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|(one, _), (other, _)| one == other);
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest.as_bytes()).as_str(), "size": manifest.len()}]});
    let paths: Vec<_> = blobs.iter().map(|bytes| blob(bytes)).collect();
    let docker = serde_json::json!([{"Config": blob(&config), "Layers": paths}]);
    members.push(("index.json".to_owned(), file(index.to_string())));
    members.push(("manifest.json".to_owned(), file(docker.to_string())));
    members.push((
        "oci-layout".to_owned(),
        file(r#"{"imageLayoutVersion":"1.0.0"}"#),
    ));
    members
}

fn borrowed(members: &[(String, Member)]) -> Vec<(&str, Member)> {
    members
        .iter()
        .map(|(name, member)| (name.as_str(), member.clone()))
        .collect()
}

/// A layer as it came out: what the receiver got, or nothing where it was passed over.
type Got = Vec<(Entry, Option<Vec<u8>>)>;

/// Takes a reading, passing over the layers that `pass` names.
fn take(
    pass: &dyn Fn(&Entry) -> bool,
    read: impl FnOnce(&mut dyn FnMut(&Entry) -> Option<mpsc::Sender<Chunk>>) -> Result<Contents>,
) -> (Result<Contents>, Got) {
    let mut readers = Vec::new();
    let contents = read(&mut |entry| {
        let entry = entry.clone();
        if pass(&entry) {
            readers.push((entry, None));
            return None;
        }
        let (sink, mut source) = mpsc::channel(2);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while let Some(Chunk::Bytes(piece)) = source.blocking_recv() {
                bytes.extend(piece);
            }
            bytes
        });
        readers.push((entry, Some(reader)));
        Some(sink)
    });
    let got = readers
        .into_iter()
        .map(|(entry, reader)| (entry, reader.map(|reader| reader.join().unwrap())))
        .collect();
    (contents, got)
}

/// Reads a file.
fn read(path: &Path) -> (Result<Contents>, Got) {
    let Source::Archive(archive) = Source::open(path, &Env::default()).unwrap() else {
        panic!("{} is taken for a layout", path.display());
    };
    take(&|_| false, |start| archive.read(Compression::Gzip, start))
}

/// Reads bytes as the engine's export.
fn stream(bytes: &[u8], known: Option<&Known>) -> (Result<Contents>, Got) {
    stream_but(bytes, known, &|_| false)
}

fn stream_but(
    bytes: &[u8],
    known: Option<&Known>,
    pass: &dyn Fn(&Entry) -> bool,
) -> (Result<Contents>, Got) {
    take(pass, |start| {
        crate::compress::with_threads(Compression::Gzip, 2, |compressor| {
            let reading = reading::Reading::new(compressor, start);
            stream::stream(bytes, "the export", known, reading)
        })
        .unwrap()
    })
}

fn known(layers: &[&[u8]]) -> Known {
    Known {
        config: digest(&config(layers)),
        diff_ids: layers.iter().map(|layer| digest(layer)).collect(),
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    flate2::bufread::MultiGzDecoder::new(bytes)
        .read_to_end(&mut back)
        .unwrap();
    back
}

/// Holds a reading against the layers that went in.
fn hold(read: (Result<Contents>, Got), layers: &[&[u8]]) {
    let contents = read.0.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contents.config, config(layers));
    let diff_ids: Vec<_> = contents.layers.iter().map(|layer| &layer.diff_id).collect();
    assert_eq!(
        diff_ids,
        layers
            .iter()
            .map(|layer| digest(layer))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    let mut seen = HashSet::new();
    for (entry, bytes) in &read.1 {
        assert!(seen.insert(entry.path.clone()), "{} came twice", entry.path);
        let bytes = bytes.as_ref().unwrap();
        let layer = contents
            .layers
            .iter()
            .find(|layer| layer.entry.path == entry.path)
            .unwrap();
        let measured = layer.measured.as_ref().unwrap();
        assert_eq!(measured.digest, digest(bytes));
        assert_eq!(measured.diff_id, Some(digest(&unpacked(bytes))));
        assert_eq!(measured.size, bytes.len() as u64);
    }
    assert_eq!(seen.len(), layers.iter().collect::<HashSet<_>>().len());
    assert!(contents.layers.iter().all(|layer| layer.measured.is_some()));
}

/// Sets of layers that have gone wrong for others.
fn odd() -> Vec<Vec<Vec<u8>>> {
    let empty = vec![0; 1024];
    let many = (0..120_u32).map(|n| n.to_le_bytes().repeat(300)).collect();
    vec![
        vec![b"one layer".to_vec()],
        vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()],
        vec![empty.clone(), b"x".to_vec(), empty.clone(), empty],
        vec![b"{".to_vec()],
        vec![b"{".to_vec(), Vec::new(), b"[".to_vec()],
        many,
    ]
}

fn slices(layers: &[Vec<u8>]) -> Vec<&[u8]> {
    layers.iter().map(Vec::as_slice).collect()
}
