//! The links between the documents of this repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_lite::Regex;

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(document: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(document).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(anchor).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the repository that match the pattern.
fn files(pattern: &str) -> Vec<String> {
    let mut list = Command::new("git");
    let list = list.args(["ls-files", pattern]).current_dir(root());
    let names = String::from_utf8(list.output().unwrap().stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// Returns true if the page is there and has the heading, if one is named.
fn leads_to(page: &Path, heading: &str) -> bool {
    page.exists() && (heading.is_empty() || anchors(page).contains(heading))
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let root = root();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for document in files("*.md") {
        let path = root.join(&document);
        let text = std::fs::read_to_string(&path).unwrap();
        let links = link.captures_iter(&text).map(|found| found[1].to_owned());
        for link in links.filter(|link| !link.contains(":")) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target: PathBuf = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            if !leads_to(&target, heading) {
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

/// A message may be read where there is no checkout, so it names a page by its whole address.
#[test]
fn every_page_that_a_message_names_is_there() {
    let root = root();
    let page = Regex::new(r"[\w:/.-]*\b(?:docs|actions)/[\w/-]+\.md(?:#[\w-]*)?").unwrap();
    let whole = concat!("https://github.com/slipway-delivery/slipway", "/blob/main/");
    let mut broken = Vec::new();
    for source in files("actions/*/src/*.rs") {
        if source.contains("/tests") {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&source)).unwrap();
        let lines = text.lines().map(str::trim_start);
        for line in lines.filter(|line| !line.starts_with("//") && !line.contains("concat!")) {
            for named in page.find_iter(line).map(|found| found.as_str()) {
                let there = named.strip_prefix(whole).is_some_and(|named| {
                    let (file, heading) = named.split_once('#').unwrap_or((named, ""));
                    leads_to(&root.join(file), heading)
                });
                if !there && !line.contains("include_str!") {
                    broken.push(format!("{source}: {named}"));
                }
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}
