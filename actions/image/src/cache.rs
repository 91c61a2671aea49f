//! Build caches as builders are told of them, `type=registry,ref=HOST/NAME:TAG,…` or a reference alone (docs.docker.com,
//! "Cache storage backends").

use crate::decide::Mutability;
use kit::{Error, Result};

/// The value of one attribute.
pub(crate) fn attribute<'a>(cache: &'a str, name: &str) -> Option<&'a str> {
    cache
        .split(',')
        .filter_map(|part| part.split_once('='))
        .find_map(|(key, value)| (key.trim() == name).then_some(value.trim()))
}

/// The rest of a cache's reference after `HOST/`, if the cache is in that registry.
pub(crate) fn within<'a>(cache: &'a str, host: &str) -> Option<&'a str> {
    let reference = match cache.contains('=') {
        true => attribute(cache, "ref")?,
        false => cache,
    };
    reference.strip_prefix(host)?.strip_prefix('/')
}

/// Returns whether the caches that a build writes to `HOST/REPOSITORY` can be written each time.
///
/// # Errors
/// A tag that cannot move (exit 3): after the first, every build would be made and then fail.
pub(crate) fn writable(
    caches: &[String],
    host: &str,
    repository: &str,
    mutability: &Mutability,
) -> Result<()> {
    for cache in caches {
        let Some(rest) = within(cache, host).and_then(|within| within.strip_prefix(repository))
        else {
            continue;
        };
        let tag = match rest.strip_prefix(':') {
            Some(tag) => tag,
            None if rest.is_empty() => "latest",
            None => continue,
        };
        if !mutability.may_move(tag) {
            return Err(Error::refused(format!(
                "the build's cache is to be written to tag {tag} of {repository}, which cannot move"
            ))
            .cause("it could be written once, and each build after that would fail at its end")
            .hint(format!(
                "let it move: --mutable-tag {tag}, beside the patterns that may move already; or give the cache a repository of its own"
            )));
        }
    }
    Ok(())
}

/// Attributes of BuildKit's caches that are secrets (docs.docker.com, "Amazon S3 cache", "Azure Blob Storage cache", "GitHub
/// Actions cache"). BuildKit or the AWS SDK takes those that are not given from the environment.
const CACHE_SECRETS: [&str; 5] = [
    "secret_access_key",
    "session_token",
    "account_key",
    "token",
    "ghtoken",
];

/// Refuses secrets in a cache.
///
/// # Errors
/// A cache with a secret in it, which would be in the builder's argument list (exit 2).
pub(crate) fn no_secret_in(cache: &str) -> Result<()> {
    let named = cache
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(name, _)| name.trim().to_lowercase())
        .find(|name| CACHE_SECRETS.contains(&name.as_str()));
    match named {
        None => Ok(()),
        // The text is not quoted: it holds the value.
        Some(name) => Err(Error::usage(format!(
            "{name} of a --cache-from or --cache-to would be in the builder's argument list"
        ))
        .hint("leave it out: BuildKit takes it from the environment, AWS_SECRET_ACCESS_KEY or ACTIONS_RUNTIME_TOKEN for example")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_could_be_written_once_is_refused() {
        let mutability = Mutability {
            mutable: false,
            exceptions: vec!["cache*".to_owned()],
        };
        for (cache, refused) in [
            ("type=registry,ref=h:1/app:cache,mode=max", false),
            ("type=registry,ref=h:1/app:build", true),
            ("type=registry,ref=h:1/app", true),
            ("h:1/app:build", true),
            // Elsewhere it is somebody else's to say.
            ("type=registry,ref=h:1/app/cache:build", false),
            ("type=registry,ref=h:1/apps:build", false),
            ("type=registry,ref=other/app:build", false),
            ("type=gha,scope=build", false),
            ("type=inline", false),
        ] {
            let answer = writable(&[cache.to_owned()], "h:1", "app", &mutability);
            assert_eq!(answer.is_err(), refused, "{cache}");
            if let Err(error) = answer {
                assert_eq!(error.exit(), kit::Exit::Refused);
            }
        }
    }
}
