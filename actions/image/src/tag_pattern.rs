//! Patterns of tags that may move, and whether one would let a tag move that must not. Pure.

use kit::{Error, Result};

const HEX: &[u8] = b"0123456789abcdef";

/// The most filters a repository takes (ECR API Reference, `imageTagMutabilityExclusionFilters`).
const MOST: usize = 5;

/// The most `*` one filter takes (ECR User Guide, "Preventing image tags from being overwritten").
const MOST_WILDCARDS: usize = 2;

/// Checks the patterns before anything is asked.
///
/// # Errors
/// A pattern that ECR would not accept, or one that fits the tag of a commit or of an image's content, which say what an image is made
/// from only as long as they cannot move (exit 2).
pub(crate) fn checked(patterns: Vec<String>) -> Result<Vec<String>> {
    let mut checked: Vec<String> = Vec::new();
    for pattern in patterns {
        check(&pattern)?;
        if !checked.contains(&pattern) {
            checked.push(pattern);
        }
    }
    if checked.len() > MOST {
        return Err(Error::usage(format!(
            "--mutable-tag names {} patterns; ECR takes {MOST}",
            checked.len()
        ))
        .hint("one pattern can stand for several tags, e.g. cache-*"));
    }
    checked.sort();
    Ok(checked)
}

fn check(pattern: &str) -> Result<()> {
    // ECR API Reference, `ImageTagMutabilityExclusionFilter`.
    let taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._*-".contains(&byte);
    let wildcards = pattern.bytes().filter(|byte| *byte == b'*').count();
    if pattern.is_empty()
        || pattern.len() > 128
        || !pattern.bytes().all(taken)
        || wildcards > MOST_WILDCARDS
    {
        return Err(
            Error::usage(format!("--mutable-tag `{pattern}` is not a tag pattern")).hint(
                "up to 128 letters, digits, `.`, `_`, `-` and at most two `*`; one pattern a line",
            ),
        );
    }
    let kind = if fits_a_commit(pattern) {
        "the tag of a commit, 40 or 64 hexadecimal digits"
    } else if fits_a_content_key(pattern) {
        "the tag of an image's content, content-…"
    } else if fits_provenance(pattern) {
        "the tag of an image's provenance, provenance-…"
    } else {
        return Ok(());
    };
    Err(
        Error::usage(format!("--mutable-tag `{pattern}` also fits {kind}"))
            .cause("such a tag says what the image is made from, and must never move")
            .hint("begin the pattern with something no hash begins with, e.g. cache-* or latest"),
    )
}

/// Returns whether the pattern fits some commit's tag.
fn fits_a_commit(pattern: &str) -> bool {
    [40, 64]
        .iter()
        .any(|length| meets(pattern.as_bytes(), &vec![HEX; *length]))
}

fn fits_provenance(pattern: &str) -> bool {
    let mut tag: Vec<&[u8]> = b"provenance-".chunks(1).collect();
    tag.extend(vec![HEX; 64]);
    tag.push(b"-");
    tag.extend(vec![HEX; 40]);
    meets(pattern.as_bytes(), &tag)
}

fn fits_a_content_key(pattern: &str) -> bool {
    [40, 64].iter().any(|length| {
        let mut tag: Vec<&[u8]> = b"content-".chunks(1).collect();
        tag.extend(vec![HEX; *length]);
        meets(pattern.as_bytes(), &tag)
    })
}

/// Returns whether the pattern fits some text whose byte at each place is one of those given for it.
fn meets(pattern: &[u8], text: &[&[u8]]) -> bool {
    // Where in the text the pattern's beginning can end; with two wildcards, a set is soon full.
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for byte in pattern {
        let mut next = vec![false; text.len() + 1];
        if *byte == b'*' {
            let mut reached = false;
            for (at, end) in ends.iter().enumerate() {
                reached |= *end;
                next[at] = reached;
            }
        } else {
            for (at, choices) in text.iter().enumerate() {
                next[at + 1] = ends[at] && choices.contains(byte);
            }
        }
        ends = next;
    }
    ends[text.len()]
}

/// Returns whether the pattern fits the whole text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    meets(pattern.as_bytes(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patterns: &[&str]) -> Result<Vec<String>> {
        checked(patterns.iter().map(|one| (*one).to_owned()).collect())
    }

    #[test]
    fn a_pattern_fits_the_whole_text() {
        for (pattern, text, wanted) in [
            ("latest", "latest", true),
            ("latest", "latest2", false),
            ("cache-*", "cache-", true),
            ("v*.*", "v1.0", true),
            ("v*.*", "v1", false),
            ("*", "", true),
            ("", "", true),
            ("*a*b", "xaxb", true),
            ("*a*b", "xbxa", false),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn tags_of_commits_and_contents_never_move() {
        let forty = "a".repeat(40);
        for pattern in [
            "*",
            "a*",
            "*0",
            "dead*beef",
            &forty,
            &"a".repeat(64),
            "content-*",
            "provenance-*",
            "c*",
            "co*a",
            "*-*",
        ] {
            let error = of(&[pattern]).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage, "{pattern}");
            assert!(error.message.contains("also fits"), "{pattern}: {error}");
        }
        for pattern in [
            "latest",
            "cache",
            "cache-*",
            "main",
            "release-*",
            "A*",
            "*-latest",
            "sha256-*",
            &"a".repeat(41),
            &forty[1..],
            "content-key",
        ] {
            of(&[pattern]).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        }
    }

    #[test]
    fn tag_patterns_that_ecr_rejects_are_refused_before_the_call() {
        for patterns in [
            &[""][..],
            &["a b"],
            &["tag:x"],
            &["l*a*t*"],
            &["m1", "m2", "m3", "m4", "m5", "m6"],
        ] {
            assert_eq!(
                of(patterns).unwrap_err().exit(),
                kit::Exit::Usage,
                "{patterns:?}"
            );
        }
        assert_eq!(of(&["main", "latest", "main"]).unwrap(), ["latest", "main"]);
        assert!(of(&["m1", "m2", "m3", "m4", "m5", "m5"]).is_ok());
    }
}
