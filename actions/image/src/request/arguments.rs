//! The arguments of a build that are checked by themselves.

use crate::input::given;
use kit::contract::Image;
use kit::{Error, Result};

/// The platforms, given or the contract's.
pub(super) fn platforms(platforms: Vec<String>, image: Option<&Image>) -> Result<Vec<String>> {
    let mut platforms = given(platforms);
    if platforms.is_empty() {
        platforms = image
            .map(|image| image.platforms.clone())
            .unwrap_or_default();
    }
    for platform in &platforms {
        let parts = platform.split('/').count();
        if !(2..=3).contains(&parts) || platform.contains([' ', ',']) {
            return Err(
                Error::usage(format!("--platform `{platform}` is not a platform"))
                    .hint("OS/ARCHITECTURE, e.g. linux/amd64; one per line"),
            );
        }
    }
    Ok(platforms)
}

pub(super) fn labels(labels: &[String]) -> Result<Vec<(String, String)>> {
    labels
        .iter()
        .map(|label| pair("label", label).map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}

pub(super) fn network(mode: Option<&str>) -> Result<()> {
    match mode {
        Some(mode) if !["default", "none", "host"].contains(&mode) => Err(Error::usage(format!(
            "--network `{mode}` is not a network mode"
        ))
        .hint("default, none or host")),
        _ => Ok(()),
    }
}

pub(super) fn pair<'a>(argument: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        // The text is not quoted: it could be a value that somebody meant to hide.
        _ => Err(Error::usage(format!("a --{argument} is not NAME=VALUE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_argument_without_a_name_is_refused_and_never_quoted() {
        let error = pair("build-arg", "hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
