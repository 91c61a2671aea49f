//! The classic store of the Docker Engine (`overlay2`), read where it lies.
//!
//! An engine with that store writes a whole export to its disk before the first byte of it goes out, which costs more than all
//! that comes after. A user who may read the engine's files (root on its machine, as in CodeBuild) needs no export: the layers lie
//! there unpacked, each with a record of how its tar was put together. Containerd's store, the default of a new installation since
//! Docker 29, keeps layers as they are pushed, and its engine sends them by itself (`pushed`).
//!
//! Delete this folder once the images of CodeBuild bring an engine with containerd's store: everywhere else the step seldom is
//! root, and an image of the classic store is then read from the export, as it is today where this fails. With it go, in
//! `archive.rs`, `Shortcut::Store` and what is done for it;
//! in `engine.rs`, `Inspected::upper` and the graph driver that it comes from; `push/faults/stored.rs`; and what the README,
//! ARCHITECTURE.md and docs/limits.md say of the engine's own store.
//!
//! Nothing guarantees that these files are right, so they are not trusted: configuration and layers must have the digests that
//! the engine names for the image, or the export is read instead. The export is also read where the engine itself would look
//! for a file outside its layer's folder, as on kernels with `metacopy` or `redirect_dir`.
//!
//! Source: moby, `layer/filestore.go` (`layerdb`: `cache-id`, `diff`, `size`, `tar-split.json.gz`, by chain ID, the same
//! since Docker 1.10), `image/fs.go` (`imagedb/content`), `daemon/graphdriver/overlay2` (`CACHE-ID/diff`, since 1.12).

mod split;
mod walk;

use crate::source::contents::{Contents, Entry, Known, SMALL};
use crate::source::manifest;
use crate::source::reading::Reading;
use bytes::Bytes;
use kit::Result;
use kit::id::Digest;
use split::Split;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use walk::Folder;

/// The engine's name for the format in which it stores layers.
pub(super) const DRIVER: &str = "overlay2";

/// The layers of one image.
pub(super) struct Store {
    root: PathBuf,
    config: Bytes,
    /// Bottom layer first.
    layers: Vec<Layer>,
}

/// A layer in the store.
struct Layer {
    diff_id: Digest,
    /// Its files.
    folder: PathBuf,
    /// The line about it in the log.
    record: PathBuf,
    /// Of all its files.
    size: u64,
}

impl Store {
    /// The store in which `upper` holds the image's topmost files.
    ///
    /// # Errors
    /// It cannot be read from here, or does not have the form that the engine gives it.
    pub(super) fn find(upper: &Path, known: &Known) -> io::Result<Self> {
        // DATA-ROOT/overlay2/CACHE-ID/diff
        let driver = upper.parent().and_then(Path::parent);
        let driver = driver.filter(|driver| driver.ends_with(DRIVER));
        let Some((driver, root)) = driver.and_then(|driver| Some((driver, driver.parent()?)))
        else {
            return Err(other(format!(
                "{} is not where a layer can be",
                upper.display()
            )));
        };
        let images = root.join("image").join(DRIVER);
        let name = known.config.hex();
        let config = small(&images.join("imagedb/content/sha256"), name)?;
        let listed = manifest::diff_ids(&config).map_err(|error| other(error.message))?;
        if crate::digest::digest(&config) != known.config || listed != known.diff_ids {
            return Err(other(format!("{} has another configuration", known.config)));
        }
        let mut chain: Option<Digest> = None;
        let mut layers = Vec::new();
        for diff_id in listed {
            let next = crate::digest::chain_id(chain.as_ref(), &diff_id);
            let record = images.join("layerdb/sha256").join(next.hex());
            layers.push(Layer::find(record, driver, diff_id)?);
            chain = Some(next);
        }
        Ok(Self {
            root: root.to_owned(),
            config: config.into(),
            layers,
        })
    }

    /// The engine's data root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Forwards each requested layer.
    ///
    /// # Errors
    /// A layer cannot be read, or is not the image's.
    pub(super) fn read(&self, mut reading: Reading) -> Result<Contents> {
        let source = format!("the Docker Engine's store in {}", self.root.display());
        let mut names: Vec<String> = Vec::new();
        for layer in &self.layers {
            let name = layer.diff_id.to_string();
            if !names.contains(&name) {
                let entry = Entry {
                    path: name.clone(),
                    diff_id: Some(layer.diff_id.clone()),
                    size: layer.size,
                };
                let mut tar = Opened { layer, tar: None };
                reading.layer(entry, &mut tar, &source)?;
            }
            names.push(name);
        }
        let diff_ids: Vec<Digest> = self
            .layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect();
        reading.finish(
            &names,
            self.config.clone(),
            &diff_ids,
            |_| Ok(None),
            &source,
        )
    }
}

impl Layer {
    fn find(record: PathBuf, driver: &Path, diff_id: Digest) -> io::Result<Self> {
        let text = |name: &str| -> io::Result<String> {
            String::from_utf8(small(&record, name)?).map_err(io::Error::other)
        };
        let unexpected = |field: &str| {
            other(format!(
                "{field} of {diff_id} does not have the form that the engine writes"
            ))
        };
        if text("diff")? != diff_id.as_str() {
            return Err(unexpected("the digest"));
        }
        let cache_id = text("cache-id")?;
        if cache_id.is_empty() || !cache_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(unexpected("the folder"));
        }
        let size = text("size")?.parse().map_err(|_| unexpected("the size"))?;
        let layer = Self {
            folder: driver.join(cache_id).join("diff"),
            record,
            size,
            diff_id,
        };
        layer.open().map(|_| layer)
    }

    fn open(&self) -> io::Result<Split> {
        let (record, _) = Folder::open(&self.record)?.file(Path::new("tar-split.json.gz"))?;
        Ok(Split::new(Folder::open(&self.folder)?, record))
    }
}

/// A layer's tar, opened when its first byte is wanted: an image has up to 127 layers, and most are there already.
struct Opened<'a> {
    layer: &'a Layer,
    tar: Option<Split>,
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tar = match &mut self.tar {
            Some(tar) => tar,
            None => self.tar.insert(self.layer.open()?),
        };
        tar.read(buffer)
    }
}

/// A whole small file.
fn small(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let cannot = |error: io::Error| other(format!("{}/{name}: {error}", folder.display()));
    let (file, _) = Folder::open(folder)
        .and_then(|mut folder| folder.file(Path::new(name)))
        .map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(SMALL).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn other(why: String) -> io::Error {
    io::Error::other(why)
}

#[cfg(test)]
mod tests;
