use super::*;
use crate::args::BuilderFlags;
use crate::build::builder::Driver;
use crate::builder_flags::Flags;
use crate::request::BuildSecret;
use expect_test::{Expect, expect};

pub(in crate::build) fn builder(version: &str, kind: Kind) -> Builder {
    Builder {
        path: "/bin/x".into(),
        version: version.to_owned(),
        kind,
    }
}

pub(in crate::build) fn buildah_builder(version: &str) -> Builder {
    let sandbox = Sandbox {
        storage: Some("vfs".to_owned()),
        isolation: Some("chroot".to_owned()),
    };
    builder(version, Kind::Buildah(sandbox))
}

pub(in crate::build) fn request() -> Request {
    Request {
        build_args: vec!["A=b c".to_owned()],
        context: "app".into(),
        dockerfile: "app/Dockerfile".into(),
        epoch: Some(7),
        labels: vec![("l".to_owned(), "v".to_owned())],
        ..Request::sample()
    }
}

pub(in crate::build) fn full() -> Request {
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
        flags: flags(),
        compression: Compression::Zstd,
        ..request()
    }
}

/// Every flag that is passed on.
fn flags() -> Flags {
    let one = |text: &str| vec![text.to_owned()];
    Flags::new(BuilderFlags {
        ssh: one("default"),
        build_context: one("docs=../docs"),
        add_host: one("db:10.0.0.1"),
        annotation: one("index:team=storefront"),
        no_cache_filter: one("run"),
        ulimit: one("nofile=1024:2048"),
        shm_size: Some("128m".to_owned()),
        allow: one("network.host"),
    })
    .unwrap()
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
            --ssh
            default
            --build-context
            docs=../docs
            --add-host
            db:10.0.0.1
            --annotation
            index:team=storefront
            --no-cache-filter
            run
            --ulimit
            nofile=1024:2048
            --shm-size
            128m
            --allow
            network.host
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
