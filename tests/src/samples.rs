//! The workflows that the documents show: whoever copies one has all of it.

use std::path::Path;
use std::process::Command;

use regex_lite::Regex;

/// The YAML blocks of a document.
fn blocks(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some(String::new()),
            (Some(_), "```") => all.extend(open.take()),
            (Some(block), line) => block.push_str(&format!("{line}\n")),
            (None, _) => {}
        }
    }
    all
}

/// The parts that a job which calls a step lacks.
fn missing(block: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let pinned = Regex::new(r"@(COMMIT|[0-9a-f]{40}) # v").unwrap();
    for line in block.lines().filter(|line| line.contains("uses: ")) {
        if !pinned.is_match(line) {
            missing.push(format!("a commit and its version: {}", line.trim()));
        }
    }
    let Some((_, jobs)) = block.split_once("jobs:\n") else {
        return missing;
    };
    if !block.contains("permissions:") {
        missing.push("permissions".to_owned());
    }
    let head = Regex::new(r"(?m)^  [a-z]+:$").unwrap();
    let begins: Vec<usize> = head.find_iter(jobs).map(|found| found.start()).collect();
    for (index, begin) in begins.iter().enumerate() {
        let end = begins.get(index + 1).copied().unwrap_or(jobs.len());
        let job = &jobs[*begin..end];
        let called = job.contains("\n    uses: ");
        let runs = job.contains("\n    runs-on: ") && job.contains("actions/checkout@");
        if !called && !runs {
            missing.push(format!("a runner and a checkout: {}", job.trim()));
        }
    }
    let changes = ["deploy", "apply"].iter();
    let mut changes = changes.filter(|verb| jobs.contains(&format!("command: {verb}")));
    if changes.next().is_some() && !block.contains("concurrency:") {
        missing.push("concurrency".to_owned());
    }
    missing
}

#[test]
fn every_workflow_of_a_document_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = ["ls-files", "README.md", "docs/*.md", "actions/*/README.md"];
    let list = Command::new("git").args(list).current_dir(&root).output();
    let mut found = 0;
    let mut lacking = Vec::new();
    for document in String::from_utf8(list.unwrap().stdout).unwrap().lines() {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for block in blocks(&text).iter().filter(|it| it.contains("uses: ")) {
            found += 1;
            lacking.extend(missing(block).iter().map(|it| format!("{document}: {it}")));
        }
    }
    assert!(found > 5, "{found}");
    assert_eq!(lacking, [""; 0]);
}

#[test]
fn a_workflow_that_is_not_whole_is_named() {
    let part = "jobs:\n  a:\n    steps:\n      - uses: x/y@v1\n        with: {command: apply}\n";
    assert_eq!(missing(part).len(), 4);
}
