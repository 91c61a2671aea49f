//! The builder, according to the host of this run. A statement is only as true as the job that signs it, which
//! is why no job but the build may use the key.

use attest::Builder;
use kit::host::Kind;
use kit::step::Cx;
use kit::{Error, Result};

/// The builder of this run.
///
/// # Errors
/// The host lacks a variable that it sets in every run (exit 2).
pub(super) fn of(cx: &Cx) -> Result<Builder> {
    let needed = |name: &str| {
        cx.env
            .get(name)
            .map(str::to_owned)
            .ok_or_else(|| missing(name))
    };
    match cx.host.kind() {
        Kind::GitHub => {
            let workflow = needed("GITHUB_WORKFLOW_REF")?;
            let (path, git_ref) = workflow_ref(&workflow, &needed("GITHUB_REPOSITORY")?)
                .ok_or_else(|| {
                    Error::usage(format!(
                        "GITHUB_WORKFLOW_REF is `{workflow}`, which is not a workflow of this repository"
                    ))
                })?;
            Ok(Builder::Workflow {
                path,
                git_ref,
                event: needed("GITHUB_EVENT_NAME")?,
                run: cx.host.run_url().ok_or_else(|| missing("GITHUB_RUN_ID"))?,
            })
        }
        Kind::CodeBuild => Ok(Builder::CodeBuild {
            build: needed("CODEBUILD_BUILD_ARN")?,
        }),
        Kind::Terminal => Ok(Builder::Terminal),
    }
}

fn missing(name: &str) -> Error {
    Error::usage(format!(
        "{name} is not set, so provenance cannot say where this runs"
    ))
    .hint("the host sets it in every run; do not remove it from the step's environment")
}

/// File and ref of `OWNER/NAME/PATH@REF` (docs.github.com, "Variables reference",
/// `GITHUB_WORKFLOW_REF`).
fn workflow_ref(text: &str, repository: &str) -> Option<(String, String)> {
    let (file, git_ref) = text.split_once('@')?;
    let (owner, path) = file.split_at_checked(repository.len())?;
    let path = path.strip_prefix('/')?;
    (owner.eq_ignore_ascii_case(repository) && !path.is_empty() && !git_ref.is_empty())
        .then(|| (path.to_owned(), git_ref.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_a_file_of_the_repository_at_a_ref() {
        let read = |text: &str| workflow_ref(text, "acme/storefront");
        assert_eq!(
            read("acme/storefront/.github/workflows/deliver.yml@refs/heads/main"),
            Some((
                ".github/workflows/deliver.yml".to_owned(),
                "refs/heads/main".to_owned()
            ))
        );
        for wrong in [
            "",
            "acme/storefront/x.yml",
            "acme/other/.github/workflows/deliver.yml@refs/heads/main",
            "acme/storefront-2/.github/workflows/deliver.yml@refs/heads/main",
            "acme/storefront/@refs/heads/main",
            "acme/storefront/x.yml@",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
