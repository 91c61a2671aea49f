//! The builder that is found on each host.

use super::*;

/// A folder with a program of this name that runs `script`.
fn folder(program: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(program);
    step_job::program(&path, &format!("#!/bin/sh\n{script}\n"));
    dir
}

/// A `docker` that answers like one of `version`, with a buildx builder of this driver, before
/// an engine that answers `info`.
fn docker(version: &str, driver: Option<&str>, info: &str) -> tempfile::TempDir {
    let buildx = match driver {
        Some(driver) => format!(
            "case $2 in version) echo github.com/docker/buildx v0.13.1 788433;; inspect) echo 'Name: x'; echo 'Driver: {driver}';; esac"
        ),
        None => "exit 1".to_owned(),
    };
    let script = format!(
        "case $1 in\nbuildx) {buildx}\n;;\nversion) echo {version}; exit 1\n;;\ninfo) {info}\n;;\nesac"
    );
    folder("docker", &script)
}

const CLASSIC: &str = "echo '20.10.24 [[\"Backing Filesystem\",\"extfs\"]]'";
const SNAPSHOTTER: &str = "echo '28.0.0 [[\"driver-type\",\"io.containerd.snapshotter.v1\"]]'";
const SILENT: &str = "echo ' null'; exit 1";

async fn find(folders: &[&tempfile::TempDir], named: Option<BuilderName>) -> Result<Builder> {
    let path = std::env::join_paths(folders.iter().map(|dir| dir.path())).unwrap();
    Builder::find(&Env::from([("PATH", path.to_str().unwrap())]), named).await
}

#[tokio::test]
async fn buildx_is_preferred_and_a_client_that_cannot_build_is_passed_over() {
    let (new, old, plugged) = (
        docker("28.2.2", None, CLASSIC),
        docker("20.10.24", None, CLASSIC),
        docker("27.0.0", Some("docker"), CLASSIC),
    );
    let found = find(&[&new, &old], None).await.unwrap();
    assert_eq!(found.name(), "docker 20.10.24 (BuildKit)");
    assert!(found.path.starts_with(old.path()));
    let found = find(&[&new, &old, &plugged], None).await.unwrap();
    assert_eq!(found.name(), "docker buildx v0.13.1");
    assert_eq!(found.kind, Kind::Buildx(Driver::Engine));
    let error = find(&[&new], None).await.unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Failed);
    assert!(error.causes()[0].ends_with("has no buildx plug-in"));
    let error = find(&[], None).await.unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Usage);
    assert_eq!(error.message, "nothing on PATH can build an image");
    assert_eq!(
        error.causes().last().unwrap(),
        "there is no buildah on PATH"
    );
}

#[tokio::test]
async fn the_buildx_driver_decides_whether_several_platforms_can_be_built() {
    for (driver, info, wanted) in [
        ("docker", CLASSIC, Driver::Engine),
        (
            "docker",
            SNAPSHOTTER,
            Driver::Containerd("28.0.0".to_owned()),
        ),
        (
            "docker-container",
            SILENT,
            Driver::Other("docker-container".to_owned()),
        ),
    ] {
        let dir = docker("28.2.2", Some(driver), info);
        let found = find(&[&dir], None).await.unwrap();
        assert_eq!(found.several_platforms(), wanted != Driver::Engine);
        assert_eq!(found.kind, Kind::Buildx(wanted));
    }
}

#[tokio::test]
async fn without_an_engine_buildah_is_taken_with_the_storage_that_opens() {
    let docker = docker("28.2.2", Some("docker"), SILENT);
    let error = find(&[&docker], None).await.unwrap_err();
    assert_eq!(error.exit(), kit::Exit::Failed);
    assert!(
        error.causes()[0].ends_with("has buildx, but its Docker Engine does not answer"),
        "{error}"
    );
    let buildah = folder(
        "buildah",
        "case $1 in\n--version) echo buildah version 1.28.2 '(x)';;\n--storage-driver) echo vfs;;\n*) exit 1;;\nesac",
    );
    let found = find(&[&docker, &buildah], None).await.unwrap();
    assert_eq!(found.name(), "buildah 1.28.2");
    let Kind::Buildah(sandbox) = found.kind else {
        panic!("it is buildah");
    };
    assert_eq!(sandbox.storage.as_deref(), Some("vfs"));
}

#[tokio::test]
async fn one_that_is_named_is_taken_or_missed() {
    let dir = docker("20.10.24", Some("docker"), CLASSIC);
    let found = find(&[&dir], Some(BuilderName::Buildkit)).await.unwrap();
    assert_eq!(found.kind, Kind::BuildKit);
    for (name, message, cause) in [
        (
            BuilderName::Buildah,
            "--builder buildah cannot be used here",
            "there is no buildah on PATH",
        ),
        (
            BuilderName::Buildkit,
            "--builder buildkit cannot be used here",
            "there is no docker on PATH",
        ),
    ] {
        let error = find(&[], Some(name)).await.unwrap_err();
        assert_eq!(error.exit(), kit::Exit::Usage);
        assert_eq!(error.message, message);
        assert_eq!(error.causes(), [cause]);
    }
}
