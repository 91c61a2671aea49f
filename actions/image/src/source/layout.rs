//! An OCI image layout (OCI Image Specification, "Image Layout"), in a folder or in a tar.

use super::contents::SMALL;
use super::tarball::{Section, Tarball};
use crate::blob::Descriptor;
use crate::digest::{digest, digest_of};
use crate::json::{malformed, without_mark};
use bytes::Bytes;
use kit::id::Digest;
use kit::{Error, Result};
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The media type of an index (OCI Image Specification, "Image Index").
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout whose marker and index were read.
pub(crate) struct Layout {
    root: Descriptor,
    /// `index.json`, if it is itself the index of an image for several platforms.
    flat: Option<Bytes>,
    storage: Storage,
}

enum Storage {
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
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize, PartialEq)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default, rename = "os.version")]
    version: Option<String>,
}

impl Layout {
    /// # Errors
    /// The folder is not a layout.
    pub(super) fn folder(path: &Path) -> Result<Self> {
        Self::new(Storage::Folder(path.to_owned()))
    }

    /// # Errors
    /// The tar holds no layout.
    pub(super) fn tar(tarball: Tarball) -> Result<Self> {
        Self::new(Storage::Tar(tarball))
    }

    fn new(storage: Storage) -> Result<Self> {
        let source = storage.display_name();
        let marker: Marker = storage.json("oci-layout")?.0;
        if marker.version != "1.0.0" {
            return Err(Error::usage(format!(
                "{source} is an OCI layout of version {:?}, which is not known",
                marker.version
            ))
            .hint("write it in version 1.0.0, as docker buildx, buildah and skopeo do"));
        }
        let (index, bytes): (Index, Bytes) = storage.json("index.json")?;
        let mut entries = Vec::new();
        for entry in &index.manifests {
            entries.push(Descriptor {
                media_type: entry.media_type.clone(),
                digest: Digest::parse(&entry.digest).map_err(|_| {
                    Error::usage(format!(
                        "index.json of {source} names a manifest by {:?}, which is not a SHA-256 digest",
                        entry.digest
                    ))
                    .hint("write the layout with SHA-256 digests, the only ones ECR takes")
                })?,
                size: entry.size,
            });
        }
        let Some(first) = entries.first() else {
            return Err(
                Error::usage(format!("{source} is an OCI layout without an image"))
                    .hint("its index.json lists no manifest; look at the command that wrote it"),
            );
        };
        // Several names for one image are several entries.
        let Some(other) = entries.iter().find(|entry| entry.digest != first.digest) else {
            return Ok(Self {
                root: first.clone(),
                flat: None,
                storage,
            });
        };
        if !is_of_platforms(&index.manifests) {
            return Err(Error::usage(format!(
                "{source} holds several images, such as {} and {}",
                first.digest, other.digest
            ))
            .hint("write each image to a folder of its own; of one image for several platforms, index.json has to name each platform once"));
        }
        Ok(Self {
            root: Descriptor {
                media_type: INDEX.to_owned(),
                digest: digest(&bytes),
                size: bytes.len() as u64,
            },
            flat: Some(bytes),
            storage,
        })
    }

    /// The image, or the index of its platforms.
    pub(crate) fn root(&self) -> &Descriptor {
        &self.root
    }

    /// A blob that is read whole: an index, a manifest or a configuration.
    ///
    /// # Errors
    /// It is missing, too large, or not what its digest names.
    pub(crate) fn small(&self, digest: &Digest) -> Result<Bytes> {
        if let Some(flat) = self.flat.as_ref().filter(|_| *digest == self.root.digest) {
            return Ok(flat.clone());
        }
        let mut blob = self.open(digest)?;
        if blob.size > SMALL {
            return Err(Error::failed(format!(
                "blob {digest} of {} has {} bytes, too many for a manifest or configuration",
                self.display_name(),
                blob.size
            ))
            .hint("ECR takes manifests of up to 4 MiB"));
        }
        let mut bytes = Vec::new();
        blob.reader
            .read_to_end(&mut bytes)
            .map_err(|error| self.storage.unreadable(error))?;
        Ok(bytes.into())
    }

    /// A blob from its start. It can be opened again, also while it is being read.
    ///
    /// # Errors
    /// It is missing.
    pub(crate) fn open(&self, digest: &Digest) -> Result<Blob> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let (size, reader) = self.storage.raw(&name)?.ok_or_else(|| {
            Error::failed(format!("blob {digest} is missing in {}", self.display_name()))
                .hint("the layout is not whole; write it again (a shallow one, made with --sparse or from a cache, cannot be pushed)")
        })?;
        Ok(Blob {
            size,
            reader: Box::new(Verified {
                blob_name: format!("blob {digest} of {}", self.display_name()),
                reader,
                remaining: size,
                hash: Some(Context::new(&SHA256)),
                digest: digest.clone(),
            }),
        })
    }

    /// Its name in messages.
    fn display_name(&self) -> String {
        self.storage.display_name()
    }
}

/// Returns whether the entries are the platforms of one image: each is named, and named once. An attestation is of platform
/// `unknown/unknown`, and there is one for each.
fn is_of_platforms(entries: &[Entry]) -> bool {
    let mut seen: Vec<&Platform> = Vec::new();
    entries.iter().all(|entry| match &entry.platform {
        Some(platform) if platform.os == "unknown" => true,
        Some(platform) if !seen.contains(&platform) => {
            seen.push(platform);
            true
        }
        _ => false,
    })
}

impl Storage {
    /// Its name in messages.
    fn display_name(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Tar(tar) => tar.path().display().to_string(),
        }
    }

    /// A file of JSON, with its bytes.
    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<(T, Bytes)> {
        let source = self.display_name();
        let Some((size, reader)) = self.raw(name)? else {
            return Err(Error::usage(format!("{source} is not an OCI layout: it has no {name}"))
                .hint("--layout takes a folder or tar from `docker buildx build --output type=oci`, `buildah push … oci:DIR` or `skopeo copy … oci:DIR`, or a tar from `docker save`"));
        };
        let mut bytes = Vec::new();
        reader
            .take(SMALL)
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(error))?;
        let bytes = without_mark(bytes.into());
        let read = serde_json::from_slice(&bytes).map_err(|error| {
            let error = Error::usage(format!(
                "{name} of {source} does not have the expected content"
            ))
            .cause(malformed(&error))
            .hint("the layout is damaged or not one; write it again");
            if size > SMALL {
                error.cause(format!("it has {size} bytes"))
            } else {
                error
            }
        })?;
        Ok((read, bytes))
    }

    /// `None` where there is no such file. `name` is made of constants and hexadecimal digits.
    fn raw(&self, name: &str) -> Result<Option<(u64, Box<dyn Read + Send>)>> {
        match self {
            // A link may lead out of the folder, as in the store of a build system: a blob is known by its digest.
            Self::Folder(folder) => {
                let path = folder.join(name);
                let metadata = match path.metadata() {
                    Ok(metadata) => metadata,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(self.unreadable(error)),
                };
                // Opening a pipe would wait for ever.
                if !metadata.is_file() {
                    return Err(Error::usage(format!("{} is not a file", path.display()))
                        .hint("the layout is damaged; write it again"));
                }
                let open = || {
                    let file = File::open(&path)?;
                    Ok((file.metadata()?.len(), file))
                };
                let (size, file) = open().map_err(|error| self.unreadable(error))?;
                Ok(Some((
                    size,
                    Box::new(Section::new(Arc::new(file), 0, size)),
                )))
            }
            Self::Tar(tar) => Ok(tar.open_member(name)?.map(|section| {
                let size = section.size();
                (size, Box::new(section) as Box<dyn Read + Send>)
            })),
        }
    }

    fn unreadable(&self, error: io::Error) -> Error {
        Error::failed(format!("cannot read {}", self.display_name())).because(error)
    }
}

/// Passes bytes through, and fails at the end if their digest is another one.
struct Verified {
    blob_name: String,
    reader: Box<dyn Read + Send>,
    remaining: u64,
    hash: Option<Context>,
    digest: Digest,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(buffer)?;
        self.remaining = self.remaining.saturating_sub(read as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..read]);
        }
        if read == 0 && self.remaining > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends {} bytes early", self.blob_name, self.remaining),
            ));
        }
        if self.remaining == 0
            && let Some(hash) = self.hash.take()
        {
            let found = digest_of(hash);
            if found != self.digest {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is damaged: its bytes are {found}", self.blob_name),
                ));
            }
        }
        Ok(read)
    }
}
