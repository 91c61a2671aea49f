//! The content key: one name for everything a build is made from, so that a commit that changes
//! nothing of it needs no build. It is over what goes in and not over what comes out, and does not
//! depend on who builds.

mod context;
mod resolve;

use crate::cache;
use crate::credentials::Logins;
use crate::dockerfile::{self, read};
use crate::hash::Hash;
use crate::request::Request;
use kit::env::Env;
use kit::{Context, Result};
use net::Net;
use resolve::{Reference, Unresolved};
use std::collections::{BTreeMap, BTreeSet};

/// Raised when anything about the key's making changes.
const VERSION: &str = "slipway content key 1";

/// The content of a build, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Known(ContentKey),
    /// There is no key, and why: it would be a guess.
    Unknown(Vec<String>),
}

/// The key, and what people should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentKey {
    /// 64 hexadecimal digits.
    pub(crate) hex: String,
    /// The reason why the key changes more often than it should.
    pub(crate) note: Option<String>,
}

impl ContentKey {
    /// The tag under which the registry has the image of this content.
    pub(crate) fn tag(&self) -> String {
        format!("content-{}", self.hex)
    }
}

/// Works out the key. `logins` are those of the registries the step itself knows.
///
/// # Errors
/// A context that cannot be read, a `.dockerignore` that the builder would refuse.
pub(crate) async fn of(
    net: &Net,
    env: &Env,
    request: &Request,
    logins: &Logins,
) -> Result<Content> {
    let dockerfile = read(&request.dockerfile, "Dockerfile")?;
    let text = String::from_utf8_lossy(&dockerfile);
    let arguments = arguments(&request.build_args, env);
    let found = dockerfile::images(&text, &arguments);
    let ignore = dockerfile::ignore(&request.context, request.ignore_file.as_deref())?;
    let context = request.context.clone();
    let files = tokio::task::spawn_blocking(move || {
        let mut hash = Hash::new();
        context::add(&mut hash, &context, &ignore).map(|seen| (hash.end(), seen))
    });
    let (bases, mut unclear) = bases(net, env, logins, &found.images, found.unclear).await;
    unclear.extend(
        request
            .flags
            .contexts()
            .map(|(name, _)| format!("build context {name} is not examined")),
    );
    let (files, seen) = files
        .await
        .context("reading the build context was interrupted")??;
    if !unclear.is_empty() {
        return Ok(Content::Unknown(unclear));
    }
    let note = seen.git.then(|| {
        "the build context contains .git, which changes with every commit, so no two commits share a content key; exclude it in .dockerignore".to_owned()
    });
    let parts = Parts {
        files,
        dockerfile: {
            let mut hash = Hash::new();
            hash.raw(&dockerfile);
            hash.end()
        },
        arguments,
        bases,
    };
    Ok(Content::Known(ContentKey {
        hex: key(request, &parts),
        note,
    }))
}

/// Repositories of the registry `host` that the build takes something from: those of base images and of caches. The image may
/// contain their content unchanged.
pub(crate) fn sources(request: &Request, env: &Env, host: &str) -> Vec<String> {
    // A Dockerfile that cannot be read is the builder's to refuse.
    let dockerfile = read(&request.dockerfile, "Dockerfile").unwrap_or_default();
    let arguments = arguments(&request.build_args, env);
    let found = dockerfile::images(&String::from_utf8_lossy(&dockerfile), &arguments);
    let caches = request.cache_from.iter().chain(&request.cache_to);
    let prefix = format!("{host}/");
    let bases = found
        .images
        .iter()
        .filter_map(|image| image.strip_prefix(&prefix));
    let caches = caches.filter_map(|cache| cache::within(cache, host));
    let mut names: Vec<String> = Vec::new();
    for reference in bases.chain(caches) {
        let name = reference.split(['@', ':']).next().unwrap_or(reference);
        if !names.iter().any(|there| there == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The parts of a key that are read from outside the request.
struct Parts {
    files: String,
    dockerfile: String,
    arguments: BTreeMap<String, String>,
    bases: BTreeMap<String, String>,
}

fn key(request: &Request, parts: &Parts) -> String {
    let mut hash = Hash::new();
    let pairs = |map: &BTreeMap<String, String>| -> Vec<String> {
        map.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    };
    let labels: BTreeMap<String, String> = request
        .labels
        .iter()
        .filter(|(name, _)| !request.names_the_commit(name))
        .cloned()
        .collect();
    let mut platforms: BTreeSet<String> = request.platforms.iter().cloned().collect();
    if platforms.is_empty() {
        platforms.insert(own_platform());
    }
    let secrets: BTreeSet<&str> = request
        .secrets
        .iter()
        .map(|secret| secret.id.as_str())
        .collect();
    hash.part(VERSION.as_bytes());
    hash.list("files", [parts.files.as_str()]);
    hash.list("dockerfile", [parts.dockerfile.as_str()]);
    hash.list("bases", pairs(&parts.bases).iter().map(String::as_str));
    hash.list(
        "arguments",
        pairs(&parts.arguments).iter().map(String::as_str),
    );
    hash.list("labels", pairs(&labels).iter().map(String::as_str));
    hash.list("platforms", platforms.iter().map(String::as_str));
    hash.list("secrets", secrets);
    hash.list("target", request.target.as_deref());
    // The default given as an argument means the same as no argument.
    let network = request.network.as_deref().filter(|mode| *mode != "default");
    hash.list("network", network);
    let provenance = request
        .provenance
        .as_deref()
        .filter(|mode| *mode != "false");
    hash.list("provenance", provenance);
    hash.list("sbom", request.sbom.then_some("true"));
    let flags = request.flags.content();
    if !flags.is_empty() {
        hash.list("flags", flags.iter().map(String::as_str));
    }
    hash.list("compression", [request.compression_name().as_str()]);
    hash.end()
}

/// The platform of an image for which none was asked: this machine's, in the OCI's words.
fn own_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

/// Build arguments by name; of two with one name the later counts. The builder itself adds proxies
/// from the environment, which are not part of any image, and nothing else.
fn arguments(given: &[String], env: &Env) -> BTreeMap<String, String> {
    given
        .iter()
        .filter_map(|argument| match argument.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((argument.clone(), env.get(argument)?.to_owned())),
        })
        .collect()
}

/// Each image's digest, and what is not known.
async fn bases(
    net: &Net,
    env: &Env,
    logins: &Logins,
    images: &[String],
    mut unclear: Vec<String>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let mut bases = BTreeMap::new();
    for image in images {
        let found = match Reference::parse(image) {
            Some(reference) => resolve::digest(net, env, logins, &reference).await,
            None => Err(Unresolved::NotAReference),
        };
        match found {
            Ok(digest) => {
                bases.insert(image.clone(), digest.to_string());
            }
            Err(why) => unclear.push(format!("the digest of {image} is not known: {why}")),
        }
    }
    (bases, unclear)
}

#[cfg(test)]
mod tests;
