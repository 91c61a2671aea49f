//! The commands that restore a state that its command could not write.

use crate::backend::quoted;
use crate::lock::Lock;
use crate::rescue;

/// The commands that restore a state that was rescued to `rescued_to`, if anywhere.
pub(super) fn repair(lock: &Lock, id: &str, rescued_to: Option<&str>) -> String {
    let fetch = match rescued_to {
        Some(locations) if locations.contains(", ") => {
            format!("`aws s3 cp` each of {locations} to errored.tfstate in the folder it came from")
        }
        Some(rescued_to) => format!("aws s3 cp {} errored.tfstate", quoted(rescued_to)),
        None => "copy errored.tfstate from the machine that ran it".to_owned(),
    };
    let other = rescue::origins(rescued_to)
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
