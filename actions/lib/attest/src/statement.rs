//! The provenance of an image: an in-toto statement (in-toto/attestation, "Statement layer" v1) with
//! SLSA's predicate (slsa.dev, "Provenance" v1.0).

use kit::id::{CommitId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The type of the payload in an envelope.
pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters of a build mean.
const BUILD_TYPE: &str =
    "https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#build-type-1";

/// What a statement says about one image.
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
    pub built_for: Option<String>,
    /// How the image came to be.
    pub origin: Origin,
    /// Who built it.
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
        /// What started the run, such as `push`.
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
    fn id(&self, repository: &str) -> String {
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

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: String,
    external_parameters: External,
    internal_parameters: Internal,
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    repository: String,
    commit: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<Workflow>,
}

#[derive(Serialize, Deserialize)]
struct Workflow {
    path: String,
    #[serde(rename = "ref")]
    git_ref: String,
    event: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    built_for: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Dependency {
    uri: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Details {
    builder: BuilderId,
    metadata: Metadata,
}

#[derive(Serialize, Deserialize)]
struct BuilderId {
    id: String,
    version: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invocation_id: Option<String>,
    finished_on: String,
}

impl Provenance {
    /// The statement, as it is signed.
    pub fn to_json(&self) -> String {
        let (workflow, invocation_id) = match &self.builder {
            Builder::Workflow {
                path,
                git_ref,
                event,
                run,
            } => {
                let workflow = Workflow {
                    path: path.clone(),
                    git_ref: git_ref.clone(),
                    event: event.clone(),
                };
                (Some(workflow), Some(run.clone()))
            }
            Builder::CodeBuild { build } => (None, Some(build.clone())),
            Builder::Terminal => (None, None),
        };
        let mut source = BTreeMap::from([("gitCommit".to_owned(), self.commit.to_string())]);
        if let Some(tree) = &self.tree {
            source.insert("gitTree".to_owned(), tree.clone());
        }
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject {
                name: self.image.clone(),
                digest: BTreeMap::from([("sha256".to_owned(), self.digest.hex().to_owned())]),
            }],
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                build_definition: Definition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters: External {
                        repository: self.repository.clone(),
                        commit: self.commit.clone(),
                        workflow,
                    },
                    internal_parameters: Internal {
                        origin: self.origin,
                        content_key: self.content_key.clone(),
                        built_for: self.built_for.clone(),
                    },
                    resolved_dependencies: vec![Dependency {
                        uri: format!("git+{}", self.repository),
                        digest: source,
                    }],
                },
                run_details: Details {
                    builder: BuilderId {
                        id: self.builder.id(&self.repository),
                        version: BTreeMap::from([("slipway".to_owned(), self.version.clone())]),
                    },
                    metadata: Metadata {
                        invocation_id,
                        finished_on: self.at.clone(),
                    },
                },
            },
        };
        serde_json::json!(statement).to_string()
    }

    /// Reads a statement whose signature was verified.
    ///
    /// # Errors
    /// It is another statement than one of these, in words for people.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let statement: Statement =
            serde_json::from_slice(json).map_err(|error| format!("it cannot be read: {error}"))?;
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE {
            return Err(format!("it is a statement of {}", statement.predicate_type));
        }
        let Predicate {
            build_definition: definition,
            run_details: details,
        } = statement.predicate;
        if definition.build_type != BUILD_TYPE {
            return Err(format!("its build type is {}", definition.build_type));
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(format!("it names {} images", statement.subject.len()));
        };
        let digest = subject
            .digest
            .get("sha256")
            .and_then(|hex| format!("sha256:{hex}").parse().ok())
            .ok_or("it names no digest of an image")?;
        let External {
            repository,
            commit,
            workflow,
        } = definition.external_parameters;
        let invocation = details.metadata.invocation_id;
        let builder = match (workflow, invocation) {
            (Some(workflow), Some(run)) => Builder::Workflow {
                path: workflow.path,
                git_ref: workflow.git_ref,
                event: workflow.event,
                run,
            },
            (None, Some(build)) => Builder::CodeBuild { build },
            (None, None) => Builder::Terminal,
            (Some(_), None) => return Err("it names no run of its workflow".to_owned()),
        };
        // The parameters and the builder's name say the same, or a reader of one is told something else
        // than a reader of the other.
        if details.builder.id != builder.id(&repository) {
            return Err(format!(
                "its builder is {}, but its parameters say {}",
                details.builder.id,
                builder.id(&repository)
            ));
        }
        let tree = definition
            .resolved_dependencies
            .into_iter()
            .find_map(|mut dependency| dependency.digest.remove("gitTree"));
        Ok(Self {
            digest,
            image: subject.name.clone(),
            repository,
            commit,
            tree,
            content_key: definition.internal_parameters.content_key,
            built_for: definition.internal_parameters.built_for,
            origin: definition.internal_parameters.origin,
            builder,
            at: details.metadata.finished_on,
            version: details
                .builder
                .version
                .get("slipway")
                .cloned()
                .unwrap_or_default(),
        })
    }
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
    use expect_test::expect;
    use serde_json::Value;

    #[test]
    fn the_written_form_is_fixed() {
        let json: Value = serde_json::from_str(&sample().to_json()).unwrap();
        expect![[r#"
            {
              "_type": "https://in-toto.io/Statement/v1",
              "subject": [
                {
                  "name": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/storefront",
                  "digest": {
                    "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  }
                }
              ],
              "predicateType": "https://slsa.dev/provenance/v1",
              "predicate": {
                "buildDefinition": {
                  "buildType": "https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#build-type-1",
                  "externalParameters": {
                    "repository": "https://github.com/acme/storefront",
                    "commit": "cccccccccccccccccccccccccccccccccccccccc",
                    "workflow": {
                      "path": ".github/workflows/deliver.yml",
                      "ref": "refs/heads/main",
                      "event": "push"
                    }
                  },
                  "internalParameters": {
                    "origin": "commit",
                    "contentKey": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
                  },
                  "resolvedDependencies": [
                    {
                      "uri": "git+https://github.com/acme/storefront",
                      "digest": {
                        "gitCommit": "cccccccccccccccccccccccccccccccccccccccc",
                        "gitTree": "dddddddddddddddddddddddddddddddddddddddd"
                      }
                    }
                  ]
                },
                "runDetails": {
                  "builder": {
                    "id": "https://github.com/acme/storefront/.github/workflows/deliver.yml@refs/heads/main",
                    "version": {
                      "slipway": "0.1.0"
                    }
                  },
                  "metadata": {
                    "invocationId": "https://github.com/acme/storefront/actions/runs/7/attempts/1",
                    "finishedOn": "2026-11-21T18:00:00Z"
                  }
                }
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&json).unwrap());
    }

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let build = "arn:aws:codebuild:eu-west-1:111111111111:build/deliver:0f0f-1".to_owned();
        for builder in [
            sample().builder,
            Builder::CodeBuild { build },
            Builder::Terminal,
        ] {
            let wanted = Provenance {
                builder,
                tree: None,
                content_key: None,
                built_for: Some("b".repeat(40)),
                origin: Origin::SameContent,
                ..sample()
            };
            assert_eq!(Provenance::parse(wanted.to_json().as_bytes()), Ok(wanted));
        }
    }

    #[test]
    fn what_says_something_else_is_not_read() {
        for (pointer, value, why) in [
            (
                "/_type",
                "https://in-toto.io/Statement/v0.1",
                "statement of",
            ),
            ("/predicateType", "https://slsa.dev/provenance/v0.2", "v0.2"),
            (
                "/predicate/buildDefinition/buildType",
                "https://example.org",
                "build type",
            ),
            ("/subject/0/digest/sha256", "latest", "no digest"),
            (
                "/predicate/buildDefinition/externalParameters/commit",
                "main",
                "cannot be read",
            ),
            (
                "/predicate/runDetails/builder/id",
                "https://github.com/acme/storefront/.github/workflows/x.yml@refs/heads/main",
                "its parameters say",
            ),
        ] {
            let mut json: Value = serde_json::from_str(&sample().to_json()).unwrap();
            *json.pointer_mut(pointer).unwrap() = value.into();
            let error = Provenance::parse(json.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(why), "{pointer}: {error}");
        }
        let mut two: Value = serde_json::from_str(&sample().to_json()).unwrap();
        let subject = two["subject"][0].clone();
        two["subject"].as_array_mut().unwrap().push(subject);
        assert!(Provenance::parse(two.to_string().as_bytes()).is_err());
        // What a newer version adds is not understood, but it is not in the way.
        let mut newer: Value = serde_json::from_str(&sample().to_json()).unwrap();
        newer["predicate"]["buildDefinition"]["internalParameters"]["origin"] = "guess".into();
        newer["predicate"]["more"] = 1.into();
        let read = Provenance::parse(newer.to_string().as_bytes()).unwrap();
        assert_eq!(read.origin, Origin::Other);
    }
}
