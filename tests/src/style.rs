//! The rules of STYLE.md that a machine can check, over the comments and the documents of this repository.

use std::path::Path;
use std::process::Command;

use regex_lite::Regex;

/// The widest line of a comment or of prose, in characters.
const WIDTH: usize = 140;

/// Folders and files whose doc comments are printed as one line: the help of arguments, and the descriptions of the contract's schema.
const ONE_LINE: [&str; 2] = ["args", "contract/declared"];

/// A line of a file.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

/// The text of a comment without its mark, if the line is one.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim_start())
}

/// The lines of a document that are prose: not a table, not code, not a picture.
fn prose(document: &str) -> Vec<Line<'_>> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (index, text) in document.lines().enumerate() {
        let start = text.trim_start();
        if start.starts_with("```") {
            is_code = !is_code;
        } else if !is_code && !start.starts_with('|') && !start.starts_with("![") {
            let number = index + 1;
            found.push(Line { number, text });
        }
    }
    found
}

/// The faults of a file, each with its place.
fn faults(file: &str, text: &str) -> Vec<String> {
    let is_code = file.ends_with(".rs");
    let lines: Vec<Line<'_>> = match is_code {
        true => {
            let lines = text.lines().enumerate();
            let lines = lines.map(|(index, text)| Line {
                number: index + 1,
                text,
            });
            lines.filter(|line| comment(line.text).is_some()).collect()
        }
        false => prose(text),
    };
    let printed = ONE_LINE.iter().any(|part| file.contains(part));
    let is_no = Regex::new(r"(\S+) (?:is|are|was|were) no ([a-z]+)").unwrap();
    let mut faults = Vec::new();
    let mut before = Line {
        number: 0,
        text: "",
    };
    for line in lines {
        let mut add = |what: &str| faults.push(format!("{file}:{}: {what}", line.number));
        let words = comment(line.text).unwrap_or(line.text);
        let is_table = is_code && words.starts_with('|');
        let may_be_long = is_table || (printed && line.text.trim_start().starts_with("///"));
        if line.text.chars().count() > WIDTH && !may_be_long {
            add("the line is too long");
        }
        let first = words.trim_start_matches(['-', ' ']);
        let first = first.split(' ').next().unwrap_or_default();
        if is_code && ["Who", "Whoever", "Which"].contains(&first) {
            add("a clause is a poor subject");
        }
        // A sentence may begin on the line before.
        let continued = match before.number + 1 == line.number {
            true => comment(before.text).unwrap_or(before.text),
            false => "",
        };
        let both = format!("{continued} {words}");
        let within = is_no.captures_iter(&both).filter(|found| {
            // Those of the line before were found there.
            found.get(0).is_some_and(|all| all.end() > continued.len())
        });
        for found in within {
            let there = found[1].to_lowercase().ends_with("there");
            if !there && !["longer", "more", "less"].contains(&&found[2]) {
                add(&format!("write \"is not a {}\"", &found[2]));
            }
        }
        before = line;
    }
    faults
}

#[test]
fn comments_and_documents_keep_the_rules_of_style() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut list = Command::new("git");
    let list = list.args(["ls-files", "*.rs", "*.md"]).current_dir(&root);
    let files = String::from_utf8(list.output().unwrap().stdout).unwrap();
    let mut found = Vec::new();
    // STYLE.md itself quotes what it forbids.
    for file in files.lines().filter(|file| *file != "STYLE.md") {
        if let Ok(text) = std::fs::read_to_string(root.join(file)) {
            found.extend(faults(file, &text));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn each_rule_finds_its_fault_and_nothing_else() {
    let long = "x".repeat(WIDTH - 2);
    for (file, text, expected) in [
        ("a.rs", format!("// {long}"), "a.rs:1: the line is too long"),
        ("a.rs", format!("//{long}"), ""),
        ("a.rs", format!("let x = \"{long}\";"), ""),
        ("a.rs", format!("//! | {long} |"), ""),
        ("args.rs", format!("    /// {long}"), ""),
        (
            "args.rs",
            format!("    // {long}"),
            "args.rs:1: the line is too long",
        ),
        (
            "a.md",
            format!("a\n\n{long} bcd"),
            "a.md:3: the line is too long",
        ),
        ("a.md", format!("| {long} |\n```\n{long} bcd\n```"), ""),
        (
            "a.rs",
            "/// Who calls.".to_owned(),
            "a.rs:1: a clause is a poor subject",
        ),
        ("a.rs", "// A caller. Nobody".to_owned(), ""),
        (
            "a.rs",
            "// This is\n// no digest.".to_owned(),
            "a.rs:2: write \"is not a digest\"",
        ),
        (
            "a.md",
            "A tag is no digest, and that\nis all".to_owned(),
            "a.md:1: write \"is not a digest\"",
        ),
        (
            "a.rs",
            "// It is no longer there. There is no other.".to_owned(),
            "",
        ),
        ("a.rs", "// and there\n// is no other.".to_owned(), ""),
        ("a.rs", "let x = \"it is no digest\";".to_owned(), ""),
    ] {
        assert_eq!(faults(file, &text).join(", "), expected, "{text}");
    }
}
