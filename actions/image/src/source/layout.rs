//! An OCI image layout (OCI Image Specification, "Image Layout"), in a folder or in a tar.

use super::tarball::{Section, Tarball};
use super::{Descriptor, SMALL, digest_of, hex};
use bytes::Bytes;
use kit::id::Digest;
use kit::{Error, Result};
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A layout whose marker and index were read.
pub(crate) struct Layout {
    root: Vec<Descriptor>,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Tar(Tarball),
}

/// A blob's bytes.
pub(crate) struct Blob {
    pub(crate) size: u64,
    /// Ends with an error where the bytes are not the ones that the digest names.
    pub(crate) reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("size", &self.size).finish()
    }
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: String,
    size: u64,
}

impl Layout {
    /// # Errors
    /// The folder is no layout.
    pub(super) fn folder(path: &Path) -> Result<Self> {
        Self::new(Place::Folder(path.to_owned()))
    }

    /// # Errors
    /// The tar holds no layout.
    pub(super) fn tar(tarball: Tarball) -> Result<Self> {
        Self::new(Place::Tar(tarball))
    }

    fn new(place: Place) -> Result<Self> {
        let mut layout = Self {
            root: Vec::new(),
            place,
        };
        let what = layout.what();
        let marker: Marker = layout.json("oci-layout")?;
        if marker.version != "1.0.0" {
            return Err(Error::usage(format!(
                "{what} is an OCI layout of version {:?}, which is not known",
                marker.version
            ))
            .hint("write it in version 1.0.0, as docker buildx, buildah and skopeo do"));
        }
        let index: Index = layout.json("index.json")?;
        for entry in index.manifests {
            layout.root.push(Descriptor {
                media_type: entry.media_type,
                digest: Digest::parse(&entry.digest).map_err(|_| {
                    Error::usage(format!(
                        "index.json of {what} names a manifest by {:?}, which is no SHA-256 digest",
                        entry.digest
                    ))
                    .hint("write the layout with SHA-256 digests, the only ones ECR takes")
                })?,
                size: entry.size,
            });
        }
        if layout.root.is_empty() {
            return Err(
                Error::usage(format!("{what} is an OCI layout without an image"))
                    .hint("its index.json lists no manifest; look at the command that wrote it"),
            );
        }
        Ok(layout)
    }

    /// What `index.json` lists.
    pub(crate) fn root(&self) -> &[Descriptor] {
        &self.root
    }

    /// A blob that is read whole: an index, a manifest or a configuration.
    ///
    /// # Errors
    /// It is missing, too large, or not what its digest names.
    pub(crate) fn small(&self, digest: &Digest) -> Result<Bytes> {
        let mut blob = self.open(digest)?;
        if blob.size > SMALL {
            return Err(Error::failed(format!(
                "blob {digest} of {} has {} bytes, which is no manifest or configuration",
                self.what(),
                blob.size
            ))
            .hint("ECR takes manifests of up to 4 MiB"));
        }
        let mut bytes = Vec::new();
        blob.reader
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(&error))?;
        Ok(bytes.into())
    }

    /// A blob from its start. It can be opened again, also while it is being read.
    ///
    /// # Errors
    /// It is missing.
    pub(crate) fn open(&self, digest: &Digest) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", hex(digest));
        let (size, reader) = self.raw(&name)?.ok_or_else(|| {
            Error::failed(format!("blob {digest} is missing in {}", self.what()))
                .hint("the layout is not whole; write it again (a shallow one, made with --sparse or from a cache, cannot be pushed)")
        })?;
        Ok(Blob {
            size,
            reader: Box::new(Verified {
                what: format!("blob {digest} of {}", self.what()),
                reader,
                left: size,
                hash: Some(Context::new(&SHA256)),
                digest: digest.clone(),
            }),
        })
    }

    /// What messages call it.
    fn what(&self) -> String {
        match &self.place {
            Place::Folder(path) => path.display().to_string(),
            Place::Tar(tar) => tar.path().display().to_string(),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let what = self.what();
        let Some((size, reader)) = self.raw(name)? else {
            return Err(Error::usage(format!("{what} is no OCI layout: it has no {name}"))
                .hint("--layout takes a folder or tar from `docker buildx build --output type=oci`, `buildah push … oci:DIR` or `skopeo copy … oci:DIR`, or a tar from `docker save`"));
        };
        let mut bytes = Vec::new();
        reader
            .take(SMALL)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let error = Error::usage(format!("{name} of {what} is not what it should be"))
                .because(&error)
                .hint("the layout is damaged or not one; write it again");
            if size > SMALL {
                error.cause(format!("it has {size} bytes"))
            } else {
                error
            }
        })
    }

    /// `None` where there is no such file. `name` is made of constants and hexadecimal digits.
    fn raw(&self, name: &str) -> Result<Option<(u64, Box<dyn Read + Send>)>> {
        match &self.place {
            Place::Folder(folder) => {
                let path = folder.join(name);
                let kind = match path.symlink_metadata() {
                    Ok(metadata) => metadata.file_type(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(self.unreadable(&error)),
                };
                if !kind.is_file() {
                    return Err(Error::usage(format!("{} is no file", path.display()))
                        .cause("a link could lead out of the layout")
                        .hint(
                            "copy the layout with `cp -rL`, which puts files in place of links",
                        ));
                }
                let open = || {
                    let file = File::open(&path)?;
                    Ok((file.metadata()?.len(), file))
                };
                let (size, file) = open().map_err(|error| self.unreadable(&error))?;
                Ok(Some((
                    size,
                    Box::new(Section::new(Arc::new(file), 0, size)),
                )))
            }
            Place::Tar(tar) => Ok(tar.open_member(name)?.map(|section| {
                let size = section.size();
                (size, Box::new(section) as Box<dyn Read + Send>)
            })),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::failed(format!("cannot read {}", self.what())).because(error)
    }
}

/// Hands bytes through, and fails at the last ones where all of them are not what the digest names.
struct Verified {
    what: String,
    reader: Box<dyn Read + Send>,
    left: u64,
    hash: Option<Context>,
    digest: Digest,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..read]);
        }
        if read == 0 && self.left > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends {} bytes early", self.what, self.left),
            ));
        }
        if self.left == 0
            && let Some(hash) = self.hash.take()
        {
            let found = digest_of(hash);
            if found != self.digest {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is damaged: its bytes are {found}", self.what),
                ));
            }
        }
        Ok(read)
    }
}
