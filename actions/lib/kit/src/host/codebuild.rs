//! Outputs where a process cannot export variables: a file of shell assignments that the caller
//! sources, named by `SLIPWAY_OUTPUT`. Used in CodeBuild and in a terminal.

use crate::env::Env;
use crate::error::{Context, Result};
use crate::report::{EnvValue, Report};
use std::fs::OpenOptions;
use std::io::Write;

/// Appends `export STEP_OUTPUT='value'` lines. Later lines win when the file is sourced, so a
/// second run of a step replaces its outputs. Answers whether there was a file to write to.
pub(super) fn write(env: &Env, step: &str, report: &Report) -> Result<bool> {
    let Some(path) = env.get("SLIPWAY_OUTPUT") else {
        return Ok(false);
    };
    let mut text = String::new();
    for (name, value) in &report.outputs {
        text.push_str(&assignment(&variable(step, name), value));
    }
    for (name, value) in &report.env {
        if let EnvValue::Plain(value) = value {
            text.push_str(&assignment(name, value));
        }
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .context(format!("cannot write {path} (SLIPWAY_OUTPUT)"))?;
    Ok(true)
}

/// The variable an output arrives in: `image` and `digest` make `IMAGE_DIGEST`.
pub(crate) fn variable(step: &str, output: &str) -> String {
    format!("{step}_{output}").to_uppercase().replace('-', "_")
}

fn assignment(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_any_value() {
        for value in ["x", "it's", "$(touch /nope) `x` \\ \"", "two\nlines", " "] {
            let script = format!(
                "{}printf %s \"$IMAGE_REF\"",
                assignment(&variable("image", "ref"), value)
            );
            let out = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), value);
        }
    }
}
