//! Secrets after the runs: the values of the environments and whatever looks like a token are in no file that a run leaves,
//! neither as they are nor encoded.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex_lite::Regex;
use sandbox::demo::{self, Host, Ran};
use sandbox::instance::hex;
use sandbox::runner::act::{self, Trigger};
use sandbox::runner::export::export;
use sandbox::runner::story::{AUTHOR, REVIEWER, Story};

use crate::support::{TIMEOUT, demo, heavy, instance, wait, world};

/// The prefix of each kind of token, and a pattern for the rest, whoever holds it: GitHub's, signed identities, AWS sessions, and ECR's
/// `AWS:…` in base64. The prefix is searched for first, since it is many times faster to find.
const TOKENS: &[(&str, &str)] = &[
    ("ghp_", r"^[0-9A-Za-z]{16}"),
    ("ghs_", r"^[0-9A-Za-z]{16}"),
    ("eyJ", r"^[\w-]{16,}\.eyJ[\w-]{16}"),
    ("IQoJb3JpZ2luX2Vj", r"^[\w+/=-]{16}"),
    ("QVdTO", r"^[\w+/]{16}"),
];

/// The most of a token that is looked at.
const TOKEN: usize = 4096;

#[test]
fn github_runs_leave_no_secret_behind() {
    clean(demo(Host::Github));
}

#[test]
fn codebuild_builds_leave_no_secret_behind() {
    clean(demo(Host::Codebuild));
}

fn clean(ran: &Ran) {
    let world = &ran.world;
    let mut secrets = Vec::new();
    for environment in &world.environments {
        let url = world.database_url(environment);
        let password = url.split(['@', ':']).nth(2).unwrap().to_owned();
        assert!(password.len() > 16, "{password}");
        secrets.extend([password, world.api_token(environment)]);
    }
    let found = search(&left_behind(&world.name), &needles(&secrets));
    assert!(found.is_empty(), "{found:#?}");
}

/// Where a run may leave something: its own folder, what the sandbox's parts log, and what programs keep for their user.
fn left_behind(world: &str) -> Vec<PathBuf> {
    let instance = instance();
    let mut folders = vec![
        instance.dir.join("worlds").join(world),
        instance.dir.join("home"),
        instance.dir.join("logs"),
        instance.docker_config(),
    ];
    if let Some(home) = std::env::home_dir() {
        folders.extend([".docker", ".aws", ".terraform.d"].map(|name| home.join(name)));
    }
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("slipway"))
        {
            folders.push(path);
        }
    }
    folders
}

/// Each secret as it is, in base64 at each of the three places it can have in a longer text, and in hexadecimal.
fn needles(secrets: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for secret in secrets {
        all.push(secret.clone());
        all.push(hex(secret.as_bytes()));
        for before in 0..3 {
            let text = format!("{}{secret}", "\0".repeat(before));
            let encoded = STANDARD_NO_PAD.encode(text);
            // The characters at either end depend on the neighbours.
            let start = [0, 2, 3][before];
            let end = encoded.len() - usize::from((before + secret.len()) % 3 != 0);
            all.push(encoded[start..end].to_owned());
        }
    }
    all
}

/// Every file below the folders that holds a needle or a token, with what it is.
fn search(folders: &[PathBuf], needles: &[String]) -> Vec<String> {
    let tokens: Vec<(&str, Regex)> = TOKENS
        .iter()
        .map(|(start, rest)| (*start, Regex::new(rest).unwrap()))
        .collect();
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.to_vec();
    while let Some(path) = left.pop() {
        let Ok(about) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if about.is_dir() {
            // A run of another test may clear its own folder away meanwhile.
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
        if !about.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if let Some(needle) = needles.iter().find(|needle| text.contains(needle.as_str())) {
            found.push(format!("{}: {needle}", path.display()));
        }
        for (start, rest) in &tokens {
            let token = text.match_indices(start).find(|(at, _)| {
                let after: String = text[at + start.len()..].chars().take(TOKEN).collect();
                rest.is_match(&after)
            });
            if let Some((at, _)) = token {
                let shown: String = text[at..].chars().take(40).collect();
                found.push(format!("{}: {shown}", path.display()));
            }
        }
    }
    found
}

#[test]
fn the_search_finds_each_form_of_a_secret() {
    let secret = "hunter2-and-a-half".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let needles = needles(std::slice::from_ref(&secret));
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let hits = || search(&[folder.path().to_owned()], &needles).len();
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "x", "xy", "xyz"] {
            let text = format!("{before}{secret}{after}");
            for form in [
                text.clone(),
                hex(text.as_bytes()),
                base64::engine::general_purpose::STANDARD.encode(&text),
            ] {
                write(&format!("[{form}]"));
                assert_eq!(hits(), 1, "{form}");
            }
        }
    }
    for token in [
        format!("ghs_{}", "0a".repeat(16)),
        format!("ghp_{}", "0a".repeat(16)),
        format!("eyJ{}.eyJ{}.x", "a".repeat(20), "b".repeat(20)),
        format!("IQoJb3JpZ2luX2VjE{}", "c".repeat(40)),
        base64::engine::general_purpose::STANDARD.encode(format!("AWS:{}", "d".repeat(40))),
    ] {
        write(&format!("\"{token}\""));
        assert_eq!(hits(), 1, "{token}");
    }
    write("nothing of the kind");
    assert_eq!(hits(), 0);
}

/// GitHub drops a job output that holds a masked value and goes on with nothing; the sandbox fails the run instead.
#[test]
fn a_job_output_that_holds_a_masked_value_fails_the_run() {
    let instance = instance();
    let _turn = heavy();
    wait(TIMEOUT, async {
        let world = world("masked").await;
        let story = Story::begin(instance, &world).await.unwrap();
        let export = export(instance).unwrap();
        let trigger = Trigger::push(REVIEWER, "deliver.yml");
        for (title, masked, success) in [
            ("Hand a value on", "another", true),
            ("Hide it", "hunter22", false),
        ] {
            let workflow = include_str!("leaks/masked.yml").replace("MASKED", masked);
            let files = [(".github/workflows/deliver.yml", workflow.as_str())];
            story.change(AUTHOR, REVIEWER, title, &files).await.unwrap();
            let ended =
                act::run(instance, &world, &story.hub, &export, &trigger, &mut |_| {}).await;
            let ended = ended.unwrap();
            let log = &ended.log.text;
            assert_eq!(ended.success, success, "{log}");
            let warning = "GitHub would drop the output value of job dev";
            assert_eq!(log.contains(warning), !success, "{log}");
            assert_eq!(log.contains("it is hunter22"), success, "{log}");
            assert_eq!(log.contains("it is ***"), !success, "{log}");
        }
        demo::kept_to_the_rules(instance, &story).await.unwrap();
    });
}

/// Checks that the search looks at the paths of the runs, so that a folder that moved does not make it pass.
#[test]
fn the_folders_that_are_searched_hold_the_runs() {
    let ran = demo(Host::Github);
    let folders = left_behind(&ran.world.name);
    for (_, run) in &ran.shipped.runs {
        let log: &Path = &run.join("log.txt");
        assert!(log.is_file(), "{}", log.display());
        assert!(folders.iter().any(|folder| log.starts_with(folder)));
    }
}
