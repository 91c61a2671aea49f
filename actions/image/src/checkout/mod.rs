//! Shows that a build reads the content of the commit that the image is tagged with. Content that cannot be shown to be the
//! commit's is refused, because the image would stay the commit's for good.

mod clean;
mod compare;
mod git;
mod lfs;
mod repository;

use crate::dockerfile::Ignore;
use clean::Clean;
use compare::{Differences, Scope};
use kit::env::Env;
use kit::{Error, Result};
use repository::Repository;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many files are named.
const NAMED: usize = 5;

/// Everything that a build reads from the checkout.
pub(crate) struct Input<'a> {
    pub(crate) context: &'a Path,
    /// Further contexts, of which nothing is excluded.
    pub(crate) folders: &'a [PathBuf],
    pub(crate) dockerfile: &'a Path,
    /// The file that excludes files of the context, and its rules.
    pub(crate) ignore_file: Option<&'a Path>,
    pub(crate) ignore: &'a Ignore,
}

/// The result of the comparison.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The commit's time, in seconds since 1970.
    pub(crate) time: Option<i64>,
    /// The hash of the commit's tree.
    pub(crate) tree: Option<String>,
    /// Files of the context that are not the commit's, although its own `.gitignore` expects them there.
    pub(crate) generated: Option<String>,
}

/// Refuses a checkout of another commit, if `folder` is in a checkout.
///
/// # Errors
/// It is one of another commit, or of one that cannot be read (exit 3).
pub(crate) fn refuse_other_commit(env: &Env, folder: &Path, commit: &str) -> Result<()> {
    match Repository::around(folder, env)? {
        Some(repository) if repository.head != commit => Err(other_commit(&repository, commit)),
        _ => Ok(()),
    }
}

/// The time of the commit that is checked out around `folder`, where that is known.
pub(crate) fn time(env: &Env, folder: &Path) -> Option<i64> {
    let repository = Repository::around(folder, env).ok()??;
    time_of(&Clean::of(&repository, env).ok()?)
}

/// Shows that the input is the commit's.
///
/// # Errors
/// It is not, or that cannot be shown (exit 3).
pub(crate) fn show(env: &Env, input: &Input<'_>, commit: &str) -> Result<Shown> {
    let repository = owner(env, input.context, commit)?;
    let clean = Clean::of(&repository, env)?;
    let mut singles = Vec::new();
    let mut seen = Differences::default();
    for file in [Some(input.dockerfile), input.ignore_file]
        .into_iter()
        .flatten()
    {
        for path in names(file)? {
            let own = owner(env, path.parent().unwrap_or(&path), commit)?;
            match path.strip_prefix(&repository.root) {
                Ok(within) if own.root == repository.root => singles.push(within.to_owned()),
                _ => compare_outside(env, &own, &path, &mut seen)?,
            }
        }
    }
    for folder in input.folders {
        let own = owner(env, folder, commit)?;
        let folder = canonical(folder)?;
        let scope = Scope {
            context: Some((within(&folder, &own)?, Path::new(""))),
            singles: &[],
            ignore: &Ignore::default(),
        };
        compare::compare(env, &Clean::of(&own, env)?, &scope, &mut seen)?;
    }
    let context = canonical(input.context)?;
    let scope = Scope {
        context: Some((within(&context, &repository)?, Path::new(""))),
        singles: &singles,
        ignore: input.ignore,
    };
    compare::compare(env, &clean, &scope, &mut seen)?;
    if !seen.differing.is_empty() {
        return Err(differs(input.context, commit, &seen.differing));
    }
    Ok(Shown {
        time: time_of(&clean),
        tree: tree_of(&clean),
        generated: (!seen.generated.is_empty()).then(|| first_few(&seen.generated)),
    })
}

/// A file of the build that is in another repository than the context, such as the Dockerfile beside a submodule.
fn compare_outside(
    env: &Env,
    repository: &Repository,
    path: &Path,
    seen: &mut Differences,
) -> Result<()> {
    let clean = Clean::of(repository, env)?;
    let scope = Scope {
        context: None,
        singles: &[within(path, repository)?.to_owned()],
        ignore: &Ignore::default(),
    };
    compare::compare(env, &clean, &scope, seen)
}

fn within<'a>(path: &'a Path, repository: &Repository) -> Result<&'a Path> {
    path.strip_prefix(&repository.root)
        .map_err(|_| Error::refused(format!("{} is not in its repository", path.display())))
}

/// The repository around `path`, if it is checked out at the commit, or is a submodule of one that is.
fn owner(env: &Env, path: &Path, commit: &str) -> Result<Repository> {
    let Some(repository) = Repository::around(path, env)? else {
        return Err(with_unverified_hint(
            Error::refused(format!(
                "{} is not in a git repository, so nothing shows that it is the content of commit {commit}",
                path.display()
            ))
            .hint("check the commit out: actions/checkout in a workflow, a full clone instead of a ZIP file as CodePipeline's output, git clone at a terminal"),
        ));
    };
    if repository.head == commit {
        return Ok(repository);
    }
    let above = match repository.root.parent() {
        Some(parent) => Repository::around(parent, env)?,
        None => None,
    };
    if let Some(above) = above.filter(|above| above.head == commit)
        && let Ok(within) = repository.root.strip_prefix(&above.root)
        && compare::is_submodule(&Clean::of(&above, env)?, within, &repository.head)?
    {
        return Ok(repository);
    }
    Err(other_commit(&repository, commit))
}

fn other_commit(repository: &Repository, commit: &str) -> Error {
    Error::refused(format!(
        "{} is checked out at {}, not at {commit}",
        repository.root.display(),
        repository.head
    ))
    .hint(format!(
        "check out {commit}, or publish what is checked out: --commit {}",
        repository.head
    ))
}

fn differs(context: &Path, commit: &str, differing: &BTreeSet<String>) -> Error {
    with_unverified_hint(
        Error::refused(format!(
            "the build context {} is not as commit {commit} has it",
            context.display()
        ))
        .cause(first_few(differing))
        .hint("commit the change or undo it; list a file that the build does not need in .dockerignore, and one that an earlier step makes in .gitignore, and commit that"),
    )
}

fn with_unverified_hint(error: Error) -> Error {
    error.hint("or publish it without the commit's tag: --allow-unverified REASON --tag TAG")
}

/// The names under which the repository can have a file: its own, and that of the file which a link points to.
fn names(file: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut names = BTreeSet::from([canonical(file)?]);
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Some(name) = file.file_name() {
        names.insert(canonical(folder)?.join(name));
    }
    Ok(names)
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|error| Error::usage(format!("{} cannot be read", path.display())).because(error))
}

fn time_of(clean: &Clean<'_>) -> Option<i64> {
    let time = clean.run(&["log", "-1", "--format=%ct", "HEAD"]).ok()?;
    git::line(&time).parse().ok()
}

fn tree_of(clean: &Clean<'_>) -> Option<String> {
    let tree = clean.run(&["rev-parse", "--verify", "HEAD^{tree}"]).ok()?;
    Some(git::line(&tree)).filter(|tree| !tree.is_empty())
}

/// The first few names, and the number of the others.
fn first_few(all: &BTreeSet<String>) -> String {
    let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    match all.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_named() {
        let set =
            |numbers: std::ops::Range<u32>| numbers.map(|number| number.to_string()).collect();
        assert_eq!(first_few(&set(0..2)), "0, 1");
        assert_eq!(first_few(&set(0..7)), "0, 1, 2, 3, 4 and 2 more");
    }
}
