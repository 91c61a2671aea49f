//! A docker archive that can be read only once, such as the engine's export. A layer is recognized by its name, because
//! `manifest.json` is the last member.

use super::contents::{Contents, Entry, Known, SMALL, missing};
use super::manifest::{Config, Manifest};
use super::reading::{ExactReader, Reading, SMALLS};
use super::tarball::{self, Links};
use super::v1::Names;
use bytes::Bytes;
use kit::id::Digest;
use kit::{Error, Result};
use std::collections::HashMap;
use std::io::{self, Read};

/// The archive as it was read so far, without its layers.
struct ReadSoFar<'a> {
    source: &'a str,
    diff_ids: &'a [Digest],
    names: Names,
    links: Links,
    smalls: HashMap<String, Bytes>,
    /// The bytes of `smalls`, which are bounded because the archive's size is not known.
    kept: u64,
    parents: HashMap<String, Option<String>>,
}

/// Reads the archive to its end.
///
/// # Errors
/// It breaks off, or is not the image that is known.
pub(super) fn stream(
    input: impl Read,
    source: &str,
    known: Option<&Known>,
    mut reading: Reading,
) -> Result<Contents> {
    let diff_ids = known.map_or(&[][..], |known| &known.diff_ids);
    if !diff_ids.is_empty() {
        reading = reading.with_named_blobs();
    }
    let mut seen = ReadSoFar {
        source,
        diff_ids,
        names: Names::of(diff_ids),
        links: Links::default(),
        smalls: HashMap::new(),
        kept: 0,
        parents: HashMap::new(),
    };
    let mut archive = tar::Archive::new(input);
    let entries = archive.entries().map_err(|error| broken(source, error))?;
    for entry in entries {
        seen.member(entry.map_err(|error| broken(source, error))?, &mut reading)?;
    }
    seen.finish(known, reading)
}

fn broken(source: &str, error: io::Error) -> Error {
    Error::failed(format!("{source} broke off"))
        .because(error)
        .hint("run the step again; if it happens again, look at the engine's log and at the free space of its disk")
}

impl ReadSoFar<'_> {
    /// Reads one member: forwards a layer, keeps a small member.
    fn member(
        &mut self,
        mut entry: tar::Entry<'_, impl Read>,
        reading: &mut Reading<'_>,
    ) -> Result<()> {
        let path = tarball::name(&entry);
        if !entry.header().entry_type().is_file() {
            self.links.add(&entry, path);
            return Ok(());
        }
        let broken = |error| broken(self.source, error);
        let size = entry.size();
        let kind = kind(&path, self.diff_ids);
        let mut peeked = Vec::new();
        match kind {
            Kind::Nothing => return Ok(()),
            Kind::Blob => {
                let mut first = (&mut entry).take(1);
                first.read_to_end(&mut peeked).map_err(broken)?;
            }
            Kind::Layer(_) | Kind::V1 | Kind::Parent | Kind::Small => {}
        }
        let is_json = matches!(kind, Kind::Small | Kind::Parent) || peeked.first() == Some(&b'{');
        let mut input = ExactReader {
            remaining: size,
            input: peeked.as_slice().chain(entry),
        };
        if is_json && size <= SMALL {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(broken)?;
            return self.keep(path, &kind, bytes);
        }
        let entry = Entry {
            diff_id: self.diff_id(kind, &path),
            path,
            size,
        };
        reading.layer(entry, &mut input, self.source)
    }

    fn keep(&mut self, path: String, kind: &Kind, bytes: Vec<u8>) -> Result<()> {
        if *kind == Kind::Parent {
            let folder = path.split('/').next().unwrap_or_default();
            self.parents.insert(folder.to_owned(), parent(&bytes));
            return Ok(());
        }
        self.kept += bytes.len() as u64;
        if self.kept > SMALLS {
            return Err(Error::failed(format!(
                "{} has more than {SMALLS} bytes of manifests, so it is not an image",
                self.source
            )));
        }
        self.smalls.insert(path, bytes.into());
        Ok(())
    }

    fn diff_id(&self, kind: Kind, path: &str) -> Option<Digest> {
        match kind {
            Kind::V1 => {
                let folder = path.split('/').next().unwrap_or_default();
                let parent = self.parents.get(folder)?;
                self.names.diff_id(folder, parent.as_deref())
            }
            Kind::Layer(diff_id) => Some(diff_id),
            _ => None,
        }
    }

    fn small(&self, name: &str) -> Result<Bytes> {
        let found = self.smalls.get(name).cloned();
        found.ok_or_else(|| missing(name, self.source))
    }

    /// Puts the layers in the order of the manifest.
    fn finish(&self, known: Option<&Known>, reading: Reading) -> Result<Contents> {
        let source = self.source;
        let manifest = Manifest::parse(&self.small("manifest.json")?, source)?;
        let config = self.links.follow(&manifest.config)?;
        let config = Config::parse(self.small(&config)?, &manifest, source)?;
        if let Some(known) = known
            && (known.diff_ids != config.diff_ids
                || (known.config != config.digest && !names_root(&self.smalls, &known.config)))
        {
            return Err(
                Error::failed(format!("{source} holds another image, {}", config.digest))
                    .hint("the image was replaced while it was read; run the step again"),
            );
        }
        reading.finish(
            &manifest.layers,
            config.bytes,
            &config.diff_ids,
            |name| self.links.follow(name).map(Some),
            source,
        )
    }
}

/// Returns whether `index.json` lists `digest`: an engine with containerd's store calls an image by its manifest or index.
fn names_root(smalls: &HashMap<String, Bytes>, digest: &Digest) -> bool {
    smalls
        .get("index.json")
        .and_then(|index| serde_json::from_slice::<serde_json::Value>(index).ok())
        .and_then(|index| {
            let manifests = index.get("manifests")?.as_array()?;
            Some(
                manifests
                    .iter()
                    .any(|manifest| manifest["digest"] == digest.as_str()),
            )
        })
        .unwrap_or(false)
}

/// The parent that a layer's `json` names.
fn parent(json: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    Some(json.get("parent")?.as_str()?.to_owned())
}

/// The kind of a member, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A layer whose diff ID is its name.
    Layer(Digest),
    /// A layer of an engine before version 25, `V1ID/layer.tar`.
    V1,
    /// Its `V1ID/json`.
    Parent,
    /// Some blob of version 25 and later: a manifest, a configuration, or a layer that is compressed.
    Blob,
    /// JSON at the top.
    Small,
    Nothing,
}

fn kind(path: &str, diff_ids: &[Digest]) -> Kind {
    let parse = |hex: &str| Digest::parse(&format!("sha256:{hex}")).ok();
    let layer = |digest: Digest, or: Kind| {
        if diff_ids.contains(&digest) {
            Kind::Layer(digest)
        } else {
            or
        }
    };
    match path.rsplit_once('/') {
        None if path.ends_with(".json") => Kind::Small,
        None => path
            .strip_suffix(".tar")
            .and_then(parse)
            .map_or(Kind::Nothing, |digest| layer(digest, Kind::Blob)),
        Some(("blobs/sha256", hex)) => {
            parse(hex).map_or(Kind::Nothing, |digest| layer(digest, Kind::Blob))
        }
        Some((folder, "layer.tar")) if parse(folder).is_some() => Kind::V1,
        Some((folder, "json")) if parse(folder).is_some() => Kind::Parent,
        Some(_) => Kind::Nothing,
    }
}
