//! Where a file lies in its repository, as git writes the path.

use crate::env::Env;
use crate::host::Kind;
use std::path::{Component, Path, PathBuf};

/// The path of a file in its repository: below the folder that the host checked the source out to, or below a folder in that with a
/// repository of its own, as a checkout with a `path` makes it. At a terminal it is below the nearest folder with a repository. Where there
/// is none, it is the path as it was given.
///
/// The path decides what the file is compared with, and not its content.
pub fn in_repository(kind: Kind, env: &Env, given: &Path) -> String {
    let root = match kind {
        Kind::GitHub => env.get("GITHUB_WORKSPACE").map(plain_path),
        Kind::CodeBuild => env.get("CODEBUILD_SRC_DIR").map(plain_path),
        Kind::Terminal => None,
    };
    let absolute = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
    let inner = match (kind, &root) {
        (Kind::Terminal, _) => checkout(Path::new("/"), &absolute),
        (_, Some(root)) => checkout(root, &absolute),
        (_, None) => None,
    };
    below(inner.as_deref().or(root.as_deref()), &absolute, given)
}

fn plain_path(path: &str) -> PathBuf {
    plain(Path::new(path))
}

/// The nearest folder above a file, and not above `root`, that git has a repository in.
fn checkout(root: &Path, file: &Path) -> Option<PathBuf> {
    let file = plain(file);
    let mut folders = file
        .ancestors()
        .skip(1)
        .take_while(|it| it.starts_with(root));
    folders
        .find(|folder| folder.join(".git").exists())
        .map(Path::to_path_buf)
}

/// A path below `root`, as git writes it.
fn below(root: Option<&Path>, absolute: &Path, given: &Path) -> String {
    let absolute = plain(absolute);
    let inside = root.and_then(|root| absolute.strip_prefix(plain(root)).ok());
    let path = inside.map_or_else(|| plain(given), Path::to_path_buf);
    path.to_string_lossy().into_owned()
}

/// A path without `.` and `..`.
pub fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_at_the_nearest_repository_inside_the_workspace() {
        let workspace = std::env::temp_dir().join(format!("paths-{}", std::process::id()));
        let inner = workspace.join("src");
        std::fs::create_dir_all(inner.join("shop")).unwrap();
        let file = inner.join("shop/delivery.yaml");
        assert_eq!(checkout(&workspace, &file), None);
        std::fs::create_dir(inner.join(".git")).unwrap();
        assert_eq!(checkout(&workspace, &file), Some(inner.clone()));
        assert_eq!(
            below(Some(&inner), &file, Path::new("src/shop/delivery.yaml")),
            "shop/delivery.yaml"
        );
        // One that the workspace lies in is not the workspace's.
        assert_eq!(checkout(&inner.join("shop"), &file), None);
        std::fs::remove_dir_all(workspace).unwrap();
    }

    #[test]
    fn the_contracts_path_is_the_repositorys() {
        let path = |root: Option<&str>, absolute: &str, given: &str| {
            below(root.map(Path::new), Path::new(absolute), Path::new(given))
        };
        for (root, absolute, given, wanted) in [
            (
                Some("/w/shop"),
                "/w/shop/delivery.yaml",
                "delivery.yaml",
                "delivery.yaml",
            ),
            (
                Some("/w/shop"),
                "/w/shop/a/delivery.yaml",
                "delivery.yaml",
                "a/delivery.yaml",
            ),
            (
                Some("/w/shop/"),
                "/w/shop/a/../b.yaml",
                "../b.yaml",
                "b.yaml",
            ),
            (
                None,
                "/tmp/x/delivery.yaml",
                "./delivery.yaml",
                "delivery.yaml",
            ),
            (
                Some("/w/shop"),
                "/tmp/delivery.yaml",
                "/tmp/delivery.yaml",
                "/tmp/delivery.yaml",
            ),
        ] {
            assert_eq!(path(root, absolute, given), wanted, "{root:?} {absolute}");
        }
    }
}
