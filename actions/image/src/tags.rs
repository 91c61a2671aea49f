//! Tags of one repository, alone or as full references.

use crate::input::given;
use kit::{Error, Result};
use std::collections::BTreeMap;

/// Tags of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    /// Each once.
    pub(crate) names: Vec<String>,
    /// The registries that full references name, with the reference.
    hosts: BTreeMap<String, String>,
}

impl Tags {
    /// Reads tags, and full references to `repository` as docker/metadata-action writes them.
    ///
    /// # Errors
    /// Something else, or a reference to another repository (exit 2).
    pub(crate) fn new(lines: Vec<String>, repository: &str) -> Result<Self> {
        let mut tags = Self::default();
        for text in given(lines) {
            let (name, tag) = match text.rsplit_once(':') {
                Some((name, tag)) => (Some(name), tag),
                None => (None, text.as_str()),
            };
            if !is_tag(tag) {
                return Err(
                    Error::usage(format!("--tag `{text}` is not a tag")).hint(
                        "up to 128 letters, digits, `_`, `.` and `-`, not beginning with the last two; or REGISTRY/REPOSITORY:TAG",
                    ),
                );
            }
            match name.map(|name| name.strip_suffix(repository)) {
                None | Some(Some("")) => {}
                Some(Some(host)) if host.ends_with('/') => {
                    let host = host.trim_end_matches('/').to_owned();
                    tags.hosts.insert(host, text.clone());
                }
                Some(_) => {
                    return Err(Error::usage(format!(
                        "--tag `{text}` does not name repository {repository}"
                    ))
                    .hint("leave out references to other repositories; slipway-image copy brings the image there"));
                }
            }
            if !tags.names.iter().any(|there| there == tag) {
                tags.names.push(tag.to_owned());
            }
        }
        Ok(tags)
    }

    /// The tags alone, for several registries.
    ///
    /// # Errors
    /// A reference names one (exit 2).
    pub(crate) fn without_registry(self) -> Result<Vec<String>> {
        match self.hosts.values().next() {
            None => Ok(self.names),
            Some(text) => Err(Error::usage(format!("--tag `{text}` names a registry"))
                .hint("each destination has its own; give the tag alone")),
        }
    }

    /// # Errors
    /// A reference names another registry than this (exit 2).
    pub(crate) fn are_of(&self, registry: &str) -> Result<()> {
        match self.hosts.iter().find(|(host, _)| *host != registry) {
            None => Ok(()),
            Some((_, text)) => Err(Error::usage(format!(
                "--tag `{text}` does not name registry {registry}"
            ))
            .hint("give the tag alone, or check the account and the region")),
        }
    }
}

/// OCI Distribution Specification, "Pulling manifests".
fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && !tag.is_empty()
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_tags_that_registries_accept() {
        for tag in ["v1.2", "_x", "latest", "1"] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["", ".x", "-x", "a:b", "a b", "ü"] {
            assert!(!is_tag(tag), "{tag}");
        }
        assert!(!is_tag(&"a".repeat(129)));
    }

    #[test]
    fn a_full_reference_is_a_tag_of_the_repository_and_registry_that_it_names() {
        let read = |text: &str| Tags::new(vec![text.to_owned()], "acme/a");
        let host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        for text in ["v1", "acme/a:v1", &format!("{host}/acme/a:v1")] {
            let tags = read(text).unwrap();
            assert_eq!(tags.names, ["v1"]);
            assert!(tags.are_of(host).is_ok());
        }
        let other = read("ghcr.io/acme/a:v1").unwrap();
        let error = other.are_of(host).unwrap_err();
        assert!(error.message.contains("ghcr.io/acme/a:v1"), "{error}");
        for wrong in [
            "a:v1",
            "xacme/a:v1",
            &format!("{host}/acme/b:v1"),
            "acme/a",
            "acme/a:",
        ] {
            assert_eq!(read(wrong).unwrap_err().exit(), kit::Exit::Usage, "{wrong}");
        }
    }
}
