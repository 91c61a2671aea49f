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
    Content::Text {
        oid: format!("blob of {text}"),
        text: text.to_owned(),
    }
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
        ..Sides::default()
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

/// A file that both sides changed, and the merge's version of it.
fn both_changed(made: &str) -> Sides {
    let theirs = "a\nb\nC\n";
    // Where the merge has one side's version whole, GitHub lists that side's blob, or no change at all.
    let listed = match made {
        "A\nb\nc\n" => Vec::new(),
        _ if made == theirs => vec![file("x", "modified", "theirs")],
        _ => vec![file("x", "modified", "made")],
    };
    let versions = versions(
        text("a\nb\nc\n"),
        text("A\nb\nc\n"),
        text(theirs),
        text(made),
    );
    Sides {
        wanted: vec![file("x", "modified", "theirs")],
        own: BTreeSet::from(["x".to_owned()]),
        made: listed,
        contents: BTreeMap::from([("x".to_owned(), versions)]),
    }
}

#[test]
fn a_file_that_both_changed_is_merged_again() {
    judge(Some(&both_changed("A\nb\nC\n"))).unwrap();
    judge(Some(&both_changed("A\nevil\nC\n"))).unwrap_err();
}

/// `git merge -X theirs`, and `git checkout main -- x` in a merge of the branch.
#[test]
fn one_sides_version_of_a_file_that_both_changed_is_not_a_merge() {
    for whole in ["a\nb\nC\n", "A\nb\nc\n"] {
        let why = judge(Some(&both_changed(whole))).unwrap_err();
        assert!(why.contains("`x` is not what merging"), "{why}");
    }
    // Both made the same change, which git takes as one.
    let mut same = both_changed("a\nb\nC\n");
    same.contents.get_mut("x").unwrap().ours = text("a\nb\nC\n");
    judge(Some(&same)).unwrap();
}

/// A submodule, or a name that is not UTF-8: GitHub lists it and shows none of its versions.
#[test]
fn a_file_that_github_lists_and_does_not_show_is_unseen() {
    let none = || Content::Absent;
    let hidden = versions(none(), none(), none(), none());
    let sides = |wanted: Vec<FileChange>, made: Vec<FileChange>, versions: &Versions| Sides {
        wanted,
        made,
        own: BTreeSet::from(["sub".to_owned()]),
        contents: BTreeMap::from([("sub".to_owned(), versions.clone())]),
    };
    let listed = |status: &str, blob: &str| vec![file("sub", status, blob)];
    let seen = versions(none(), none(), text("x"), text("x"));
    for (sides, unseen) in [
        (sides(Vec::new(), listed("added", "evil"), &hidden), true),
        (sides(Vec::new(), listed("modified", "evil"), &hidden), true),
        (sides(listed("modified", "1"), Vec::new(), &hidden), true),
        // The branch moved it too, so that neither side's pointer is right by itself.
        (
            sides(listed("modified", "1"), listed("modified", "1"), &hidden),
            true,
        ),
        // A submodule of which the merge makes a file.
        (
            sides(listed("changed", "1"), listed("changed", "1"), &seen),
            true,
        ),
        (
            sides(listed("added", "1"), listed("added", "1"), &seen),
            false,
        ),
    ] {
        assert_eq!(sides.unseen().is_some(), unseen, "{sides:?}");
    }
    // Neither side of the merge touched it.
    assert_eq!(Sides::default().unseen(), None);
}

#[test]
fn each_side_alone_decides_about_a_file_that_the_other_left() {
    let (a, b, c) = (text("a"), text("b"), text("c"));
    let none = Content::Absent;
    let opaque = |oid: &str| Content::Opaque(oid.to_owned());
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
        // Another blob is another content, however alike GitHub shows them.
        (
            versions(none.clone(), none.clone(), opaque("1"), opaque("2")),
            false,
        ),
        (versions(none.clone(), none, opaque("1"), opaque("1")), true),
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
        ..Sides::default()
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
