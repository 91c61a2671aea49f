//! The commands that restore a state that its command could not write.

use crate::backend::quoted;
use crate::lock::Lock;
use crate::rescue::{self, Copies};

/// The commands that restore a state of which there are these copies, if any.
pub(super) fn repair(lock: &Lock, id: &str, copies: &Copies) -> String {
    let fetch = match copies.only() {
        Some(only) => format!("aws s3 cp {} errored.tfstate", quoted(only)),
        None if copies.is_empty() => "copy errored.tfstate from the machine that ran it".to_owned(),
        None => {
            format!("`aws s3 cp` each of {copies} to errored.tfstate in the folder it came from")
        }
    };
    let other = copies
        .origins()
        .into_iter()
        .find(|origin| *origin != lock.id);
    let (folder, select) = match &other {
        None => ("the infrastructure's folder".to_owned(), String::new()),
        Some(origin) => (
            format!("the folder of s3://{origin}"),
            match rescue::workspace(origin) {
                Some(workspace) => format!(" terraform workspace select {workspace};"),
                None => String::new(),
            },
        ),
    };
    let id = quoted(id);
    format!(
        "in {folder}: {fetch}; then {} -- sh -ec 'terraform init;{select} terraform state push errored.tfstate'; then {}",
        lock.command(&format!("run --lock-id {id}")),
        lock.command(&format!("unlock --lock-id {id}"))
    )
}
