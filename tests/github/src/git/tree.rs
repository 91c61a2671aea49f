//! The contents of trees and blobs, and the differences between two trees.

use std::collections::BTreeMap;

use super::{Git, GitError};

/// One changed file between two commits.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) blob: Option<String>,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
}

/// One entry of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: u64,
    pub(crate) path: String,
}

/// One entry of a tree, under its name alone, which need not be UTF-8.
#[derive(Debug, Clone)]
pub(crate) struct TreeEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) kind: String,
    pub(crate) sha: String,
}

impl TreeEntry {
    /// Reads `MODE KIND SHA<tab>NAME`.
    fn read(line: &[u8]) -> Option<Self> {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let facts = std::str::from_utf8(&line[..tab]).ok()?;
        let [mode, kind, sha] = facts.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Self {
            name: line[tab + 1..].to_vec(),
            mode: u32::from_str_radix(mode, 8).ok()?,
            kind: kind.to_owned(),
            sha: sha.to_owned(),
        })
    }
}

impl Git {
    /// Files that differ between two trees, renames found.
    pub(crate) fn changes(&self, from: &str, to: &str) -> Result<Vec<Change>, GitError> {
        let raw = self.run(
            &[
                "diff-tree",
                "-r",
                "-M",
                "-z",
                "--raw",
                "--no-commit-id",
                from,
                to,
            ],
            None,
            &[],
        )?;
        let counts = self.run(
            &[
                "diff-tree",
                "-r",
                "-M",
                "-z",
                "--numstat",
                "--no-commit-id",
                from,
                to,
            ],
            None,
            &[],
        )?;
        Ok(parse_changes(
            &String::from_utf8_lossy(&raw),
            &String::from_utf8_lossy(&counts),
        ))
    }

    /// Entries below `path` (not recursive); for a file, the file itself.
    pub(crate) fn entries(
        &self,
        commit: &str,
        path: &str,
        inside: bool,
    ) -> Result<Vec<Entry>, GitError> {
        let spec = if path.is_empty() || !inside {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let mut args = vec!["ls-tree", "-z", "-l", commit];
        if !spec.is_empty() {
            args.extend(["--", &spec]);
        }
        let out = self.run(&args, None, &[])?;
        Ok(String::from_utf8_lossy(&out)
            .split('\0')
            .filter_map(parse_entry)
            .collect())
    }

    /// The kind and hash of what a commit has under a path; its whole tree under the empty one.
    pub(crate) fn object_at(&self, commit: &str, path: &str) -> Option<(String, String)> {
        let name = format!("{commit}:{path}");
        let sha = self.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &name,
        ]);
        let sha = sha.ok()?;
        // Nothing is there of a submodule's commit.
        Some((self.text(&["cat-file", "-t", &sha]).ok()?, sha))
    }

    /// The entries of a tree.
    pub(crate) fn tree_entries(&self, tree: &str) -> Result<Vec<TreeEntry>, GitError> {
        let listed = self.run(&["ls-tree", "-z", tree], None, &[])?;
        let lines = listed
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty());
        Ok(lines.filter_map(TreeEntry::read).collect())
    }

    pub(crate) fn blob(&self, sha: &str) -> Result<Vec<u8>, GitError> {
        self.run(&["cat-file", "blob", sha], None, &[])
    }

    pub(crate) fn file(&self, commit: &str, path: &str) -> Option<String> {
        self.run(
            &["cat-file", "blob", &format!("{commit}:{path}")],
            None,
            &[],
        )
        .ok()
        .map(|out| String::from_utf8_lossy(&out).into_owned())
    }
}

fn parse_entry(line: &str) -> Option<Entry> {
    let (head, path) = line.split_once('\t')?;
    let mut parts = head.split_whitespace();
    let (mode, kind, sha, size) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Entry {
        mode: mode.to_owned(),
        kind: kind.to_owned(),
        sha: sha.to_owned(),
        size: size.parse().unwrap_or(0),
        path: path.to_owned(),
    })
}

fn parse_changes(raw: &str, counts: &str) -> Vec<Change> {
    let mut counted = BTreeMap::new();
    let mut parts = counts.split('\0');
    while let Some(part) = parts.next().filter(|part| !part.is_empty()) {
        let mut columns = part.splitn(3, '\t');
        let additions = columns
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let deletions = columns
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let path = match columns.next().filter(|path| !path.is_empty()) {
            Some(path) => path.to_owned(),
            None => {
                parts.next();
                parts.next().unwrap_or_default().to_owned()
            }
        };
        counted.insert(path, (additions, deletions));
    }
    let mut changes = Vec::new();
    let mut parts = raw.split('\0');
    while let Some(head) = parts.next().filter(|head| head.starts_with(':')) {
        let columns: Vec<&str> = head.split_whitespace().collect();
        let letter = columns
            .get(4)
            .and_then(|text| text.chars().next())
            .unwrap_or('M');
        let first = parts.next().unwrap_or_default().to_owned();
        let (path, previous) = if matches!(letter, 'R' | 'C') {
            (parts.next().unwrap_or_default().to_owned(), Some(first))
        } else {
            (first, None)
        };
        let status = match letter {
            'A' => "added",
            'D' => "removed",
            'R' => "renamed",
            'C' => "copied",
            'T' => "changed",
            _ => "modified",
        };
        let (additions, deletions) = counted.get(&path).copied().unwrap_or_default();
        let blob = columns
            .get(if letter == 'D' { 2 } else { 3 })
            .map(|sha| (*sha).to_owned());
        changes.push(Change {
            path,
            previous,
            status,
            blob,
            additions,
            deletions,
        });
    }
    changes
}
