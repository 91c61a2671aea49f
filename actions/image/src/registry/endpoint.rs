//! Where a registry is, and the login it takes.

use crate::credentials::Login;
use base64::Engine;
use kit::{Error, Result, Secret};
use std::net::IpAddr;
use std::time::SystemTime;

/// Where images are pushed to, and with what login.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    /// Host, with port where there is one; the first part of an image's name.
    pub(crate) host: String,
    pub(crate) login: Login,
    /// When the login ends, where ECR said so.
    pub(crate) expires: Option<SystemTime>,
    /// Account and region, for the log of calls; empty where they are not known.
    pub(crate) account_and_region: String,
    /// Scheme and host.
    pub(super) endpoint: String,
}

impl Registry {
    /// Takes ECR's answer: an endpoint URL and base64 of `AWS:password`.
    ///
    /// # Errors
    /// Something else, or an endpoint that would send the token in clear over a network.
    pub(crate) fn new(endpoint: &str, token: &str) -> Result<Self> {
        let endpoint = endpoint.trim_end_matches('/');
        let host = match endpoint.split_once("://") {
            Some(("https", host)) => host,
            Some(("http", host)) if is_loopback(host) => host,
            _ => {
                return Err(Error::refused(format!(
                    "the registry's endpoint {endpoint} is not https"
                ))
                .hint("the registry token is not sent in clear; check AWS_ENDPOINT_URL"));
            }
        };
        let login = base64::engine::general_purpose::STANDARD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| {
                let (username, password) = text.split_once(':')?;
                Some(Login {
                    username: username.to_owned(),
                    secret: Secret::new(password.to_owned()),
                })
            })
            .ok_or_else(|| Error::failed("ECR's registry token is not base64 of user:password"))?;
        Ok(Self {
            host: host.to_owned(),
            login,
            expires: None,
            account_and_region: String::new(),
            endpoint: endpoint.to_owned(),
        })
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_never_goes_in_clear_over_a_network() {
        let token = "QVdTOmh1bnRlcjI=";
        for (endpoint, host) in [
            (
                "https://111111111111.dkr.ecr.ca-central-1.amazonaws.com",
                "111111111111.dkr.ecr.ca-central-1.amazonaws.com",
            ),
            ("http://127.70.3.1:4002", "127.70.3.1:4002"),
            ("http://localhost:5000/", "localhost:5000"),
        ] {
            let registry = Registry::new(endpoint, token).unwrap();
            assert_eq!(registry.host, host);
            assert_eq!(registry.login.username, "AWS");
            assert_eq!(registry.login.secret.expose(), "hunter2");
            assert!(!format!("{registry:?}").contains("hunter2"));
        }
        for endpoint in ["http://10.0.0.1:5000", "ftp://127.0.0.1", "127.0.0.1:5000"] {
            let error = Registry::new(endpoint, token).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
        }
        assert!(Registry::new("https://x", "%%%").is_err());
    }
}
