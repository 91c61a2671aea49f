//! Facts and changes in the real repository behind a registered one, through the `git` command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// `git` failed; its own words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("git {command}: {message}")]
pub(crate) struct GitError {
    command: String,
    message: String,
}

/// Name, address and time of an author or committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Seconds since 1970.
    pub(crate) time: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Signature,
    pub(crate) committer: Signature,
    pub(crate) message: String,
}

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

/// How the two sides of a merge are to become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MergeMethod {
    Merge,
    Squash,
    Rebase,
}

#[derive(Debug, Clone)]
pub(crate) struct Git {
    directory: PathBuf,
    /// Ranges between full hashes never change; a program for each of a thousand takes seconds.
    ranges: Arc<Mutex<BTreeMap<String, Vec<Commit>>>>,
}

/// Fields are divided by a character no commit message carries.
const FORMAT: &str = "--format=%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ce%x1f%ct%x1f%B";

impl Git {
    /// A repository at `directory`, bare or not.
    pub(crate) fn open(directory: &Path) -> Result<Self, GitError> {
        let git = Self {
            directory: directory.to_owned(),
            ranges: Arc::default(),
        };
        git.text(&["rev-parse", "--git-dir"])?;
        Ok(git)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command.arg("-C").arg(&self.directory).args([
            "-c",
            "safe.directory=*",
            "-c",
            "core.quotepath=off",
        ]);
        command
    }

    fn run(
        &self,
        args: &[&str],
        input: Option<&[u8]>,
        env: &[(&str, &str)],
    ) -> Result<Vec<u8>, GitError> {
        let fail = |message: String| GitError {
            command: args.first().copied().unwrap_or_default().to_owned(),
            message,
        };
        let mut child = self
            .command()
            .args(args)
            .envs(env.iter().copied())
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(error.to_string()))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            std::io::Write::write_all(&mut stdin, input)
                .map_err(|error| fail(error.to_string()))?;
        }
        let output = child
            .wait_with_output()
            .map_err(|error| fail(error.to_string()))?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(fail(format!(
                "{} ({})",
                String::from_utf8_lossy(&output.stderr).trim(),
                output.status
            )))
        }
    }

    fn text(&self, args: &[&str]) -> Result<String, GitError> {
        self.run(args, None, &[])
            .map(|out| String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// The commit a branch, tag or (abbreviated) SHA names, in the order GitHub looks: branches first.
    pub(crate) fn resolve(&self, name: &str) -> Option<String> {
        let sha_like = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut candidates = vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")];
        if let Some(short) = name
            .strip_prefix("heads/")
            .or_else(|| name.strip_prefix("refs/heads/"))
        {
            candidates.push(format!("refs/heads/{short}"));
        }
        if let Some(short) = name
            .strip_prefix("tags/")
            .or_else(|| name.strip_prefix("refs/tags/"))
        {
            candidates.push(format!("refs/tags/{short}"));
        }
        if sha_like {
            candidates.push(name.to_owned());
        }
        candidates.iter().find_map(|rev| {
            self.text(&[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{rev}^{{commit}}"),
            ])
            .ok()
        })
    }

    pub(crate) fn branch(&self, name: &str) -> Option<String> {
        self.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("refs/heads/{name}^{{commit}}"),
        ])
        .ok()
    }

    pub(crate) fn is_tag(&self, name: &str) -> bool {
        self.text(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("refs/tags/{name}"),
        ])
        .is_ok()
    }

    pub(crate) fn commit(&self, sha: &str) -> Result<Commit, GitError> {
        let mut commits = self.kept(sha, &["--no-walk", sha])?;
        commits.pop().ok_or_else(|| GitError {
            command: "log".into(),
            message: format!("no commit {sha}"),
        })
    }

    /// Commits of `base..head`, oldest first.
    pub(crate) fn range(&self, base: &str, head: &str) -> Result<Vec<Commit>, GitError> {
        let range = format!("{base}..{head}");
        self.kept(&range, &["--reverse", &range])
    }

    /// A commit and its ancestors, newest first.
    pub(crate) fn ancestry(&self, sha: &str) -> Result<Vec<Commit>, GitError> {
        self.log(&[sha])
    }

    /// As [`Git::log`], kept under `key` where that consists of full hashes.
    fn kept(&self, key: &str, args: &[&str]) -> Result<Vec<Commit>, GitError> {
        let full = |part: &str| part.len() == 40 && part.bytes().all(|c| c.is_ascii_hexdigit());
        let fixed = key.split("..").all(full);
        let ranges = || self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ranges().get(key).filter(|_| fixed) {
            return Ok(known.clone());
        }
        let found = self.log(args)?;
        if fixed {
            ranges().insert(key.to_owned(), found.clone());
        }
        Ok(found)
    }

    fn log(&self, args: &[&str]) -> Result<Vec<Commit>, GitError> {
        let mut all = vec!["log", "-z", "--no-show-signature", FORMAT];
        all.extend(args);
        let out = self.run(&all, None, &[])?;
        String::from_utf8_lossy(&out)
            .split('\0')
            .filter(|record| !record.is_empty())
            .map(parse_commit)
            .collect()
    }

    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        self.text(&["merge-base", one, other])
            .ok()
            .filter(|sha| !sha.is_empty())
    }

    pub(crate) fn is_ancestor(&self, ancestor: &str, of: &str) -> bool {
        self.text(&["merge-base", "--is-ancestor", ancestor, of])
            .is_ok()
    }

    /// How many commits of `head` are not in `base`.
    pub(crate) fn count(&self, base: &str, head: &str) -> Result<u64, GitError> {
        let text = self.text(&["rev-list", "--count", &format!("{base}..{head}")])?;
        text.parse().map_err(|_| GitError {
            command: "rev-list".into(),
            message: format!("not a number: {text}"),
        })
    }

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

    /// The tree of git's empty commit, what a root commit is compared with.
    pub(crate) fn empty_tree(&self) -> Result<String, GitError> {
        self.run(
            &["hash-object", "-t", "tree", "-w", "--stdin"],
            Some(b""),
            &[],
        )
        .map(|out| String::from_utf8_lossy(&out).trim().to_owned())
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
                    self.run(&["update-index", "--force-remove", "--", path], None, &env)?;
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
        // The index is a scratch file; that it may never have been written is no error.
        let _ = std::fs::remove_file(&index);
        let tree = String::from_utf8_lossy(&written?).trim().to_owned();
        Ok(tree)
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

fn parse_commit(record: &str) -> Result<Commit, GitError> {
    let fields: Vec<&str> = record.splitn(10, '\u{1f}').collect();
    let [sha, tree, parents, an, ae, at, cn, ce, ct, message] = fields[..] else {
        return Err(GitError {
            command: "log".into(),
            message: "unexpected format".into(),
        });
    };
    let signature = |name: &str, email: &str, time: &str| Signature {
        name: name.to_owned(),
        email: email.to_owned(),
        time: time.parse().unwrap_or_default(),
    };
    Ok(Commit {
        sha: sha.trim_start().to_owned(),
        tree: tree.to_owned(),
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        author: signature(an, ae, at),
        committer: signature(cn, ce, ct),
        message: message.trim_end().to_owned(),
    })
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
