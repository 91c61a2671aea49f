//! The meaning of a builder's last lines, for the failures people meet. The texts are those of the Docker
//! client and engine 20 to 28, BuildKit, buildah, CNCF distribution and ECR.

use std::path::Path;

/// The lines worth quoting: from the first that says ERROR, as BuildKit marks a failed step, else
/// the last few.
pub(super) fn quoted(tail: &[String]) -> &[String] {
    let start = tail
        .iter()
        .position(|line| line.contains("ERROR"))
        .unwrap_or(tail.len().saturating_sub(5));
    &tail[start.max(tail.len().saturating_sub(20))..]
}

/// The hints for a failure.
pub(super) fn hints(tail: &str, dockerfile: &Path) -> Vec<String> {
    let lower = tail.to_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let mut hints = Vec::new();
    if has(&[
        "failed to read dockerfile",
        "cannot locate specified dockerfile",
    ]) {
        hints.push(format!(
            "the builder cannot read {}; check --file and .dockerignore",
            dockerfile.display()
        ));
    }
    if has(&[
        "cannot connect to the docker daemon",
        "is the docker daemon running",
    ]) {
        hints.push("start the Docker Engine, or point DOCKER_HOST at one; in CodeBuild set privileged mode".to_owned());
    }
    if has(&["permission denied while trying to connect"]) {
        hints.push(
            "this user may not use the Docker Engine's socket; add it to the group docker"
                .to_owned(),
        );
    }
    if has(&["no space left on device"]) {
        hints.push("the disk is full; free it: docker system prune".to_owned());
    }
    if has(&[
        "no basic auth credentials",
        "401 unauthorized",
        "authorization token has expired",
    ]) {
        hints.push("the registry asked for a login that is not there; for a base image from another registry log in before this step".to_owned());
    }
    if has(&[
        "403 forbidden",
        "is not authorized to perform",
        "denied: user",
    ]) {
        hints.push("a base image in ECR needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on its repository, for the publish role or the credentials that Docker is logged in with".to_owned());
    }
    if has(&["pull access denied", "insufficient_scope"]) {
        hints.push(
            "a base image does not exist or needs a login; log in to its registry before this step"
                .to_owned(),
        );
    }
    if has(&["toomanyrequests", "429 too many requests"]) {
        hints.push("a registry limits its requests; log in to it, or pull base images through ECR's pull-through cache".to_owned());
    }
    if has(&[
        "error mounting",
        "operation not permitted",
        "creating mount namespace",
        "newuidmap",
    ]) && has(&["buildah", "chroot", "mount", "uid"])
    {
        hints.push("this user or container may not make mounts or namespaces; BUILDAH_ISOLATION=chroot needs least".to_owned());
    }
    if has(&["server gave http response to https client"]) {
        hints.push("the registry speaks plain HTTP, which Docker allows on 127.0.0.0/8 only unless the engine lists it under insecure-registries".to_owned());
    }
    if has(&[
        "multiple platforms feature is currently not supported",
        "does not support multi-platform",
        "multi-platform build is not supported",
    ]) {
        hints.push(
            "this builder builds one platform; create another: docker buildx create --use"
                .to_owned(),
        );
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_failure_gets_its_own_hint() {
        for (tail, hint) in [
            (
                "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
                "--file",
            ),
            (
                "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "DOCKER_HOST",
            ),
            ("write /x: no space left on device", "docker system prune"),
            (
                "denied: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:BatchGetImage",
                "ecr:BatchGetImage",
            ),
            ("no basic auth credentials", "log in"),
            (
                "pull access denied, repository does not exist or may require authorization",
                "base image",
            ),
            ("unexpected status: 403 Forbidden", "publish role"),
        ] {
            let hints = hints(tail, Path::new("Dockerfile"));
            assert!(
                hints.iter().any(|found| found.contains(hint)),
                "{tail}: {hints:?}"
            );
        }
        assert!(hints("make: *** [all] Error 1", Path::new("Dockerfile")).is_empty());
    }

    #[test]
    fn only_the_failing_part_of_the_build_output_is_quoted() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let tail = lines("#1 DONE\n#2 ERROR: gone\n---\nERROR: failed to solve: gone");
        assert_eq!(quoted(&tail), &tail[1..]);
        let tail = lines("1\n2\n3\n4\n5\ndenied");
        assert_eq!(quoted(&tail), &tail[1..]);
        assert!(quoted(&[]).is_empty());
    }
}
