//! The addresses of GitHub's APIs, and the token that goes there.

use http::Uri;
use kit::Cx;
use kit::error::{Error, Result};
use kit::secret::Secret;

/// The token: the input `github-token`, else `GITHUB_TOKEN`.
pub fn token(cx: &Cx) -> Option<Secret> {
    cx.env
        .input("github-token")
        .or_else(|| cx.env.get("GITHUB_TOKEN"))
        .map(|token| Secret::new(token.trim().to_owned()))
}

/// The address in `variable`, else the usual one.
pub(crate) fn address(cx: &Cx, variable: &str, usual: &str) -> Result<Uri> {
    let text = cx.env.get(variable).unwrap_or(usual);
    let uri: Option<Uri> = text.trim_end_matches('/').parse().ok();
    let uri = uri
        .filter(|uri| uri.scheme().is_some() && uri.authority().is_some())
        .ok_or_else(|| Error::usage(format!("{variable} is not a URL: {text}")))?;
    // The token is sent there, so the connection must be encrypted.
    if uri.scheme_str() == Some("https") || uri.host().is_some_and(loopback) {
        return Ok(uri);
    }
    Err(Error::usage(format!(
        "{variable} is not an https URL, so the GitHub token would be sent unencrypted: {text}"
    )))
}

/// Returns true if a host is this machine itself.
fn loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_https_or_stays_on_this_machine() {
        for (host, wanted) in [
            ("127.0.0.1", true),
            ("127.64.3.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("localhost.evil.example", false),
            ("api.github.com", false),
        ] {
            assert_eq!(loopback(host), wanted, "{host}");
        }
    }
}
