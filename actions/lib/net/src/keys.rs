//! The rule that credentials must end.

use aws_credential_types::Credentials;
use kit::error::{Error, Result};

/// Refuses keys that have no end, unless the contract names them.
///
/// A key is temporary when it carries a session token; its prefix says the same (`ASIA`, against
/// `AKIA` for long-lived ones: IAM User Guide, "Unique identifiers").
///
/// # Errors
/// Long-lived keys (exit 3).
pub fn guard_credentials(credentials: &Credentials, allowed: &[String]) -> Result<()> {
    let id = credentials.access_key_id();
    if credentials.session_token().is_some() && !id.starts_with("AKIA") {
        return Ok(());
    }
    if allowed.iter().any(|name| name == id) {
        return Ok(());
    }
    if id.starts_with("ASIA") && credentials.session_token().is_none() {
        return Err(Error::refused(format!(
            "access key {id} is temporary, but its session token is missing"
        ))
        .hint("set AWS_SESSION_TOKEN beside AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    }
    Err(Error::refused(format!(
        "access key {id} is long-lived; only temporary credentials are used"
    ))
    .hint("use GitHub's OIDC, a CodeBuild role, or the temporary keys of `aws configure export-credentials`")
    .hint("to allow this key anyway, list it under `allow-long-lived-keys` in the contract"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: &str, token: Option<&str>) -> Credentials {
        Credentials::new(id, "s", token.map(str::to_owned), None, "test")
    }

    #[test]
    fn long_lived_keys_are_refused_unless_named() {
        assert!(guard_credentials(&keys("ASIAX", Some("t")), &[]).is_ok());
        for long in [
            keys("AKIAX", None),
            keys("AKIAX", Some("t")),
            keys("ASIAX", None),
        ] {
            let error = guard_credentials(&long, &[]).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
        }
        assert!(guard_credentials(&keys("AKIAX", None), &["AKIAX".to_owned()]).is_ok());
        let error = guard_credentials(&keys("ASIAX", None), &[]).unwrap_err();
        assert!(
            error.message.contains("session token is missing"),
            "{error}"
        );
    }
}
