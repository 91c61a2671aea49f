//! Both sides of a merge, directory by directory, and whether the merge is what they give. Pure.
//!
//! A directory has an object with a mode under each name. The side that changed it decides; if both changed it, they are
//! compared within: a directory by its entries, a file by its lines. So only those directories need to be read in which both
//! sides, or the merge alone, changed something. A change of the mode alone counts too: an executable, a symbolic link, a
//! submodule.

use super::three_way::{Merge, three_way};
use github::{Content, Entry};
use std::array::from_fn;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of object that a mode stands for (git-fast-import(1), "filemodify").
const DIRECTORY: u32 = 0o040_000;
/// Modes of files that git merges line by line.
const FILES: [u32; 2] = [0o100_644, 0o100_755];

/// The commits of a merge: the merge base, the branch before, the merged head, and the merge.
pub(crate) const COMMITS: usize = 4;

/// A directory of one of the commits: the commit's index and the path.
pub(crate) type DirectoryKey = (usize, String);

/// The directories and files of a merge's commits, as far as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sides {
    /// The directories that were read.
    pub(crate) directories: BTreeMap<DirectoryKey, Vec<Entry>>,
    /// The content of the files that both sides changed, in each of the commits.
    pub(crate) contents: BTreeMap<String, [Content; COMMITS]>,
}

/// A merge, compared as far as it is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The paths that are not what merging gives.
    pub(crate) handmade: Vec<String>,
    /// The directories to read before more can be said.
    pub(crate) directories: BTreeSet<DirectoryKey>,
    /// The files to read before more can be said.
    pub(crate) files: BTreeSet<String>,
}

/// An entry of the four commits.
type Entries<'a> = [Option<&'a Entry>; COMMITS];

/// The judgment of one entry of a merge.
enum Found {
    Merged,
    Handmade,
    /// Directories that must be compared within.
    Within,
    /// A file that both sides changed.
    Text,
}

impl Sides {
    /// Compares the merge with its sides.
    pub(crate) fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        let mut open = vec![(String::new(), [true; COMMITS])];
        while let Some((path, there)) = open.pop() {
            let keys = (0..COMMITS).filter(|commit| there[*commit]);
            let keys = keys.map(|commit| (commit, path.clone()));
            let unread: Vec<DirectoryKey> = keys
                .filter(|key| !self.directories.contains_key(key))
                .collect();
            if !unread.is_empty() {
                judged.directories.extend(unread);
                continue;
            }
            for entries in self.entries(&path, there).values() {
                let Some(name) = entries.iter().flatten().next().map(|one| &one.name) else {
                    continue;
                };
                let below = match path.is_empty() {
                    true => name.clone(),
                    false => format!("{path}/{name}"),
                };
                match found(entries) {
                    Found::Merged => {}
                    Found::Handmade => judged.handmade.push(below),
                    Found::Within => open.push((below, entries.map(is_directory))),
                    Found::Text => match self.contents.get(&below) {
                        Some(contents) if is_merged(contents) => {}
                        Some(_) => judged.handmade.push(below),
                        None => {
                            judged.files.insert(below);
                        }
                    },
                }
            }
        }
        judged.handmade.sort();
        judged
    }

    /// The paths whose content in the merge is not, or not known to be, what merging gives.
    pub(crate) fn handmade(&self) -> Vec<String> {
        let judged = self.judge();
        let unread = judged.directories.into_iter().map(|(_, path)| path);
        let all = judged.handmade.into_iter().chain(unread);
        all.chain(judged.files).collect()
    }

    /// The entries of a directory, by name.
    fn entries(&self, path: &str, there: [bool; COMMITS]) -> BTreeMap<&str, Entries<'_>> {
        let mut all: BTreeMap<&str, Entries<'_>> = BTreeMap::new();
        for commit in (0..COMMITS).filter(|commit| there[*commit]) {
            let key = (commit, path.to_owned());
            for entry in self.directories.get(&key).into_iter().flatten() {
                all.entry(&entry.key).or_default()[commit] = Some(entry);
            }
        }
        all
    }
}

fn is_directory(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|entry| entry.mode == DIRECTORY)
}

/// The result of a merge where one side alone, or both in the same way, changed something.
fn settled<T: PartialEq>(base: T, ours: T, theirs: T) -> Option<T> {
    if ours == theirs || base == theirs {
        return Some(ours);
    }
    (base == ours).then_some(theirs)
}

fn found(entries: &Entries<'_>) -> Found {
    let of = |commit: usize| entries[commit].map(|entry| (entry.mode, entry.oid.as_str()));
    let [base, ours, theirs, made] = from_fn(of);
    let whole = settled(base, ours, theirs);
    if whole == Some(made) {
        return Found::Merged;
    }
    let mut present = entries.iter().filter(|entry| entry.is_some());
    if present.all(|entry| is_directory(*entry)) {
        return Found::Within;
    }
    let (None, [Some(base), Some(ours), Some(theirs), Some(made)]) =
        (whole, [base, ours, theirs, made])
    else {
        return Found::Handmade;
    };
    // Both sides changed it, and both have it. Git merges mode and content apart from each other only where it
    // is a file everywhere: where one side made a link or a submodule of it, it asks.
    let all = [base, ours, theirs, made];
    let is_file = all.iter().all(|(mode, _)| FILES.contains(mode));
    if !is_file || settled(base.0, ours.0, theirs.0) != Some(made.0) {
        return Found::Handmade;
    }
    match settled(base.1, ours.1, theirs.1) {
        Some(oid) if oid == made.1 => Found::Merged,
        Some(_) => Found::Handmade,
        None => Found::Text,
    }
}

/// Returns true if a file that both sides changed has both changes.
fn is_merged([base, ours, theirs, made]: &[Content; COMMITS]) -> bool {
    let text = |content: &'_ Content| match content {
        Content::Text { text, .. } => Some(text.clone()),
        Content::Absent | Content::Opaque(_) => None,
    };
    match [base, ours, theirs, made].map(text) {
        [Some(base), Some(ours), Some(theirs), Some(made)] => {
            matches!(three_way(&base, &ours, &theirs), Merge::Clean(text) if text == made)
        }
        _ => false,
    }
}

#[cfg(test)]
mod git;
#[cfg(test)]
mod tests;
