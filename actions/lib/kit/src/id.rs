//! The two names that bytes go by: an image's digest and a commit's hash. Only whole ones, since
//! what is shortened or movable does not say what runs.

use crate::error::{Error, Result};
use std::fmt;

/// `sha256:` and 64 lower-case hexadecimal digits: what a registry names bytes by
/// (OCI Image Specification, "Digests").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// # Errors
    /// Anything else, a tag above all (exit 2).
    pub fn parse(text: &str) -> Result<Self> {
        if text
            .strip_prefix("sha256:")
            .is_some_and(|hex| is_hex(hex, 64))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!(
            "{text:?} is no digest: a digest is sha256: and 64 lower-case hexadecimal digits"
        ))
        .hint("a tag can be moved, so only a digest is deployed; take the `digest` output of the image step")
        .hint("or ask the registry: aws ecr describe-images --repository-name NAME --image-ids imageTag=TAG --query 'imageDetails[0].imageDigest'"))
    }

    /// As the registry writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A whole commit hash in lower case: 40 hexadecimal digits, or 64 in a SHA-256 repository
/// (gitformat, "hash-function-transition").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// # Errors
    /// Anything else: a shortened hash, a branch, a tag (exit 2).
    pub fn parse(text: &str) -> Result<Self> {
        if is_hex(text, 40) || is_hex(text, 64) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!("{text:?} is no full commit hash"))
            .hint("give all 40 hexadecimal digits (64 in a SHA-256 repository), as `git rev-parse HEAD` prints them")
            .hint("where CodePipeline hands over its source as a ZIP file, pass its commit ID variable"))
    }

    /// As git prints it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn only_a_digest_is_a_digest() {
        let whole = format!("sha256:{HEX}");
        assert_eq!(Digest::parse(&whole).unwrap().as_str(), whole);
        for text in [
            "latest",
            "v1.2.3",
            "",
            HEX,
            &format!("sha256:{}", &HEX[1..]),
            &format!("sha256:{}", HEX.to_uppercase()),
            &format!("sha256:{HEX}\n"),
            &format!("sha512:{HEX}"),
            &format!("repo@sha256:{HEX}"),
        ] {
            let error = Digest::parse(text).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{text}");
            assert!(!error.hints.is_empty());
        }
    }

    #[test]
    fn only_a_whole_hash_is_a_commit() {
        for text in [&HEX[..40], HEX] {
            assert_eq!(Commit::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "main",
            "v1.2.3",
            "",
            &HEX[..7],
            &HEX[..41],
            &HEX[..40].to_uppercase(),
            &format!("{}\n", &HEX[..40]),
        ] {
            let error = Commit::parse(text).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{text}");
            assert!(!error.hints.is_empty());
        }
    }
}
