//! The files that differ between two commits, and what a commit has under a path.

use crate::client::GitHub;
use crate::facts::escape;
use crate::history::{Named, PARALLEL};
use crate::unknown::Unknown;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;

/// Files whose text one query asks for.
const TEXTS_A_QUERY: usize = 40;
/// Files whose object one query asks for.
const OIDS_A_QUERY: usize = 100;
/// The operation, for errors.
const MERGE: &str = "read the files of a merge";
/// Directories whose entries one query asks for.
const DIRECTORIES_A_QUERY: usize = 40;

/// The files that differ between the merge base of two commits and the second of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The merge base.
    pub base: String,
    /// The paths of the files, before and after, as far as GitHub lists them: at most 300 files
    /// ("Compare two commits").
    pub paths: Vec<String>,
}

/// A directory's entry of one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The bytes of the name, in base64: a name need not be UTF-8.
    #[serde(rename = "nameRaw")]
    pub key: String,
    /// The name as text.
    pub name: String,
    /// The mode, as git has it: a directory, a file, an executable, a link or a submodule.
    pub mode: u32,
    /// The object; of a submodule its commit.
    pub oid: String,
}

/// The content of a file in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The commit has no such file.
    Absent,
    /// Text, whole.
    Text {
        /// Its blob.
        oid: String,
        /// Its content.
        text: String,
    },
    /// Something that is not text, or too long for GitHub to send; by its blob.
    Opaque(String),
}

impl Content {
    /// The blob, of a file that is there.
    pub fn oid(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Text { oid, .. } | Self::Opaque(oid) => Some(oid),
        }
    }
}

impl GitHub {
    /// The merge base of two commits, and the files that differ between it and `head`.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn changes(&self, base: &str, head: &str) -> Result<Changes, Unknown> {
        #[derive(Deserialize)]
        struct Page {
            merge_base_commit: Named,
            files: Vec<File>,
        }
        #[derive(Deserialize)]
        struct File {
            filename: String,
            #[serde(default)]
            previous_filename: Option<String>,
        }
        let action = format!("read the files that differ between {base} and {head}");
        let path = format!(
            "compare/{}...{}?per_page=1&page=1",
            escape(base),
            escape(head)
        );
        let page: Page = self.get(&path, &action, "contents: read").await?;
        let both = |file: File| [Some(file.filename), file.previous_filename];
        Ok(Changes {
            base: page.merge_base_commit.sha,
            paths: page.files.into_iter().flat_map(both).flatten().collect(),
        })
    }

    /// The entries of each directory, named as `(commit, path)` with an empty path for the root, in the same
    /// order; `None` where GitHub shows no such directory.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn directories(
        &self,
        directories: &[(String, String)],
    ) -> Result<Vec<Option<Vec<Entry>>>, Unknown> {
        #[derive(Deserialize)]
        struct Tree {
            entries: Option<Vec<Entry>>,
        }
        let fields = "... on Tree{entries{nameRaw name mode oid}}";
        let trees: Vec<Option<Tree>> = self
            .objects(directories, fields, DIRECTORIES_A_QUERY, MERGE)
            .await?;
        let entries = |tree: Option<Tree>| tree.and_then(|tree| tree.entries);
        Ok(trees.into_iter().map(entries).collect())
    }

    /// The content of each file, named as `(commit, path)`, in the same order. GitHub shows neither
    /// a submodule nor a file whose name is not UTF-8, so that both are absent here.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn contents(&self, files: &[(String, String)]) -> Result<Vec<Content>, Unknown> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Blob {
            oid: String,
            text: Option<String>,
            is_binary: Option<bool>,
            is_truncated: Option<bool>,
        }
        let fields = "oid ... on Blob{text isBinary isTruncated}";
        let blobs: Vec<Option<Blob>> = self.objects(files, fields, TEXTS_A_QUERY, MERGE).await?;
        let content = |blob: Option<Blob>| match blob {
            None => Content::Absent,
            Some(Blob {
                oid,
                text: Some(text),
                is_binary: Some(false),
                is_truncated: Some(false),
                // GitHub puts this character where the bytes are not UTF-8, and does not say so.
            }) if !text.contains(char::REPLACEMENT_CHARACTER) => Content::Text { oid, text },
            Some(blob) => Content::Opaque(blob.oid),
        };
        Ok(blobs.into_iter().map(content).collect())
    }

    /// The object of each file, named as `(commit, path)`, in the same order; `None` where GitHub shows none.
    /// `action` completes "cannot …" in an error.
    ///
    /// # Errors
    /// GitHub did not answer.
    pub async fn oids(
        &self,
        files: &[(String, String)],
        action: &str,
    ) -> Result<Vec<Option<String>>, Unknown> {
        #[derive(Deserialize)]
        struct Object {
            oid: String,
        }
        let objects: Vec<Option<Object>> = self.objects(files, "oid", OIDS_A_QUERY, action).await?;
        let oid = |object: Option<Object>| object.map(|object| object.oid);
        Ok(objects.into_iter().map(oid).collect())
    }

    /// Fields of the object of each file, named as `(commit, path)`.
    async fn objects<T: DeserializeOwned>(
        &self,
        files: &[(String, String)],
        fields: &str,
        a_query: usize,
        action: &str,
    ) -> Result<Vec<Option<T>>, Unknown> {
        let read = async |chunk: &[(String, String)]| -> Result<Vec<Option<T>>, Unknown> {
            let objects = chunk.iter().enumerate().map(|(index, (commit, path))| {
                let expression = json!(format!("{commit}:{path}"));
                format!("f{index}:object(expression:{expression}){{{fields}}}")
            });
            let objects: String = objects.collect();
            let mut found: BTreeMap<String, Option<T>> =
                self.repository_query(&objects, action).await?;
            let left_out = || Unknown::new(action, "GitHub's answer leaves a file out");
            (0..chunk.len())
                .map(|index| found.remove(&format!("f{index}")).ok_or_else(left_out))
                .collect()
        };
        let all: Vec<Vec<Option<T>>> = stream::iter(files.chunks(a_query))
            .map(read)
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(all.into_iter().flatten().collect())
    }
}
