//! What proves a merge, and what does not.

use super::*;
use crate::check::tests::{commit, on_branch, pull};

fn file(path: &str, status: &str, blob: &str) -> FileChange {
    FileChange {
        path: path.to_owned(),
        status: status.to_owned(),
        blob: Some(blob.to_owned()),
        previous: None,
    }
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn versions(base: Content, ours: Content, theirs: Content, made: Content) -> Versions {
    Versions {
        base,
        ours,
        theirs,
        made,
    }
}

/// A pull request that was opened on `base` and merged on `direct` as `m`.
fn late() -> (BTreeMap<String, RangeCommit>, Pull) {
    let commits = [
        on_branch("a", "tree a", &["base"]),
        on_branch("direct", "tree d", &["base"]),
        on_branch("m", "tree m", &["direct", "a"]),
    ];
    let known = commits
        .into_iter()
        .map(|one| (one.sha.clone(), one))
        .collect();
    let pull = Pull {
        head: "a".to_owned(),
        merge_commit: Some("m".to_owned()),
        commits: vec![commit("a", "base", "alice")],
        ..pull()
    };
    (known, pull)
}

fn judge(sides: Option<&Sides>) -> Result<(), String> {
    let (known, pull) = late();
    let landing = landing(&known, &pull).unwrap();
    proven(&landing, &pull, &known, sides)
}

#[test]
fn an_up_to_date_head_is_merged_as_it_is() {
    let (mut known, pull) = late();
    let merge = known.get_mut("m").unwrap();
    merge.parents[0] = "base".to_owned();
    merge.tree = "tree of a".to_owned();
    let ok = landing(&known, &pull).unwrap();
    assert!(ok.up_to_date);
    proven(&ok, &pull, &known, None).unwrap();
    known.get_mut("m").unwrap().tree = "more".to_owned();
    let why = proven(&ok, &pull, &known, None).unwrap_err();
    assert!(why.contains("is not that of its final head a"), "{why}");
}

/// The head's tree is not enough where the branch had more: the merge would take that away.
#[test]
fn a_late_merge_is_compared_file_by_file() {
    judge(None).unwrap_err();
    let same = Sides {
        wanted: vec![file("x", "modified", "1"), file("y", "added", "2")],
        made: vec![file("y", "added", "2"), file("x", "modified", "1")],
        contents: BTreeMap::new(),
    };
    judge(Some(&same)).unwrap();
    let evil = Sides {
        made: vec![
            file("x", "modified", "1"),
            file("y", "added", "2"),
            file("z", "added", "3"),
        ],
        contents: BTreeMap::from([(
            "z".to_owned(),
            versions(
                Content::Absent,
                Content::Absent,
                Content::Absent,
                text("evil\n"),
            ),
        )]),
        ..same
    };
    let why = judge(Some(&evil)).unwrap_err();
    assert!(why.contains("`z` is not what merging"), "{why}");
}

#[test]
fn a_file_that_both_changed_is_merged_again() {
    let sides = |made: &str| Sides {
        wanted: vec![file("x", "modified", "1")],
        made: vec![file("x", "modified", "2")],
        contents: BTreeMap::from([(
            "x".to_owned(),
            versions(
                text("a\nb\nc\n"),
                text("A\nb\nc\n"),
                text("a\nb\nC\n"),
                text(made),
            ),
        )]),
    };
    judge(Some(&sides("A\nb\nC\n"))).unwrap();
    judge(Some(&sides("A\nevil\nC\n"))).unwrap_err();
    judge(Some(&sides("a\nb\nC\n"))).unwrap_err();
}

#[test]
fn each_side_alone_decides_about_a_file_that_the_other_left() {
    let (a, b, c) = (text("a"), text("b"), text("c"));
    let none = Content::Absent;
    for (versions, wanted) in [
        (versions(a.clone(), a.clone(), b.clone(), b.clone()), true),
        (
            versions(a.clone(), a.clone(), none.clone(), none.clone()),
            true,
        ),
        (versions(a.clone(), b.clone(), b.clone(), b.clone()), true),
        (versions(a.clone(), b.clone(), a.clone(), b.clone()), true),
        (versions(a.clone(), b.clone(), a.clone(), a.clone()), false),
        (versions(a.clone(), a.clone(), b.clone(), c.clone()), false),
        (versions(a.clone(), b.clone(), c.clone(), c.clone()), false),
        (
            versions(a.clone(), none.clone(), b.clone(), b.clone()),
            false,
        ),
        (versions(Content::Opaque("1".to_owned()), a, b, c), false),
    ] {
        assert_eq!(versions.is_merged(), wanted, "{versions:?}");
    }
}

#[test]
fn a_renamed_file_that_only_one_list_calls_so_is_in_question_under_both_names() {
    let renamed = FileChange {
        previous: Some("old".to_owned()),
        ..file("new", "renamed", "1")
    };
    let sides = Sides {
        wanted: vec![renamed],
        made: vec![file("new", "added", "1"), file("old", "removed", "0")],
        contents: BTreeMap::new(),
    };
    let paths: Vec<&str> = sides.in_question().into_iter().collect();
    assert_eq!(paths, ["new", "old"]);
    assert_eq!(sides.handmade(), ["new", "old"]);
}

#[test]
fn only_a_merge_of_the_branch_is_an_update() {
    let mut update = commit("u", "a", "bob");
    update.parents.push("main".to_owned());
    let mut own = commit("w", "u", "bob");
    own.parents.push("a".to_owned());
    let pull = Pull {
        commits: vec![commit("a", "base", "alice"), update, own],
        ..pull()
    };
    let found: Vec<&str> = updates(&pull).iter().map(|one| one.sha.as_str()).collect();
    assert_eq!(found, ["u"]);
}
