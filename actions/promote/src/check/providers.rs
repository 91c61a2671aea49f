//! The providers of the infrastructure code that are new in what is promoted, by its lock file. They are for the
//! people who approve: no rule rests on them.

use super::fact::{Fact, Unknown};
use super::host::Host;
use super::range::Range;
use github::{Content, GitHub};
use kit::lockfile::{self, FILE, Lock};
use std::path::Path;

/// The providers that are new in the lock file of `commit`, compared with that of the commit where the range begins.
pub(super) async fn observe(
    github: &GitHub,
    host: &Host,
    range: &Range,
    commit: &str,
) -> Fact<Vec<String>> {
    let (Some(path), Some(base)) = (&host.lock_file, range.base.commit()) else {
        return Ok(Vec::new());
    };
    let files = [base, commit].map(|at| (at.to_owned(), path.clone()));
    let mut locks = Vec::new();
    for (content, (at, path)) in github.contents(&files).await?.into_iter().zip(&files) {
        locks.push(lock(content).map_err(|why| {
            Unknown::new(
                format!("{path} of {at} cannot be read: {why}"),
                "look at the file in the pull requests",
            )
        })?);
    }
    match locks.as_slice() {
        [before, now] => Ok(lockfile::changes(before, now)),
        _ => Ok(Vec::new()),
    }
}

fn lock(content: Content) -> Result<Lock, String> {
    match content {
        Content::Absent => Ok(Lock::new()),
        Content::Text { text, .. } => lockfile::read(&text).map_err(|error| error.to_string()),
        Content::Opaque(_) => Err("it is not text".to_owned()),
    }
}

/// The lock file's path in the repository.
pub(super) fn path(contract: &str, folder: &str) -> String {
    let above = Path::new(contract).parent().unwrap_or(Path::new(""));
    let path = kit::paths::plain(&above.join(folder).join(FILE));
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_in_the_folder_that_the_contract_names() {
        for (contract, folder, wanted) in [
            ("delivery.yaml", "infra", "infra/.terraform.lock.hcl"),
            ("delivery.yaml", ".", ".terraform.lock.hcl"),
            (
                "shop/delivery.yaml",
                "infra/main",
                "shop/infra/main/.terraform.lock.hcl",
            ),
            (
                "shop/delivery.yaml",
                "../infra",
                "infra/.terraform.lock.hcl",
            ),
        ] {
            assert_eq!(path(contract, folder), wanted);
        }
    }

    #[test]
    fn no_file_is_an_empty_one_and_what_cannot_be_read_is_unknown() {
        assert_eq!(lock(Content::Absent), Ok(Lock::new()));
        let text = |text: &str| Content::Text {
            oid: String::new(),
            text: text.to_owned(),
        };
        assert_eq!(lock(text("# nothing\n")), Ok(Lock::new()));
        assert!(lock(text("<<<<<<< HEAD\n")).is_err());
        assert!(lock(Content::Opaque(String::new())).is_err());
    }
}
