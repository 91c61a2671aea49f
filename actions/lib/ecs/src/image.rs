//! Image references: repository, host and name.

/// The repository of an image reference: without its tag and its digest.
pub fn repository_of(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[name..].find(':') {
        Some(colon) => &image[..name + colon],
        None => image,
    }
}

/// The registry host of a repository, by Docker's rule: a first part with a dot or a colon, or
/// `localhost`, is a host; anything else is part of the name.
pub fn host_of(repository: &str) -> Option<&str> {
    let (first, _) = repository.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

/// The name of a repository within its registry.
pub fn name_of(repository: &str) -> &str {
    match host_of(repository) {
        Some(host) => &repository[host.len() + 1..],
        None => repository,
    }
}

/// Returns true if two repositories are one: the same reference, or the same name in two registries, of which one is then a
/// replica or mirror of the other. A name without a host is Docker Hub's and nothing else.
pub(crate) fn same_repository(one: &str, other: &str) -> bool {
    one == other
        || host_of(one).is_some() && host_of(other).is_some() && name_of(one) == name_of(other)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_replica_is_the_same_repository_and_docker_hub_is_not() {
        for (one, other, same) in [
            ("a.example/team/web", "a.example/team/web", true),
            ("a.example/team/web", "b.example:5000/team/web", true),
            ("a.example/team/web", "a.example/team/api", false),
            ("nginx", "a.example/nginx", false),
            ("nginx", "nginx", true),
        ] {
            assert_eq!(same_repository(one, other), same, "{one} {other}");
        }
    }
}
