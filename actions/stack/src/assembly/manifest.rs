//! The manifest of a cloud assembly.

use super::place::Environment;
use crate::files::read as read_text;
use kit::error::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that makes a folder a cloud assembly.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The majors of the schema that this step reads: that of aws-cdk-lib 2.0.0, and the newest one when this was written. Each addition
/// to the schema is a new major (@aws-cdk/cloud-assembly-schema, `schema/version.json`), and any of them may say something that has
/// to be done.
const OLDEST: u32 = 15;
const NEWEST: u32 = 55;

/// How deep assemblies are nested; a stage in a stage is the third.
const DEPTH: usize = 8;

/// A stack of an assembly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack {
    pub(crate) name: String,
    /// The folder of the assembly that it is in.
    pub(crate) folder: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) properties: Properties,
    /// The files that list its assets.
    pub(crate) assets: Vec<PathBuf>,
    /// The stacks that it depends on.
    pub(crate) needs: Vec<(String, Environment)>,
    /// Further artifacts that it depends on, each with its type.
    pub(crate) strange: Vec<String>,
    /// Context that was not there when the assembly was made.
    pub(crate) missing: Vec<String>,
}

/// The properties of a stack, as far as this step reads them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Properties {
    pub(crate) template_file: String,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) notification_arns: Vec<String>,
    stack_name: Option<String>,
    #[serde(default)]
    pub(crate) termination_protection: bool,
    #[serde(default)]
    additional_dependencies: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    artifacts: BTreeMap<String, Artifact>,
    #[serde(default)]
    missing: Vec<Missing>,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    #[serde(rename = "type")]
    kind: String,
    environment: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    properties: Value,
}

#[derive(Debug, Deserialize)]
struct Missing {
    key: String,
}

#[derive(Debug, Deserialize)]
struct File {
    file: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Nested {
    directory_name: String,
}

/// Adds the stacks of the assembly in `folder`, and of those nested in it.
pub(crate) fn read(
    root: &Path,
    folder: &Path,
    depth: usize,
    stacks: &mut Vec<Stack>,
) -> Result<()> {
    if depth >= DEPTH {
        return Err(Error::usage(format!(
            "cloud assemblies are nested deeper than {DEPTH}"
        )));
    }
    let manifest: Manifest = versioned(&inside(root, folder, MANIFEST)?)?;
    let missing: Vec<String> = manifest.missing.into_iter().map(|it| it.key).collect();
    for (id, artifact) in &manifest.artifacts {
        let broken = |error: Error| error.under(format!("the artifact {id} cannot be read"));
        match artifact.kind.as_str() {
            "aws:cloudformation:stack" => {
                let mut stack =
                    stack(root, folder, id, artifact, &manifest.artifacts).map_err(broken)?;
                stack.missing.clone_from(&missing);
                stacks.push(stack);
            }
            "cdk:cloud-assembly" => {
                let nested: Nested = properties(artifact).map_err(broken)?;
                let folder = inside(root, folder, &nested.directory_name)?;
                read(root, &folder, depth + 1, stacks)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn stack(
    root: &Path,
    folder: &Path,
    id: &str,
    artifact: &Artifact,
    all: &BTreeMap<String, Artifact>,
) -> Result<Stack> {
    let own: Properties = properties(artifact)?;
    let mut stack = Stack {
        name: named(id, &own),
        folder: folder.to_owned(),
        environment: environment(artifact)?,
        ..Stack::default()
    };
    let mut seen: Vec<&String> = Vec::new();
    for needed in artifact
        .dependencies
        .iter()
        .chain(&own.additional_dependencies)
    {
        if seen.contains(&needed) {
            continue;
        }
        seen.push(needed);
        let Some(other) = all.get(needed) else {
            return Err(Error::usage(format!(
                "it depends on `{needed}`, which the manifest does not have"
            )));
        };
        match other.kind.as_str() {
            "cdk:asset-manifest" => {
                let file: File = properties(other)?;
                stack.assets.push(inside(root, folder, &file.file)?);
            }
            "aws:cloudformation:stack" => {
                let name = named(needed, &properties(other)?);
                stack.needs.push((name, environment(other)?));
            }
            kind => stack.strange.push(format!("{needed} ({kind})")),
        }
    }
    stack.properties = own;
    Ok(stack)
}

fn named(id: &str, properties: &Properties) -> String {
    let given = properties.stack_name.clone();
    given.unwrap_or_else(|| id.to_owned())
}

fn environment(artifact: &Artifact) -> Result<Environment> {
    let text = artifact.environment.as_deref().unwrap_or_default();
    Environment::parse(text).ok_or_else(|| {
        Error::usage(format!(
            "`{text}` is not an environment, such as aws://111111111111/ca-central-1"
        ))
    })
}

fn properties<T: DeserializeOwned>(artifact: &Artifact) -> Result<T> {
    serde_json::from_value(artifact.properties.clone())
        .map_err(|error| Error::usage("its properties are not as they should be").because(error))
}

/// Reads a file of a schema version that this step knows.
pub(crate) fn versioned<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_text(path, "file")?;
    let shown = path.display();
    let broken =
        |error| Error::usage(format!("{shown} is not what `cdk synth` writes")).because(error);
    let value: Value = serde_json::from_str(&text).map_err(broken)?;
    let version = value["version"].as_str().unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|it| it.parse::<u32>().ok());
    match major {
        Some(OLDEST..=NEWEST) => serde_json::from_value(value).map_err(broken),
        Some(newer) if newer > NEWEST => Err(Error::usage(format!(
            "{shown} is of schema {version}; this version of slipway-stack reads up to {NEWEST}"
        ))
        .hint("use a newer slipway-stack, or an older aws-cdk-lib")),
        _ => Err(Error::usage(format!(
            "{shown} is of schema `{version}`; slipway-stack reads from {OLDEST} on, which aws-cdk-lib 2 writes"
        ))
        .hint("synthesise the app with aws-cdk-lib 2")),
    }
}

/// The path of something in the assembly, which must not lead out of it: everybody who reads the bucket can read an asset.
pub(crate) fn inside(root: &Path, folder: &Path, relative: &str) -> Result<PathBuf> {
    let path = folder.join(relative);
    let whole = path
        .canonicalize()
        .map_err(|error| Error::usage(format!("cannot read {}", path.display())).because(error))?;
    match whole.starts_with(root) {
        true => Ok(whole),
        false => Err(Error::refused(format!(
            "`{relative}` leads out of the cloud assembly"
        ))
        .hint("let `cdk synth` copy the assets into the assembly (`cdk synth` does, unless it is given --no-staging)")),
    }
}
