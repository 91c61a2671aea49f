//! The provenance of an image: which commit, content and run it comes from.

use kit::Lenient;
use kit::id::{CommitId, Digest};
use serde::{Deserialize, Serialize};

/// The content of a statement about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The image's digest.
    pub digest: Digest,
    /// The image's repository, `HOST/NAME`, for people: the digest is what is proven.
    pub image: String,
    /// The source, as `https://HOST/OWNER/NAME` without a trailing `.git`.
    pub repository: String,
    /// The commit.
    pub commit: CommitId,
    /// The commit's tree, where the checkout was compared with it.
    pub tree: Option<String>,
    /// The hash over everything that went into the image, where one is known.
    pub content_key: Option<String>,
    /// The commit that the image was built for, if that is another one of the same content.
    pub built_for: Option<Lenient<CommitId>>,
    /// How the image came to be.
    pub origin: Origin,
    /// The builder.
    pub builder: Builder,
    /// When it was signed, RFC 3339 in UTC.
    pub at: String,
    /// The version of the program that signed it.
    pub version: String,
}

/// How an image came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Built from files that were compared with the commit.
    Commit,
    /// Built before for another commit with the same content.
    SameContent,
    /// Built by another tool, and not compared with the commit.
    Prebuilt,
    /// Published for a reason that a person gave, and not shown to be the commit's.
    Unverified,
    /// Written by a newer version.
    #[serde(other)]
    Other,
}

/// Where an image was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// A run of a workflow on GitHub.
    Workflow {
        /// The workflow file, such as `.github/workflows/deliver.yml`.
        path: String,
        /// The ref that the file came from and that the run is for, such as `refs/heads/main`.
        git_ref: String,
        /// The event that started the run, such as `push`.
        event: String,
        /// The page of the attempt.
        run: String,
    },
    /// A build of CodeBuild.
    CodeBuild {
        /// The ARN of the build.
        build: String,
    },
    /// Somebody's terminal.
    Terminal,
}

/// The builder's name at a terminal. SLSA asks for a URI.
const TERMINAL: &str =
    "https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#terminal";

impl Builder {
    /// SLSA's `builder.id`: who is trusted to have told the truth. For a workflow the file and its ref,
    /// for CodeBuild the ARN of the project.
    pub(crate) fn id(&self, repository: &str) -> String {
        match self {
            Self::Workflow { path, git_ref, .. } => format!("{repository}/{path}@{git_ref}"),
            Self::CodeBuild { build } => project(build).unwrap_or_else(|| build.clone()),
            Self::Terminal => TERMINAL.to_owned(),
        }
    }
}

/// The ARN of the project of `arn:…:build/PROJECT:ID`.
fn project(build: &str) -> Option<String> {
    let (arn, _) = build.rsplit_once(':')?;
    Some(arn.replacen(":build/", ":project/", 1))
}

/// A provenance in a workflow run, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Provenance {
    Provenance {
        digest: format!("sha256:{}", "a".repeat(64)).parse().unwrap(),
        image: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/storefront".to_owned(),
        repository: "https://github.com/acme/storefront".to_owned(),
        commit: "c".repeat(40).parse().unwrap(),
        tree: Some("d".repeat(40)),
        content_key: Some("e".repeat(64)),
        built_for: None,
        origin: Origin::Commit,
        builder: Builder::Workflow {
            path: ".github/workflows/deliver.yml".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            event: "push".to_owned(),
            run: "https://github.com/acme/storefront/actions/runs/7/attempts/1".to_owned(),
        },
        at: "2026-11-21T18:00:00Z".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verifier trusts a workflow file of a branch, or a project, and not a single run.
    #[test]
    fn a_builder_is_the_same_one_in_each_of_its_runs() {
        let repository = "https://github.com/acme/storefront";
        let workflow = sample().builder.id(repository);
        let file = "/.github/workflows/deliver.yml@refs/heads/main";
        assert_eq!(workflow, format!("{repository}{file}"));
        let codebuild = |build: &str| {
            let build = build.to_owned();
            Builder::CodeBuild { build }.id(repository)
        };
        assert_eq!(
            codebuild("arn:aws:codebuild:ca-central-1:111111111111:build/storefront:7f3a"),
            "arn:aws:codebuild:ca-central-1:111111111111:project/storefront"
        );
        assert_eq!(codebuild("storefront"), "storefront");
        assert_eq!(Builder::Terminal.id(repository), TERMINAL);
    }
}
