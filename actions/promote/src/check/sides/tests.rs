//! Merges that contain only what merging gives, and handmade ones.

use super::*;

const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

/// A file of a commit: path, mode and object.
type File<'a> = (&'a str, u32, &'a str);

/// The directories of a commit with these files, and the name of the whole tree.
fn tree(
    commit: usize,
    path: &str,
    files: &[File<'_>],
    directories: &mut BTreeMap<DirectoryKey, Vec<Entry>>,
) -> String {
    let mut folders: BTreeMap<&str, Vec<File<'_>>> = BTreeMap::new();
    let mut entries = Vec::new();
    let entry = |name: &str, mode: u32, oid: &str| Entry {
        key: format!("raw {name}"),
        name: name.to_owned(),
        mode,
        oid: oid.to_owned(),
    };
    for (name, mode, oid) in files {
        match name.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest, *mode, oid)),
            None => entries.push(entry(name, *mode, oid)),
        }
    }
    for (name, files) in folders {
        let below = match path.is_empty() {
            true => name.to_owned(),
            false => format!("{path}/{name}"),
        };
        let oid = tree(commit, &below, &files, directories);
        entries.push(entry(name, DIRECTORY, &oid));
    }
    let oid = format!("{entries:?}");
    directories.insert((commit, path.to_owned()), entries);
    oid
}

/// The merge base, the branch before, the merged head and the merge, whole.
fn sides(commits: [&[File<'_>]; COMMITS]) -> Sides {
    let mut sides = Sides::default();
    for (commit, files) in commits.iter().enumerate() {
        tree(commit, "", files, &mut sides.directories);
    }
    sides
}

#[track_caller]
fn handmade(commits: [&[File<'_>]; COMMITS], wanted: &[&str]) {
    assert_eq!(sides(commits).handmade(), wanted);
}

#[test]
fn each_side_alone_decides_about_what_the_other_left() {
    let base = [("a/x", FILE, "1"), ("b/y", FILE, "1"), ("z", FILE, "1")];
    let ours = [("a/x", FILE, "ours"), ("b/y", FILE, "1"), ("z", FILE, "1")];
    let theirs = [("a/x", FILE, "1"), ("b/new", FILE, "2"), ("z", FILE, "1")];
    let made = [
        ("a/x", FILE, "ours"),
        ("b/new", FILE, "2"),
        ("z", FILE, "1"),
    ];
    handmade([&base, &ours, &theirs, &made], &[]);
    // The other way around it is the same.
    handmade([&base, &theirs, &ours, &made], &[]);
    // One side whole drops what the other did.
    handmade([&base, &ours, &theirs, &ours], &["b/new", "b/y"]);
    handmade([&base, &ours, &theirs, &theirs], &["a/x"]);
    // Something that neither has.
    let more = [&made[..], &[("c/evil", FILE, "3")]].concat();
    handmade([&base, &ours, &theirs, &more], &["c/evil"]);
    let less = &made[..2];
    handmade([&base, &ours, &theirs, less], &["z"]);
    let other = [("a/x", FILE, "evil"), made[1], made[2]];
    handmade([&base, &ours, &theirs, &other], &["a/x"]);
    // Both did the same.
    handmade([&base, &theirs, &theirs, &theirs], &[]);
    handmade([&base, &theirs, &theirs, &base], &["b/new", "b/y"]);
}

#[test]
fn a_mode_is_a_part_of_the_content() {
    let base = [("run.sh", FILE, "1"), ("x", FILE, "1")];
    let ours = [("run.sh", FILE, "1"), ("x", FILE, "ours")];
    let theirs = [("run.sh", FILE, "2"), ("x", FILE, "1")];
    let made = |mode: u32, oid: &'static str| [("run.sh", mode, oid), ("x", FILE, "ours")];
    let judge = |made: &[File<'_>], wanted: &[&str]| {
        handmade([&base, &ours, &theirs, made], wanted);
        handmade([&base, &theirs, &ours, made], wanted);
    };
    judge(&made(FILE, "2"), &[]);
    for mode in [PROGRAM, LINK, SUBMODULE] {
        // With the approved content, and with none of its own.
        judge(&made(mode, "2"), &["run.sh"]);
        handmade([&base, &ours, &base, &made(mode, "1")], &["run.sh"]);
    }
    // A mode that one side changed, together with the content that the other changed.
    let program = [("run.sh", PROGRAM, "1"), ("x", FILE, "1")];
    let both = [("run.sh", PROGRAM, "2"), ("x", FILE, "1")];
    handmade([&base, &program, &theirs, &both], &[]);
    handmade([&base, &theirs, &program, &both], &[]);
    handmade([&base, &program, &theirs, &theirs], &["run.sh"]);
    handmade([&base, &program, &theirs, &program], &["run.sh"]);
    // Both changed it, to different modes.
    let link = [("run.sh", LINK, "1"), ("x", FILE, "1")];
    handmade([&base, &program, &link, &link], &["run.sh"]);
    // A file that one side turned into something else does not take the other side's content.
    for kind in [LINK, SUBMODULE] {
        let other = [("run.sh", kind, "1"), ("x", FILE, "1")];
        let both = [("run.sh", kind, "2"), ("x", FILE, "1")];
        handmade([&base, &other, &theirs, &both], &["run.sh"]);
        handmade([&base, &theirs, &other, &both], &["run.sh"]);
    }
    // The approved change of a mode is one.
    handmade([&base, &base, &program, &program], &[]);
    handmade([&base, &base, &program, &base], &["run.sh"]);
}

#[test]
fn a_submodule_is_at_the_commit_that_a_side_moved_it_to() {
    let at = |oid: &'static str| [("sub", SUBMODULE, oid)];
    handmade([&at("1"), &at("1"), &at("2"), &at("2")], &[]);
    handmade([&at("1"), &at("1"), &at("2"), &at("3")], &["sub"]);
    handmade([&at("1"), &at("3"), &at("2"), &at("2")], &["sub"]);
    handmade([&[], &[], &[], &at("1")], &["sub"]);
    // A submodule of which the merge makes a directory, or a file.
    handmade(
        [&at("1"), &at("1"), &at("2"), &[("sub/x", FILE, "2")]],
        &["sub"],
    );
    handmade(
        [&at("1"), &at("1"), &at("2"), &[("sub", FILE, "2")]],
        &["sub"],
    );
}

#[test]
fn a_file_removed_on_one_side_and_changed_on_the_other_is_a_manual_merge() {
    let base = [("d/x", FILE, "1"), ("y", FILE, "1")];
    let ours = [("y", FILE, "1")];
    let theirs = [("d/x", FILE, "2"), ("y", FILE, "1")];
    handmade([&base, &ours, &theirs, &theirs], &["d/x"]);
    handmade([&base, &ours, &theirs, &ours], &["d/x"]);
    handmade([&base, &ours, &base, &ours], &[]);
    // A file where the other side has a directory.
    let file = [("d", FILE, "1"), ("y", FILE, "1")];
    handmade([&base, &file, &theirs, &theirs], &["d"]);
    handmade([&base, &file, &base, &file], &[]);
}

fn text(text: &str) -> Content {
    Content::Text {
        oid: text.to_owned(),
        text: text.to_owned(),
    }
}

/// A file that both sides changed, in each commit, with these modes.
fn both_changed(modes: [u32; COMMITS], texts: [&str; COMMITS]) -> Sides {
    let file = |commit: usize| [("d/x", modes[commit], texts[commit])];
    let [base, ours, theirs, made] = from_fn(file);
    let mut sides = sides([&base, &ours, &theirs, &made]);
    sides.contents = BTreeMap::from([("d/x".to_owned(), texts.map(text))]);
    sides
}

#[test]
fn a_file_that_both_changed_is_merged_again() {
    let with = |made: &'static str| ["a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", made];
    let judge = |modes: [u32; COMMITS], made: &'static str| {
        let handmade = both_changed(modes, with(made)).handmade();
        handmade.is_empty()
    };
    let plain = [FILE; COMMITS];
    assert!(judge(plain, "A\nb\nC\n"));
    // `git merge -X theirs`, and `git checkout main -- x` in a merge of the branch.
    for made in ["A\nevil\nC\n", "a\nb\nC\n", "A\nb\nc\n"] {
        assert!(!judge(plain, made), "{made}");
    }
    let merged = "A\nb\nC\n";
    assert!(judge([FILE, FILE, PROGRAM, PROGRAM], merged));
    assert!(!judge([FILE, FILE, PROGRAM, FILE], merged));
    assert!(!judge([FILE, FILE, FILE, PROGRAM], merged));
    // The target of a link is not merged by lines.
    assert!(!judge([LINK; COMMITS], merged));
    let mut opaque = both_changed(plain, with(merged));
    for content in opaque.contents.values_mut() {
        content[3] = Content::Opaque(merged.to_owned());
    }
    assert_eq!(opaque.handmade(), ["d/x"]);
}

#[test]
fn only_what_decides_is_read_and_what_was_not_read_is_not_believed() {
    let base = [("a/x", FILE, "1"), ("b/c/y", FILE, "1")];
    let ours = [("a/x", FILE, "2"), ("b/c/y", FILE, "2")];
    let theirs = [("a/x", FILE, "1"), ("b/c/y", FILE, "3")];
    let made = [("a/x", FILE, "2"), ("b/c/y", FILE, "4")];
    let whole = sides([&base, &ours, &theirs, &made]);
    let mut read = Sides::default();
    let mut rounds = Vec::new();
    loop {
        let judged = read.judge();
        if judged.directories.is_empty() {
            assert_eq!(judged.files, BTreeSet::from(["b/c/y".to_owned()]));
            assert_eq!(judged.handmade, [] as [String; 0]);
            break;
        }
        assert!(!read.handmade().is_empty());
        rounds.push(judged.directories.iter().next().unwrap().1.clone());
        for key in judged.directories {
            let entries = whole.directories[&key].clone();
            read.directories.insert(key, entries);
        }
    }
    assert_eq!(rounds, ["", "b", "b/c"]);
    assert_eq!(read.handmade(), ["b/c/y"]);
}
