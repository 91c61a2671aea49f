//! The engine's own store of layers, read where it lies.
//!
//! An engine writes a whole export to its disk before the first byte of it goes out, which costs more than all that comes
//! after. Whoever may read the engine's files (root on its machine, as in CodeBuild) needs no export: the layers lie there
//! unpacked, each with a record of how its tar was put together. Nothing here is believed: what is read must have the
//! digests that the engine names for the image, or the export is read instead.
//!
//! Source: moby, `layer/filestore.go` (`layerdb`: `cache-id`, `diff`, `size`, `tar-split.json.gz`, by chain ID),
//! `image/fs.go` (`imagedb/content`), `daemon/graphdriver/overlay2` (`CACHE-ID/diff`); the same from Docker 1.10 to this day.

use super::reading::Reading;
use super::split::Split;
use super::{Contents, Entry, Known, SMALL};
use bytes::Bytes;
use kit::Result;
use kit::id::Digest;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What the engine calls the way in which the layers lie.
pub(super) const DRIVER: &str = "overlay2";

/// The layers of one image.
pub(super) struct Store {
    root: PathBuf,
    config: Bytes,
    layers: Vec<Layer>,
}

/// A layer as it lies there.
struct Layer {
    diff_id: Digest,
    /// Its files.
    folder: PathBuf,
    /// How its tar was put together.
    split: PathBuf,
    /// Of all its files.
    size: u64,
}

impl Store {
    /// The store whose layer with the image's topmost files is `upper`. `None` where it is not to be read from here, or is not
    /// what it should be: the export says more.
    pub(super) fn find(upper: &Path, known: &Known) -> Option<Self> {
        // DATA-ROOT/overlay2/CACHE-ID/diff
        let driver = upper.parent()?.parent()?;
        if driver.file_name()? != DRIVER {
            return None;
        }
        let root = driver.parent()?;
        let images = root.join("image").join(DRIVER);
        let config = images
            .join("imagedb/content/sha256")
            .join(super::hex(&known.config));
        let config = Bytes::from(small(&config).ok()?);
        if super::digest(&config) != known.config {
            return None;
        }
        let mut chain: Option<Digest> = None;
        let mut layers = Vec::new();
        for diff_id in &known.diff_ids {
            let next = super::chain_id(chain.as_ref(), diff_id);
            let layer = images.join("layerdb/sha256").join(super::hex(&next));
            layers.push(Layer::find(&layer, driver, diff_id).ok()?);
            chain = Some(next);
        }
        Some(Self {
            root: root.to_owned(),
            config,
            layers,
        })
    }

    /// The engine's data root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Hands on each layer that is wanted.
    ///
    /// # Errors
    /// A layer cannot be read, or is not the image's.
    pub(super) fn read(&self, known: &Known, mut reading: Reading) -> Result<Contents> {
        let what = format!("the Docker Engine's store in {}", self.root.display());
        let mut names: Vec<String> = Vec::new();
        for layer in &self.layers {
            let name = layer.diff_id.to_string();
            if !names.contains(&name) {
                let entry = Entry {
                    path: name.clone(),
                    diff_id: Some(layer.diff_id.clone()),
                    size: layer.size,
                };
                let mut tar = Opened::new(layer);
                reading.layer(entry, &mut tar, &what)?;
            }
            names.push(name);
        }
        reading.finish(
            &names,
            self.config.clone(),
            &known.diff_ids,
            |name| Ok(Some(name.to_owned())),
            &what,
        )
    }
}

impl Layer {
    fn find(place: &Path, driver: &Path, diff_id: &Digest) -> io::Result<Self> {
        let text = |name: &str| -> io::Result<String> {
            let bytes = small(&place.join(name))?;
            String::from_utf8(bytes).map_err(io::Error::other)
        };
        if text("diff")? != diff_id.as_str() {
            return Err(io::Error::other("another layer's place"));
        }
        let cache_id = text("cache-id")?;
        if cache_id.is_empty() || !cache_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(io::Error::other("no name of a folder"));
        }
        let folder = driver.join(cache_id).join("diff");
        open(&folder, OFlags::DIRECTORY)?;
        let split = place.join("tar-split.json.gz");
        open(&split, OFlags::empty())?;
        Ok(Self {
            diff_id: diff_id.clone(),
            folder,
            split,
            size: text("size")?.parse().map_err(io::Error::other)?,
        })
    }
}

/// A layer's tar, opened when its first byte is wanted: an image has up to 127 layers, and most are there already.
struct Opened<'a> {
    layer: &'a Layer,
    tar: Option<Split>,
}

impl<'a> Opened<'a> {
    fn new(layer: &'a Layer) -> Self {
        Self { layer, tar: None }
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let tar = match &mut self.tar {
            Some(tar) => tar,
            None => {
                let folder = open(&self.layer.folder, OFlags::DIRECTORY)?;
                let record = open(&self.layer.split, OFlags::empty())?;
                self.tar.insert(Split::new(folder, record))
            }
        };
        tar.read(buffer)
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// A whole small file.
fn small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OFlags::empty())?
        .take(SMALL)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
