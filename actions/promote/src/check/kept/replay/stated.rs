//! Compares the settings that the decision used with the contract's text.

use super::{Replayed, differs, unreadable};
use crate::check::kept::Kept;
use crate::check::providers;
use crate::setting::Setting;
use kit::contract::{self, Judged};
use std::path::Path;

impl Kept {
    /// Checks that every setting of the decision is in the contract's text. The value of a variable is not in the text, and is
    /// taken on trust. Returns the path that the text says the contract was moved from.
    pub(super) fn is_stated(&self, setting: &Setting) -> Result<Option<String>, Replayed> {
        let Some(file) = &self.host.contract else {
            return Err(differs("its evidence names no file of the contract"));
        };
        let wrong =
            |error: kit::Error| unreadable(format!("the contract's text: {}", error.message));
        let text = contract::parse(Path::new(&file.path), &file.text).map_err(wrong)?;
        let text = text
            .judged(&setting.environment)
            .map_err(|error| differs(error.message))?;
        let lock_file = providers::path(&file.path, &text.infrastructure);
        let named = self.host.lock_file.as_ref();
        let account = setting.read.account.as_ref();
        for (what, same) in [
            ("service", text.service == setting.service),
            ("follows", text.follows == setting.follows),
            ("account", says(&text.account, account)),
            ("gate", text.gate == setting.gate),
            ("people", text.people == setting.people),
            ("apps", text.apps == setting.apps),
            ("provenance", asks(&text, setting)),
            ("lock_file", named.is_none_or(|named| *named == lock_file)),
        ] {
            if !same {
                return Err(differs(format!(
                    "the contract's text says another `{what}`"
                )));
            }
        }
        Ok(text.moved_from)
    }
}

/// Returns true if the text says this, or leaves it to a variable.
fn says(text: &str, used: Option<&impl ToString>) -> bool {
    text.starts_with("var:") || used.is_some_and(|used| text == used.to_string())
}

/// Returns true if the text asks of provenance the same as the decision did.
fn asks(text: &Judged, setting: &Setting) -> bool {
    let of = |name: &str| text.build.get(name).map(String::as_str);
    match (of("keys.provenance"), &setting.proofs) {
        (None, None) => true,
        (Some(key), Some(proofs)) => {
            says(key, Some(&proofs.key))
                && of("account").is_some_and(|text| says(text, Some(&proofs.account)))
                && of("workflow") == proofs.workflow.as_deref()
                && of("project") == proofs.project.as_deref()
                && (of("prebuilt") == Some("true")) == proofs.prebuilt
        }
        _ => false,
    }
}
