//! The values of arguments, as clap reads them.

/// How many records `history` shows at most. `export` writes all of them.
pub(crate) const MOST_RECORDS: usize = 1000;

/// The longest reason that is recorded.
const LONGEST: usize = 500;

/// Reads the reason, which is kept for good.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("say why, in one line".to_owned());
    }
    if text.chars().count() > LONGEST {
        return Err(format!("say why in at most {LONGEST} characters"));
    }
    Ok(text.to_owned())
}

/// The short form of a commit's hash.
pub(crate) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}
