//! The build that is asked for, from arguments, contract and run, checked before any call is made.

mod arguments;
mod commit;
mod files;
mod origin;
mod secret;

pub(crate) use origin::{Origin, REVISION};
pub(crate) use secret::{BuildSecret, SecretFrom};

use crate::args::Publish;
use crate::blob::Compression;
use crate::build::BuilderName;
use crate::builder_flags::Flags;
use crate::input::{given, source};
use crate::tags::Tags;
use crate::{cache, dockerfile};
use arguments::{labels, network, pair, platforms};
use commit::{Checked, checked, commit, epoch};
use files::Files;
use kit::contract::Image;
use kit::id::{CommitId, Digest};
use kit::step::Cx;
use kit::{Error, Result};
use origin::{CREATED, standard_labels, unverified};
use std::path::PathBuf;

/// Everything one build needs.
#[derive(Debug)]
pub(crate) struct Request {
    /// The full commit hash; the tag of an image that is the commit's.
    pub(crate) commit: CommitId,
    pub(crate) origin: Origin,
    pub(crate) extra_tags: Tags,
    pub(crate) rebuild: bool,
    /// The builder, if one was named.
    pub(crate) builder: Option<BuilderName>,
    pub(crate) context: PathBuf,
    pub(crate) dockerfile: PathBuf,
    /// The file that says what of the context is left out, where there is one.
    pub(crate) ignore_file: Option<PathBuf>,
    pub(crate) target: Option<String>,
    pub(crate) build_args: Vec<String>,
    pub(crate) secrets: Vec<BuildSecret>,
    pub(crate) labels: Vec<(String, String)>,
    /// The names of those labels that were asked for, beside the standard ones.
    pub(crate) own_labels: Vec<String>,
    pub(crate) platforms: Vec<String>,
    pub(crate) no_cache: bool,
    pub(crate) pull: bool,
    pub(crate) flags: Flags,
    pub(crate) network: Option<String>,
    pub(crate) cache_from: Vec<String>,
    pub(crate) cache_to: Vec<String>,
    pub(crate) provenance: Option<String>,
    pub(crate) sbom: bool,
    pub(crate) compression: Compression,
    /// The commit's time, or what `SOURCE_DATE_EPOCH` says, in seconds since 1970
    /// (reproducible-builds.org, "SOURCE_DATE_EPOCH specification").
    pub(crate) epoch: Option<i64>,
    /// The repository of the source, as provenance names it, where it is known.
    pub(crate) source: Option<String>,
    /// The hash of the commit's tree, if the checkout was compared with it.
    pub(crate) tree: Option<String>,
}

impl Request {
    /// `is_prebuilt`: something else built the image, and no context is needed.
    ///
    /// # Errors
    /// An argument is missing or malformed (exit 2), or the checkout is not the commit (exit 3).
    pub(crate) fn new(
        args: Publish,
        cx: &Cx,
        repository: &str,
        image: Option<&Image>,
        is_prebuilt: bool,
    ) -> Result<Self> {
        let (rebuild, compression) = (args.rebuild, args.compression);
        let is_named = args.commit.is_some();
        let commit = commit(args.commit, cx)?;
        let mut extra_tags = Tags::new(args.tag, repository)?;
        let origin = match (args.allow_unverified, is_prebuilt) {
            (Some(reason), _) => unverified(&reason, &extra_tags.names, commit.as_str())?,
            (None, true) => Origin::Prebuilt,
            (None, false) => Origin::Commit,
        };
        extra_tags.names.retain(|tag| commit != tag.as_str());
        let source_repository = source_repository(args.source_repository, cx)?;
        let args = args.build;
        for cache in args.cache_from.iter().chain(&args.cache_to) {
            cache::no_secret_in(cache)?;
        }
        let files = Files::find(args.context, args.file, image, cx, !is_prebuilt)?;
        let platforms = platforms(args.platform, image)?;
        let build_args = args.pairs.build_arg;
        for argument in &build_args {
            pair("build-arg", argument)?;
        }
        let flags = Flags::new(args.flags)?;
        if !is_prebuilt {
            for name in dockerfile::undeclared(&files.dockerfile, &build_args)? {
                cx.host.warn(format!(
                    "build argument {name} has no effect: {} has no `ARG {name}`",
                    files.dockerfile.display()
                ));
            }
        }
        let secrets = given(args.secret)
            .iter()
            .map(|text| secret::read(text, &cx.env))
            .collect::<Result<Vec<_>>>()?;
        let own_labels = labels(&args.pairs.label)?;
        network(args.network.as_deref())?;
        // Last: everything that costs nothing to check is in order.
        let Checked { time, tree } =
            checked(cx, &origin, &files, &flags, commit.as_str(), is_named)?;
        let epoch = epoch(cx, time)?;
        let standard = standard_labels(commit.as_str(), &origin, source(cx), epoch);
        Ok(Self {
            commit,
            origin,
            extra_tags,
            rebuild,
            builder: args.builder,
            ignore_file: files.ignore_file,
            context: files.context,
            dockerfile: files.dockerfile,
            target: args.target,
            build_args,
            secrets,
            labels: overridden(standard, &own_labels),
            own_labels: own_labels.into_iter().map(|(name, _)| name).collect(),
            platforms,
            no_cache: args.no_cache,
            pull: args.pull,
            flags,
            network: args.network,
            cache_from: given(args.cache_from),
            cache_to: given(args.cache_to),
            provenance: args.provenance,
            sbom: args.sbom,
            compression,
            epoch,
            source: source_repository,
            tree,
        })
    }

    /// Returns whether this label says which commit the image was built for, and nothing of its content.
    pub(crate) fn names_the_commit(&self, label: &str) -> bool {
        [REVISION, CREATED].contains(&label) && !self.own_labels.iter().any(|own| own == label)
    }

    /// Provenance holds the build's time, and so does a bill of materials.
    pub(crate) fn provenance_is_off(&self) -> bool {
        !self.sbom
            && self
                .provenance
                .as_deref()
                .is_none_or(|mode| mode == "false")
    }

    /// As the argument is written.
    pub(crate) fn compression_name(&self) -> String {
        format!("{:?}", self.compression).to_lowercase()
    }

    pub(crate) fn names_build_arg(&self, name: &str) -> bool {
        self.build_args
            .iter()
            .any(|argument| argument.split('=').next() == Some(name))
    }

    /// Returns whether the image is the commit's, and so gets its tag.
    pub(crate) fn is_commits(&self) -> bool {
        !matches!(self.origin, Origin::Unverified(_))
    }

    /// The tag of the image's provenance, unless the image is not shown to be the commit's.
    pub(crate) fn provenance_tag(&self, image: &Digest) -> Option<String> {
        self.is_commits().then(|| attest::tag(image, &self.commit))
    }

    /// The commit's tag, unless the image is not shown to be the commit's, and the others. There is at least one.
    pub(crate) fn tags(&self) -> Vec<String> {
        let commit = match self.origin {
            Origin::Unverified(_) => None,
            Origin::Commit | Origin::Prebuilt => Some(self.commit.to_string()),
        };
        commit
            .into_iter()
            .chain(self.extra_tags.names.iter().cloned())
            .collect()
    }
}

/// The standard labels, of which those of the user replace the ones of the same name.
fn overridden(
    mut labels: Vec<(String, String)>,
    own: &[(String, String)],
) -> Vec<(String, String)> {
    for (name, value) in own {
        labels.retain(|(there, _)| there != name);
        labels.push((name.clone(), value.clone()));
    }
    labels
}

/// The repository of the source: the given one, or the run's; at a terminal the one that the variables of
/// a run would name.
///
/// # Errors
/// Something else than a URL was given (exit 2).
fn source_repository(given: Option<String>, cx: &Cx) -> Result<Option<String>> {
    match given {
        Some(url) => attest::repository(&url).map(Some).ok_or_else(|| {
            // The URL is not quoted: it may hold a login.
            Error::usage("--source-repository is not the URL of a repository")
                .hint("write https://HOST/OWNER/NAME")
        }),
        None => {
            let named = || {
                let server = cx.env.get("GITHUB_SERVER_URL");
                let server = server.unwrap_or("https://github.com");
                Some(format!("{server}/{}", cx.env.get("GITHUB_REPOSITORY")?))
            };
            let url = source(cx).or_else(named);
            Ok(url.and_then(|url| attest::repository(&url)))
        }
    }
}

#[cfg(test)]
impl Request {
    /// A request that asks for nothing but a build.
    pub(crate) fn sample() -> Self {
        Self {
            commit: CommitId::parse(&"1".repeat(40)).unwrap(),
            origin: Origin::Commit,
            extra_tags: Tags::default(),
            rebuild: false,
            builder: None,
            context: ".".into(),
            dockerfile: "Dockerfile".into(),
            ignore_file: None,
            target: None,
            build_args: vec![],
            secrets: vec![],
            labels: vec![],
            own_labels: vec![],
            platforms: vec![],
            no_cache: false,
            pull: false,
            flags: Flags::default(),
            network: None,
            cache_from: vec![],
            cache_to: vec![],
            provenance: None,
            sbom: false,
            compression: Compression::Gzip,
            epoch: None,
            source: None,
            tree: None,
        }
    }
}
