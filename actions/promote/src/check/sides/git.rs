//! The judgment compared with git itself, over every way in which two sides can change one file.

use super::*;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SUBMODULE: u32 = 0o160_000;

/// Modes that a file may have: a file, a program, a symbolic link, a submodule.
const MODES: [u32; 4] = [0o100_644, 0o100_755, 0o120_000, SUBMODULE];

/// The texts that the file may have: without changes, with one of two, and with both.
const TEXTS: [&str; 4] = ["a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"];

/// A file, by mode and the number of its text; `None`: it is not there.
type File = Option<(u32, usize)>;

/// Runs git with this as its input.
fn git(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@y.example", "-C"])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.trim().to_owned())
}

fn files() -> Vec<File> {
    let texts = |mode| (0..TEXTS.len()).map(move |text| Some((mode, text)));
    let all = MODES.into_iter().flat_map(texts);
    std::iter::once(None).chain(all).collect()
}

/// A repository with one commit for each file that there may be.
struct Repository {
    folder: tempfile::TempDir,
    objects: Vec<String>,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"], "");
        let write = |text: &&str| git(folder.path(), &["hash-object", "-w", "--stdin"], text).1;
        let objects = TEXTS.iter().map(write).collect();
        Self { folder, objects }
    }

    /// The object of a file. A submodule's is a commit of another repository.
    fn object(&self, mode: u32, text: usize) -> String {
        match mode {
            SUBMODULE => (text + 1).to_string().repeat(40),
            _ => self.objects[text].clone(),
        }
    }

    /// The tree of a file; another file is beside it.
    fn tree(&self, file: File) -> String {
        let beside = format!("100644 blob {}\tbeside\n", self.objects[0]);
        let own = match file {
            None => String::new(),
            Some((mode, text)) => {
                let kind = if mode == SUBMODULE { "commit" } else { "blob" };
                format!("{mode:06o} {kind} {}\tx\n", self.object(mode, text))
            }
        };
        git(
            self.folder.path(),
            &["mktree", "--missing"],
            &format!("{beside}{own}"),
        )
        .1
    }

    fn commit(&self, file: File, parent: Option<&str>) -> String {
        let tree = self.tree(file);
        let mut arguments = vec!["commit-tree", &tree, "-m", "x"];
        if let Some(parent) = parent {
            arguments.extend(["-p", parent]);
        }
        git(self.folder.path(), &arguments, "").1
    }

    fn entries(&self, file: File) -> Vec<Entry> {
        let entry = |name: &str, mode: u32, oid: &str| Entry {
            key: name.to_owned(),
            name: name.to_owned(),
            mode,
            oid: oid.to_owned(),
        };
        let own = file.map(|(mode, text)| entry("x", mode, &self.object(mode, text)));
        let beside = entry("beside", 0o100_644, &self.objects[0]);
        std::iter::once(beside).chain(own).collect()
    }
}

fn judged(repository: &Repository, files: [File; COMMITS]) -> bool {
    let mut sides = Sides::default();
    for (commit, file) in files.iter().enumerate() {
        let key = (commit, String::new());
        sides.directories.insert(key, repository.entries(*file));
    }
    let content = |file: File| match file {
        Some((mode, text)) if mode != SUBMODULE => Content::Text {
            oid: repository.objects[text].clone(),
            text: TEXTS[text].to_owned(),
        },
        _ => Content::Absent,
    };
    sides.contents.insert("x".to_owned(), files.map(content));
    sides.handmade().is_empty()
}

/// A merge passes only if git makes the same one without asking anybody.
#[test]
fn nothing_passes_that_git_does_not_merge_by_itself() {
    let repository = Repository::new();
    let trees: Vec<String> = files().into_iter().map(|it| repository.tree(it)).collect();
    let mut passed = 0;
    for base in [None, Some((MODES[0], 0)), Some((MODES[2], 0))] {
        let root = repository.commit(base, None);
        let commits: Vec<(File, String)> = files()
            .into_iter()
            .map(|file| (file, repository.commit(file, Some(&root))))
            .collect();
        for (first, (ours, one)) in commits.iter().enumerate() {
            for (theirs, other) in &commits[first..] {
                let (code, tree) = git(
                    repository.folder.path(),
                    &["merge-tree", "--write-tree", one, other],
                    "",
                );
                for (made, own) in files().into_iter().zip(&trees) {
                    if judged(&repository, [base, *ours, *theirs, made]) {
                        passed += 1;
                        let both = format!("{base:?}: {ours:?} and {theirs:?} give {made:?}");
                        assert_eq!((code, &tree), (Some(0), own), "{both}");
                    }
                }
            }
        }
    }
    // All that only one side changed, at least.
    assert!(passed >= 3 * files().len(), "{passed}");
}
