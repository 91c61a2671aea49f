//! The new and changed dependencies since another commit.

use super::commit::Commit;
use super::source::shown;
use super::tree::{self, Dependencies, Module};
use super::unreadable::Unreadable;
use crate::block::Value;
use kit::env::Env;
use kit::id::CommitId;
use kit::lockfile;
use std::path::Path;

/// The new and changed dependencies of the code in `folder` since the commit `base`, each in words.
///
/// # Errors
/// The code of that commit cannot be read.
pub(super) fn since(
    base: &CommitId,
    folder: &Path,
    now: &Dependencies,
    tofu: bool,
    env: &Env,
) -> Result<Vec<String>, Unreadable> {
    let commit = Commit::open(folder, base, env)?;
    let before = match commit.has(folder) {
        true => tree::read(&commit, folder, None, tofu)?,
        false => Dependencies::default(),
    };
    Ok(new(&before, now))
}

/// The new and changed dependencies. Pure.
pub(super) fn new(before: &Dependencies, now: &Dependencies) -> Vec<String> {
    let locked = |it: &Dependencies| it.lock.clone().unwrap_or_default();
    let (old, current) = (locked(before), locked(now));
    let mut new = lockfile::changes(&old, &current);
    for (provider, at) in &now.providers {
        if !current.contains_key(provider) && !before.providers.contains_key(provider) {
            new.push(format!("provider {provider} is new, and not locked ({at})"));
        }
    }
    for module in &now.modules {
        let old = before.modules.iter().find(|it| it.path == module.path);
        match old {
            None => new.push(format!(
                "module `{}` is new: {}",
                module.path,
                named(module)
            )),
            Some(old) if (&old.source, &old.version) != (&module.source, &module.version) => {
                new.push(format!(
                    "module `{}`: {} → {}",
                    module.path,
                    named(old),
                    named(module)
                ));
            }
            Some(_) => {}
        }
    }
    new
}

/// A module's source, with its version or commit.
fn named(module: &Module) -> String {
    let Some(Value::Literal(source)) = &module.source else {
        return "an expression".to_owned();
    };
    let version = match &module.version {
        Some(Value::Literal(version)) => Some(version.as_str()),
        _ => ["ref=", "rev=", "checksum=", "digest="]
            .into_iter()
            .find_map(|name| {
                let (_, query) = source.split_once('?')?;
                query.split('&').find_map(|pair| pair.strip_prefix(name))
            }),
    };
    match version {
        Some(version) => format!("{} {version}", shown(source)),
        None => shown(source),
    }
}
