//! Decides whose logs say most about a failed deployment: one task of each kind of end. Pure.

use ecs::Task;
use std::collections::BTreeMap;

/// The most containers whose logs are shown.
const MOST: usize = 4;

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    /// The task's ID.
    pub(crate) task: String,
    pub(crate) container: String,
}

/// The containers whose logs are to be read: of tasks that failed, or else of one that ran and did not become healthy.
pub(crate) fn pick<'a>(
    failed: impl Iterator<Item = &'a Task>,
    ran: impl Iterator<Item = &'a Task>,
) -> Vec<Picked> {
    let mut kinds: BTreeMap<_, &Task> = BTreeMap::new();
    for task in failed {
        let exits: Vec<_> = task.containers.iter().map(|it| it.exit_code).collect();
        kinds.insert((&task.stop_code, &task.stopped_reason, exits), task);
    }
    let failed = kinds.into_values();
    let tasks: Vec<&Task> = match failed.len() {
        0 => ran.take(1).collect(),
        _ => failed.collect(),
    };
    let containers = tasks.into_iter().flat_map(|task| {
        // A container that ended well is not why its task stopped.
        let containers = task.containers.iter().filter(|it| it.exit_code != Some(0));
        containers.map(|container| Picked {
            task: task.id.clone(),
            container: container.name.clone(),
        })
    });
    containers.take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::Container;

    fn container(name: &str, exit_code: Option<i32>) -> Container {
        Container {
            name: name.to_owned(),
            exit_code,
            ..Container::default()
        }
    }

    fn task(id: &str, code: &str, containers: Vec<Container>) -> Task {
        Task {
            id: id.to_owned(),
            started_by: "ecs-svc/2".to_owned(),
            stop_code: code.to_owned(),
            containers,
            ..samples::task()
        }
    }

    fn picked(ran: &[Task], failed: &[Task]) -> Vec<String> {
        let picked = pick(failed.iter(), ran.iter()).into_iter();
        picked
            .map(|Picked { task, container }| format!("{task}/{container}"))
            .collect()
    }

    #[test]
    fn one_task_of_each_kind_of_end_is_picked() {
        let crash = |id| {
            let containers = vec![container("web", Some(1)), container("log", Some(0))];
            task(id, "EssentialContainerExited", containers)
        };
        let killed = task(
            "c",
            "EssentialContainerExited",
            vec![container("web", Some(137))],
        );
        let found = picked(&[crash("z")], &[crash("a"), crash("b"), killed]);
        assert_eq!(found, ["b/web", "c/web"]);
        let many = (2..9).map(|exit| {
            let containers = vec![container("web", Some(exit)), container("log", None)];
            task(&exit.to_string(), "EssentialContainerExited", containers)
        });
        assert_eq!(picked(&[], &many.collect::<Vec<_>>()).len(), MOST);
    }

    #[test]
    fn where_no_task_failed_one_that_ran_is_picked() {
        let running = |id| task(id, "", vec![container("web", None)]);
        assert_eq!(picked(&[running("a"), running("b")], &[]), ["a/web"]);
        assert!(picked(&[], &[]).is_empty());
    }
}
