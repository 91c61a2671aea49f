//! Docker's argument list for one build. Values of secrets are never in it.

use super::client::Builder;
use crate::request::Request;
use std::ffi::OsString;
use std::path::Path;

pub(super) fn build(
    request: &Request,
    builder: &Builder,
    reference: &str,
    metadata: &Path,
) -> Vec<OsString> {
    let mut list: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| list.extend(words.iter().map(OsString::from));
    match builder {
        Builder::Buildx { .. } => {
            // Without provenance one image is one manifest; with it a digest would name an index
            // that differs at every build.
            add(&["buildx", "build", "--push", "--provenance=false"]);
            add(&["--metadata-file", &metadata.to_string_lossy()]);
        }
        Builder::BuildKit { .. } => add(&["build"]),
    }
    add(&["--progress", "plain", "--tag", reference]);
    add(&["--file", &request.dockerfile.to_string_lossy()]);
    if let Some(target) = &request.target {
        add(&["--target", target]);
    }
    if let Some(epoch) = request.epoch
        && !request.names_build_arg("SOURCE_DATE_EPOCH")
    {
        add(&["--build-arg", &format!("SOURCE_DATE_EPOCH={epoch}")]);
    }
    for argument in &request.build_args {
        add(&["--build-arg", argument]);
    }
    for secret in &request.secrets {
        add(&[
            "--secret",
            &format!("id={},env={}", secret.id, secret.variable),
        ]);
    }
    for (name, value) in &request.labels {
        add(&["--label", &format!("{name}={value}")]);
    }
    if !request.platforms.is_empty() {
        add(&["--platform", &request.platforms.join(",")]);
    }
    if request.no_cache {
        add(&["--no-cache"]);
    }
    if request.pull {
        add(&["--pull"]);
    }
    list.push(request.context.clone().into());
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::BuildSecret;
    use expect_test::{Expect, expect};

    fn check(builder: Builder, wanted: Expect) {
        let request = Request {
            commit: "1".repeat(40),
            extra_tags: vec!["v1".to_owned()],
            rebuild: false,
            context: "app".into(),
            dockerfile: "app/Dockerfile".into(),
            target: Some("run".to_owned()),
            build_args: vec!["A=b c".to_owned()],
            secrets: vec![BuildSecret {
                id: "npm".to_owned(),
                variable: "NPM_TOKEN".to_owned(),
            }],
            labels: vec![("l".to_owned(), "v".to_owned())],
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            no_cache: true,
            pull: true,
            epoch: Some(7),
        };
        let list = build(&request, &builder, "r:1/app:1", Path::new("/m.json"));
        let list: Vec<_> = list.iter().map(|word| word.to_string_lossy()).collect();
        wanted.assert_eq(&list.join("\n"));
    }

    #[test]
    fn buildx_pushes_by_itself_and_without_provenance() {
        check(
            Builder::Buildx {
                version: "v0.13.1".to_owned(),
            },
            expect![[r#"
                buildx
                build
                --push
                --provenance=false
                --metadata-file
                /m.json
                --progress
                plain
                --tag
                r:1/app:1
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
                --label
                l=v
                --platform
                linux/amd64,linux/arm64
                --no-cache
                --pull
                app"#]],
        );
    }

    #[test]
    fn the_older_client_gets_what_it_knows() {
        check(
            Builder::BuildKit {
                version: "20.10.24".to_owned(),
            },
            expect![[r#"
                build
                --progress
                plain
                --tag
                r:1/app:1
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
                --label
                l=v
                --platform
                linux/amd64,linux/arm64
                --no-cache
                --pull
                app"#]],
        );
    }
}
