//! An image as Docker exports it: in a file, whose end can be read first, or as the engine's stream, whose end is read last.

use super::contents::{Contents, Entry, Known, SMALL, missing};
use super::engine::Engine;
use super::legacy_store::Store;
use super::manifest::{Config, Manifest};
use super::pushed::Push;
use super::reading::{ExactReader, Reading};
use super::stream::stream;
use super::tarball::{Tarball, compressed};
use crate::blob::{Chunk, Compression};
use crate::compress;
use bytes::Bytes;
use kit::id::Digest;
use kit::{Context, Error, Result};
use std::io::{self, Read};
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
        /// How its layers can be had without an export, or why they cannot.
        shortcut: io::Result<Shortcut>,
        /// True if the shortcut is no longer taken, because a reading by it failed.
        given_up: AtomicBool,
    },
}

/// A way to the layers of an engine's image that costs less than the export.
enum Shortcut {
    Store(Box<Store>),
    Push(Box<Push>),
}

/// A shortcut that failed and is not taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// The engine cannot get to this step, which says nothing about the image.
    OutOfReach,
    /// It failed at the image.
    Broken,
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
            // An engine that calls an image by its configuration keeps its layers unpacked.
            let keeps_blobs = config.is_some();
            if let Some(config) = config {
                let diff_ids = std::mem::take(&mut inspected.diff_ids);
                inspected.known = Some(Known { config, diff_ids });
            }
            let shortcut = match (&inspected.upper, &inspected.known) {
                (Some(upper), Some(known)) => Store::find(upper, known)
                    .map(|store| Shortcut::Store(Box::new(store)))
                    .map_err(|why| {
                        io::Error::new(why.kind(), format!("not from its store: {why}"))
                    }),
                (None, Some(known)) if keeps_blobs => Push::new(&engine, &inspected.id, known)
                    .map(|push| Shortcut::Push(Box::new(push)))
                    .ok_or_else(|| io::Error::other("it cannot push to this step")),
                _ => Err(io::Error::other(
                    "not from its store: it is not an overlay2 store of this machine",
                )),
            };
            Ok(Self(Origin::Engine {
                engine,
                image: inspected.id,
                known: inspected.known,
                shortcut,
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

    /// The origin of an engine's layers in the next reading, for messages.
    pub(crate) fn origin_text(&self) -> Option<String> {
        let Origin::Engine {
            shortcut, given_up, ..
        } = &self.0
        else {
            return None;
        };
        Some(match shortcut {
            Ok(_) if given_up.load(Ordering::Relaxed) => "the engine's export".to_owned(),
            Ok(Shortcut::Store(store)) => {
                format!("the engine's store in {}", store.root().display())
            }
            Ok(Shortcut::Push(_)) => "the engine, which pushes them to this step".to_owned(),
            Err(why) => format!("the engine's export, {why}"),
        })
    }

    /// The push by which the next reading has to be made, if it is not made by [`Self::read`].
    pub(crate) fn push(&self) -> Option<&Push> {
        match &self.0 {
            Origin::Engine {
                shortcut: Ok(Shortcut::Push(push)),
                given_up,
                ..
            } if !given_up.load(Ordering::Relaxed) => Some(push),
            _ => None,
        }
    }

    /// Switches from a shortcut to the engine's export after a reading failed. `None`: that reading took no shortcut.
    pub(crate) fn give_up_shortcut(&self) -> Option<GivenUp> {
        match &self.0 {
            Origin::Engine {
                shortcut: Ok(shortcut),
                given_up,
                ..
            } if !given_up.swap(true, Ordering::Relaxed) => Some(match shortcut {
                Shortcut::Push(push) if !push.was_reached() => GivenUp::OutOfReach,
                _ => GivenUp::Broken,
            }),
            _ => None,
        }
    }

    /// Reads the whole archive. `start` is asked for each layer, in the archive's order, where its bytes go; a layer for which
    /// it has no channel is passed over, and not read at all where that can be helped. It blocks.
    ///
    /// # Errors
    /// The archive cannot be read, or its content does not match its manifest. The chunks sent until then do not belong to any image.
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
                    shortcut,
                    given_up,
                } => {
                    if let Ok(Shortcut::Store(store)) = shortcut
                        && !given_up.load(Ordering::Relaxed)
                    {
                        return store.read(reading);
                    }
                    let source = format!("the Docker Engine's export of {image}");
                    stream(engine.export(image)?, &source, known.as_ref(), reading)
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
        let source = tar.path().display().to_string();
        let manifest = Manifest::parse(&member(&tar, "manifest.json")?, &source)?;
        let config = Config::parse(member(&tar, &manifest.config)?, &manifest, &source)?;
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

    /// Each layer once, in the order of the file: the member that holds it, its diff ID, its offset.
    fn layers(&self) -> Result<Vec<(String, &Digest, u64)>> {
        let mut layers: Vec<(String, &Digest, u64)> = Vec::new();
        for (name, diff_id) in self.manifest.layers.iter().zip(&self.config.diff_ids) {
            let Some((path, offset)) = self.tar.resolve(name)? else {
                return Err(missing(name, &self.tar.path().display().to_string()));
            };
            match layers.iter().find(|(other, _, _)| *other == path) {
                None => layers.push((path, diff_id, offset)),
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
        layers.sort_by_key(|(_, _, offset)| *offset);
        Ok(layers)
    }

    fn read(&self, mut reading: Reading) -> Result<Contents> {
        let source = self.tar.path().display().to_string();
        for (path, diff_id, _) in self.layers()? {
            let Some(layer) = self.tar.open_member(&path)? else {
                return Err(missing(&path, &source));
            };
            let entry = Entry {
                path,
                diff_id: Some(diff_id.clone()),
                size: layer.size(),
            };
            let mut layer = ExactReader {
                remaining: entry.size,
                input: layer,
            };
            reading.layer(entry, &mut layer, &source)?;
        }
        reading.finish(
            &self.manifest.layers,
            self.config.bytes.clone(),
            &self.config.diff_ids,
            |name| Ok(self.tar.resolve(name)?.map(|(path, _)| path)),
            &source,
        )
    }
}

/// A small member of a file.
fn member(tar: &Tarball, name: &str) -> Result<Bytes> {
    let display = tar.path().display();
    let Some(section) = tar.open_member(name)? else {
        return Err(missing(name, &display.to_string()));
    };
    if section.size() > SMALL {
        return Err(Error::usage(format!(
            "{name} of {display} has {} bytes, too many for a manifest or configuration",
            section.size()
        ))
        .hint("the archive is damaged; write it again"));
    }
    let mut bytes = Vec::new();
    let mut section = section;
    section
        .read_to_end(&mut bytes)
        .context(format!("cannot read {display}"))?;
    Ok(bytes.into())
}
