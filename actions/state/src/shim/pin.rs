//! The settings that a call was judged by, fixed for that very call: another process may select a workspace
//! before Terraform looks, and a user's wrapper may change the folder.

use super::look::CallContext;
use crate::process::CALL;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

/// The variable that tells a call made by the pinned one which variables were pinned.
const PINNED: &str = "SLIPWAY_STATE_PINNED";

/// A variable that was pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pin {
    to: String,
    /// The value before; `None` if there was none.
    from: Option<String>,
}

/// Variables to be set for one call. Those that are `None` are removed.
pub(super) type Variables = BTreeMap<String, Option<OsString>>;

/// The variables that pin `seen` for a call of `tool`, the program that the call becomes. `call`: the
/// process of the call that it is, or belongs to.
pub(super) fn pinned(
    seen: &CallContext,
    tool: &Path,
    call: i32,
    value: impl Fn(&str) -> Option<String>,
) -> Variables {
    let mut pins = BTreeMap::new();
    let mut pin = |name: &str, to: String| {
        let from = value(name).filter(|it| !it.is_empty());
        if from.as_ref() != Some(&to) {
            pins.insert(name.to_owned(), Pin { to, from });
        }
    };
    if let Ok(workspace) = &seen.workspace {
        pin("TF_WORKSPACE", workspace.clone());
    }
    if is_script(tool)
        && let Some(data) = seen.data.to_str()
    {
        pin("TF_DATA_DIR", data.to_owned());
    }
    let mut variables: Variables = pins
        .iter()
        .map(|(name, pin)| (name.clone(), Some(pin.to.clone().into())))
        .collect();
    let note = serde_json::to_string(&pins).unwrap_or_default();
    variables.insert(PINNED.to_owned(), Some(note.into()));
    variables.insert(CALL.to_owned(), Some(call.to_string().into()));
    variables
}

/// The variables as they were before a call above this one was pinned: what Terraform starts, a
/// provisioner for example, may work in another folder.
pub(super) fn unpinned(value: impl Fn(&str) -> Option<String>) -> Variables {
    let Some(note) = value(PINNED) else {
        return Variables::new();
    };
    let pins: BTreeMap<String, Pin> = serde_json::from_str(&note).unwrap_or_default();
    let mut variables: Variables = pins
        .into_iter()
        // A variable that was set since then is left as it is.
        .filter(|(name, pin)| value(name).as_ref() == Some(&pin.to))
        .map(|(name, pin)| (name, pin.from.map(OsString::from)))
        .collect();
    variables.insert(PINNED.to_owned(), None);
    variables
}

/// Returns true if a program is a script, which may do anything before it starts Terraform.
fn is_script(tool: &Path) -> bool {
    let mut start = [0; 2];
    std::fs::File::open(tool)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start == *b"#!")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::call::Call;

    fn seen(folder: &Path) -> CallContext {
        CallContext::around(&Call::default(), folder, false)
    }

    /// The environment after `changes`.
    fn changed(
        environment: &BTreeMap<String, String>,
        changes: Variables,
    ) -> BTreeMap<String, String> {
        let mut environment = environment.clone();
        for (name, value) in changes {
            match value {
                Some(value) => environment.insert(name, value.into_string().unwrap()),
                None => environment.remove(&name),
            };
        }
        environment
    }

    #[test]
    fn a_call_below_a_pinned_one_finds_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("terraform");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let binary = Path::new("/proc/self/exe");
        let data = folder.path().join(".terraform").canonicalize();
        assert!(data.is_err(), "nothing was initialised");
        for before in [&[][..], &[("TF_DATA_DIR", "data"), ("OTHER", "x")]] {
            let before: BTreeMap<String, String> = before
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            for (tool, names) in [(binary, 3), (&script, 4)] {
                let value = |name: &str| before.get(name).cloned();
                let pins = pinned(&seen(folder.path()), tool, 7, value);
                assert_eq!(pins.len(), names, "{pins:?}");
                let mut within = changed(&before, pins);
                assert_eq!(within.remove(CALL).unwrap(), "7");
                assert_eq!(within["TF_WORKSPACE"], "default");
                let value = |name: &str| within.get(name).cloned();
                assert_eq!(changed(&within, unpinned(value)), before);
                let mut set = within.clone();
                set.insert("TF_WORKSPACE".to_owned(), "blue".to_owned());
                let value = |name: &str| set.get(name).cloned();
                assert_eq!(changed(&set, unpinned(value))["TF_WORKSPACE"], "blue");
            }
        }
    }
}
