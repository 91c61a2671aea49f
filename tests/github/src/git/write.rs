//! References, trees, commits and merges that are made.

use std::collections::BTreeMap;

use super::{Commit, Git, GitError, Signature};

impl Git {
    pub(crate) fn set_branch(&self, branch: &str, sha: &str) -> Result<(), GitError> {
        self.set_ref(&format!("refs/heads/{branch}"), sha)
    }

    pub(crate) fn set_ref(&self, name: &str, sha: &str) -> Result<(), GitError> {
        self.text(&["update-ref", name, sha]).map(drop)
    }

    pub(crate) fn delete_ref(&self, name: &str) -> Result<(), GitError> {
        self.text(&["update-ref", "-d", name]).map(drop)
    }

    /// Writes a commit on top of `parent` that puts `files` in place, without a work tree.
    pub(crate) fn write_files(
        &self,
        parent: Option<&str>,
        files: &BTreeMap<String, Option<String>>,
        author: &Signature,
        committer: &Signature,
        message: &str,
    ) -> Result<String, GitError> {
        let tree = self.tree_with(parent, files)?;
        self.commit_tree(&tree, parent.as_slice(), author, committer, message)
    }

    /// The tree of a commit, or a tree, with `files` put in place.
    pub(crate) fn tree_with(
        &self,
        parent: Option<&str>,
        files: &BTreeMap<String, Option<String>>,
    ) -> Result<String, GitError> {
        let index = std::env::temp_dir().join(format!("standin-index-{}", uuid::Uuid::new_v4()));
        let index_path = index.to_string_lossy().into_owned();
        let env = [("GIT_INDEX_FILE", index_path.as_str())];
        let written = (|| {
            match parent {
                Some(parent) => self.run(&["read-tree", parent], None, &env)?,
                None => self.run(&["read-tree", "--empty"], None, &env)?,
            };
            for (path, text) in files {
                let Some(text) = text else {
                    // Mode 0 takes the path away, also where there is no work tree.
                    let gone = format!("0 {} 0\t{path}\n", "0".repeat(40));
                    let gone = Some(gone.as_bytes());
                    self.run(&["update-index", "--index-info"], gone, &env)?;
                    continue;
                };
                let blob = self.run(
                    &["hash-object", "-w", "--stdin"],
                    Some(text.as_bytes()),
                    &[],
                )?;
                let blob = String::from_utf8_lossy(&blob).trim().to_owned();
                self.run(
                    &[
                        "update-index",
                        "--add",
                        "--cacheinfo",
                        &format!("100644,{blob},{path}"),
                    ],
                    None,
                    &env,
                )?;
            }
            self.run(&["write-tree"], None, &env)
        })();
        // The index is a scratch file; it may never have been written, which is not an error.
        let _ = std::fs::remove_file(&index);
        let tree = String::from_utf8_lossy(&written?).trim().to_owned();
        Ok(tree)
    }

    /// The tree of git's empty commit, what a root commit is compared with.
    pub(crate) fn empty_tree(&self) -> Result<String, GitError> {
        self.run(
            &["hash-object", "-t", "tree", "-w", "--stdin"],
            Some(b""),
            &[],
        )
        .map(|out| String::from_utf8_lossy(&out).trim().to_owned())
    }

    pub(crate) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        author: &Signature,
        committer: &Signature,
        message: &str,
    ) -> Result<String, GitError> {
        let mut args = vec!["commit-tree", tree];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        let (author_time, committer_time) = (
            format!("@{} +0000", author.time),
            format!("@{} +0000", committer.time),
        );
        let env = [
            ("GIT_AUTHOR_NAME", author.name.as_str()),
            ("GIT_AUTHOR_EMAIL", &author.email),
            ("GIT_AUTHOR_DATE", &author_time),
            ("GIT_COMMITTER_NAME", &committer.name),
            ("GIT_COMMITTER_EMAIL", &committer.email),
            ("GIT_COMMITTER_DATE", &committer_time),
        ];
        self.run(&args, Some(message.as_bytes()), &env)
            .map(|out| String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// Fetches a branch of another repository, whose objects are then here too.
    pub(crate) fn fetch(&self, from: &Self, branch: &str) -> Result<String, GitError> {
        let directory = from.directory.to_string_lossy().into_owned();
        let reference = format!("refs/heads/{branch}");
        self.text(&["fetch", "--quiet", "--no-tags", &directory, &reference])?;
        from.branch(branch).ok_or_else(|| GitError {
            command: "fetch".into(),
            message: format!("no branch {branch}"),
        })
    }

    /// The tree that applying the change of `commit` to `onto` gives.
    pub(crate) fn picked_tree(&self, onto: &str, commit: &Commit) -> Result<String, GitError> {
        let parent = commit.parents.first().map_or("", String::as_str);
        let base = format!("--merge-base={parent}");
        let args = [
            "merge-tree",
            "--write-tree",
            "--no-messages",
            &base,
            onto,
            &commit.sha,
        ];
        self.text(&args)
            .map(|out| out.lines().next().unwrap_or_default().to_owned())
    }

    /// The tree that merging `head` into `base` gives; an error names the conflict.
    pub(crate) fn merge_tree(&self, base: &str, head: &str) -> Result<String, GitError> {
        self.text(&["merge-tree", "--write-tree", "--no-messages", base, head])
            .map(|out| out.lines().next().unwrap_or_default().to_owned())
    }
}
