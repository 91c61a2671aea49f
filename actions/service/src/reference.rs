//! Image references: the repository a digest is in.

use ecs::{host_of, name_of, repository_of};
use kit::aws::{AccountId, Region};
use kit::error::{Error, Result};

/// Where a bare repository name is looked for: the host that was named, else the account's ECR.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) account: &'a AccountId,
    pub(crate) region: &'a Region,
}

/// The repository to pull from, as a URI without a scheme.
///
/// A bare name is looked for in the registry that was named; without one it stays where a container is pulled from now,
/// in the order of `current`, if that registry holds the same name, so that a mirror or a registry under another host
/// name stays in use; otherwise it is ECR's own host name for `registry`.
///
/// # Errors
/// A repository with a tag or digest in it (exit 2).
pub(crate) fn repository(
    given: &str,
    current: &[String],
    registry: &Registry<'_>,
) -> Result<String> {
    if repository_of(given) != given || given.contains("://") || given.ends_with('/') {
        return Err(Error::usage(format!("{given:?} is not a repository"))
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
    let mut current = current.iter().map(|image| repository_of(image));
    if let Some(same) = current.find(|found| host_of(found).is_some() && name_of(found) == given) {
        return Ok(same.to_owned());
    }
    Ok(format!("{}/{given}", region.registry(account)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository looked for in an account's registry, in `region`, or at `host`.
    fn found(given: &str, current: &str, region: &str, host: Option<&str>) -> Result<String> {
        let (account, region) = ("111111111111".parse().unwrap(), region.parse().unwrap());
        let registry = Registry {
            host,
            account: &account,
            region: &region,
        };
        let current = ["busybox".to_owned(), current.to_owned()];
        repository(given, &current, &registry)
    }

    #[test]
    fn a_bare_name_stays_where_it_is_pulled_from_now() {
        let ecr = "111111111111.dkr.ecr.ca-central-1.amazonaws.com/acme/web";
        for (given, current, wanted) in [
            (
                "acme/web",
                "127.9.9.1:4002/acme/web:1",
                "127.9.9.1:4002/acme/web",
            ),
            ("acme/web", "127.9.9.1:4002/other/web:1", ecr),
            ("acme/web", "nginx", ecr),
            ("mirror.example/web", "nginx", "mirror.example/web"),
            ("localhost/web", "nginx", "localhost/web"),
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
            let found = found("web", current, "cn-north-1", host);
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
            let error = found(given, "nginx", "ca-central-1", None).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Usage);
        }
    }
}
