//! The steps of `cargo verify`, and which of them run side by side.

use std::fs;
use std::path::{Path, PathBuf};

use super::alone;
use crate::dist;
use crate::fault::{Context, Fault, Result};
use crate::instance::Instance;

/// One step: its name, what it checks, and the commands it runs one after the other.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: Needs,
    /// True if it runs only when it is named.
    pub(super) on_demand: bool,
    pub(super) tests: Tests,
    pub(super) commands: Vec<Vec<String>>,
    pub(super) variables: &'static [(&'static str, &'static str)],
}

/// The prerequisite of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// The toolchain alone.
    Nothing,
    /// The linters, which the sandbox installs.
    Linters,
    /// The running sandbox, or a part that it installed.
    Sandbox,
}

/// The tests that a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tests {
    /// It is not a test step.
    None,
    /// Those that compute: one for each processor at a time.
    Computing,
    /// Those that mostly wait for something: several for each processor at a time.
    Waiting,
}

impl Tests {
    /// How many tests of one program run at once. RUST_TEST_THREADS overrides it, as it does for libtest.
    pub(super) fn at_once(self) -> usize {
        let asked = std::env::var("RUST_TEST_THREADS").ok();
        if let Some(asked) = asked.and_then(|text| text.parse().ok()) {
            return asked;
        }
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        match self {
            Self::None | Self::Computing => processors,
            Self::Waiting => 4 * processors,
        }
    }
}

/// Returns all steps. Those of one stage run side by side; a stage begins when the one before it has ended.
pub(super) fn stages(instance: &Instance) -> Result<Vec<Vec<Step>>> {
    let mut first = lint(instance)?;
    // Everything that follows finds the programs that are built here.
    first.push(cargo_step(
        "build",
        "everything compiles",
        "test --workspace --locked --no-run",
    ));
    let tests = |name, about, tests, arguments: &str| Step {
        needs: Needs::Sandbox,
        tests,
        ..cargo_step(name, about, &format!("test --locked {arguments}"))
    };
    Ok(vec![
        first,
        vec![
            tests(
                "standins",
                "tests of the ECS stand-in and the AWS gateway, on the machine's Docker Engine",
                Tests::Computing,
                "--package standin-ecs --package gateway --no-fail-fast",
            ),
            tests(
                "unit",
                "tests of every other package",
                Tests::Computing,
                "--workspace --exclude sandbox --exclude standin-ecs --exclude gateway --no-fail-fast",
            ),
        ],
        vec![
            tests(
                "e2e",
                "the sandbox's own tests and the end-to-end tests",
                Tests::Waiting,
                "--package sandbox --no-fail-fast",
            ),
            clippy(instance),
        ],
        vec![alone(instance)?],
        vec![Step {
            on_demand: true,
            variables: &[(dist::RELEASE, "1")],
            ..tests(
                "release",
                "builds the released binaries, which takes minutes, and tests them where nothing else is",
                Tests::Computing,
                "--package sandbox --test e2e -- scratch::",
            )
        }],
    ])
}

/// Checks each package by itself, which compiles the AWS SDK anew for each selection of features.
fn alone(instance: &Instance) -> Result<Step> {
    let commands = alone::commands(&instance.checkout)?;
    let step = cargo_step(
        "alone",
        "each package compiles by itself, which takes minutes",
        "",
    );
    let commands = commands.iter().map(|arguments| words(&cargo(), arguments));
    Ok(Step {
        on_demand: true,
        commands: commands.collect(),
        ..step
    })
}

/// Clippy runs while the end-to-end tests wait for something, so it must not wait for Cargo's lock on their folder, nor take
/// their processors.
fn clippy(instance: &Instance) -> Step {
    let mut step = cargo_step(
        "clippy",
        "clippy on all targets, warnings are errors",
        "clippy --quiet --workspace --all-targets --locked --target-dir",
    );
    for command in &mut step.commands {
        command.splice(0..0, ["nice", "-n", "10"].map(str::to_owned));
        command.push(instance.target.join("clippy").display().to_string());
        command.extend(["--", "-D", "warnings"].map(str::to_owned));
    }
    step
}

/// The linter of CloudFormation's own schemas, and the rules of the field. Each template says why a rule does not apply to it.
fn templates(instance: &Instance) -> Result<Vec<Vec<String>>> {
    let templates = template_files(&instance.checkout.join("docs/examples"))?;
    let named = templates.iter().map(|file| file.display().to_string());
    let mut schemas = words(
        &instance.venv_bin().join("cfn-lint").display().to_string(),
        "--format parseable",
    );
    schemas.extend(named.clone());
    let mut rules = words(
        &instance
            .dir
            .join("checkov/bin/checkov")
            .display()
            .to_string(),
        // It would ask its maker's service for texts.
        "--framework cloudformation --skip-download --compact --quiet --file",
    );
    rules.extend(named);
    Ok(vec![schemas, rules])
}

/// Returns every CloudFormation template below a folder.
fn template_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context(format!("reading {}", folder.display()))? {
            let entry = entry.context(format!("reading {}", folder.display()))?;
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "node_modules" {
                folders.push(path);
            } else if entry.file_name() == "template.yaml" {
                found.push(path);
            }
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(Fault::new("no CloudFormation template to check")),
        false => Ok(found),
    }
}

fn lint(instance: &Instance) -> Result<Vec<Step>> {
    let (workflows, actions) = workflow_files(&instance.checkout)?;
    let github = |file: &str| instance.checkout.join(".github").join(file);
    let dependabot = [github("dependabot.yml")];
    let forms = ["bug", "feature"].map(|name| github(&format!("ISSUE_TEMPLATE/{name}.yml")));
    let all: Vec<PathBuf> = [&workflows[..], &actions, &dependabot].concat();
    let tool = |name: &str, arguments: &str, files: &[PathBuf]| {
        let mut command = words(
            &instance.venv_bin().join(name).display().to_string(),
            arguments,
        );
        command.extend(files.iter().map(|file| file.display().to_string()));
        command
    };
    let schema = |name: &str, files: &[PathBuf]| {
        let arguments = format!("--builtin-schema vendor.{name}");
        tool("check-jsonschema", &arguments, files)
    };
    let linter = |name, about, commands| Step {
        name,
        about,
        needs: Needs::Linters,
        on_demand: name == "advisories",
        tests: Tests::None,
        commands,
        variables: &[],
    };
    Ok(vec![
        cargo_step("format", "rustfmt", "fmt --all --check -- --color never"),
        linter(
            "deny",
            "licenses, banned crates and sources of the dependencies",
            vec![tool(
                "cargo-deny",
                "--locked --color never check bans licenses sources",
                &[],
            )],
        ),
        linter(
            "advisories",
            "known vulnerabilities of the dependencies; asks github.com for the list",
            vec![tool(
                "cargo-deny",
                "--locked --color never check advisories",
                &[],
            )],
        ),
        linter(
            "zizmor",
            "security of workflows and actions",
            vec![tool("zizmor", "--offline --no-progress", &all)],
        ),
        linter(
            "actionlint",
            "workflows",
            // It would find shellcheck and pyflakes on some machines and not on others.
            vec![tool(
                "actionlint",
                "-no-color -shellcheck= -pyflakes=",
                &workflows,
            )],
        ),
        linter(
            "templates",
            "CloudFormation templates of the examples",
            templates(instance)?,
        ),
        linter(
            "schemas",
            "schemas of workflows, actions, issue forms and Dependabot's configuration",
            vec![
                schema("github-workflows", &workflows),
                schema("github-actions", &actions),
                schema("dependabot", &dependabot),
                schema("github-issue-forms", &forms),
                schema(
                    "github-issue-config",
                    &[github("ISSUE_TEMPLATE/config.yml")],
                ),
            ],
        ),
    ])
}

fn cargo_step(name: &'static str, about: &'static str, arguments: &str) -> Step {
    Step {
        name,
        about,
        needs: Needs::Nothing,
        on_demand: false,
        tests: Tests::None,
        commands: vec![words(&cargo(), arguments)],
        variables: &[],
    }
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn words(program: &str, arguments: &str) -> Vec<String> {
    std::iter::once(program)
        .chain(arguments.split_whitespace())
        .map(str::to_owned)
        .collect()
}

/// Returns every workflow and every action of the checkout, those of the examples included.
fn workflow_files(checkout: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut workflows, mut actions) = (Vec::new(), Vec::new());
    let mut folders = vec![checkout.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context(format!("reading {}", folder.display()))? {
            let path = entry
                .context(format!("reading {}", folder.display()))?
                .path();
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
}
