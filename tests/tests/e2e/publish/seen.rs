//! The parts of a running step that are visible from outside: its processes' arguments and environments, its files, its memory.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use regex_lite::Regex;

use super::DEADLINE;
use crate::support::Started;

/// Secrets found in a running step, and how many processes and files were searched.
pub(crate) struct Snapshot {
    pub(crate) processes: usize,
    pub(crate) files: usize,
    /// Where a token was, with its beginning.
    pub(crate) found: Vec<String>,
}

/// A registry's token as it is sent, `AWS:…` in base64, and as it is said.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let token = Regex::new(r"QVdTO[\w+/]{16}|AWS:[\w+/=]{16}").unwrap();
    token
        .find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

/// The value of a build secret, which the step's environment holds and no argument list does.
pub(crate) const SECRET: &str = "npm_fJ4Wd0yXb2";

/// The step's process, all that came of it, and the files in its folder.
pub(crate) fn snapshot(started: &Started, folder: &Path) -> Snapshot {
    let mut seen = Snapshot {
        processes: 0,
        files: 0,
        found: Vec::new(),
    };
    for process in family(started.id()) {
        seen.processes += 1;
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{process}/{file}");
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            seen.found
                .extend(tokens(&text).iter().map(|token| format!("{path}: {token}")));
            if file == "cmdline" && text.contains(SECRET) {
                seen.found.push(format!("{path}: the build secret"));
            }
        }
    }
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(about) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if about.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        } else if about.is_file() {
            seen.files += 1;
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let found = tokens(&text);
            if text.contains(SECRET) {
                seen.found
                    .push(format!("{}: the build secret", path.display()));
            }
            seen.found.extend(
                found
                    .iter()
                    .map(|token| format!("{}: {token}", path.display())),
            );
        }
    }
    seen
}

/// A process and its descendants.
fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .filter_map(|id| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while next < family.len() {
        let parent = family[next];
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    family
}

/// Returns true if a process has ended, waited for or not.
pub(crate) fn ended(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Returns true if `sleep`, the step of a build, runs with this argument.
pub(crate) fn running(mark: &str) -> bool {
    sleepers(mark).next().is_some()
}

/// The processes that are `sleep` with this argument.
pub(crate) fn sleepers(mark: &str) -> impl Iterator<Item = u32> {
    processes().filter(move |id| {
        let bytes = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        words
            .windows(2)
            .any(|pair| pair[0] == b"sleep" && pair[1] == mark.as_bytes())
    })
}

/// Runs to the end; with the most memory the process had at once, in KiB, as the kernel counts it.
pub(crate) fn peak(started: Started) -> (u64, Output) {
    let status = format!("/proc/{}/status", started.id());
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        // A process that has ended but was not waited for has no memory to tell of.
        while let Some(now) = std::fs::read_to_string(&status).ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        }) {
            peak = now;
            std::thread::sleep(Duration::from_millis(20));
        }
        peak
    });
    let output = started.end(DEADLINE);
    (watch.join().unwrap(), output)
}

#[test]
fn a_token_is_seen_in_either_form() {
    for text in [
        format!("x QVdTO{}", "a".repeat(20)),
        format!("AWS:{}", "b".repeat(20)),
    ] {
        assert_eq!(tokens(&text).len(), 1, "{text}");
    }
    assert!(tokens("AWS: is a cloud, and QVdTO is short").is_empty());
}
