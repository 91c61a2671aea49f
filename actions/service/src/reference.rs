//! Image references: the repository a digest is in.

use kit::error::{Error, Result};

/// Where a bare repository name is looked for: the host that was named, else the account's ECR.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
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
    // The China partition has a domain of its own (ECR User Guide, "Private registry").
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    Ok(format!(
        "{account}.dkr.ecr.{region}.amazonaws.com{suffix}/{given}"
    ))
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

    const HOME: Registry<'_> = Registry {
        host: None,
        account: "111111111111",
        region: "ca-central-1",
    };

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
            assert_eq!(repository(given, current, &HOME).unwrap(), wanted);
        }
        let china = Registry {
            host: None,
            account: "111111111111",
            region: "cn-north-1",
        };
        let replica = Registry {
            host: Some("replica.example:5000"),
            ..china
        };
        assert_eq!(
            repository(Some("web"), "other.example/web", &replica).unwrap(),
            "replica.example:5000/web"
        );
        assert_eq!(
            repository(Some("web"), "nginx", &china).unwrap(),
            "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/web"
        );
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
                repository(Some(given), "nginx", &HOME).unwrap_err().exit,
                kit::Exit::Usage
            );
        }
    }
}
