//! What is to be built, from arguments, contract and run, checked before anything is asked or
//! changed.

use crate::args::{BuilderName, Publish};
use crate::checkout;
use crate::handed_on::Flags;
use crate::key;
use crate::source::Compression;
use kit::contract::Image;
use kit::env::Env;
use kit::host::Kind;
use kit::id::{CommitId, Digest};
use kit::step::{Cx, required};
use kit::{Error, Result, clock};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The labels that name the commit (OCI Image Specification, "Pre-Defined Annotation Keys").
pub(crate) const REVISION: &str = "org.opencontainers.image.revision";
const CREATED: &str = "org.opencontainers.image.created";

/// The label of an image that was not shown to be a commit's, with the reason that was given.
const UNVERIFIED: &str = "dev.slipway.unverified";

/// How it is known that the image is the commit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Everything that the build reads was compared with the commit.
    Commit,
    /// Something else built it, and `--layout` says that it is the commit's.
    BuiltElsewhere,
    /// It is not; a person said why it is published all the same.
    Unverified(String),
}

/// Everything one build needs.
#[derive(Debug)]
pub(crate) struct Request {
    /// The full commit hash; the tag of an image that is the commit's.
    pub(crate) commit: String,
    pub(crate) origin: Origin,
    pub(crate) extra_tags: Tags,
    pub(crate) rebuild: bool,
    /// What is to build, where it was named.
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
}

/// A secret of the build, by where its value is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BuildSecret {
    pub(crate) id: String,
    pub(crate) from: SecretFrom,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    Variable(String),
    File(PathBuf),
}

impl Request {
    /// `is_built`: something else built the image, and no context is needed.
    ///
    /// # Errors
    /// What is missing or malformed (exit 2).
    pub(crate) fn new(
        args: Publish,
        cx: &Cx,
        repository: &str,
        image: Option<&Image>,
        is_built: bool,
    ) -> Result<Self> {
        let (rebuild, compression) = (args.rebuild, args.compression);
        let is_named = args.commit.is_some();
        let commit = commit(args.commit, cx)?;
        let mut extra_tags = Tags::new(args.tag, repository)?;
        let origin = match (args.allow_unverified, is_built) {
            (Some(reason), _) => unverified(&reason, &extra_tags.names, &commit)?,
            (None, true) => Origin::BuiltElsewhere,
            (None, false) => Origin::Commit,
        };
        extra_tags.names.retain(|tag| *tag != commit);
        let args = args.build;
        for cache in args.cache_from.iter().chain(&args.cache_to) {
            no_secret_in(cache)?;
        }
        let base = cx.contract_path();
        let base = base.parent().unwrap_or(Path::new(""));
        let context = match (args.context, image) {
            (Some(context), _) => context,
            (None, Some(image)) => base.join(&image.context),
            (None, None) => PathBuf::from("."),
        };
        // A file of the same name in the context, which somebody could have meant.
        let mut other = None;
        let dockerfile = match (args.file, image) {
            (Some(file), _) => file,
            (None, Some(image)) => {
                let file = base.join(&image.dockerfile);
                other = Some(context.join(&image.dockerfile)).filter(|other| {
                    other.is_file() && other.canonicalize().ok() != file.canonicalize().ok()
                });
                file
            }
            (None, None) => context.join("Dockerfile"),
        };
        if !is_built && !context.is_dir() {
            return Err(Error::usage(format!(
                "the build context {} is no folder",
                context.display()
            ))
            .hint("give --context DIR; in a workflow, run actions/checkout first"));
        }
        if !is_built && !dockerfile.is_file() {
            let error = Error::usage(format!(
                "there is no Dockerfile at {}",
                dockerfile.display()
            ));
            return Err(match other {
                Some(other) => error.hint(format!(
                    "`dockerfile` is relative to the contract's folder, not to the context: it is at {}",
                    other.display()
                )),
                None => error.hint("give --file FILE"),
            });
        }
        if let Some(other) = other.filter(|_| !is_built) {
            cx.host.warn(format!(
                "{} is built, not {}: `dockerfile` is relative to the contract's folder",
                dockerfile.display(),
                other.display()
            ));
        }
        let mut platforms = given(args.platform);
        if platforms.is_empty() {
            platforms = image
                .map(|image| image.platforms.clone())
                .unwrap_or_default();
        }
        for platform in &platforms {
            let parts = platform.split('/').count();
            if !(2..=3).contains(&parts) || platform.contains([' ', ',']) {
                return Err(
                    Error::usage(format!("--platform {platform:?} is no platform"))
                        .hint("OS/ARCHITECTURE, e.g. linux/amd64; one a line"),
                );
            }
        }
        let build_args = args.pairs.build_arg;
        for argument in &build_args {
            pair("build-arg", argument)?;
        }
        let flags = Flags::new(args.handed_on)?;
        if !is_built {
            for name in key::undeclared(&dockerfile, &build_args)? {
                cx.host.warn(format!(
                    "build argument {name} has no effect: {} has no `ARG {name}`",
                    dockerfile.display()
                ));
            }
        }
        let secrets = given(args.secret)
            .iter()
            .map(|text| secret(text, &cx.env))
            .collect::<Result<Vec<_>>>()?;
        let own_labels = args
            .pairs
            .label
            .iter()
            .map(|label| {
                pair("label", label).map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(mode) = &args.network
            && !["default", "none", "host"].contains(&mode.as_str())
        {
            return Err(
                Error::usage(format!("--network {mode:?} is no network mode"))
                    .hint("default, none or host"),
            );
        }
        let ignore_file = ignore_file(&context, &dockerfile);
        // Last: all that costs nothing to check is in order.
        let time = match &origin {
            Origin::Commit => {
                let folders = flags.folders()?;
                let input = checkout::Input {
                    context: &context,
                    folders: &folders,
                    dockerfile: &dockerfile,
                    ignore_file: ignore_file.as_deref(),
                    ignore: &key::ignore(&context, ignore_file.as_deref())?,
                };
                let shown = checkout::show(&cx.env, &input, &commit)?;
                if let Some(generated) = shown.generated {
                    cx.host.info(format!(
                        "the build context also has files that the commit's .gitignore names: {generated}"
                    ));
                }
                shown.time
            }
            Origin::BuiltElsewhere => {
                // A commit that only the run names is that of the checkout, in which the image was probably built.
                if !is_named {
                    checkout::is_not_elsewhere(&cx.env, &context, &commit)?;
                }
                cx.host.info(format!(
                    "the image was built elsewhere; that it is commit {commit} is taken from --layout"
                ));
                None
            }
            Origin::Unverified(reason) => {
                cx.host.warn(format!(
                    "the image is not shown to be commit {commit} and does not get its tag: {reason}"
                ));
                checkout::time(&cx.env, &context)
            }
        };
        let epoch = epoch(cx, time)?;
        let mut labels = standard_labels(&commit, &origin, source(cx), epoch);
        for (name, value) in &own_labels {
            labels.retain(|(there, _)| there != name);
            labels.push((name.clone(), value.clone()));
        }
        let own_labels = own_labels.into_iter().map(|(name, _)| name).collect();
        Ok(Self {
            commit,
            origin,
            extra_tags,
            rebuild,
            builder: args.builder,
            ignore_file,
            context,
            dockerfile,
            target: args.target,
            build_args,
            secrets,
            labels,
            own_labels,
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
        })
    }

    /// Whether this label says which commit the image was built for, and so nothing of what is in it.
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

    /// The commit's tag, unless the image is not shown to be the commit's, and the others. There is at least one.
    pub(crate) fn tags(&self) -> Vec<String> {
        let commit = match self.origin {
            Origin::Unverified(_) => None,
            Origin::Commit | Origin::BuiltElsewhere => Some(&self.commit),
        };
        commit
            .into_iter()
            .chain(&self.extra_tags.names)
            .cloned()
            .collect()
    }
}

/// `DOCKERFILE.dockerignore` beside the Dockerfile, else `.dockerignore` in the context
/// (docs.docker.com, "Build context", Filename and location).
fn ignore_file(context: &Path, dockerfile: &Path) -> Option<PathBuf> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    [PathBuf::from(own), context.join(".dockerignore")]
        .into_iter()
        .find(|path| path.is_file())
}

/// The repository's name, given or the contract's.
///
/// # Errors
/// None, or one that ECR does not take (exit 2).
pub(crate) fn repository(given: Option<String>, image: Option<&Image>) -> Result<String> {
    let name = required(
        "repository",
        given,
        image.map(|image| image.repository.clone()),
    )?;
    if is_repository(&name) {
        return Ok(name);
    }
    Err(
        Error::usage(format!("--repository {name:?} is no ECR repository name"))
            .hint("2 to 256 lower-case letters and digits, parted by single `.`, `_`, `-` and `/`; without the registry's host"),
    )
}

/// Where the source is, for labels: the repository's page, never a URL with a login in it.
pub(crate) fn source(cx: &Cx) -> Option<String> {
    let url = match cx.host.kind() {
        Kind::GitHub => format!(
            "{}/{}",
            cx.env.get("GITHUB_SERVER_URL")?,
            cx.env.get("GITHUB_REPOSITORY")?
        ),
        Kind::CodeBuild => cx.env.get("CODEBUILD_SOURCE_REPO_URL")?.to_owned(),
        Kind::Terminal => return None,
    };
    let url = url.trim_end_matches(".git").to_owned();
    (url.starts_with("http") && !url.contains('@')).then_some(url)
}

/// # Errors
/// A reason that says nothing, or the commit's own tag (exit 2).
fn unverified(reason: &str, tags: &[String], commit: &str) -> Result<Origin> {
    let reason = reason.trim();
    if reason.is_empty() || reason.contains(char::is_control) {
        return Err(
            Error::usage("--allow-unverified is not one line with a reason")
                .hint("say why the image is published although it is not shown to be the commit's"),
        );
    }
    if tags.is_empty() || tags.iter().any(|tag| tag == commit) {
        return Err(Error::usage(
            "an image that is not shown to be the commit's cannot have the commit's tag",
        )
        .hint("with --allow-unverified, give another --tag"));
    }
    Ok(Origin::Unverified(reason.to_owned()))
}

fn standard_labels(
    commit: &str,
    origin: &Origin,
    source: Option<String>,
    epoch: Option<i64>,
) -> Vec<(String, String)> {
    // Names from the OCI Image Specification, "Pre-Defined Annotation Keys". Nothing of the run
    // is in them, or the same commit would make another digest at each run.
    let mut labels = vec![match origin {
        Origin::Unverified(reason) => (UNVERIFIED.to_owned(), reason.clone()),
        Origin::Commit | Origin::BuiltElsewhere => (REVISION.to_owned(), commit.to_owned()),
    }];
    if let Some(source) = source {
        labels.push(("org.opencontainers.image.source".to_owned(), source));
    }
    if let Some(at) = epoch.and_then(|epoch| time::OffsetDateTime::from_unix_timestamp(epoch).ok())
    {
        labels.push((CREATED.to_owned(), clock::rfc3339(at)));
    }
    labels
}

fn commit(given: Option<String>, cx: &Cx) -> Result<String> {
    let commit = match given {
        Some(given) => Some(CommitId::parse(&given)?),
        None => cx.host.commit()?,
    };
    commit.map(String::from).ok_or_else(|| {
        Error::usage("--commit is missing, and this run names none")
            .hint("at a terminal: --commit \"$(git rev-parse HEAD)\"")
    })
}

/// The commit's time, unless `SOURCE_DATE_EPOCH` says another.
fn epoch(cx: &Cx, time: Option<i64>) -> Result<Option<i64>> {
    match cx.env.get("SOURCE_DATE_EPOCH") {
        None => Ok(time),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Error::usage(format!(
                "SOURCE_DATE_EPOCH is {text:?}, not seconds since 1970"
            ))
            .hint("leave it out, and the commit's own time is taken")
        }),
    }
}

/// Lines of a list, without the empty ones that a workflow's block text ends with.
pub(crate) fn given(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn pair<'a>(argument: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        // The text is not quoted: it could be a value that somebody meant to hide.
        _ => Err(Error::usage(format!("a --{argument} is not NAME=VALUE"))),
    }
}

fn secret(text: &str, env: &Env) -> Result<BuildSecret> {
    // The text is not quoted: somebody may have put the value itself there.
    let malformed = || {
        Error::usage("a --secret is not id=ID,env=VARIABLE or id=ID,src=FILE").hint(
            "the value is taken from the environment variable or the file; it is never an argument",
        )
    };
    let (mut id, mut from) = (None, None);
    for part in text.split(',') {
        let known = match part.split_once('=') {
            Some(("id", value)) if !value.is_empty() => id.replace(value.to_owned()).is_none(),
            Some(("env", value)) if !value.is_empty() => from
                .replace(SecretFrom::Variable(value.to_owned()))
                .is_none(),
            Some(("src" | "source", value)) if !value.is_empty() => {
                from.replace(SecretFrom::File(value.into())).is_none()
            }
            _ => false,
        };
        if !known {
            return Err(malformed());
        }
    }
    let (Some(id), Some(from)) = (id, from) else {
        return Err(malformed());
    };
    match &from {
        SecretFrom::Variable(variable) if env.get(variable).is_none() => Err(Error::usage(
            format!("the variable {variable} of build secret {id} is not set"),
        )
        .hint(format!(
            "in a workflow: `env: {{{variable}: …}}` on this step"
        ))),
        SecretFrom::File(path) if !path.is_file() => Err(Error::usage(format!(
            "the file of build secret {id} is not there"
        ))
        .hint("src names a file, from the folder the step runs in")),
        _ => Ok(BuildSecret { id, from }),
    }
}

/// Attributes of BuildKit's caches that are secrets (docs.docker.com, "Amazon S3 cache", "Azure Blob Storage cache",
/// "GitHub Actions cache"). What is not given, BuildKit or the AWS SDK takes from the environment.
const CACHE_SECRETS: [&str; 5] = [
    "secret_access_key",
    "session_token",
    "account_key",
    "token",
    "ghtoken",
];

/// # Errors
/// A cache with a secret in it, which would be in the builder's argument list (exit 2).
fn no_secret_in(cache: &str) -> Result<()> {
    let named = cache
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(name, _)| name.trim().to_lowercase())
        .find(|name| CACHE_SECRETS.contains(&name.as_str()));
    match named {
        None => Ok(()),
        // The text is not quoted: it holds the value.
        Some(name) => Err(Error::usage(format!(
            "{name} of a --cache-from or --cache-to would be in the builder's argument list"
        ))
        .hint("leave it out: BuildKit takes it from the environment, AWS_SECRET_ACCESS_KEY or ACTIONS_RUNTIME_TOKEN for example")),
    }
}

/// ECR API Reference, `RepositoryName`.
fn is_repository(name: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let component = |part: &str| {
        // `__` and runs of `-` part words too.
        let mut rest = part.replace("__", "_");
        while rest.contains("--") {
            rest = rest.replace("--", "-");
        }
        rest.split(['.', '_', '-']).all(word)
    };
    (2..=256).contains(&name.len()) && name.split('/').all(component)
}

/// The digest that a verb works on: no contract holds one.
///
/// # Errors
/// None is given, or it is none (exit 2).
pub(crate) fn digest(given: Option<String>) -> Result<Digest> {
    let digest = given.ok_or_else(|| {
        Error::usage("--digest is missing").hint(
            "give --digest sha256:…, the output `digest` of the step that published the image",
        )
    })?;
    Digest::parse(&digest)
}

/// Tags of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    /// Each once.
    pub(crate) names: Vec<String>,
    /// The registries that full references name, with the reference.
    hosts: BTreeMap<String, String>,
}

impl Tags {
    /// Reads tags, and full references to `repository` as docker/metadata-action writes them.
    ///
    /// # Errors
    /// Something else, or a reference to another repository (exit 2).
    pub(crate) fn new(lines: Vec<String>, repository: &str) -> Result<Self> {
        let mut tags = Self::default();
        for text in given(lines) {
            let (name, tag) = match text.rsplit_once(':') {
                Some((name, tag)) => (Some(name), tag),
                None => (None, text.as_str()),
            };
            if !is_tag(tag) {
                return Err(
                    Error::usage(format!("--tag `{text}` is not a tag")).hint(
                        "up to 128 letters, digits, `_`, `.` and `-`, not beginning with the last two; or REGISTRY/REPOSITORY:TAG",
                    ),
                );
            }
            match name.map(|name| name.strip_suffix(repository)) {
                None | Some(Some("")) => {}
                Some(Some(host)) if host.ends_with('/') => {
                    let host = host.trim_end_matches('/').to_owned();
                    tags.hosts.insert(host, text.clone());
                }
                Some(_) => {
                    return Err(Error::usage(format!(
                        "--tag `{text}` does not name repository {repository}"
                    ))
                    .hint("leave out references to other repositories; slipway-image copy brings the image there"));
                }
            }
            if !tags.names.iter().any(|there| there == tag) {
                tags.names.push(tag.to_owned());
            }
        }
        Ok(tags)
    }

    /// The tags alone, for several registries.
    ///
    /// # Errors
    /// A reference names one (exit 2).
    pub(crate) fn without_registry(self) -> Result<Vec<String>> {
        match self.hosts.values().next() {
            None => Ok(self.names),
            Some(text) => Err(Error::usage(format!("--tag `{text}` names a registry"))
                .hint("each destination has its own; give the tag alone")),
        }
    }

    /// # Errors
    /// A reference names another registry than this (exit 2).
    pub(crate) fn are_of(&self, registry: &str) -> Result<()> {
        match self.hosts.iter().find(|(host, _)| *host != registry) {
            None => Ok(()),
            Some((_, text)) => Err(Error::usage(format!(
                "--tag `{text}` does not name registry {registry}"
            ))
            .hint("give the tag alone, or check the account and the region")),
        }
    }
}

/// OCI Distribution Specification, "Pulling manifests".
fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && !tag.is_empty()
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
impl Request {
    /// A request that asks for nothing but a build.
    pub(crate) fn sample() -> Self {
        Self {
            commit: "1".repeat(40),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_ecr_takes_and_names_it_does_not() {
        for name in ["acme/storefront", "a1", "a.b-c_d/e", "a__b", "a---b"] {
            assert!(is_repository(name), "{name}");
        }
        for name in [
            "",
            "a",
            "A/b",
            "a//b",
            "/ab",
            "ab/",
            "a..b",
            "a._b",
            "1.dkr.ecr.x:4/a",
            "a b",
        ] {
            assert!(!is_repository(name), "{name}");
        }
        assert!(!is_repository(&"a".repeat(257)));
        for tag in ["v1.2", "_x", "latest", "1"] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["", ".x", "-x", "a:b", "a b", "ü"] {
            assert!(!is_tag(tag), "{tag}");
        }
        assert!(!is_tag(&"a".repeat(129)));
    }

    #[test]
    fn a_full_reference_is_a_tag_of_the_repository_and_registry_that_it_names() {
        let read = |text: &str| Tags::new(vec![text.to_owned()], "acme/a");
        let host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        for text in ["v1", "acme/a:v1", &format!("{host}/acme/a:v1")] {
            let tags = read(text).unwrap();
            assert_eq!(tags.names, ["v1"]);
            assert!(tags.are_of(host).is_ok());
        }
        let other = read("ghcr.io/acme/a:v1").unwrap();
        let error = other.are_of(host).unwrap_err();
        assert!(error.message.contains("ghcr.io/acme/a:v1"), "{error}");
        for wrong in [
            "a:v1",
            "xacme/a:v1",
            &format!("{host}/acme/b:v1"),
            "acme/a",
            "acme/a:",
        ] {
            assert_eq!(read(wrong).unwrap_err().exit(), kit::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_named_by_where_it_is_and_never_quoted() {
        let env = Env::from([("NPM_TOKEN", "hunter2")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for (text, from) in [
            (
                "id=npm,env=NPM_TOKEN",
                SecretFrom::Variable("NPM_TOKEN".to_owned()),
            ),
            (&format!("src={path},id=npm"), SecretFrom::File(path.into())),
        ] {
            let id = "npm".to_owned();
            assert_eq!(secret(text, &env).unwrap(), BuildSecret { id, from });
        }
        for wrong in [
            "npm=hunter2",
            "id=npm",
            "env=NPM_TOKEN",
            "id=npm,src=hunter2",
            "id=npm,env=NPM_TOKEN,src=hunter2",
            "id=npm,id=x,env=NPM_TOKEN",
            "id=npm,env=NPM_TOKEN,value=hunter2",
            "id=npm,env=GONE",
        ] {
            let error = secret(wrong, &env).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(
            pair("build-arg", "hunter2").is_err_and(|error| !error.to_string().contains("hunter2"))
        );
    }

    #[test]
    fn the_dockerfile_s_own_list_of_what_is_left_out_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let found = || ignore_file(dir.path(), &file("app.Dockerfile"));
        assert_eq!(found(), None);
        std::fs::write(file(".dockerignore"), "").unwrap();
        assert_eq!(found(), Some(file(".dockerignore")));
        std::fs::write(file("app.Dockerfile.dockerignore"), "").unwrap();
        assert_eq!(found(), Some(file("app.Dockerfile.dockerignore")));
    }

    #[test]
    fn labels_are_the_same_for_the_same_commit() {
        assert_eq!(
            standard_labels(
                "abc",
                &Origin::Commit,
                Some("https://github.com/acme/storefront".to_owned()),
                Some(0)
            ),
            [
                ("org.opencontainers.image.revision", "abc"),
                (
                    "org.opencontainers.image.source",
                    "https://github.com/acme/storefront"
                ),
                ("org.opencontainers.image.created", "1970-01-01T00:00:00Z"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
