//! Requests that a builder cannot obey. Pure.

use super::builder::{Builder, Driver, Kind, Sandbox};
use crate::blob::Compression;
use crate::builder_flags::Flag;
use crate::cache::attribute;
use crate::request::Request;
use kit::{Error, Result};

const ANOTHER: &str =
    "use a buildx builder of another driver: docker buildx create --use --driver docker-container";

fn cannot(builder: &Builder, action: String, hint: &str) -> Result<()> {
    Err(Error::usage(format!("{} cannot {action}", builder.name())).hint(hint))
}

/// Checks what the arguments ask of the builder.
///
/// # Errors
/// Something this builder cannot do (exit 2).
pub(super) fn check(request: &Request, builder: &Builder) -> Result<()> {
    if request.platforms.len() > 1 && !builder.several_platforms() {
        let action = format!(
            "build {} platforms at once into this engine",
            request.platforms.len()
        );
        return cannot(builder, action, ANOTHER);
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

/// Returns whether a builder has this flag, and its effect reaches the image.
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

    fn with(change: impl FnOnce(&mut Request)) -> Request {
        let mut request = request();
        change(&mut request);
        request
    }

    fn with_flag(change: impl FnOnce(&mut BuilderFlags)) -> Request {
        let mut flags = BuilderFlags::default();
        change(&mut flags);
        with(|request| request.flags = Flags::new(flags).unwrap())
    }

    fn several_platforms() -> Request {
        with(|request| request.platforms = ["linux/amd64", "linux/arm64"].map(Into::into).to_vec())
    }

    fn without_network() -> Request {
        with(|request| request.network = Some("none".to_owned()))
    }

    fn engine() -> Builder {
        builder("v0.13.1", Kind::Buildx(Driver::Engine))
    }

    fn classic() -> Builder {
        builder("20.10.24", Kind::BuildKit)
    }

    #[test]
    fn refuses_what_the_builder_cannot_do_before_it_starts() {
        let buildah = || buildah_builder("1.28.2");
        let one = |text: &str| vec![text.to_owned()];
        let annotation = with_flag(|flags| flags.annotation = one("a=b"));
        let context = with_flag(|flags| flags.build_context = one("docs=../docs"));
        let allow = with_flag(|flags| flags.allow = one("network.host"));
        let sbom = with(|request| request.sbom = true);
        let provenance = with(|request| request.provenance = Some("mode=max".to_owned()));
        let cache_to = with(|request| request.cache_to = one("type=registry,ref=x"));
        let cache_from = with(|request| request.cache_from = one("type=gha"));
        for (request, builder, message) in [
            (
                &annotation,
                engine(),
                "docker buildx v0.13.1 cannot do this: --annotation",
            ),
            (
                &context,
                classic(),
                "docker 20.10.24 (BuildKit) cannot do this: --build-context",
            ),
            (&allow, buildah(), "buildah 1.28.2 cannot do this: --allow"),
            (
                &sbom,
                engine(),
                "docker buildx v0.13.1 cannot attest: --sbom",
            ),
            (
                &provenance,
                buildah(),
                "buildah 1.28.2 cannot attest: --provenance",
            ),
            (
                &cache_to,
                engine(),
                "docker buildx v0.13.1 cannot export cache but inline: --cache-to",
            ),
            (
                &cache_to,
                classic(),
                "docker 20.10.24 (BuildKit) cannot export cache: --cache-to",
            ),
            (
                &cache_from,
                classic(),
                "docker 20.10.24 (BuildKit) cannot read cache but from images: --cache-from",
            ),
            (
                &cache_from,
                buildah(),
                "buildah 1.28.2 cannot use a registry's cache as docker does: --cache-from, --cache-to",
            ),
        ] {
            refuses(request, &builder, message);
        }
    }

    #[test]
    fn refuses_platforms_and_networks_by_what_the_builder_is() {
        let buildah = buildah_builder("1.28.2");
        refuses(
            &several_platforms(),
            &engine(),
            "docker buildx v0.13.1 cannot build 2 platforms at once into this engine",
        );
        refuses(
            &several_platforms(),
            &classic(),
            "docker 20.10.24 (BuildKit) cannot build 2 platforms at once into this engine",
        );
        refuses(
            &without_network(),
            &buildah,
            "buildah 1.28.2 cannot take the network away in a chroot: --network none",
        );
        check(&several_platforms(), &buildah).unwrap();
        check(&without_network(), &engine()).unwrap();
        let no_provenance = with(|request| request.provenance = Some("false".to_owned()));
        check(&no_provenance, &classic()).unwrap();
        let containerd = Kind::Buildx(Driver::Containerd("28.0.0".to_owned()));
        check(&full(), &builder("v0.13.1", containerd)).unwrap();
    }

    fn refuses(request: &Request, builder: &Builder, message: &str) {
        let error = check(request, builder).unwrap_err();
        assert_eq!(error.message, message);
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert_eq!(error.hints.len(), 1, "{message}");
    }
}
