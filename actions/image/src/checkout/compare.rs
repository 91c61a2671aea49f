//! Comparing a working tree with its commit, file by file, as far as a build reads it.

use super::clean::Clean;
use super::lfs;
use super::repository::Repository;
use crate::dockerfile::Ignore;
use kit::env::Env;
use kit::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The mode by which a tree names the commit of a submodule.
const SUBMODULE: &str = "160000";

/// The part of a repository that a build reads.
pub(super) struct Scope<'a> {
    /// The build context in this repository, and the path in the context at which the repository begins: empty, except in
    /// a submodule.
    pub(super) context: Option<(&'a Path, &'a Path)>,
    /// Files that are read whatever excludes them.
    pub(super) singles: &'a [PathBuf],
    pub(super) ignore: &'a Ignore,
}

/// The differences.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Files that are not as the commit has them.
    pub(super) differing: BTreeSet<String>,
    /// Files that the commit does not have, and that its own `.gitignore` names.
    pub(super) generated: BTreeSet<String>,
}

impl Scope<'_> {
    /// The path in the build context of a path in the repository.
    fn in_context(&self, path: &Path) -> Option<PathBuf> {
        let (context, begins) = self.context?;
        Some(begins.join(path.strip_prefix(context).ok()?))
    }

    /// Returns whether a build reads the file at this path of the repository.
    fn reads(&self, path: &Path) -> bool {
        self.singles.iter().any(|single| single == path)
            || self
                .in_context(path)
                .is_some_and(|path| !self.ignore.leaves_out(&path.to_string_lossy()))
    }

    /// Returns whether a build reads something of the folder at this path of the repository, which may be left out itself.
    fn reads_within(&self, path: &Path) -> bool {
        self.reads(path)
            || self
                .in_context(path)
                .is_some_and(|path| self.ignore.may_keep_within(&path.to_string_lossy()))
    }

    /// The paths that git is asked about: the context, the files, and the settings in the folders above that apply to them.
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths: BTreeSet<PathBuf> = self.singles.iter().cloned().collect();
        let context = self.context.map(|(context, _)| match context {
            context if context.as_os_str().is_empty() => PathBuf::from("."),
            context => context.to_owned(),
        });
        for path in self.singles.iter().chain(&context) {
            for folder in path.ancestors().skip(1) {
                paths.insert(folder.join(".gitattributes"));
                paths.insert(folder.join(".gitignore"));
            }
        }
        paths.extend(context);
        paths.into_iter().collect()
    }
}

/// Returns whether the commit has this submodule at this path.
///
/// # Errors
/// The commit's tree cannot be read (exit 3).
pub(super) fn is_submodule(clean: &Clean<'_>, path: &Path, commit: &str) -> Result<bool> {
    let tracked = tracked(clean, &[path.to_owned()])?;
    Ok(tracked.get(path) == Some(&(SUBMODULE.to_owned(), commit.to_owned())))
}

/// Adds what differs, and what is not the commit's but expected by it.
///
/// # Errors
/// git cannot tell (exit 3).
pub(super) fn compare(
    env: &Env,
    clean: &Clean<'_>,
    scope: &Scope<'_>,
    seen: &mut Differences,
) -> Result<()> {
    let paths = scope.paths();
    let tracked = tracked(clean, &paths)?;
    for single in scope.singles {
        if !tracked.contains_key(single) && clean.root().join(single).symlink_metadata().is_ok() {
            seen.differing
                .insert(format!("{} (not in the commit)", single.display()));
        }
    }
    let modified = modified(clean, &paths, &tracked)?;
    for (path, difference) in &modified {
        if scope.reads(path) || path.file_name() == Some(OsStr::new(".gitattributes")) {
            seen.differing
                .insert(format!("{} ({difference})", path.display()));
        }
    }
    line_ends(clean, &paths, &tracked, |path| {
        if scope.reads(path) && !modified.contains_key(path) {
            seen.differing
                .insert(format!("{} (other line ends)", path.display()));
        }
    })?;
    untracked(clean, scope, &paths, &tracked, &modified, seen)?;
    for (path, (mode, commit)) in &tracked {
        if mode == SUBMODULE && scope.reads_within(path) {
            submodule(env, clean, scope, path, commit, seen)?;
        }
    }
    Ok(())
}

/// Mode and object of each path that the commit has.
fn tracked(clean: &Clean<'_>, paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, (String, String)>> {
    let listed = clean.about(&["ls-files", "--stage", "-z"], paths)?;
    records(&listed)
        .map(|record| {
            // `MODE OBJECT STAGE<tab>PATH`
            let (about, path) = split(record, b'\t')?;
            let about = String::from_utf8_lossy(about);
            let mut words = about.split(' ').map(str::to_owned);
            let words = words.next().zip(words.next()).ok_or_else(unreadable)?;
            Ok((path_of(path), words))
        })
        .collect()
}

/// The files of the commit that are missing, or not as it has them.
fn modified(
    clean: &Clean<'_>,
    paths: &[PathBuf],
    tracked: &BTreeMap<PathBuf, (String, String)>,
) -> Result<BTreeMap<PathBuf, &'static str>> {
    let status = [
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=no",
        "--ignore-submodules=all",
    ];
    let listed = clean.about(&status, paths)?;
    let mut found = BTreeMap::new();
    let mut pointers = Vec::new();
    for record in records(&listed) {
        // `1 XY sub mH mI mW hH hI PATH`
        let fields: Vec<&[u8]> = record.splitn(9, |byte| *byte == b' ').collect();
        let [b"1", state, _, _, index, worktree, _, _, path] = fields[..] else {
            return Err(unreadable());
        };
        let path = path_of(path);
        let difference = match state.last() {
            Some(b'D') => "missing",
            _ if index != worktree => "other type or permissions",
            _ => {
                pointers.push(path.clone());
                "modified"
            }
        };
        found.insert(path, difference);
    }
    // Git LFS keeps a pointer in the commit, and the file that the pointer describes in the working tree.
    for path in lfs::described(clean, &pointers, tracked)? {
        found.remove(&path);
    }
    Ok(found)
}

/// Reports files whose line ends differ from those of a checkout. git takes such a file for unchanged if an attribute makes
/// it text.
fn line_ends(
    clean: &Clean<'_>,
    paths: &[PathBuf],
    tracked: &BTreeMap<PathBuf, (String, String)>,
    mut report: impl FnMut(&Path),
) -> Result<()> {
    let attributes = OsStr::new(".gitattributes");
    if !tracked
        .keys()
        .any(|path| path.file_name() == Some(attributes))
    {
        return Ok(());
    }
    let listed = clean.about(&["ls-files", "--eol", "-z"], paths)?;
    for record in records(&listed) {
        // `i/lf    w/crlf  attr/text=auto eol=lf<tab>PATH`
        let (about, path) = split(record, b'\t')?;
        let about = String::from_utf8_lossy(about);
        let crlf = about.contains("eol=crlf");
        let mut words = about.split_whitespace();
        let wrong = match (words.next(), words.next()) {
            (Some("i/lf"), Some("w/crlf" | "w/mixed")) => !crlf,
            (Some("i/lf"), Some("w/lf")) => crlf,
            _ => false,
        };
        if wrong {
            report(&path_of(path));
        }
    }
    Ok(())
}

/// The files that the commit does not have. An ignored file is expected only if the commit itself ignores it.
fn untracked(
    clean: &Clean<'_>,
    scope: &Scope<'_>,
    paths: &[PathBuf],
    tracked: &BTreeMap<PathBuf, (String, String)>,
    modified: &BTreeMap<PathBuf, &'static str>,
    seen: &mut Differences,
) -> Result<()> {
    let listed = clean.about(&["ls-files", "--others", "-z"], paths)?;
    let mut unlisted: Vec<PathBuf> = Vec::new();
    for record in records(&listed) {
        let path = path_of(record);
        // Of a nested repository, git lists the folder alone.
        let is_read = match record.ends_with(b"/") {
            true => scope.reads_within(&path),
            false => scope.reads(&path),
        };
        if path.file_name() == Some(OsStr::new(".gitattributes")) {
            seen.differing
                .insert(format!("{} (not in the commit)", path.display()));
        } else if is_read {
            unlisted.push(path);
        }
    }
    if unlisted.is_empty() {
        return Ok(());
    }
    let mut input = Vec::new();
    for path in &unlisted {
        // A leading colon would have a meaning.
        input.extend_from_slice(b"./");
        input.extend_from_slice(path.as_os_str().as_bytes());
        input.push(0);
    }
    let check = [
        "check-ignore",
        "--verbose",
        "--non-matching",
        "-z",
        "--no-index",
        "--stdin",
    ];
    let answer = clean.feed(&check, &input)?;
    // SOURCE, LINE, PATTERN, PATH for each.
    let fields: Vec<&[u8]> = records(&answer).collect();
    if fields.len() != unlisted.len() * 4 {
        return Err(unreadable());
    }
    for (path, answer) in unlisted.iter().zip(fields.chunks(4)) {
        let source = path_of(answer[0]);
        let expected = !answer[2].is_empty()
            && !answer[2].starts_with(b"!")
            && tracked.contains_key(&source)
            && !modified.contains_key(&source);
        match expected {
            true => seen.generated.insert(path.display().to_string()),
            false => seen
                .differing
                .insert(format!("{} (not in the commit)", path.display())),
        };
    }
    Ok(())
}

/// A submodule is as the commit has it if it is checked out at the commit that is named there, and is as that has it.
fn submodule(
    env: &Env,
    clean: &Clean<'_>,
    scope: &Scope<'_>,
    path: &Path,
    commit: &str,
    seen: &mut Differences,
) -> Result<()> {
    let root = clean.root().join(path);
    let repository = Repository::at(&root, env)?.filter(|repository| repository.head == commit);
    let Some(repository) = repository else {
        seen.differing
            .insert(format!("{} (submodule not at {commit})", path.display()));
        return Ok(());
    };
    let Some(begins) = scope.in_context(path) else {
        return Ok(());
    };
    let scope = Scope {
        context: Some((Path::new(""), &begins)),
        singles: &[],
        ignore: scope.ignore,
    };
    let mut within = Differences::default();
    compare(env, &Clean::of(&repository, env)?, &scope, &mut within)?;
    let named = |name: &String| format!("{}/{name}", path.display());
    seen.differing.extend(within.differing.iter().map(named));
    seen.generated.extend(within.generated.iter().map(named));
    Ok(())
}

fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let trimmed = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    trimmed
        .split(|byte| *byte == 0)
        .filter(move |_| !bytes.is_empty())
}

fn split(record: &[u8], at: u8) -> Result<(&[u8], &[u8])> {
    let found = record.iter().position(|byte| *byte == at);
    let found = found.ok_or_else(unreadable)?;
    Ok((&record[..found], &record[found + 1..]))
}

fn path_of(bytes: &[u8]) -> PathBuf {
    // A nested repository is listed as a folder, with a slash at its end.
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn unreadable() -> Error {
    Error::refused("git's answer about the checkout cannot be read")
        .hint("update git to a version of the last five years")
}
