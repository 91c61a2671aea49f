//! The content that a merge by hand may take from its two sides, and the people whose pushes count.

use std::io::Write;
use std::process::{Command, Stdio};

use sandbox::runner::story::{AUTHOR, RELEASER, REVIEWER, git_folder};
use serde_json::{Value, json};

use super::Scene;
use crate::support::instance;

/// A file whose first and last lines two people change.
fn text(first: &str, last: &str) -> String {
    format!("{first}\n1\n2\n3\n4\n5\n6\n7\n{last}\n")
}

impl Scene {
    /// A push of files with these contents.
    fn write(&self, user: &str, branch: &str, from: Option<&str>, files: &Value) {
        let mut body = json!({"user": user, "branch": branch, "files": files});
        if let Some(from) = from {
            body["from"] = json!(from);
        }
        self.act("push", &body);
    }

    /// A reviewed change of files, merged.
    pub(super) fn reviewed(&self, branch: &str, files: &Value) -> String {
        self.write(AUTHOR, branch, Some("main"), files);
        let number = self.open(AUTHOR, branch);
        self.approve(number);
        self.merge(number, "squash")
    }

    /// The tree of a commit with this entry, as `git ls-tree` writes it, in place of any of its name.
    fn with_entry(&self, commit: &str, entry: &str) -> String {
        let (_, name) = entry.split_once('\t').unwrap();
        let entries = self.git(&["ls-tree", commit]);
        let is_other = |line: &&str| line.split_once('\t').unwrap().1 != name;
        let mut all: Vec<&str> = entries.lines().filter(is_other).collect();
        all.push(entry);
        let mut child = Command::new("git")
            .arg("-C")
            .arg(git_folder(instance(), &self.setting.world))
            .args(["mktree", "--missing"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input
            .write_all(format!("{}\n", all.join("\n")).as_bytes())
            .unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The entry of a commit's file with another mode.
    fn entry(&self, commit: &str, file: &str, mode: &str) -> String {
        let blob = self.git(&["rev-parse", &format!("{commit}:{file}")]);
        format!("{mode} blob {blob}\t{file}")
    }

    /// Merges a pull request by hand, with this entry in the result.
    fn merge_with(&self, number: u64, branch: &str, entry: &str) -> String {
        let merged = self.git(&["merge-tree", "--write-tree", "main", branch]);
        let tree = self.with_entry(&merged, entry);
        let by_hand = json!({"user": RELEASER, "tree": tree});
        let merged = self.act(&format!("pulls/{number}/merge"), &by_hand);
        merged["sha"].as_str().unwrap().to_owned()
    }
}

/// `git merge main; git checkout main -- x`: the branch's own change of x is gone, and whoever did that wrote something.
#[test]
fn an_update_that_takes_one_side_whole_is_a_contribution() {
    let scene = Scene::new("range-side");
    scene.reviewed("first", &json!({"x": text("0", "8")}));
    let guarded = json!({"x": text("guard", "8"), "y": "y\n"});
    scene.write(AUTHOR, "guarded", Some("main"), &guarded);
    let number = scene.open(AUTHOR, "guarded");
    scene.reviewed("meanwhile", &json!({"x": text("0", "eight")}));
    let update = format!("pulls/{number}/update-branch");
    let dropped = json!({"user": REVIEWER, "files": {"x": text("0", "eight")}});
    scene.act(&update, &dropped);
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    let words = format!("{REVIEWER} contributed to the change");
    scene.check(&tip).refused("approvals", "fail", &words);
    scene.review(number, RELEASER, "APPROVED");
    scene.check(&tip).passes();
    scene.no_violations();
}

/// `git merge -X theirs`: a reviewed hotfix of x is gone from the branch.
#[test]
fn a_merge_that_takes_one_side_whole_is_named() {
    let scene = Scene::new("range-theirs");
    scene.reviewed("first", &json!({"x": text("0", "8")}));
    scene.write(
        AUTHOR,
        "older",
        Some("main"),
        &json!({"x": text("0", "eight")}),
    );
    let number = scene.open(AUTHOR, "older");
    scene.approve(number);
    scene.reviewed("hotfix", &json!({"x": text("fixed", "8")}));
    let theirs = json!({"user": RELEASER, "files": {"x": text("0", "eight")}});
    let merged = scene.act(&format!("pulls/{number}/merge"), &theirs);
    let tip = merged["sha"].as_str().unwrap();
    let answer = scene.check(tip);
    answer.refused("merge", "fail", "`x` is not what merging");
    scene.contract(&format!(", accepted-commits: ['{tip}']"), "");
    scene.check(tip).passes();
}

/// The branch is so far ahead that GitHub does not list what it changed.
#[test]
fn a_late_merge_is_compared_also_where_the_branch_changed_hundreds_of_files() {
    let scene = Scene::new("range-far");
    scene.reviewed("first", &json!({"x": text("0", "8")}));
    let older = |branch: &str| {
        let files = json!({"x": text("0", "eight"), branch: "new\n"});
        scene.write(AUTHOR, branch, Some("main"), &files);
        let number = scene.open(AUTHOR, branch);
        scene.approve(number);
        number
    };
    let (honest, theirs) = (older("honest"), older("theirs"));
    let mut many: Value = json!({"x": text("fixed", "8")});
    for index in 0..320 {
        many[format!("many/{index}")] = json!(format!("{index}\n"));
    }
    scene.reviewed("many", &many);
    let tip = scene.merge(honest, "merge");
    scene.check(&tip).passes();
    let whole = json!({"user": RELEASER, "files": {"x": text("0", "eight")}});
    let merged = scene.act(&format!("pulls/{theirs}/merge"), &whole);
    let answer = scene.check(merged["sha"].as_str().unwrap());
    answer.refused("merge", "fail", "`x` is not what merging");
}

/// A merge by hand of what was approved, with another mode: a program, or a link, that no reviewed head had.
#[test]
fn a_mode_that_only_the_merge_has_is_named() {
    let scene = Scene::new("range-mode");
    scene.reviewed("first", &json!({"run": "x\n"}));
    let cases = [
        ("100755", "run", "untouched"),
        ("120000", "new-link", "new-link"),
        ("100755", "new-program", "new-program"),
    ];
    let opened = cases.map(|(mode, branch, file)| {
        let branch = format!("mode-{branch}");
        let file = if file == "untouched" { "run" } else { file };
        scene.write(
            AUTHOR,
            &branch,
            Some("main"),
            &json!({(branch.as_str()): "y\n", file: "x\n"}),
        );
        let number = scene.open(AUTHOR, &branch);
        scene.approve(number);
        (mode, branch, file, number)
    });
    scene.change("meanwhile", "squash");
    let mut accepted = Vec::new();
    for (mode, branch, file, number) in opened {
        let entry = scene.entry(&branch, file, mode);
        let tip = scene.merge_with(number, &branch, &entry);
        let answer = scene.check(&tip);
        answer.refused("merge", "fail", &format!("`{file}` is not what merging"));
        accepted.push(format!("'{tip}'"));
        scene.contract(
            &format!(", accepted-commits: [{}]", accepted.join(", ")),
            "",
        );
        scene.check(&tip).passes();
    }
    scene.no_violations();
}

/// A mode that a reviewed head has is not the merge's own.
#[test]
fn a_mode_that_was_reviewed_passes_a_late_merge() {
    let scene = Scene::new("range-mode-reviewed");
    scene.reviewed("first", &json!({"run": "x\n"}));
    let number = scene.propose(AUTHOR, "program");
    let tree = scene.with_entry("program", &scene.entry("program", "run", "100755"));
    let by = format!("user.email={AUTHOR}@acme.example");
    let head = scene.git(&[
        "-c",
        "user.name=author",
        "-c",
        &by,
        "commit-tree",
        &tree,
        "-p",
        "program",
        "-m",
        "Run it",
    ]);
    for push in [json!({"delete": true}), json!({"restore": head})] {
        let mut push = push;
        push["user"] = json!(AUTHOR);
        push["branch"] = json!("program");
        scene.act("push", &push);
    }
    scene.approve(number);
    scene.change("meanwhile", "squash");
    let tip = scene.merge(number, "merge");
    assert!(scene.git(&["ls-tree", &tip]).contains("100755 blob"));
    scene.check(&tip).passes();
    scene.no_violations();
}

/// A submodule that no reviewed head has.
#[test]
fn a_submodule_that_only_the_merge_has_is_named() {
    let scene = Scene::new("range-submodule");
    let number = scene.propose(AUTHOR, "plain");
    scene.approve(number);
    scene.change("meanwhile", "squash");
    let pointer = "7".repeat(40);
    let tip = scene.merge_with(number, "plain", &format!("160000 commit {pointer}\tsub"));
    let answer = scene.check(&tip);
    answer.refused("merge", "fail", "`sub` is not what merging");
    scene.contract(&format!(", accepted-commits: ['{tip}']"), "");
    scene.check(&tip).passes();
}

/// GitHub lists at most 300 files of a merge. Its trees have no such limit.
#[test]
fn a_merge_of_more_files_than_github_lists_is_judged_by_its_trees() {
    let scene = Scene::new("range-many");
    let mut many = json!({});
    for index in 0..320 {
        many[format!("many/{index}")] = json!(format!("{index}\n"));
    }
    scene.write(AUTHOR, "many", Some("main"), &many);
    let number = scene.open(AUTHOR, "many");
    scene.approve(number);
    scene.change("meanwhile", "squash");
    let tip = scene.merge(number, "merge");
    scene.check(&tip).passes();
}

/// Deleting a branch and restoring it takes nobody's push away.
#[test]
fn a_push_before_a_branch_was_restored_counts_as_a_contribution() {
    let scene = Scene::new("range-restored");
    let number = scene.propose(AUTHOR, "restored");
    let head = scene.push(REVIEWER, "restored", "evil.txt", &json!({"author": AUTHOR}));
    scene.act(
        "push",
        &json!({"user": AUTHOR, "branch": "restored", "delete": true}),
    );
    scene.act(
        "push",
        &json!({"user": AUTHOR, "branch": "restored", "restore": head}),
    );
    scene.approve(number);
    let tip = scene.merge(number, "merge");
    let words = format!("{REVIEWER} contributed to the change");
    scene.check(&tip).refused("approvals", "fail", &words);
    // After the merge it is the same.
    scene.act(
        "push",
        &json!({"user": AUTHOR, "branch": "restored", "delete": true}),
    );
    scene.act(
        "push",
        &json!({"user": AUTHOR, "branch": "restored", "restore": head}),
    );
    scene.check(&tip).refused("approvals", "fail", &words);
}
