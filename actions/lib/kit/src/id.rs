//! Names that are parsed once, where they come in: an image's digest, a commit's hash and a plan's ID here, and
//! AWS's names in [`crate::aws`]. Only whole ones, since what is shortened or movable does not say
//! what runs.

use crate::error::{Error, Result};
use crate::hex::is_hex;
use std::fmt;
use std::str::FromStr;

/// Text that does not have the form of what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    message: String,
    hints: &'static [&'static str],
}

impl Invalid {
    pub(crate) fn new(message: String, hints: &'static [&'static str]) -> Self {
        Self { message, hints }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hints.first() {
            Some(hint) => write!(f, "{}; {hint}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Invalid {}

/// The value of an argument, as clap's `value_parser`. White space around it is left out, such as the line break after
/// a workflow's block text.
///
/// # Errors
/// The text does not have the form.
pub fn argument<T: FromStr<Err = Invalid>>(text: &str) -> Result<T, Invalid> {
    text.trim().parse()
}

impl From<Invalid> for Error {
    /// Exit 2.
    fn from(invalid: Invalid) -> Self {
        invalid
            .hints
            .iter()
            .fold(Self::usage(invalid.message), |error, hint| {
                error.hint(*hint)
            })
    }
}

/// The traits of every parsed name: it can be shown, compared with text, and written and read by serde as
/// the text it is. The type keeps its text in a field `text` or as its only field.
macro_rules! parsed_text {
    ($name:ident, $($field:tt)+) => {
        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.$($field)+
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.$($field)+
            }
        }

        impl From<&$name> for String {
            fn from(name: &$name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use parsed_text;

/// `sha256:` and 64 lower-case hexadecimal digits: what a registry names bytes by
/// (OCI Image Specification, "Digests").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

parsed_text!(Digest, 0);

impl Digest {
    /// The digest that an argument gives. White space around it is left out, such as the line break after a workflow's
    /// block text.
    ///
    /// # Errors
    /// Anything else, a tag above all (exit 2).
    pub fn parse(text: &str) -> Result<Self> {
        Ok(text.trim().parse()?)
    }

    /// The digest whose hash is `hash`.
    pub fn sha256(hash: [u8; 32]) -> Self {
        Self(format!("sha256:{}", crate::hex::encode(hash)))
    }

    /// The 64 digits, as files are named.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text
            .strip_prefix("sha256:")
            .is_some_and(|hex| is_hex(hex, 64))
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!(
                "`{text}` is not a digest: a digest is sha256: and 64 lower-case hexadecimal digits"
            ),
            &[
                "a tag can be moved, so only a digest is deployed; take the `digest` output of the image step",
                "or ask the registry: aws ecr describe-images --repository-name NAME --image-ids imageTag=TAG --query 'imageDetails[0].imageDigest'",
            ],
        ))
    }
}

/// A whole commit hash in lower case: 40 hexadecimal digits, or 64 in a SHA-256 repository
/// (gitformat, "hash-function-transition").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

parsed_text!(CommitId, 0);

impl CommitId {
    /// The commit that an argument gives. White space around it is left out, as around a digest.
    ///
    /// # Errors
    /// Anything else: a shortened hash, a branch, a tag (exit 2).
    pub fn parse(text: &str) -> Result<Self> {
        Ok(text.trim().parse()?)
    }
}

impl FromStr for CommitId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_hex(text, 40) || is_hex(text, 64) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not a full commit hash"),
            &[
                "give all 40 hexadecimal digits (64 in a SHA-256 repository), as `git rev-parse HEAD` prints them",
                "where CodePipeline hands over its source as a ZIP file, pass its commit ID variable",
            ],
        ))
    }
}

/// The ID of an infrastructure plan: the SHA-256 of what was reviewed, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(String);

parsed_text!(PlanId, 0);

impl PlanId {
    /// The ID of the plan whose reviewed bytes these are.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crate::hex::encode(ring::digest::digest(
            &ring::digest::SHA256,
            bytes,
        )))
    }
}

impl FromStr for PlanId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_hex(text, 64) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("`{text}` is not the ID of a plan"),
            &["it is the output plan-id of `plan`: 64 hexadecimal digits"],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn only_a_digest_is_a_digest() {
        let whole = format!("sha256:{HEX}");
        let digest = Digest::parse(&whole).unwrap();
        assert_eq!((digest.as_str(), digest.hex()), (whole.as_str(), HEX));
        assert_eq!(Digest::parse(&format!(" {whole}\r\n")).unwrap(), digest);
        assert!(format!("{whole}\n").parse::<Digest>().is_err());
        assert_eq!(
            Digest::sha256([0xab; 32]).hex(),
            "ab".repeat(32),
            "the hash's own bytes"
        );
        for text in [
            "latest",
            "v1.2.3",
            "",
            HEX,
            &format!("sha256:{}", &HEX[1..]),
            &format!("sha256:{}", HEX.to_uppercase()),
            &format!("sha256:{HEX} {HEX}"),
            &format!("sha512:{HEX}"),
            &format!("repo@sha256:{HEX}"),
        ] {
            let error = Digest::parse(text).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage, "{text}");
            assert!(!error.hints.is_empty());
        }
    }

    #[test]
    fn only_a_whole_hash_is_a_commit() {
        for text in [&HEX[..40], HEX] {
            assert_eq!(CommitId::parse(text).unwrap().as_str(), text);
            assert_eq!(
                CommitId::parse(&format!("{text}\n")).unwrap().as_str(),
                text
            );
        }
        for text in [
            "main",
            "v1.2.3",
            "",
            &HEX[..7],
            &HEX[..41],
            &HEX[..40].to_uppercase(),
            &format!("{0} {0}", &HEX[..40]),
        ] {
            let error = CommitId::parse(text).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage, "{text}");
            assert!(!error.hints.is_empty());
        }
    }

    #[test]
    fn only_a_whole_hash_is_the_id_of_a_plan() {
        assert_eq!(PlanId::of(b"abc").as_str(), ABC);
        assert_eq!(
            argument::<PlanId>(&format!("{ABC}\n")),
            Ok(PlanId::of(b"abc"))
        );
        for text in ["new", "", &ABC[1..], &ABC.to_uppercase()] {
            let error = argument::<PlanId>(text).unwrap_err().to_string();
            let wanted = format!("`{text}` is not the ID of a plan; it is the output");
            assert!(error.starts_with(&wanted), "{error}");
        }
    }

    #[test]
    fn serde_writes_the_text_and_reads_only_what_parses() {
        let commit = CommitId::parse(&HEX[..40]).unwrap();
        let json = serde_json::to_string(&commit).unwrap();
        assert_eq!(json, format!("\"{}\"", &HEX[..40]));
        assert_eq!(serde_json::from_str::<CommitId>(&json).unwrap(), commit);
        let error = serde_json::from_str::<CommitId>("\"main\"").unwrap_err();
        assert!(error.to_string().contains("is not a full commit hash"));
    }
}
