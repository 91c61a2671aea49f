//! The buildspec, version 0.2, read strictly. Features of CodeBuild that this runner lacks are refused by name; keys that
//! CodeBuild does not know are refused too, where CodeBuild itself warns and ignores them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_yaml::Value;

use super::phases::{OnFailure, Phase};
use super::variables::{Given, Variable, check_name};
use crate::fault::{Context, Fault, Result};

/// A buildspec.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The shell that runs the commands.
    pub shell: Shell,
    /// `variables`, `parameter-store` and `secrets-manager`.
    pub variables: Given,
    /// The names of `exported-variables`.
    pub exported: Vec<String>,
    pub(super) phases: BTreeMap<Phase, Block>,
}

/// A shell that buildspecs may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// `bash`.
    Bash,
    /// `/bin/sh`, also where none is named.
    Sh,
}

/// The commands of a phase.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Block {
    pub(super) commands: Vec<String>,
    pub(super) finally: Vec<String>,
    pub(super) on_failure: Option<OnFailure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: String,
    run_as: Option<Value>,
    #[serde(default)]
    env: Env,
    proxy: Option<Value>,
    batch: Option<Value>,
    phases: Phases,
    reports: Option<Value>,
    artifacts: Option<Value>,
    cache: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Env {
    shell: Option<String>,
    variables: BTreeMap<String, String>,
    parameter_store: BTreeMap<String, String>,
    secrets_manager: BTreeMap<String, String>,
    exported_variables: Vec<String>,
    git_credential_helper: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Phases {
    install: Option<Section>,
    pre_build: Option<Section>,
    build: Option<Section>,
    post_build: Option<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Section {
    run_as: Option<Value>,
    on_failure: Option<String>,
    runtime_versions: Option<Value>,
    commands: Vec<String>,
    #[serde(default)]
    finally: Vec<String>,
}

impl Spec {
    /// Reads a buildspec, or says what CodeBuild or this runner would not take.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = serde_yaml::from_str(text).context("buildspec")?;
        if file.version != "0.2" {
            return Err(Fault::new(format!(
                "buildspec: version {} is not run here, 0.2 is",
                file.version
            )));
        }
        for (key, value) in [
            ("run-as", &file.run_as),
            ("proxy", &file.proxy),
            ("batch", &file.batch),
            ("reports", &file.reports),
            ("artifacts", &file.artifacts),
            ("cache", &file.cache),
        ] {
            without(key, value.as_ref())?;
        }
        if let Some(helper) = file
            .env
            .git_credential_helper
            .as_deref()
            .filter(|helper| *helper != "no")
        {
            return Err(Fault::new(format!(
                "buildspec: env/git-credential-helper: {helper} is not done here"
            )));
        }
        let shell = match file.env.shell.as_deref() {
            Some("bash") => Shell::Bash,
            None | Some("/bin/sh") => Shell::Sh,
            Some(other) => {
                return Err(Fault::new(format!(
                    "buildspec: env/shell: {other:?} is neither bash nor /bin/sh"
                )));
            }
        };
        let mut phases = BTreeMap::new();
        for (phase, section) in [
            (Phase::Install, file.phases.install),
            (Phase::PreBuild, file.phases.pre_build),
            (Phase::Build, file.phases.build),
            (Phase::PostBuild, file.phases.post_build),
        ] {
            if let Some(section) = section {
                phases.insert(phase, block(phase, section)?);
            }
        }
        if phases.is_empty() {
            return Err(Fault::new("buildspec: phases: there is none"));
        }
        Ok(Self {
            shell,
            exported: file.env.exported_variables.clone(),
            variables: variables(file.env)?,
            phases,
        })
    }
}

fn block(phase: Phase, section: Section) -> Result<Block> {
    without(&format!("phases/{phase}/run-as"), section.run_as.as_ref())?;
    without(
        &format!("phases/{phase}/runtime-versions"),
        section.runtime_versions.as_ref(),
    )?;
    let on_failure = match section.on_failure.as_deref() {
        None => None,
        Some("ABORT") => Some(OnFailure::Abort),
        Some("CONTINUE") => Some(OnFailure::Continue),
        Some(other) => {
            return Err(Fault::new(format!(
                "buildspec: phases/{phase}/on-failure: {other:?} is not done here"
            ))
            .hint("ABORT and CONTINUE are"));
        }
    };
    if section.commands.is_empty() {
        return Err(Fault::new(format!(
            "buildspec: phases/{phase}/commands: there is none"
        )));
    }
    Ok(Block {
        commands: section.commands,
        finally: section.finally,
        on_failure,
    })
}

fn without(key: &str, value: Option<&Value>) -> Result<()> {
    match value {
        None => Ok(()),
        Some(_) => Err(Fault::new(format!("buildspec: {key} is not done here"))),
    }
}

/// A name given in two of the mappings has no documented winner, so it is refused.
fn variables(env: Env) -> Result<Given> {
    for name in &env.exported_variables {
        if !super::variables::is_name(name) {
            return Err(Fault::new(format!(
                "buildspec: env/exported-variables: {name:?} is not a variable's name"
            )));
        }
    }
    let mut seen = BTreeSet::new();
    let mut given = Given::new();
    let all = (env
        .variables
        .into_iter()
        .map(|(name, value)| (name, Variable::Plain(value))))
    .chain(
        env.parameter_store
            .into_iter()
            .map(|(name, value)| (name, Variable::Parameter(value))),
    )
    .chain(
        env.secrets_manager
            .into_iter()
            .map(|(name, value)| (name, Variable::Secret(value))),
    );
    for (name, variable) in all {
        check_name(&name)?;
        if !seen.insert(name.clone()) {
            return Err(Fault::new(format!("buildspec: env: {name} is given twice")));
        }
        given.insert(name, variable);
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Spec::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_buildspec_is_read() {
        let spec = Spec::parse(
            "version: 0.2\nenv:\n  shell: bash\n  variables: {PORT: 8080, YES: yes}\n  parameter-store: {A: /a}\n  \
             secrets-manager: {T: \"s:k\"}\n  exported-variables: [A, B]\nphases:\n  build:\n    on-failure: CONTINUE\n    \
             commands:\n      - one\n      - |\n        two\n        three\n    finally: [last]\n",
        )
        .unwrap();
        assert_eq!(spec.shell, Shell::Bash);
        assert_eq!(spec.variables["PORT"], Variable::Plain("8080".into()));
        assert_eq!(spec.variables["YES"], Variable::Plain("yes".into()));
        assert_eq!(spec.variables["A"], Variable::Parameter("/a".into()));
        assert_eq!(spec.variables["T"], Variable::Secret("s:k".into()));
        assert_eq!(spec.exported, ["A", "B"]);
        let block = &spec.phases[&Phase::Build];
        assert_eq!(block.commands, ["one", "two\nthree\n"]);
        assert_eq!(block.finally, ["last"]);
        assert_eq!(block.on_failure, Some(OnFailure::Continue));
    }

    #[test]
    fn unknown_and_unsupported_buildspec_keys_are_refused_by_name() {
        let with =
            |phase: &str| format!("version: 0.2\nphases:\n  build:\n    commands: [x]\n{phase}");
        for (text, words) in [
            (with("    comands: [y]\n"), "comands"),
            (with("  buid: {commands: [y]}\n"), "buid"),
            (with("enviroment: {}\n"), "enviroment"),
            (with("env: {variable: {A: b}}\n"), "variable"),
            (
                with("    run-as: nobody\n"),
                "phases/BUILD/run-as is not done here",
            ),
            (with("run-as: nobody\n"), "run-as is not done here"),
            (
                with("artifacts: {files: ['**/*']}\n"),
                "artifacts is not done here",
            ),
            (with("    on-failure: RETRY-2\n"), "RETRY-2"),
            (with("    on-failure: abort\n"), "abort"),
            (
                with("    runtime-versions: {nodejs: 24}\n"),
                "runtime-versions",
            ),
            (with("env: {shell: zsh}\n"), "neither bash nor /bin/sh"),
            (
                with("env: {git-credential-helper: yes}\n"),
                "git-credential-helper",
            ),
            (with("env: {variables: {CODEBUILD_X: y}}\n"), "CODEBUILD_X"),
            (with("env: {variables: {A-B: y}}\n"), "A-B"),
            (with("env: {exported-variables: [A-B]}\n"), "A-B"),
            (
                with("env: {variables: {A: y}, secrets-manager: {A: z}}\n"),
                "A is given twice",
            ),
            (
                "version: 0.1\nphases: {build: {commands: [x]}}\n".into(),
                "version 0.1",
            ),
            ("phases: {build: {commands: [x]}}\n".into(), "version"),
            ("version: 0.2\n".into(), "phases"),
            ("version: 0.2\nphases: {}\n".into(), "there is none"),
            (
                "version: 0.2\nphases: {build: {finally: [x]}}\n".into(),
                "commands",
            ),
            (
                "version: 0.2\nphases: {build: {commands: [echo a: b]}}\n".into(),
                "string",
            ),
        ] {
            let refusal = refusal(&text);
            assert!(refusal.contains(words), "{text}\n{refusal}");
        }
    }

    #[test]
    fn the_shipped_buildspecs_are_taken() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../buildspecs");
        for file in [
            "approve.yml",
            "build.yml",
            "continue.yml",
            "deploy.yml",
            "gate.yml",
            "infrastructure.yml",
            "stack.yml",
        ] {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            Spec::parse(&text).unwrap_or_else(|fault| panic!("{file}: {fault}"));
        }
    }
}
