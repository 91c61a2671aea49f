//! A builder's argument list for one build. Values of secrets are never in it.

use super::builder::{Builder, Kind, Sandbox};
use crate::blob::Compression;
use crate::cache::attribute;
use crate::request::{Request, SecretFrom};
use std::ffi::OsString;
use std::path::Path;

/// Where the built image is to be.
#[derive(Debug)]
pub(super) enum Output<'a> {
    /// In the engine or in buildah's storage, under this name, its ID in this file.
    Named { name: &'a str, id: &'a Path },
    /// An OCI layout: a folder, or one tar where the builder cannot write folders.
    Layout {
        to: &'a Path,
        tar: bool,
        /// True if the times of files in the build's own layers become the commit's.
        rewrite: bool,
    },
}

/// Tells ECR's hosts from others, since a cache in ECR needs further attributes.
pub(super) type IsEcr<'a> = &'a dyn Fn(&str) -> bool;

pub(super) fn build(
    request: &Request,
    builder: &Builder,
    output: &Output<'_>,
    is_ecr: IsEcr<'_>,
) -> Vec<OsString> {
    let mut list = List::default();
    match &builder.kind {
        Kind::Buildx(_) => {
            list.add(&["buildx", "build"]);
            attestations(&mut list, request, builder);
            list.add(&["--progress", "plain"]);
        }
        Kind::BuildKit => list.add(&["build", "--progress", "plain"]),
        Kind::Buildah(sandbox) => buildah(&mut list, request, builder, sandbox),
    }
    add_output(&mut list, request, builder, output);
    list.add(&["--file", &request.dockerfile.to_string_lossy()]);
    if let Some(target) = &request.target {
        list.add(&["--target", target]);
    }
    // Buildah before 1.41 has no such build argument and warns of it; it is told the time itself.
    if let Some(epoch) = request.epoch
        && !matches!(builder.kind, Kind::Buildah(_))
        && !request.names_build_arg("SOURCE_DATE_EPOCH")
    {
        list.add(&["--build-arg", &format!("SOURCE_DATE_EPOCH={epoch}")]);
    }
    for argument in &request.build_args {
        list.add(&["--build-arg", argument]);
    }
    for secret in &request.secrets {
        let from = match &secret.from {
            SecretFrom::Variable(name) => format!("env={name}"),
            SecretFrom::File(path) => format!("src={}", path.display()),
        };
        list.add(&["--secret", &format!("id={},{from}", secret.id)]);
    }
    for (name, value) in &request.labels {
        list.add(&["--label", &format!("{name}={value}")]);
    }
    if !request.platforms.is_empty() {
        list.add(&["--platform", &request.platforms.join(",")]);
    }
    for cache in &request.cache_from {
        let from = match builder.kind {
            Kind::BuildKit => attribute(cache, "ref").unwrap_or(cache),
            _ => cache,
        };
        list.add(&["--cache-from", from]);
    }
    for cache in &request.cache_to {
        list.add(&["--cache-to", &ecr_cache(cache, is_ecr)]);
    }
    for (flag, value) in request.flags.iter() {
        list.add(&[flag.name(), value]);
    }
    if let Some(network) = request.network.as_deref().filter(|mode| *mode != "default") {
        list.add(&["--network", network]);
    }
    if request.no_cache {
        list.add(&["--no-cache"]);
    }
    if request.pull {
        list.add(match builder.kind {
            Kind::Buildah(_) => &["--pull-always"],
            _ => &["--pull"],
        });
    }
    list.0.push(request.context.clone().into());
    list.0
}

#[derive(Default)]
struct List(Vec<OsString>);

impl List {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }
}

/// Unless asked for, there is no provenance: with it a digest would name an index that differs at
/// every build, without it one image is one manifest. Buildx before 0.10 attests nothing and does
/// not know the flag.
fn attestations(list: &mut List, request: &Request, builder: &Builder) {
    let numbers = builder.numbers();
    match &request.provenance {
        Some(mode) => list.add(&[&format!("--provenance={mode}")]),
        None if numbers == (0, 0) || numbers >= (0, 10) => list.add(&["--provenance=false"]),
        None => {}
    }
    if request.sbom {
        list.add(&["--sbom=true"]);
    }
}

fn buildah(list: &mut List, request: &Request, builder: &Builder, sandbox: &Sandbox) {
    if let Some(storage) = &sandbox.storage {
        list.add(&["--storage-driver", storage]);
    }
    list.add(&["build", "--format", "oci"]);
    if let Some(isolation) = &sandbox.isolation {
        list.add(&["--isolation", isolation]);
    }
    if let Some(epoch) = request.epoch {
        let epoch = epoch.to_string();
        // Since 1.41 later times are cut down to the commit's, earlier ones stay; before, there is
        // one flag that makes all times of the build's own layers the same.
        if builder.numbers() >= (1, 41) {
            list.add(&["--source-date-epoch", &epoch, "--rewrite-timestamp"]);
        } else {
            list.add(&["--timestamp", &epoch]);
        }
    }
    if let Some(file) = &request.ignore_file {
        // Buildah would take a .containerignore before it.
        list.add(&["--ignorefile", &file.to_string_lossy()]);
    }
}

fn add_output(list: &mut List, request: &Request, builder: &Builder, output: &Output<'_>) {
    match (output, &builder.kind) {
        (Output::Named { name, .. }, Kind::Buildah(_)) if request.platforms.len() > 1 => {
            list.add(&["--manifest", name]);
        }
        (Output::Named { name, id }, kind) => {
            if matches!(kind, Kind::Buildx(_)) {
                list.add(&["--load"]);
            }
            list.add(&["--tag", name, "--iidfile", &id.to_string_lossy()]);
        }
        (Output::Layout { to, tar, rewrite }, _) => {
            let mut text = format!("type=oci,dest={}", to.display());
            if !tar {
                text.push_str(",tar=false");
            }
            if *rewrite {
                text.push_str(",rewrite-timestamp=true");
            }
            // Forced, or layers of the base would stay as they are.
            if request.compression == Compression::Zstd {
                text.push_str(",compression=zstd,force-compression=true");
            }
            list.add(&["--output", &text]);
        }
    }
}

/// ECR stores a cache only as an image manifest with OCI media types (AWS Containers Blog,
/// "Announcing remote cache support in Amazon ECR for BuildKit clients").
fn ecr_cache(cache: &str, is_ecr: IsEcr<'_>) -> String {
    let host = attribute(cache, "ref").and_then(|reference| reference.split('/').next());
    let mut text = cache.to_owned();
    if attribute(cache, "type") == Some("registry") && host.is_some_and(is_ecr) {
        for name in ["image-manifest", "oci-mediatypes"] {
            if attribute(cache, name).is_none() {
                text.push_str(&format!(",{name}=true"));
            }
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests;
