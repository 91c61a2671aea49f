//! Logins, and the hosts they are for.

use kit::Secret;
use std::collections::BTreeMap;

/// A user name and its password.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) secret: Secret,
}

/// Logins by the registry's host, with its port where it has one.
pub(crate) type Logins = BTreeMap<String, Login>;

/// Returns whether this is the host of a private ECR registry, `ACCOUNT.dkr.ecr.REGION.amazonaws.com` or
/// one of its kind: FIPS endpoints, other partitions, dual-stack (Amazon ECR endpoints and quotas).
pub(crate) fn is_ecr(host: &str) -> bool {
    let Some((account, rest)) = host.split_once('.') else {
        return false;
    };
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
            .iter()
            .any(|service| rest.starts_with(service))
}

/// Account and region of a private ECR registry, for the log of calls; empty for another one.
pub(crate) fn account_and_region_of(host: &str) -> String {
    let parts: Vec<&str> = host.split('.').collect();
    let region = match parts.as_slice() {
        [_, "dkr", _, region, ..] | [_, _, region, ..] => region,
        _ => return String::new(),
    };
    match is_ecr(host) {
        true => net::account_and_region(parts[0], region),
        false => String::new(),
    }
}

/// The host in what Docker calls a server: `https://index.docker.io/v1/`, `1.2.3.4:5000`.
pub(crate) fn host(server: &str) -> &str {
    let server = server.trim();
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecr_is_known_by_its_host() {
        for host in [
            "111111111111.dkr.ecr.ca-central-1.amazonaws.com",
            "111111111111.dkr.ecr-fips.us-east-1.amazonaws.com",
            "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "111111111111.dkr-ecr.eu-west-1.on.aws",
        ] {
            assert!(is_ecr(host), "{host}");
        }
        for host in [
            "ghcr.io",
            "1.dkr.ecr.x.amazonaws.com",
            "127.0.0.1:4002",
            "public.ecr.aws",
        ] {
            assert!(!is_ecr(host), "{host}");
        }
    }

    #[test]
    fn account_and_region_are_part_of_an_ecr_host() {
        let known = ", account 111111111111, region ca-central-1";
        for (host, wanted) in [
            ("111111111111.dkr.ecr.ca-central-1.amazonaws.com", known),
            ("111111111111.dkr-ecr.ca-central-1.on.aws", known),
            ("docker.io", ""),
            ("localhost:5000", ""),
        ] {
            assert_eq!(account_and_region_of(host), wanted, "{host}");
        }
    }

    #[test]
    fn a_server_is_known_by_its_host() {
        for (server, wanted) in [
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("127.70.3.1:4002\n", "127.70.3.1:4002"),
            ("http://localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(host(server), wanted);
        }
    }
}
