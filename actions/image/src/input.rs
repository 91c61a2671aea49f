//! Arguments that several verbs have, read and checked.

use kit::contract::Image;
use kit::host::Kind;
use kit::id::Digest;
use kit::step::{Cx, required};
use kit::{Error, Result};

/// Lines of a list, without the empty ones that a workflow's block text ends with.
pub(crate) fn given(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
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
        Error::usage(format!("--repository `{name}` is not an ECR repository name"))
            .hint("2 to 256 lower-case letters and digits, parted by single `.`, `_`, `-` and `/`; without the registry's host"),
    )
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

/// The digest that a verb works on. A contract does not hold one.
///
/// # Errors
/// It is missing (exit 2).
pub(crate) fn digest(given: Option<Digest>) -> Result<Digest> {
    given.ok_or_else(|| {
        Error::usage("--digest is missing").hint(
            "give --digest sha256:…, the output `digest` of the step that published the image",
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_repository_names_that_ecr_accepts() {
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
    }
}
