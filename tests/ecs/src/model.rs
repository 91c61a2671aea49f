//! AWS service models, in the form botocore publishes them (`SERVICE/VERSION/service-2.json`).
//! They are the only description of requests and answers that this crate trusts.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One service: its operations and the shapes they are made of.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: HashMap<String, Operation>,
    pub(crate) shapes: HashMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) target_prefix: Option<String>,
    pub(crate) xml_namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    pub(crate) input: Option<Reference>,
    pub(crate) output: Option<Output>,
    #[serde(default)]
    pub(crate) errors: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) shape: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    pub(crate) shape: String,
    pub(crate) result_wrapper: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Character,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Timestamp,
    Blob,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(default)]
    pub(crate) document: bool,
    #[serde(default)]
    pub(crate) union: bool,
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    #[serde(rename = "enum", default)]
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) error: Option<ErrorTrait>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorTrait {
    pub(crate) code: Option<String>,
    pub(crate) http_status_code: Option<u16>,
}

/// Why a service model could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The folder or file is not there, or cannot be read.
    #[error("cannot read the service model at {path}")]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a service model.
    #[error("{path} is not an AWS service model")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads the newest version of a service's model below `models` (botocore's `data` folder), plain or gzipped.
pub(crate) fn load(models: &Path, service: &str) -> Result<Model, ModelError> {
    let folder = models.join(service);
    let at = |source| ModelError::Read {
        path: folder.clone(),
        source,
    };
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(at)? {
        versions.push(entry.map_err(at)?.path());
    }
    versions.sort();
    let newest = versions.pop().unwrap_or_else(|| folder.clone());
    let (path, text) = read_plain_or_gzip(&newest)?;
    serde_json::from_slice(&text).map_err(|source| ModelError::Parse { path, source })
}

fn read_plain_or_gzip(folder: &Path) -> Result<(PathBuf, Vec<u8>), ModelError> {
    let plain = folder.join("service-2.json");
    if plain.exists() {
        let text = std::fs::read(&plain).map_err(|source| ModelError::Read {
            path: plain.clone(),
            source,
        })?;
        return Ok((plain, text));
    }
    let packed = folder.join("service-2.json.gz");
    let at = |source| ModelError::Read {
        path: packed.clone(),
        source,
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(&packed).map_err(at)?;
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut text)
        .map_err(at)?;
    Ok((packed, text))
}
