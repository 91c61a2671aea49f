//! The gate's requirements of an environment's infrastructure code. Pure.

use super::source::{Source, is_exact, shown};
use super::tree::{Dependencies, Module};
use crate::block::Value;
use kit::contract::Complete;
use kit::lockfile::{self, FILE, Lock};
use std::collections::BTreeSet;

/// That everything is pinned, but for what the contract excepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The environment.
    environment: String,
    /// The sources that need not be pinned.
    excepted: BTreeSet<String>,
}

impl Rule {
    /// The rule of an environment with a gate. Without a gate, the code that is applied was not approved.
    pub(crate) fn of(resolved: Option<&Complete>) -> Option<Self> {
        let resolved = &resolved?.resolved;
        let excepted = resolved.gate.unpinned.iter();
        resolved.gate.required.then(|| Self {
            environment: resolved.environment.clone(),
            excepted: excepted.map(|source| plain(source)).collect(),
        })
    }

    #[cfg(test)]
    pub(crate) fn excepting(sources: &[&str]) -> Self {
        Self {
            environment: "production".to_owned(),
            excepted: sources.iter().map(|source| plain(source)).collect(),
        }
    }

    /// Everything that is not pinned, each in words.
    pub(crate) fn faults(&self, found: &Dependencies) -> Vec<String> {
        let mut faults: Vec<String> = found
            .modules
            .iter()
            .filter_map(|it| self.of_module(it))
            .collect();
        faults.extend(
            found
                .mismatched
                .iter()
                .map(|it| format!("{it}; run `init` again")),
        );
        let lock = found.lock.clone().unwrap_or_default();
        for (provider, at) in &found.providers {
            let why = match lock.get(provider) {
                _ if self.excepts(provider) => continue,
                Some(locked) if locked.hashes.is_empty() => "without a hash",
                Some(_) => continue,
                None => "not",
            };
            let there = match found.lock {
                Some(_) => format!("is {why} in {FILE}"),
                None => format!("is not locked, because there is no {FILE}"),
            };
            faults.push(format!("provider {provider} ({at}) {there}"));
        }
        // The tool also installs what only the state needs, and verifies nothing of a provider without a hash.
        let without_hash = lock.iter().filter(|(provider, locked)| {
            locked.hashes.is_empty()
                && !found.providers.contains_key(*provider)
                && !self.excepts(provider)
        });
        faults.extend(
            without_hash
                .map(|(provider, _)| format!("provider {provider} is without a hash in {FILE}")),
        );
        faults
    }

    fn of_module(&self, module: &Module) -> Option<String> {
        let Module {
            path,
            source,
            version,
            at,
        } = module;
        let Some(Value::Literal(source)) = source else {
            let why = match source {
                Some(Value::Expression) => "is an expression, which this step cannot read",
                _ => "is missing",
            };
            return Some(format!("module `{path}` ({at}): its source {why}"));
        };
        if self.excepts(source) {
            return None;
        }
        let why = match (Source::of(source), version) {
            (Source::Fixed | Source::Local(_), _) => return None,
            (Source::Movable(lack), _) => lack.words().to_owned(),
            (Source::Registry, Some(Value::Literal(version))) if is_exact(version) => return None,
            (Source::Registry, Some(Value::Literal(version))) => {
                format!("has the versions `{version}`, not one: write `version = \"1.2.3\"`")
            }
            (Source::Registry, Some(Value::Expression)) => {
                "has a version that is an expression, which this step cannot read".to_owned()
            }
            (Source::Registry, Some(Value::Null) | None) => {
                "has no version: add `version = \"1.2.3\"`".to_owned()
            }
        };
        Some(format!("module `{path}` ({at}): {} {why}", shown(source)))
    }

    fn excepts(&self, source: &str) -> bool {
        self.excepted.contains(&plain(source))
    }

    /// Returns true if the tool must leave the lock file as it is. It has to write it where a provider that need not
    /// be locked is not.
    pub(crate) fn keeps_lock(&self, found: &Dependencies) -> bool {
        let lock = found.lock.clone().unwrap_or_default();
        let free = |provider: &String| self.excepts(provider) && !lock.contains_key(provider);
        !found.providers.keys().any(free)
    }

    /// The providers that `init` added to the lock file or changed there although the contract does not except them, each
    /// in words. A tool that may write the lock file for an excepted provider may not write anything else.
    pub(crate) fn moved(&self, before: &Lock, now: &Lock) -> Vec<String> {
        let not_excepted = now.iter().filter(|(provider, _)| !self.excepts(provider));
        let moved = not_excepted.filter_map(|(provider, locked)| {
            let why = match before.get(provider) {
                None => "was not locked before `init`",
                Some(old) if old.version != locked.version => "was locked at another version",
                Some(old) if old.hashes.is_disjoint(&locked.hashes) => {
                    "was locked with other hashes"
                }
                Some(_) => return None,
            };
            Some(format!("provider {provider} {} {why}", locked.version))
        });
        moved.collect()
    }

    /// The dependencies that are not pinned because the contract excepts them.
    pub(crate) fn exceptions(&self, found: &Dependencies) -> Vec<String> {
        let strict = Self {
            excepted: BTreeSet::new(),
            ..self.clone()
        };
        strict.faults(found)
    }

    /// Returns true if the contract excepts all of these providers.
    pub(crate) fn excepts_all<'a>(&self, mut providers: impl Iterator<Item = &'a str>) -> bool {
        providers.all(|provider| self.excepts(provider))
    }

    /// The refusal's first line.
    pub(crate) fn refusal(&self) -> String {
        format!(
            "{} has a gate, and its infrastructure code is not pinned",
            self.environment
        )
    }

    /// Hints on how to pin the dependencies, or to except them.
    pub(crate) fn hints(&self) -> [String; 2] {
        [
            format!(
                "pin them, and commit {FILE} (`terraform init` writes it, `terraform providers lock -platform=linux_amd64` adds the hashes)"
            ),
            format!(
                "to go on without: list the sources in the contract, `unpinned` in the gate of {}",
                self.environment
            ),
        ]
    }
}

/// A source as it is compared: a provider's without the default host, a module's without query and user.
fn plain(source: &str) -> String {
    let source = shown(source);
    match source.split('/').count() {
        1..=3 if !source.contains(':') => lockfile::source(&source).unwrap_or(source),
        _ => source,
    }
}
