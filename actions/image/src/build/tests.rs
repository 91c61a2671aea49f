//! Real builders, as the sandbox installs them.

use super::BuilderName;
use super::*;
use crate::request::{BuildSecret, SecretFrom};
use std::path::Path;

/// A context with a program that runs from nothing, and a Dockerfile of this text.
fn context(dockerfile: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let busybox = std::env::split_paths(&path)
        .map(|folder| folder.join("busybox"))
        .find(|path| path.is_file())
        .expect("busybox-static is one of the sandbox's parts");
    std::fs::copy(busybox, dir.path().join("busybox")).unwrap();
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    dir
}

fn request(context: &Path) -> Request {
    Request {
        context: context.to_owned(),
        dockerfile: context.join("Dockerfile"),
        epoch: Some(1_700_000_000),
        labels: vec![("team".to_owned(), "storefront".to_owned())],
        no_cache: true,
        ..Request::sample()
    }
}

async fn built(env: &Env, name: BuilderName, request: &Request) -> Result<Built> {
    let builder = Builder::find(env, Some(name)).await?;
    check(env, request, &builder).await?;
    run(&Host::detect(env), env, &builder, request, &Logins::new()).await
}

#[tokio::test]
async fn an_engine_that_cannot_be_read_from_is_found_before_the_build() {
    let env = Env::from([("DOCKER_HOST", "ssh://builder.example")]);
    let of = |kind| Builder {
        path: "/bin/docker".into(),
        version: "20.10.24".to_owned(),
        kind,
    };
    for kind in [Kind::BuildKit, Kind::Buildx(Driver::Engine)] {
        let error = check(&env, &Request::sample(), &of(kind))
            .await
            .unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert!(error.message.contains("ssh://builder.example"), "{error}");
    }
    let other = of(Kind::Buildx(Driver::Other("docker-container".to_owned())));
    check(&env, &Request::sample(), &other).await.unwrap();
}

const STEPS: &str = "\
FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"mkdir\", \"-p\", \"/a/b\"]
RUN [\"/bin/busybox\", \"touch\", \"/a/b/c\"]
WORKDIR /srv/app
COPY busybox ./x
";

/// The descriptors of the layout that was built, whose digests are those of its manifests.
fn index(built: &Built) -> String {
    let path = built._dir.path().join("layout/index.json");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn buildah_makes_the_same_image_twice_without_a_cache() {
    let env = Env::process();
    let dir = context(STEPS);
    let first = built(&env, BuilderName::Buildah, &request(dir.path()))
        .await
        .unwrap();
    assert!(first.repeatable);
    assert!(first.builder.starts_with("buildah "), "{}", first.builder);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // Another checkout: the same files, younger.
    let dir = context(STEPS);
    let second = built(&env, BuilderName::Buildah, &request(dir.path()))
        .await
        .unwrap();
    assert_eq!(index(&first), index(&second));
    let mut other = request(dir.path());
    other.epoch = Some(1_700_000_001);
    let third = built(&env, BuilderName::Buildah, &other).await.unwrap();
    assert_ne!(
        index(&first),
        index(&third),
        "the commit's time does not count"
    );
}

#[tokio::test]
async fn buildah_makes_one_index_of_several_platforms() {
    let dir = context("FROM scratch\nCOPY busybox /x\n");
    let mut wanted = request(dir.path());
    wanted.platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
    let built = built(&Env::process(), BuilderName::Buildah, &wanted)
        .await
        .unwrap();
    let root: serde_json::Value = serde_json::from_str(&index(&built)).unwrap();
    let digest = root["manifests"][0]["digest"].as_str().unwrap();
    let blob = format!("layout/blobs/sha256/{}", &digest[7..]);
    let inner = std::fs::read_to_string(built._dir.path().join(blob)).unwrap();
    let inner: serde_json::Value = serde_json::from_str(&inner).unwrap();
    let mut architectures: Vec<_> = inner["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            image["platform"]["architecture"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    // buildah lists them in the order in which it was done with them, which is another at times.
    architectures.sort();
    assert_eq!(architectures, ["amd64", "arm64"]);
}

#[tokio::test]
async fn secrets_reach_a_step_from_variable_and_file() {
    let dir = context(
        "FROM scratch\nCOPY busybox /busybox\nRUN --mount=type=secret,id=v [\"/busybox\", \"grep\", \"-q\", \"hunter2\", \"/run/secrets/v\"]\nRUN --mount=type=secret,id=f [\"/busybox\", \"grep\", \"-q\", \"hunter3\", \"/run/secrets/f\"]\n",
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter3").unwrap();
    let mut wanted = request(dir.path());
    wanted.secrets = vec![
        BuildSecret {
            id: "v".to_owned(),
            from: SecretFrom::Variable("BUILD_TEST_SECRET".to_owned()),
        },
        BuildSecret {
            id: "f".to_owned(),
            from: SecretFrom::File(file.path().to_owned()),
        },
    ];
    let path = std::env::var("PATH").unwrap();
    let home = std::env::var("HOME").unwrap_or_default();
    let env = Env::from([
        ("PATH", path.as_str()),
        ("HOME", &home),
        ("BUILD_TEST_SECRET", "hunter2"),
    ]);
    for name in [BuilderName::Buildah, BuilderName::Buildkit] {
        built(&env, name, &wanted).await.unwrap();
    }
}

#[tokio::test]
async fn the_engine_keeps_nothing_and_says_it_is_not_repeatable() {
    let env = Env::process();
    let dir = context(STEPS);
    let built = built(&env, BuilderName::Buildkit, &request(dir.path()))
        .await
        .unwrap();
    assert!(!built.repeatable);
    let id = std::fs::read_to_string(built._dir.path().join("id")).unwrap();
    let there = || {
        let docker = std::process::Command::new("docker")
            .args(["image", "inspect", &id])
            .output();
        docker.unwrap().status.success()
    };
    assert!(there(), "{id} was not loaded");
    drop(built);
    assert!(!there(), "{id} is still in the engine");
}

#[tokio::test]
async fn a_failing_step_is_quoted() {
    let env = Env::process();
    let dir = context("FROM scratch\nCOPY gone /x\n");
    for (name, message) in [
        (BuilderName::Buildah, "buildah build failed (exit status: "),
        (BuilderName::Buildkit, "docker build failed (exit status: "),
    ] {
        let Err(error) = built(&env, name, &request(dir.path())).await else {
            panic!("nothing is there to copy");
        };
        assert!(error.message.starts_with(message), "{error}");
        assert!(
            error.causes().iter().any(|cause| cause.contains("gone")),
            "{error}"
        );
    }
}
