//! Decides whether the contract at hand may judge the environment: it is at the path of the one that judged before, or says that it was
//! moved from there. Pure.
//!
//! Every file of the branch was reviewed, but not each as the contract that judges this environment. Without this, a person who starts
//! a run could name another one, such as that of another service or a test's. A move is stated in the contract itself, so it is reviewed.

use crate::setting::Setting;
use kit::error::{Error, Result};
use ledger::Record;

/// Refuses the contract of the setting if another one judged before, which a record says with its path. Where none did, or no contract is
/// read, nothing is refused.
///
/// # Errors
/// Another one did (exit 3).
pub(crate) fn require_own_contract(
    before: Option<(&Record, &str)>,
    setting: &Setting,
) -> Result<()> {
    let own = setting.contract_path.as_deref();
    let Some((path, (record, before))) = own.zip(before) else {
        return Ok(());
    };
    if path == before || setting.moved_from.as_deref() == Some(before) {
        return Ok(());
    }
    let environment = &setting.environment;
    Err(Error::refused(format!(
        "{environment} is judged by the contract {before}, so {path} does not judge it"
    ))
    .cause(format!(
        "record {}, {} by {} at {}, is the newest that was judged, by {before}",
        record.seq, record.verdict, record.actor.login, record.at
    ))
    .hint(format!("give that one: --contract {before}"))
    .hint(format!(
        "if the contract was moved, have `moved-from: {before}` reviewed in {path}: https://github.com/slipway-delivery/slipway/blob/main/docs/contract.md#moving-the-contract"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;
    use crate::environment_history::tests::permitted;

    #[test]
    fn another_contract_judges_only_if_it_says_that_it_was_moved_from_there() {
        let record = permitted('b', "hash-1");
        let judges = |path: Option<&str>, moved: Option<&str>, before: Option<&'static str>| {
            let setting = Setting {
                contract_path: path.map(str::to_owned),
                moved_from: moved.map(str::to_owned),
                ..setting()
            };
            require_own_contract(before.map(|before| (&record, before)), &setting)
        };
        let (own, other) = (Some("delivery.yaml"), Some("other/delivery.yaml"));
        judges(own, None, own).unwrap();
        judges(other, own, own).unwrap();
        // It was moved before, and says so still.
        judges(other, own, other).unwrap();
        judges(other, None, None).unwrap();
        judges(None, None, own).unwrap();
        for moved in [None, other, Some("third.yaml")] {
            let error = judges(other, moved, own).unwrap_err();
            assert_eq!(error.exit(), kit::Exit::Refused);
            let said = "production is judged by the contract delivery.yaml, so other/delivery.yaml does not judge it";
            assert_eq!(error.message, said);
            assert!(error.hints[1].contains("`moved-from: delivery.yaml`"));
        }
    }
}
