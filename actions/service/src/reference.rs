//! Image references: the repository a digest is in.

use kit::aws::{AccountId, Region};
use kit::error::{Error, Result};

/// Where a bare repository name is looked for: the host that was named, else the account's ECR.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) account: &'a AccountId,
    pub(crate) region: &'a Region,
}

/// The repository of an image reference: without its tag and its digest.
pub(crate) fn repository_of(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[name..].find(':') {
        Some(colon) => &image[..name + colon],
        None => image,
    }
}

/// The repository to pull from, as a URI without a scheme.
///
/// A bare name is looked for in the registry that was named; without one it keeps the registry that
/// the container is already pulled from when that one holds the same name, so that a mirror or a registry under another host name stays in use; otherwise
/// it is ECR's own host name for `registry`.
///
/// # Errors
/// A repository with a tag or digest in it (exit 2).
pub(crate) fn repository(
    given: Option<&str>,
    current: &str,
    registry: &Registry<'_>,
) -> Result<String> {
    let current = repository_of(current);
    let Some(given) = given else {
        return Ok(current.to_owned());
    };
    if repository_of(given) != given || given.contains("://") || given.ends_with('/') {
        return Err(Error::usage(format!("{given:?} is no repository"))
            .hint("give its name, or its URI without scheme, tag and digest"));
    }
    if host_of(given).is_some() {
        return Ok(given.to_owned());
    }
    let Registry {
        host,
        account,
        region,
    } = registry;
    if let Some(host) = host {
        return Ok(format!("{host}/{given}"));
    }
    if let Some(host) = host_of(current)
        && current[host.len() + 1..] == *given
    {
        return Ok(current.to_owned());
    }
    Ok(format!("{}/{given}", region.registry(account)))
}

/// The registry host of a repository, by Docker's rule: a first part with a dot or a colon, or
/// `localhost`, is a host; anything else is part of the name.
fn host_of(repository: &str) -> Option<&str> {
    let (first, _) = repository.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository looked for in an account's registry, in `region`, or at `host`.
    fn found(
        given: Option<&str>,
        current: &str,
        region: &str,
        host: Option<&str>,
    ) -> Result<String> {
        let (account, region) = ("111111111111".parse().unwrap(), region.parse().unwrap());
        let registry = Registry {
            host,
            account: &account,
            region: &region,
        };
        repository(given, current, &registry)
    }

    #[test]
    fn tag_and_digest_are_cut_off_and_ports_are_not() {
        for (image, wanted) in [
            ("web", "web"),
            ("web:1", "web"),
            ("127.0.0.1:4002/web", "127.0.0.1:4002/web"),
            (
                "127.0.0.1:4002/team/web:1@sha256:ab",
                "127.0.0.1:4002/team/web",
            ),
        ] {
            assert_eq!(repository_of(image), wanted);
        }
    }

    #[test]
    fn a_bare_name_stays_where_it_is_pulled_from_now() {
        let ecr = "111111111111.dkr.ecr.ca-central-1.amazonaws.com/acme/web";
        for (given, current, wanted) in [
            (None, "127.9.9.1:4002/acme/web:1", "127.9.9.1:4002/acme/web"),
            (
                Some("acme/web"),
                "127.9.9.1:4002/acme/web:1",
                "127.9.9.1:4002/acme/web",
            ),
            (Some("acme/web"), "127.9.9.1:4002/other/web:1", ecr),
            (Some("acme/web"), "nginx", ecr),
            (Some("mirror.example/web"), "nginx", "mirror.example/web"),
            (Some("localhost/web"), "nginx", "localhost/web"),
        ] {
            let found = found(given, current, "ca-central-1", None);
            assert_eq!(found.unwrap(), wanted);
        }
        for (current, host, wanted) in [
            (
                "other.example/web",
                Some("replica.example:5000"),
                "replica.example:5000/web",
            ),
            (
                "nginx",
                None,
                "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/web",
            ),
        ] {
            let found = found(Some("web"), current, "cn-north-1", host);
            assert_eq!(found.unwrap(), wanted);
        }
    }

    #[test]
    fn a_repository_carries_no_tag_digest_or_scheme() {
        for given in [
            "web:1",
            "web@sha256:ab",
            "https://a.example/web",
            "a.example/",
        ] {
            assert_eq!(
                found(Some(given), "nginx", "ca-central-1", None)
                    .unwrap_err()
                    .exit,
                kit::Exit::Usage
            );
        }
    }
}
