//! `secrets file`, read back by the programs its formats are for: each value is exact, or was refused by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::instance;

/// Values for one run of the step, and so for one start of each reader.
const BATCH: usize = 200;
const BATCHES: usize = 8;

/// Pieces of values: text that readers misread, and the usual contents of secrets.
const PIECES: [&str; 62] = [
    "'",
    "\"",
    "`",
    "\\",
    "\\\\",
    "\\n",
    "\\r",
    "\\t",
    "$",
    "${",
    "}",
    "${HOME}",
    "$HOME",
    "$(x)",
    "#",
    " #",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "=",
    "A=",
    "export ",
    "{",
    "[",
    "]",
    ":",
    ",",
    "é",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "\u{feff}",
    "😀",
    "%",
    "!",
    "~",
    "*",
    "?",
    "|",
    "&",
    ";",
    "(",
    "a",
    "b",
    "hunter2",
    "{\"k\":\"v\"}",
    "{\"a\": \"it's\"}",
    "-----BEGIN KEY-----\nMII=\n-----END KEY-----",
    "\u{1}",
    "\u{1b}[0m",
    "\u{b}",
    "\u{c}",
    "\u{1c}",
    "\\'",
    "\\\"",
    "\nN1=x",
    "'''",
    "\"\"\"",
];
/// Values that no reader may be refused.
const USUAL: [&str; 9] = [
    "p4ssw0rd!",
    "it's",
    "say \"hi\"",
    "{\"a\":\"it's\"}",
    "a$b",
    "a#b",
    "a b",
    "a\\b",
    "$HOME",
];

type Values = BTreeMap<String, String>;

/// The same values at every run.
fn batch(seed: &mut u64) -> Values {
    let mut next = |below: usize| {
        // Knuth's MMIX generator; its high bits are the good ones.
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap() % below
    };
    let made = (USUAL.len()..BATCH).map(|_| {
        let length = 1 + next(7);
        (0..length).map(|_| PIECES[next(PIECES.len())]).collect()
    });
    let usual = USUAL.map(str::to_owned).into_iter();
    usual
        .chain(made)
        .enumerate()
        .map(|(index, value)| (format!("N{index}"), value))
        .collect()
}

/// Writes the file, without what is refused for its format, and says what that was.
fn write(path: &Path, format: &str, values: &mut Values) -> Vec<String> {
    let mut refused = Vec::new();
    for _ in 0..2 {
        let sources: Vec<String> = values
            .keys()
            .map(|name| format!("{name}=env:FROM_{name}"))
            .collect();
        let ended = Command::new(instance().built().join("slipway-secrets"))
            .args(["file", "--json", "--format", format, "--path"])
            .arg(path)
            .env_clear()
            .env("SLIPWAY_SOURCE", sources.join("\n"))
            .envs(
                values
                    .iter()
                    .map(|(name, value)| (format!("FROM_{name}"), value)),
            )
            .output()
            .unwrap();
        if ended.status.success() {
            return refused;
        }
        let answer: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        for cause in answer["error"]["causes"].as_array().unwrap() {
            let name = cause.as_str().unwrap().split(':').next().unwrap();
            refused.push(values.remove(name).unwrap());
        }
    }
    panic!("{format} is refused although what it cannot hold is left out");
}

/// Reads the JSON object that a program prints, reduced to the test's own variables.
fn read(command: &mut Command) -> Values {
    let ended = command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/home/of-nobody")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{log}");
    let read: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&ended.stdout).unwrap();
    read.into_iter()
        .filter(|(name, _)| {
            name.strip_prefix('N')
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|(name, value)| (name, value.as_str().unwrap().to_owned()))
        .collect()
}

fn shell(shell: &str, path: &Path) -> Values {
    let dump = "import json, os; print(json.dumps(dict(os.environ)))";
    let script = "set -a; . \"$0\"; exec \"$1\" -c \"$2\"";
    let python = instance().venv_bin().join("python");
    read(
        Command::new(shell)
            .arg("-c")
            .arg(script)
            .arg(path)
            .arg(python)
            .arg(dump),
    )
}

fn node(option: &str, script: &str) -> Values {
    let node = instance().bin().join("node");
    let script = format!("{script}; process.stdout.write(JSON.stringify({{ ...found }}))");
    read(Command::new(node).args([option, "-e", &script]))
}

fn dotenv_of_npm(path: &Path) -> Values {
    let module = instance().npm("dotenv").join("dist/index.cjs");
    let (module, path) = (module.display().to_string(), path.display().to_string());
    node(
        "--no-warnings",
        &format!("const found = require({module:?}).parse(require('fs').readFileSync({path:?}))"),
    )
}

fn dotenv_of_python(path: &Path) -> Values {
    let script = "import dotenv, json, os, sys; dotenv.load_dotenv(sys.argv[1]); print(json.dumps(dict(os.environ)))";
    let python = instance().venv_bin().join("python");
    read(Command::new(python).args(["-c", script]).arg(path))
}

/// A container's environment, of an image with nothing in it.
fn docker(path: &Path) -> Values {
    let docker = |arguments: &[&str]| {
        let ended = Command::new("/usr/bin/docker")
            .args(arguments)
            .env_clear()
            .env("DOCKER_HOST", "unix:///var/run/docker.sock")
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{log}");
        String::from_utf8(ended.stdout).unwrap()
    };
    let empty = path.with_extension("tar");
    // The end of an archive: two blocks of zeros.
    std::fs::write(&empty, [0; 1024]).unwrap();
    let image = docker(&["import", empty.to_str().unwrap()]);
    let file = path.to_str().unwrap();
    let container = docker(&["create", "--env-file", file, image.trim(), "x"]);
    let shown = docker(&[
        "inspect",
        container.trim(),
        "--format",
        "{{json .Config.Env}}",
    ]);
    docker(&["rm", container.trim()]);
    docker(&["rmi", image.trim()]);
    let pairs: Vec<String> = serde_json::from_str(&shown).unwrap();
    pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.starts_with('N'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn json(path: &Path) -> Values {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_value_comes_back_exactly_from_the_readers_of_its_format() {
    type Reader = fn(&Path) -> Values;
    let formats: [(&str, &[(&str, Reader)]); 4] = [
        (
            "shell",
            &[
                ("dash", |path| shell("dash", path)),
                ("bash", |path| shell("bash", path)),
            ],
        ),
        (
            "dotenv",
            &[
                ("npm's dotenv", dotenv_of_npm),
                ("node --env-file", |path| {
                    let option = format!("--env-file={}", path.display());
                    node(&option, "const found = process.env")
                }),
                ("python-dotenv", dotenv_of_python),
            ],
        ),
        ("docker", &[("docker", docker)]),
        ("json", &[("JSON", json)]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (format, readers) in formats {
        let (mut seed, mut refused) = (7, 0);
        for number in 0..BATCHES {
            let path = folder.path().join(format!("{format}-{number}"));
            let mut values = batch(&mut seed);
            let left_out = write(&path, format, &mut values);
            let usual = left_out
                .iter()
                .find(|value| USUAL.contains(&value.as_str()));
            assert_eq!(usual, None, "{format}");
            refused += left_out.len();
            for (name, reader) in readers {
                assert_eq!(reader(&path), values, "{name}");
            }
        }
        let all = BATCH * BATCHES;
        assert!(refused * 2 < all, "{format}: {refused} of {all} refused");
        assert!(refused == 0 || matches!(format, "dotenv" | "docker"));
    }
}
