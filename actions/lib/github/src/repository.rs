//! The name of a repository.

use std::fmt;

/// `OWNER/NAME` on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// Takes `OWNER/NAME`, or the clone URL of a repository.
    pub fn parse(text: &str) -> Option<Self> {
        let path = match text.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?.1,
            None => text,
        };
        let path = path.trim_end_matches('/').trim_end_matches(".git");
        let allowed = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [owner, name] if allowed(owner) && allowed(name) => Some(Self(path.to_owned())),
            _ => None,
        }
    }

    /// `OWNER/NAME`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_by_name_and_by_clone_url() {
        for text in [
            "acme/storefront",
            "https://github.com/acme/storefront.git",
            "https://github.example.com/acme/storefront/",
        ] {
            assert_eq!(Repository::parse(text).unwrap().as_str(), "acme/storefront");
        }
        for text in [
            "acme",
            "acme/",
            "a/b/c",
            "a b/c",
            "../x",
            "a/b?c",
            "https://x",
        ] {
            assert_eq!(Repository::parse(text), None, "{text}");
        }
    }
}
