//! From what was seen and what is wanted to what has to change. Pure.

use super::lifecycle::Policy;
use super::settings::Wanted;
use crate::decide::Mutability;
use crate::pull_policy;
use kit::aws::{AccountId, Partition};
use kit::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The repository as it is. A setting that was not asked about is `None`.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) arn: String,
    pub(crate) mutability: Mutability,
    /// The KMS key, where it is encrypted with one.
    pub(crate) kms_key: Option<String>,
    /// Inner `None`: The repository has no policy.
    pub(crate) policy: Option<Option<String>>,
    pub(crate) lifecycle: Option<Option<String>>,
    pub(crate) tags: Option<BTreeMap<String, String>>,
    pub(crate) scanning: Option<Scanning>,
}

/// The scanning of images that are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scanning {
    /// As ECR's `scanFrequency` says.
    By(String),
    Never,
    /// Why it is not known.
    Unknown(String),
}

/// One difference and how it goes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) setting: String,
    /// `None`: there is none.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) act: Act,
}

/// The call behind a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Mutability(Vec<String>),
    Lifecycle(String),
    /// Lets these accounts pull. The policy's text is made of what is there at that moment.
    Pull(BTreeSet<AccountId>),
    Tag(String, String),
}

/// The changes to make, and the warnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) changes: Vec<Change>,
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn creates(&self) -> bool {
        self.changes.iter().any(|change| change.act == Act::Create)
    }
}

/// # Errors
/// The repository is encrypted another way, which ECR cannot change (exit 3), or its policy is malformed.
pub(crate) fn plan(
    repository: &str,
    partition: Partition,
    seen: Option<&Current>,
    wanted: &Wanted,
) -> Result<Plan> {
    let there = seen.and_then(|seen| seen.policy.clone()).flatten();
    let pull = pull_policy::policy(partition, &wanted.pull, there.as_deref())?.map(|_| Change {
        setting: "pulled by".to_owned(),
        from: there
            .as_deref()
            .map(pull_policy::allowed)
            .filter(|names| !names.is_empty()),
        to: list(&wanted.pull),
        act: Act::Pull(wanted.pull.clone()),
    });
    let mut changes = Vec::new();
    changes.extend(creation_or_mutability(repository, seen, wanted)?);
    changes.extend(pull);
    changes.extend(lifecycle(seen, wanted));
    changes.extend(tags(seen, wanted));
    Ok(Plan {
        changes,
        warnings: seen.map_or_else(Vec::new, |seen| warnings(repository, seen, wanted)),
    })
}

/// The repository's creation, or a change of which of its tags can move.
fn creation_or_mutability(
    repository: &str,
    seen: Option<&Current>,
    wanted: &Wanted,
) -> Result<Option<Change>> {
    let Some(seen) = seen else {
        let mut description = mutability_text(false, &wanted.mutable_tags);
        if let Some(key) = &wanted.kms_key {
            description.push_str(&format!(", encrypted with {key}"));
        }
        return Ok(Some(Change {
            setting: "repository".to_owned(),
            from: None,
            to: description,
            act: Act::Create,
        }));
    };
    encryption(repository, seen, wanted)?;
    let differs = seen.mutability.mutable || sorted(&seen.mutability) != wanted.mutable_tags;
    Ok(
        (differs && !wanted.mutable_tags.is_empty()).then(|| Change {
            setting: "tags".to_owned(),
            from: Some(mutability_text(
                seen.mutability.mutable,
                &sorted(&seen.mutability),
            )),
            to: mutability_text(false, &wanted.mutable_tags),
            act: Act::Mutability(wanted.mutable_tags.clone()),
        }),
    )
}

fn lifecycle(seen: Option<&Current>, wanted: &Wanted) -> Option<Change> {
    let policy = wanted.lifecycle.as_ref()?;
    let there = seen.and_then(|seen| seen.lifecycle.clone()).flatten();
    let there = there.as_deref();
    there
        .is_none_or(|there| !policy.says_the_same(there))
        .then(|| Change {
            setting: "lifecycle policy".to_owned(),
            from: there.map(Policy::shown),
            to: Policy::shown(&policy.text),
            act: Act::Lifecycle(policy.text.clone()),
        })
}

fn tags(seen: Option<&Current>, wanted: &Wanted) -> Vec<Change> {
    let there = seen.and_then(|seen| seen.tags.as_ref());
    let wanted = wanted.tags.iter().map(|(key, value)| Change {
        setting: format!("resource tag {key}"),
        from: there.and_then(|tags| tags.get(key)).cloned(),
        to: value.clone(),
        act: Act::Tag(key.clone(), value.clone()),
    });
    wanted
        .filter(|change| change.from.as_ref() != Some(&change.to))
        .collect()
}

fn encryption(repository: &str, seen: &Current, wanted: &Wanted) -> Result<()> {
    let Some(key) = &wanted.kms_key else {
        return Ok(());
    };
    if seen.kms_key.as_ref() == Some(key) {
        return Ok(());
    }
    let there = match &seen.kms_key {
        Some(key) => format!("with {key}"),
        None => "by ECR itself (AES-256)".to_owned(),
    };
    Err(Error::refused(format!(
        "repository {repository} is encrypted {there}, not with {key}"
    ))
    .cause("ECR sets a repository's encryption when it is created and never after")
    .hint("create a repository of another name with --kms-key, and bring the images there with slipway-image copy --to-repository NAME")
    .hint("or leave out --kms-key, and the encryption stays as it is"))
}

/// The differences that are reported and not changed: nobody asked for the change, or another API of ECR makes it.
fn warnings(repository: &str, seen: &Current, wanted: &Wanted) -> Vec<String> {
    let mut warnings = Vec::new();
    // A commit's tag is 40 hexadecimal digits; any such tag stands for all.
    if wanted.mutable_tags.is_empty() && seen.mutability.may_move(&"0".repeat(40)) {
        warnings.push(format!(
            "a commit's tag can be moved to another image; it should be immutable; to change it: aws ecr put-image-tag-mutability --repository-name {repository} --image-tag-mutability IMMUTABLE, or name the tags that may move with --mutable-tag"
        ));
    }
    match &seen.scanning {
        Some(Scanning::Never) => warnings.push(format!(
            "images are not scanned when they are pushed; the registry's setting decides that: aws ecr put-registry-scanning-configuration --scan-type BASIC --rules '[{{\"scanFrequency\":\"SCAN_ON_PUSH\",\"repositoryFilters\":[{{\"filter\":\"{repository}\",\"filterType\":\"WILDCARD\"}}]}}]', beside the rules that are there"
        )),
        Some(Scanning::Unknown(why)) => {
            warnings.push(format!("it is not known whether images are scanned: {why}"));
        }
        Some(Scanning::By(_)) | None => {}
    }
    warnings
}

/// The filters in one order; ECR keeps none.
fn sorted(mutability: &Mutability) -> Vec<String> {
    let mut patterns = mutability.exceptions.clone();
    patterns.sort();
    patterns
}

fn mutability_text(mutable: bool, exceptions: &[String]) -> String {
    let (all, exceptions_text) = match mutable {
        true => ("mutable tags", "are not"),
        false => ("immutable tags", "may move"),
    };
    match exceptions {
        [] => all.to_owned(),
        some => format!("{all}, but {} {exceptions_text}", some.join(", ")),
    }
}

/// Account IDs, in a sentence.
pub(crate) fn list(accounts: &BTreeSet<AccountId>) -> String {
    let accounts: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    accounts.join(", ")
}

#[cfg(test)]
mod tests;
