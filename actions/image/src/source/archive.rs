//! An image as Docker exports it: in a file, whose end can be looked at first, or as the engine's stream, whose end comes last.

use super::engine::Engine;
use super::manifest::{Config, Manifest};
use super::reading::{Reading, SMALLS, Whole};
use super::store::Store;
use super::tarball::{self, Links, Tarball, compressed};
use super::v1::Names;
use super::{Chunk, Compression, Contents, Entry, SMALL};
use crate::compress;
use bytes::Bytes;
use kit::id::Digest;
use kit::{Context, Error, Result};
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// An image whose layers are compressed on the way.
pub(crate) struct Archive(Origin);

enum Origin {
    File(Box<File>),
    Engine {
        engine: Engine,
        image: String,
        known: Option<Known>,
        /// Where its layers can be read without an export, or why they cannot.
        store: std::result::Result<Box<Store>, String>,
        /// True if that is left alone, after a reading of it failed.
        given_up: AtomicBool,
    },
}

/// The content of an archive, as far as it is known before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) config: Digest,
    /// Bottom layer first.
    pub(crate) diff_ids: Vec<Digest>,
}

impl Archive {
    pub(super) fn file(file: File) -> Self {
        Self(Origin::File(Box::new(file)))
    }

    /// `config` is the digest of its configuration, where the engine does not call it by that.
    ///
    /// # Errors
    /// The engine cannot be asked, or has no such image.
    pub(super) async fn engine(
        engine: Engine,
        image: &str,
        config: Option<Digest>,
    ) -> Result<Self> {
        let image = image.to_owned();
        let inspect = move || {
            let mut inspected = engine.inspect(&image)?;
            if let Some(config) = config {
                let diff_ids = std::mem::take(&mut inspected.diff_ids);
                inspected.known = Some(Known { config, diff_ids });
            }
            let store = match (&inspected.upper, &inspected.known) {
                (Some(upper), Some(known)) => Store::find(upper, known)
                    .map(Box::new)
                    .map_err(|why| why.to_string()),
                _ => Err("it is not an overlay2 store of this machine".to_owned()),
            };
            Ok(Self(Origin::Engine {
                engine,
                image: inspected.id,
                known: inspected.known,
                store,
                given_up: AtomicBool::new(false),
            }))
        };
        tokio::task::spawn_blocking(inspect)
            .await
            .context("asking the Docker Engine was interrupted")?
    }

    /// Configuration and layers, where they are known before a reading.
    pub(crate) fn known(&self) -> Option<&Known> {
        match &self.0 {
            Origin::File(file) => Some(&file.known),
            Origin::Engine { known, .. } => known.as_ref(),
        }
    }

    /// Where the next reading gets an engine's layers from, for people.
    pub(crate) fn whence(&self) -> Option<String> {
        let Origin::Engine {
            store, given_up, ..
        } = &self.0
        else {
            return None;
        };
        Some(match store {
            Ok(store) if !given_up.load(Ordering::Relaxed) => {
                format!("the engine's store in {}", store.root().display())
            }
            Ok(_) => "the engine's export".to_owned(),
            Err(why) => format!("the engine's export, not from its store: {why}"),
        })
    }

    /// After a reading that failed: leaves the engine's store alone and turns to its export. `false`: it was not of the store.
    pub(crate) fn give_up_store(&self) -> bool {
        match &self.0 {
            Origin::Engine {
                store: Ok(_),
                given_up,
                ..
            } => !given_up.swap(true, Ordering::Relaxed),
            _ => false,
        }
    }

    /// Reads the whole archive. `start` is asked for each layer, in the archive's order, where its bytes go; a layer for which
    /// it has no channel is passed over, and not read at all where that can be helped. It blocks.
    ///
    /// # Errors
    /// The archive cannot be read, or is not what it says it is. What was sent until then belongs to no image.
    pub(crate) fn read(
        &self,
        compression: Compression,
        start: &mut dyn FnMut(&Entry) -> Option<mpsc::Sender<Chunk>>,
    ) -> Result<Contents> {
        compress::with_threads(compression, compress::threads(), |compressor| {
            let reading = Reading::new(compressor, start);
            match &self.0 {
                Origin::File(file) => file.read(reading),
                Origin::Engine {
                    engine,
                    image,
                    known,
                    store,
                    given_up,
                } => {
                    if let Ok(store) = store
                        && !given_up.load(Ordering::Relaxed)
                    {
                        return store.read(reading);
                    }
                    let what = format!("the Docker Engine's export of {image}");
                    stream(engine.export(image)?, &what, known.as_ref(), reading)
                }
            }
        })
        .context("cannot start the threads that compress")?
    }
}

/// A docker archive in a file.
pub(super) struct File {
    tar: Tarball,
    manifest: Manifest,
    config: Config,
    known: Known,
}

impl File {
    /// # Errors
    /// Its manifest or configuration is wrong (exit 2).
    pub(super) fn new(tar: Tarball) -> Result<Self> {
        let what = tar.path().display().to_string();
        let manifest = Manifest::parse(&member(&tar, "manifest.json")?, &what)?;
        let config = Config::parse(member(&tar, &manifest.config)?, &manifest, &what)?;
        let known = Known {
            config: config.digest.clone(),
            diff_ids: config.diff_ids.clone(),
        };
        let file = Self {
            tar,
            manifest,
            config,
            known,
        };
        // A layer that is missing is found before anything is pushed.
        file.layers()?;
        Ok(file)
    }

    /// Returns whether it is an OCI layout too, with layers that are compressed already: what the engine saves from containerd's store.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub(super) fn is_layout(&self) -> Result<bool> {
        if !self.tar.has("index.json") || !self.tar.has("oci-layout") {
            return Ok(false);
        }
        for (path, _, _) in self.layers()? {
            let mut start = Vec::new();
            if let Some(layer) = self.tar.open_member(&path)? {
                layer
                    .take(6)
                    .read_to_end(&mut start)
                    .context(format!("cannot read {}", self.tar.path().display()))?;
            }
            if compressed(&start).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn into_tar(self) -> Tarball {
        self.tar
    }

    /// Each layer once, in the order of the file: the member that holds it, its diff ID, its place.
    fn layers(&self) -> Result<Vec<(String, &Digest, u64)>> {
        let mut layers: Vec<(String, &Digest, u64)> = Vec::new();
        for (name, diff_id) in self.manifest.layers.iter().zip(&self.config.diff_ids) {
            let Some((path, place)) = self.tar.resolve(name)? else {
                return Err(missing(name, &self.tar.path().display().to_string()));
            };
            match layers.iter().find(|(other, _, _)| *other == path) {
                None => layers.push((path, diff_id, place)),
                Some((_, other, _)) if *other == diff_id => {}
                Some((_, other, _)) => {
                    return Err(Error::usage(format!(
                        "{path} of {} is to be two layers, {other} and {diff_id}",
                        self.tar.path().display()
                    ))
                    .hint("the archive is damaged; write it again"));
                }
            }
        }
        layers.sort_by_key(|(_, _, place)| *place);
        Ok(layers)
    }

    fn read(&self, mut reading: Reading) -> Result<Contents> {
        let what = self.tar.path().display().to_string();
        for (path, diff_id, _) in self.layers()? {
            let Some(layer) = self.tar.open_member(&path)? else {
                return Err(missing(&path, &what));
            };
            let entry = Entry {
                path,
                diff_id: Some(diff_id.clone()),
                size: layer.size(),
            };
            let mut layer = Whole {
                left: entry.size,
                input: layer,
            };
            reading.layer(entry, &mut layer, &what)?;
        }
        reading.finish(
            &self.manifest.layers,
            self.config.bytes.clone(),
            &self.config.diff_ids,
            |name| Ok(self.tar.resolve(name)?.map(|(path, _)| path)),
            &what,
        )
    }
}

/// A small member of a file.
fn member(tar: &Tarball, name: &str) -> Result<Bytes> {
    let what = tar.path().display();
    let Some(section) = tar.open_member(name)? else {
        return Err(missing(name, &what.to_string()));
    };
    if section.size() > SMALL {
        return Err(Error::usage(format!(
            "{name} of {what} has {} bytes, too many for a manifest or configuration",
            section.size()
        ))
        .hint("the archive is damaged; write it again"));
    }
    let mut bytes = Vec::new();
    let mut section = section;
    section
        .read_to_end(&mut bytes)
        .context(format!("cannot read {what}"))?;
    Ok(bytes.into())
}

fn missing(name: &str, what: &str) -> Error {
    Error::usage(format!("{name} is missing in {what}")).hint(
        "the archive is cut short or damaged; write it again, and look whether a disk is full",
    )
}

/// Reads an archive that goes by once. What is a layer is told by its name, since `manifest.json` comes last.
pub(super) fn stream(
    input: impl Read,
    what: &str,
    known: Option<&Known>,
    mut reading: Reading,
) -> Result<Contents> {
    let broken = |error: std::io::Error| {
        Error::failed(format!("{what} broke off"))
            .because(error)
            .hint("run the step again; if it happens again, look at the engine's log and at the free space of its disk")
    };
    let diff_ids = known.map_or(&[][..], |known| &known.diff_ids);
    if !diff_ids.is_empty() {
        reading = reading.with_named_blobs();
    }
    let names = Names::of(diff_ids);
    let mut links = Links::default();
    let mut smalls: HashMap<String, Bytes> = HashMap::new();
    // The bytes that are kept of an archive of unknown size are bounded.
    let mut kept = 0_u64;
    let mut parents: HashMap<String, Option<String>> = HashMap::new();
    let mut archive = tar::Archive::new(input);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = tarball::name(&entry);
        if !entry.header().entry_type().is_file() {
            links.add(&entry, path);
            continue;
        }
        let size = entry.size();
        let kind = kind(&path, diff_ids);
        let mut peeked = Vec::new();
        if kind == Kind::Blob {
            (&mut entry)
                .take(1)
                .read_to_end(&mut peeked)
                .map_err(broken)?;
        }
        let is_json = kind == Kind::Small || kind == Kind::Parent || peeked.first() == Some(&b'{');
        if kind == Kind::Nothing {
            continue;
        }
        let mut input = Whole {
            left: size,
            input: peeked.as_slice().chain(entry),
        };
        if is_json && size <= SMALL {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(broken)?;
            if kind == Kind::Parent {
                let folder = path.split('/').next().unwrap_or_default();
                parents.insert(folder.to_owned(), parent(&bytes));
                continue;
            }
            kept += size;
            if kept > SMALLS {
                return Err(Error::failed(format!(
                    "{what} has more than {SMALLS} bytes of manifests, so it is not an image"
                )));
            }
            smalls.insert(path, bytes.into());
            continue;
        }
        let diff_id = match kind {
            Kind::V1 => {
                let folder = path.split('/').next().unwrap_or_default();
                parents
                    .get(folder)
                    .and_then(|parent| names.diff_id(folder, parent.as_deref()))
            }
            Kind::Layer(diff_id) => Some(diff_id),
            _ => None,
        };
        let entry = Entry {
            path,
            diff_id,
            size,
        };
        reading.layer(entry, &mut input, what)?;
    }
    let small = |name: &str| smalls.get(name).cloned().ok_or_else(|| missing(name, what));
    let manifest = Manifest::parse(&small("manifest.json")?, what)?;
    let config = links.follow(&manifest.config)?;
    let config = Config::parse(small(&config)?, &manifest, what)?;
    if let Some(known) = known
        && (known.diff_ids != config.diff_ids
            || (known.config != config.digest && !names_root(&smalls, &known.config)))
    {
        return Err(
            Error::failed(format!("{what} holds another image, {}", config.digest))
                .hint("the image was replaced while it was read; run the step again"),
        );
    }
    reading.finish(
        &manifest.layers,
        config.bytes,
        &config.diff_ids,
        |name| links.follow(name).map(Some),
        what,
    )
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
