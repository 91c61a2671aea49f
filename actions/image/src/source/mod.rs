//! Where an image's bytes come from: the Docker Engine, an OCI layout, or an archive of either kind.
//!
//! There are two shapes. A layout has every blob under its digest, can be read in any order and as often as wanted, and is
//! pushed as it is. An archive of Docker's is one stream, its layers uncompressed and only named at its end: it is read from
//! its start each time, each wanted layer is compressed on the way, and the manifest is made from what came out.

mod archive;
mod contents;
mod engine;
mod layout;
mod legacy_store;
mod manifest;
mod pushed;
mod reading;
mod stream;
mod tarball;
mod unpacked;
mod v1;

pub(crate) use archive::{Archive, GivenUp};
pub(crate) use contents::{Contents, Entry, Known};
pub(crate) use layout::Layout;
pub(crate) use pushed::Offer;

use kit::id::Digest;
use kit::{Error, Result, env::Env};
use std::path::Path;

/// An image (or an index of several) that can be pushed.
pub(crate) enum Source {
    Layout(Layout),
    Archive(Archive),
}

impl Source {
    /// An OCI layout in a folder or tar, or a docker archive.
    ///
    /// # Errors
    /// It is neither, or damaged (exit 2).
    pub(crate) fn open(path: &Path, env: &Env) -> Result<Self> {
        let display = path.display();
        let metadata = path.metadata().map_err(|error| {
            Error::usage(format!("there is no {display} to push"))
                .because(error)
                .hint("--layout names an OCI layout (folder or tar) or a docker archive that an earlier step wrote")
        })?;
        if metadata.is_dir() {
            return Layout::folder(path).map(Self::Layout);
        }
        if !metadata.is_file() {
            return Err(
                Error::usage(format!("{display} is neither a folder nor a file"))
                    .hint("a pipe can be read only once; write the image to a file"),
            );
        }
        let tar = unpacked::open(path, env)?;
        if !tar.has("manifest.json") {
            return Layout::tar(tar).map(Self::Layout);
        }
        let archive = archive::File::new(tar)?;
        if archive.is_layout()? {
            Layout::tar(archive.into_tar()).map(Self::Layout)
        } else {
            Ok(Self::Archive(Archive::file(archive)))
        }
    }

    /// Returns whether images can be read from the Docker Engine that `env` points at.
    ///
    /// # Errors
    /// It is one that cannot be reached from here (exit 2).
    pub(crate) async fn readable(env: &Env) -> Result<()> {
        engine::Engine::find(env).await.map(drop)
    }

    /// An image of the Docker Engine that `env` points at. `config` is the digest of its configuration, where the engine does
    /// not call it by that.
    ///
    /// # Errors
    /// The engine cannot be asked, or has no such image.
    pub(crate) async fn engine(env: &Env, image: &str, config: Option<Digest>) -> Result<Self> {
        let engine = engine::Engine::find(env).await?;
        let archive = Archive::engine(engine, image, config).await?;
        Ok(Self::Archive(archive))
    }
}

#[cfg(test)]
mod tests;
