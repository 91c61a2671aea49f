//! `cargo verify`: everything that checks the project, in order, each step with its time and its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::dist;
use crate::failures;
use crate::fault::{Doing, Fault, Result};
use crate::place::Place;
use crate::process::{create_log, tail};
use crate::say::{Progress, data, note, seconds};
use crate::steps::forget_own_package;
use crate::supervisor;

/// A step: its name, and the programs it runs with their arguments.
struct Step {
    name: &'static str,
    commands: Vec<Vec<String>>,
}

/// Runs every step, even after one failed: what is broken is known at once.
pub(crate) fn run(place: &Place) -> Result<ExitCode> {
    let began = Instant::now();
    let logs = place.target.join("verify");
    let (mut passed, mut failed) = (0, 0);
    for step in steps(place)? {
        // The tests and the linters need the sandbox; formatting and clippy come first because they do not.
        if step.name == "test"
            && let Err(fault) = supervisor::up(place)
        {
            failed += 1;
            note(&fault.to_string());
            continue;
        }
        // Some tests run the release's binaries. They are built while others wait for what they started.
        let mut release = match step.name {
            "test" => Some(dist::ahead(place, &logs.join("release.log"))?),
            _ => None,
        };
        let log = logs.join(format!("{}.log", step.name));
        let progress = Progress::begin(step.name, "");
        match progress.finish(step.run(place, &log)) {
            Ok(()) => passed += 1,
            Err(fault) => {
                failed += 1;
                let failures = failures::of(&fs::read_to_string(&log).unwrap_or_default());
                if failures.is_empty() {
                    let lines = if failed == 1 { 80 } else { 5 };
                    note(&format!(
                        "{fault}; the last lines of {}:\n{}",
                        log.display(),
                        tail(&log, lines)
                    ));
                } else {
                    note(&format!(
                        "{fault}; what failed, from {}:\n{failures}",
                        log.display()
                    ));
                    for part in ["docker", "serve"] {
                        let log = place.log(part);
                        if log.is_file() {
                            let lines = tail(&log, 20);
                            note(&format!("the last lines of {}:\n{lines}", log.display()));
                        }
                    }
                }
            }
        }
        if let Some(release) = &mut release {
            release.wait().doing("waiting for the release's build")?;
        }
    }
    note(&format!("verified in {}", seconds(began.elapsed())));
    data(&format!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Step {
    fn run(&self, place: &Place, log: &Path) -> Result<()> {
        let output = create_log(log)?;
        for words in &self.commands {
            let [program, arguments @ ..] = words.as_slice() else {
                return Err(Fault::new(format!(
                    "step {} has an empty command",
                    self.name
                )));
            };
            let status = forget_own_package(&mut Command::new(program))
                .args(arguments)
                .current_dir(&place.checkout)
                .env("CARGO_INCREMENTAL", "0")
                .env("CARGO_TERM_COLOR", "never")
                // A backtrace is longer than what a failed test has to say.
                .env("RUST_BACKTRACE", "0")
                .stdin(Stdio::null())
                .stdout(output.try_clone().doing("opening a log")?)
                .stderr(output.try_clone().doing("opening a log")?)
                .status()
                .doing(format!("running {program}"))?;
            if !status.success() {
                return Err(Fault::new(format!(
                    "{}: {program} ended with {status}",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

fn steps(place: &Place) -> Result<Vec<Step>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let cargo = |arguments: &str| words(&cargo, arguments);
    let tool = |name: &str, arguments: &str, files: &[PathBuf]| {
        let mut command = words(&place.bin().join(name).display().to_string(), arguments);
        command.extend(files.iter().map(|file| file.display().to_string()));
        command
    };
    let (workflows, actions) = workflow_files(&place.checkout)?;
    let both: Vec<PathBuf> = workflows.iter().chain(&actions).cloned().collect();
    Ok(vec![
        Step {
            name: "format",
            commands: vec![cargo("fmt --all --check -- --color never")],
        },
        Step {
            name: "clippy",
            commands: vec![cargo(
                "clippy --quiet --workspace --all-targets --locked -- -D warnings",
            )],
        },
        Step {
            name: "build",
            commands: vec![cargo("test --workspace --locked --no-run")],
        },
        Step {
            name: "test",
            commands: vec![cargo("test --workspace --locked --no-fail-fast")],
        },
        Step {
            name: "zizmor",
            commands: vec![tool("zizmor", "--offline --no-progress", &both)],
        },
        Step {
            name: "actionlint",
            // Without the linters it would find on some machines and not on others.
            commands: vec![tool(
                "actionlint",
                "-no-color -shellcheck= -pyflakes=",
                &workflows,
            )],
        },
        Step {
            name: "schemas",
            commands: vec![
                tool(
                    "check-jsonschema",
                    "--builtin-schema vendor.github-workflows",
                    &workflows,
                ),
                tool(
                    "check-jsonschema",
                    "--builtin-schema vendor.github-actions",
                    &actions,
                ),
            ],
        },
    ])
}

fn words(program: &str, arguments: &str) -> Vec<String> {
    std::iter::once(program)
        .chain(arguments.split_whitespace())
        .map(str::to_owned)
        .collect()
}

/// Every workflow and every action of the checkout, the example's among them.
fn workflow_files(checkout: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut workflows, mut actions) = (Vec::new(), Vec::new());
    let mut folders = vec![checkout.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).doing(format!("reading {}", folder.display()))? {
            let path = entry.doing(format!("reading {}", folder.display()))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let yaml = matches!(
                path.extension().and_then(|text| text.to_str()),
                Some("yml" | "yaml")
            );
            if path.is_dir() && !path.is_symlink() {
                if !matches!(name.as_str(), "target" | ".git" | "node_modules") {
                    folders.push(path);
                }
            } else if yaml && folder.ends_with(".github/workflows") {
                workflows.push(path);
            } else if matches!(name.as_str(), "action.yml" | "action.yaml") {
                actions.push(path);
            }
        }
    }
    workflows.sort();
    actions.sort();
    if workflows.is_empty() || actions.is_empty() {
        return Err(Fault::new(format!(
            "{} holds no workflow or no action to check",
            checkout.display()
        )));
    }
    Ok((workflows, actions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workflow_and_action_is_found_and_nothing_of_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(workflow_files(root).is_err());
        for file in [
            ".github/workflows/ci.yml",
            ".github/dependabot.yml",
            "docs/examples/x/.github/workflows/deliver.yaml",
            "actions/image/action.yml",
            "target/sandbox/action.yml",
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let (workflows, actions) = workflow_files(root).unwrap();
        let short = |files: Vec<PathBuf>| -> Vec<String> {
            files
                .iter()
                .map(|file| file.strip_prefix(root).unwrap().display().to_string())
                .collect()
        };
        assert_eq!(
            short(workflows),
            [
                ".github/workflows/ci.yml",
                "docs/examples/x/.github/workflows/deliver.yaml"
            ]
        );
        assert_eq!(short(actions), ["actions/image/action.yml"]);
    }

    #[test]
    fn a_failing_step_names_the_program_and_keeps_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), folder.path());
        let log = folder.path().join("log");
        let step = Step {
            name: "lint",
            commands: vec![vec![
                "/bin/sh".into(),
                "-c".into(),
                "echo line 7; exit 2".into(),
            ]],
        };
        let fault = step.run(&place, &log).unwrap_err().to_string();
        assert_eq!(fault, "lint: /bin/sh ended with exit status: 2");
        assert_eq!(fs::read_to_string(&log).unwrap(), "line 7\n");
    }
}
