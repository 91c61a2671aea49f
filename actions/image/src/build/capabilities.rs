//! Requests that a builder cannot obey. Pure.

use super::builder::{Builder, Driver, Kind, Sandbox};
use crate::blob::Compression;
use crate::builder_flags::Flag;
use crate::cache::attribute;
use crate::request::Request;
use kit::{Error, Result};

const ANOTHER: &str =
    "use a buildx builder of another driver: docker buildx create --use --driver docker-container";

fn cannot(builder: &Builder, what: String, hint: &str) -> Result<()> {
    Err(Error::usage(format!("{} cannot {what}", builder.name())).hint(hint))
}

/// Checks what the arguments ask of the builder.
///
/// # Errors
/// Something this builder cannot do (exit 2).
pub(super) fn check(request: &Request, builder: &Builder) -> Result<()> {
    if request.platforms.len() > 1 && !builder.several_platforms() {
        let what = format!(
            "build {} platforms at once into this engine",
            request.platforms.len()
        );
        return cannot(builder, what, ANOTHER);
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
        return cannot(builder, format!("attest: {flag}"), ANOTHER);
    }
    for (flag, _) in request.flags.iter() {
        if !takes(&builder.kind, flag) {
            let hint = match flag {
                Flag::Annotation => ANOTHER,
                _ => "leave it out, or build with docker's buildx plug-in",
            };
            return cannot(builder, format!("do this: {}", flag.name()), hint);
        }
    }
    caches_and_sandbox(request, builder)
}

/// The parts of [`check`] that depend on one kind of builder.
fn caches_and_sandbox(request: &Request, builder: &Builder) -> Result<()> {
    let exports = request
        .cache_to
        .iter()
        .any(|cache| attribute(cache, "type") != Some("inline"));
    match &builder.kind {
        Kind::Buildx(Driver::Engine) if exports => cannot(
            builder,
            "export cache but inline: --cache-to".to_owned(),
            ANOTHER,
        ),
        Kind::BuildKit if !request.cache_to.is_empty() => cannot(
            builder,
            "export cache: --cache-to".to_owned(),
            "install docker's buildx plug-in",
        ),
        Kind::BuildKit
            if request.cache_from.iter().any(|cache| {
                cache.contains('=') && attribute(cache, "type") != Some("registry")
            }) =>
        {
            cannot(
                builder,
                "read cache but from images: --cache-from".to_owned(),
                "give type=registry,ref=IMAGE, or install docker's buildx plug-in",
            )
        }
        Kind::Buildah(_) if !request.cache_to.is_empty() || !request.cache_from.is_empty() => {
            cannot(
                builder,
                "use a registry's cache as docker does: --cache-from, --cache-to".to_owned(),
                "leave them out: buildah's cache is its own storage; or build with buildx",
            )
        }
        Kind::Buildah(_)
            if request.platforms.len() > 1 && request.compression == Compression::Zstd =>
        {
            cannot(
                builder,
                "compress several platforms otherwise than by its own choice: --compression zstd"
                    .to_owned(),
                "leave it out, or build with buildx",
            )
        }
        Kind::Buildah(Sandbox {
            isolation: Some(isolation),
            ..
        }) if isolation == "chroot" && request.network.as_deref() == Some("none") => cannot(
            builder,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BuilderFlags;
    use crate::build::arguments::tests::{buildah_builder, builder, full, request};
    use crate::builder_flags::Flags;

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
        let flag =
            |args: BuilderFlags| with(&|request| request.flags = Flags::new(args.clone()).unwrap());
        let one = |text: &str| vec![text.to_owned()];
        let annotation = flag(BuilderFlags {
            annotation: one("a=b"),
            ..BuilderFlags::default()
        });
        let context = flag(BuilderFlags {
            build_context: one("docs=../docs"),
            ..BuilderFlags::default()
        });
        let allow = flag(BuilderFlags {
            allow: one("network.host"),
            ..BuilderFlags::default()
        });
        for (request, builder, message) in [
            (
                &annotation,
                engine(),
                "docker buildx v0.13.1 cannot do this: --annotation",
            ),
            (
                &context,
                old(),
                "docker 20.10.24 (BuildKit) cannot do this: --build-context",
            ),
            (
                &allow,
                buildah_builder("1.28.2"),
                "buildah 1.28.2 cannot do this: --allow",
            ),
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
