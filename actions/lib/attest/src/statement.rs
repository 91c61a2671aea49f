//! The provenance of an image as it is written: an in-toto statement (in-toto/attestation, "Statement layer" v1) with
//! SLSA's predicate (slsa.dev, "Provenance" v1.0).

use crate::provenance::{Builder, Origin, Provenance};
use kit::Lenient;
use kit::id::CommitId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The type of the payload in an envelope.
pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The type of a build, whose page defines the build's parameters.
const BUILD_TYPE: &str =
    "https://github.com/slipway-delivery/slipway/blob/main/docs/provenance.md#build-type-1";

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

/// Why a statement is not one about an image's provenance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not have the form of one.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It says something else of its subject.
    #[error("it is a statement of {0}")]
    OtherPredicate(String),
    /// It is about another kind of build.
    #[error("its build type is {0}")]
    OtherBuildType(String),
    /// It is about this number of images instead of one.
    #[error("it names {0} images")]
    Images(usize),
    /// Its subject is not identified by a digest.
    #[error("it names no digest of an image")]
    NoDigest,
    /// It names a workflow and no run of it.
    #[error("it names no run of its workflow")]
    NoRun,
    /// The builder that it names is not the one of its parameters.
    #[error("its builder is {named}, but its parameters say {parameters}")]
    OtherBuilder {
        /// The builder's own name.
        named: String,
        /// The builder that its parameters give.
        parameters: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Internal {
    origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    built_for: Option<Lenient<CommitId>>,
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
    /// It is another statement than one of these.
    pub fn parse(json: &[u8]) -> Result<Self, Unfit> {
        let statement: Statement =
            serde_json::from_slice(json).map_err(|error| Unfit::Unreadable(error.to_string()))?;
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE {
            return Err(Unfit::OtherPredicate(statement.predicate_type));
        }
        let Predicate {
            build_definition: definition,
            run_details: details,
        } = statement.predicate;
        if definition.build_type != BUILD_TYPE {
            return Err(Unfit::OtherBuildType(definition.build_type));
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(Unfit::Images(statement.subject.len()));
        };
        let digest = subject
            .digest
            .get("sha256")
            .and_then(|hex| format!("sha256:{hex}").parse().ok())
            .ok_or(Unfit::NoDigest)?;
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
            (Some(_), None) => return Err(Unfit::NoRun),
        };
        // The parameters and the builder's name say the same, or a reader of one is told something else
        // than a reader of the other.
        if details.builder.id != builder.id(&repository) {
            return Err(Unfit::OtherBuilder {
                parameters: builder.id(&repository),
                named: details.builder.id,
            });
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

#[cfg(test)]
mod tests;
