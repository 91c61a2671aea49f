//! The backend values that `init` is given. Pure.

use super::look::CallContext;
use super::ours::Ours;
use super::unseen::Unseen;
use super::verdict::{Verdict, refused};
use super::words;
use crate::block::{Declared, Setting, Value};
use std::collections::BTreeMap;

/// The backend values that `init` gets, as real arguments: those that neither the code nor the
/// words name. Another backend's are not completed.
pub(super) fn init(ours: &Ours, words: &[String], seen: &CallContext) -> Verdict {
    let without = words.iter().any(|word| {
        matches!(words::flag(word), Some(("backend", Some(value))) if value.starts_with(['0', 'f', 'F']))
    });
    if without {
        return Verdict::Unchanged(None);
    }
    let unreadable = |why: &Unseen| {
        refused(
            format!("the backend that `init` configures cannot be read: {why}"),
            "correct the file; Terraform could not read it either",
        )
    };
    let declared = match &seen.declared {
        Some(Ok(Declared::Block(block))) if block.kind == "s3" => &block.settings,
        Some(Err(why)) => return unreadable(why),
        _ => return Verdict::Unchanged(None),
    };
    let given = match &seen.given {
        Ok(given) => given,
        Err(why) => return unreadable(why),
    };
    Verdict::With(arguments(ours, declared, given, seen.folder == ours.folder))
}

type Declarations = BTreeMap<String, Setting>;

fn arguments(ours: &Ours, declared: &Declarations, given: &Declarations, own: bool) -> Vec<String> {
    let named = |settings: &Declarations, name: &str| {
        settings
            .get(name)
            .is_some_and(|setting| setting.value != Value::Null)
    };
    let is_other_bucket = |settings: &Declarations| {
        settings.get("bucket").is_some_and(|setting| {
            !matches!(&setting.value, Value::Literal(bucket) if *bucket == ours.backend.bucket)
                && setting.value != Value::Null
        })
    };
    if is_other_bucket(given)
        || (is_other_bucket(declared) && !named(given, "bucket") && !ours.overrides)
    {
        return Vec::new();
    }
    let mut arguments = ours.backend.settings(ours.path_style);
    arguments.retain(|(name, _)| {
        // A stack keeps its own key, whatever else is overridden.
        let stays = !ours.overrides || (*name == "key" && !own);
        !(named(given, name) || stays && named(declared, name))
    });
    arguments
        .into_iter()
        .map(|(name, value)| format!("-backend-config={name}={value}"))
        .collect()
}
