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

/// The ID of a plan, which `slipway-state plan` gives.
pub(crate) fn plan_id(text: &str) -> Result<String, String> {
    match kit::hex::is_hex(text.trim(), 64) {
        true => Ok(text.trim().to_owned()),
        false => Err("it is not the ID of a plan: 64 hexadecimal digits".to_owned()),
    }
}

/// The short form of a commit's hash.
pub(crate) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_whole() {
        let whole = "0123456789abcdef".repeat(4);
        assert_eq!(plan_id(&format!("{whole}\n")), Ok(whole.clone()));
        for wrong in [&whole[1..], "new", "", &whole.to_uppercase()] {
            assert!(plan_id(wrong).is_err(), "{wrong}");
        }
    }
}
