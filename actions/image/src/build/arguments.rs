//! A builder's argument list for one build. Values of secrets are never in it.

use super::builder::{Builder, Driver, Kind, Sandbox};
use crate::builder_flags::Flag;
use crate::cache::attribute;
use crate::request::{Request, SecretFrom};
use crate::source::Compression;
use kit::{Error, Result};
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

/// Checks what the arguments ask of the builder.
///
/// # Errors
/// Something this builder cannot do (exit 2).
pub(super) fn check(request: &Request, builder: &Builder) -> Result<()> {
    let cannot = |what: String, hint: &str| {
        Err(Error::usage(format!("{} cannot {what}", builder.name())).hint(hint))
    };
    let another = "use a buildx builder of another driver: docker buildx create --use --driver docker-container";
    if request.platforms.len() > 1 && !builder.several_platforms() {
        let what = format!(
            "build {} platforms at once into this engine",
            request.platforms.len()
        );
        return cannot(what, another);
    }
    let attests = match (&request.provenance, request.sbom) {
        (_, true) => Some("--sbom"),
        (Some(mode), _) if mode != "false" => Some("--provenance"),
        _ => None,
    };
    if let Some(flag) = attests
        && !matches!(
            builder.kind,
            Kind::Buildx(Driver::Containerd(_) | Driver::Other(_))
        )
    {
        return cannot(format!("attest: {flag}"), another);
    }
    for (flag, _) in request.flags.iter() {
        if !takes(&builder.kind, flag) {
            let hint = match flag {
                Flag::Annotation => another,
                _ => "leave it out, or build with docker's buildx plug-in",
            };
            return cannot(format!("do this: {}", flag.name()), hint);
        }
    }
    let exports = request
        .cache_to
        .iter()
        .any(|cache| attribute(cache, "type") != Some("inline"));
    match &builder.kind {
        Kind::Buildx(Driver::Engine) if exports => {
            cannot("export cache but inline: --cache-to".to_owned(), another)
        }
        Kind::BuildKit if !request.cache_to.is_empty() => cannot(
            "export cache: --cache-to".to_owned(),
            "install docker's buildx plug-in",
        ),
        Kind::BuildKit
            if request.cache_from.iter().any(|cache| {
                cache.contains('=') && attribute(cache, "type") != Some("registry")
            }) =>
        {
            cannot(
                "read cache but from images: --cache-from".to_owned(),
                "give type=registry,ref=IMAGE, or install docker's buildx plug-in",
            )
        }
        Kind::Buildah(_) if !request.cache_to.is_empty() || !request.cache_from.is_empty() => {
            cannot(
                "use a registry's cache as docker does: --cache-from, --cache-to".to_owned(),
                "leave them out: buildah's cache is its own storage; or build with buildx",
            )
        }
        Kind::Buildah(_)
            if request.platforms.len() > 1 && request.compression == Compression::Zstd =>
        {
            cannot(
                "compress several platforms otherwise than by its own choice: --compression zstd"
                    .to_owned(),
                "leave it out, or build with buildx",
            )
        }
        Kind::Buildah(Sandbox {
            isolation: Some(isolation),
            ..
        }) if isolation == "chroot" && request.network.as_deref() == Some("none") => cannot(
            "take the network away in a chroot: --network none".to_owned(),
            "run it as root and outside a container, or build with buildx",
        ),
        _ => Ok(()),
    }
}

/// Returns whether a builder has this flag, and what comes of it reaches the image.
fn takes(kind: &Kind, flag: Flag) -> bool {
    match kind {
        // An image in the engine's classic store has no place for an annotation.
        Kind::Buildx(Driver::Engine) => flag != Flag::Annotation,
        Kind::Buildx(_) => true,
        Kind::BuildKit => matches!(
            flag,
            Flag::Ssh | Flag::AddHost | Flag::Ulimit | Flag::ShmSize
        ),
        Kind::Buildah(_) => !matches!(flag, Flag::NoCacheFilter | Flag::Allow),
    }
}

/// Whether a registry's cache needs what ECR needs, by the host's name.
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
    place(&mut list, request, builder, output);
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

fn place(list: &mut List, request: &Request, builder: &Builder, output: &Output<'_>) {
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
mod tests {
    use super::*;
    use crate::request::BuildSecret;
    use expect_test::{Expect, expect};

    fn builder(version: &str, kind: Kind) -> Builder {
        Builder {
            path: "/bin/x".into(),
            version: version.to_owned(),
            kind,
        }
    }

    fn buildah_builder(version: &str) -> Builder {
        let sandbox = Sandbox {
            storage: Some("vfs".to_owned()),
            isolation: Some("chroot".to_owned()),
        };
        builder(version, Kind::Buildah(sandbox))
    }

    fn request() -> Request {
        Request {
            build_args: vec!["A=b c".to_owned()],
            context: "app".into(),
            dockerfile: "app/Dockerfile".into(),
            epoch: Some(7),
            labels: vec![("l".to_owned(), "v".to_owned())],
            ..Request::sample()
        }
    }

    fn full() -> Request {
        Request {
            target: Some("run".to_owned()),
            secrets: vec![
                BuildSecret {
                    id: "npm".to_owned(),
                    from: SecretFrom::Variable("NPM_TOKEN".to_owned()),
                },
                BuildSecret {
                    id: "key".to_owned(),
                    from: SecretFrom::File("/run/key".into()),
                },
            ],
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            no_cache: true,
            pull: true,
            network: Some("none".to_owned()),
            cache_from: vec!["type=registry,ref=ecr.example/a:c".to_owned()],
            cache_to: vec![
                "type=registry,ref=ecr.example/a:c,mode=max".to_owned(),
                "type=registry,ref=ecr.example/a:c,image-manifest=false".to_owned(),
                "type=registry,ref=ghcr.io/a:c".to_owned(),
            ],
            provenance: Some("mode=max".to_owned()),
            sbom: true,
            compression: Compression::Zstd,
            ..request()
        }
    }

    fn shown(request: &Request, builder: &Builder, output: &Output<'_>, wanted: &Expect) {
        let list = build(request, builder, output, &|host| host == "ecr.example");
        let list: Vec<_> = list.iter().map(|word| word.to_string_lossy()).collect();
        wanted.assert_eq(&list.join("\n"));
    }

    #[test]
    fn buildx_writes_a_layout_with_all_it_can() {
        let other = Kind::Buildx(Driver::Other("docker-container".to_owned()));
        let output = Output::Layout {
            to: Path::new("/layout"),
            tar: false,
            rewrite: true,
        };
        shown(
            &full(),
            &builder("v0.13.1", other),
            &output,
            &expect![[r#"
                buildx
                build
                --provenance=mode=max
                --sbom=true
                --progress
                plain
                --output
                type=oci,dest=/layout,tar=false,rewrite-timestamp=true,compression=zstd,force-compression=true
                --file
                app/Dockerfile
                --target
                run
                --build-arg
                SOURCE_DATE_EPOCH=7
                --build-arg
                A=b c
                --secret
                id=npm,env=NPM_TOKEN
                --secret
                id=key,src=/run/key
                --label
                l=v
                --platform
                linux/amd64,linux/arm64
                --cache-from
                type=registry,ref=ecr.example/a:c
                --cache-to
                type=registry,ref=ecr.example/a:c,mode=max,image-manifest=true,oci-mediatypes=true
                --cache-to
                type=registry,ref=ecr.example/a:c,image-manifest=false,oci-mediatypes=true
                --cache-to
                type=registry,ref=ghcr.io/a:c
                --network
                none
                --no-cache
                --pull
                app"#]],
        );
    }

    #[test]
    fn the_engine_keeps_the_image_under_a_private_name() {
        let output = Output::Named {
            name: "slipway:1",
            id: Path::new("/id"),
        };
        shown(
            &request(),
            &builder("v0.13.1", Kind::Buildx(Driver::Engine)),
            &output,
            &expect![[r#"
                buildx
                build
                --provenance=false
                --progress
                plain
                --load
                --tag
                slipway:1
                --iidfile
                /id
                --file
                app/Dockerfile
                --build-arg
                SOURCE_DATE_EPOCH=7
                --build-arg
                A=b c
                --label
                l=v
                app"#]],
        );
        let cached = Request {
            cache_from: vec!["type=registry,ref=r/a:c".to_owned(), "r/b".to_owned()],
            ..request()
        };
        shown(
            &cached,
            &builder("20.10.24", Kind::BuildKit),
            &output,
            &expect![[r#"
                build
                --progress
                plain
                --tag
                slipway:1
                --iidfile
                /id
                --file
                app/Dockerfile
                --build-arg
                SOURCE_DATE_EPOCH=7
                --build-arg
                A=b c
                --label
                l=v
                --cache-from
                r/a:c
                --cache-from
                r/b
                app"#]],
        );
    }

    #[test]
    fn buildah_gets_the_commit_s_time_in_its_own_words() {
        let output = Output::Named {
            name: "localhost/slipway:1",
            id: Path::new("/id"),
        };
        let platforms = Request {
            pull: true,
            ignore_file: Some("app/.dockerignore".into()),
            ..request()
        };
        shown(
            &platforms,
            &buildah_builder("1.28.2"),
            &output,
            &expect![[r#"
                --storage-driver
                vfs
                build
                --format
                oci
                --isolation
                chroot
                --timestamp
                7
                --ignorefile
                app/.dockerignore
                --tag
                localhost/slipway:1
                --iidfile
                /id
                --file
                app/Dockerfile
                --build-arg
                A=b c
                --label
                l=v
                --pull-always
                app"#]],
        );
        let list = build(&full(), &buildah_builder("1.41.0"), &output, &|_| false);
        let list: Vec<_> = list.iter().map(|word| word.to_string_lossy()).collect();
        for pair in [
            ["--manifest", "localhost/slipway:1"],
            ["--source-date-epoch", "7"],
            ["--platform", "linux/amd64,linux/arm64"],
        ] {
            assert!(list.windows(2).any(|two| two == pair), "{pair:?}: {list:?}");
        }
    }

    #[test]
    fn what_a_builder_cannot_do_is_said_before_it_starts() {
        let engine = || builder("v0.13.1", Kind::Buildx(Driver::Engine));
        let old = || builder("20.10.24", Kind::BuildKit);
        let with = |change: &dyn Fn(&mut Request)| {
            let mut request = request();
            change(&mut request);
            request
        };
        let platforms = with(&|request| {
            request.platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        });
        let sbom = with(&|request| request.sbom = true);
        let provenance = with(&|request| request.provenance = Some("mode=max".to_owned()));
        let cache_to = with(&|request| request.cache_to = vec!["type=registry,ref=x".to_owned()]);
        let cache_from = with(&|request| request.cache_from = vec!["type=gha".to_owned()]);
        let network = with(&|request| request.network = Some("none".to_owned()));
        for (request, builder, message) in [
            (
                &platforms,
                engine(),
                "docker buildx v0.13.1 cannot build 2 platforms at once into this engine",
            ),
            (
                &platforms,
                old(),
                "docker 20.10.24 (BuildKit) cannot build 2 platforms at once into this engine",
            ),
            (
                &sbom,
                engine(),
                "docker buildx v0.13.1 cannot attest: --sbom",
            ),
            (
                &provenance,
                buildah_builder("1.28.2"),
                "buildah 1.28.2 cannot attest: --provenance",
            ),
            (
                &cache_to,
                engine(),
                "docker buildx v0.13.1 cannot export cache but inline: --cache-to",
            ),
            (
                &cache_to,
                old(),
                "docker 20.10.24 (BuildKit) cannot export cache: --cache-to",
            ),
            (
                &cache_from,
                old(),
                "docker 20.10.24 (BuildKit) cannot read cache but from images: --cache-from",
            ),
            (
                &cache_from,
                buildah_builder("1.28.2"),
                "buildah 1.28.2 cannot use a registry's cache as docker does: --cache-from, --cache-to",
            ),
            (
                &network,
                buildah_builder("1.28.2"),
                "buildah 1.28.2 cannot take the network away in a chroot: --network none",
            ),
        ] {
            let error = check(request, &builder).unwrap_err();
            assert_eq!(error.message, message);
            assert_eq!(error.exit(), kit::Exit::Usage);
            assert_eq!(error.hints.len(), 1, "{message}");
        }
        check(&platforms, &buildah_builder("1.28.2")).unwrap();
        check(&network, &engine()).unwrap();
        check(
            &with(&|request| request.provenance = Some("false".to_owned())),
            &old(),
        )
        .unwrap();
        let other = builder(
            "v0.13.1",
            Kind::Buildx(Driver::Containerd("28.0.0".to_owned())),
        );
        check(&full(), &other).unwrap();
    }
}
