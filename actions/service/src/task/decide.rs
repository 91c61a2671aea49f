//! Decides what one look at a one-off task means. Pure.

use ecs::Task;

/// The decision after a look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again.
    Wait,
    /// The command is over, and other containers keep the task from ending.
    Stop,
    /// The task has stopped.
    Done(End),
}

/// How the command of a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It ran, and ended with this code.
    Exited(i32),
    /// It did not run, or nobody knows how it ended.
    Unknown {
        /// ECS's reason.
        reason: String,
    },
}

/// What follows from this look at the task, whose `container` runs the command.
pub(crate) fn next(task: &Task, container: &str) -> Next {
    let found = task.containers.iter().find(|it| it.name == container);
    if task.status != "STOPPED" {
        let over = found.is_some_and(|it| it.status == "STOPPED");
        return match over && task.desired == "RUNNING" {
            true => Next::Stop,
            false => Next::Wait,
        };
    }
    Next::Done(match found.and_then(|it| it.exit_code) {
        Some(code) => End::Exited(code),
        None => {
            let own = found.and_then(|it| it.reason.clone());
            let mut reason = task.stopped_reason.clone();
            match own {
                Some(own) if reason.is_empty() => reason = own,
                Some(own) if !reason.contains(&own) => reason = format!("{reason}: {own}"),
                _ => {}
            }
            if reason.is_empty() {
                "ECS gives no reason".clone_into(&mut reason);
            }
            End::Unknown { reason }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::Container;

    fn task(status: &str, desired: &str, container: &str, exit_code: Option<i32>) -> Task {
        Task {
            status: status.to_owned(),
            desired: desired.to_owned(),
            stopped_reason: "Essential container in task exited".to_owned(),
            containers: vec![
                Container {
                    name: "log".to_owned(),
                    status: "RUNNING".to_owned(),
                    ..Container::default()
                },
                Container {
                    name: "web".to_owned(),
                    status: container.to_owned(),
                    exit_code,
                    ..Container::default()
                },
            ],
            ..samples::task()
        }
    }

    #[test]
    fn a_task_is_over_when_it_has_stopped_and_its_code_is_that_of_the_command() {
        for (task, wanted) in [
            (task("PENDING", "RUNNING", "PENDING", None), Next::Wait),
            (task("RUNNING", "RUNNING", "RUNNING", None), Next::Wait),
            // ECS stops the task itself when an essential container has ended.
            (task("RUNNING", "STOPPED", "STOPPED", Some(0)), Next::Wait),
            (task("RUNNING", "RUNNING", "STOPPED", Some(0)), Next::Stop),
            (
                task("STOPPED", "STOPPED", "STOPPED", Some(0)),
                Next::Done(End::Exited(0)),
            ),
            (
                task("STOPPED", "STOPPED", "STOPPED", Some(3)),
                Next::Done(End::Exited(3)),
            ),
        ] {
            assert_eq!(next(&task, "web"), wanted, "{task:?}");
        }
    }

    #[test]
    fn a_command_without_a_code_did_not_succeed_and_has_ecs_reason() {
        let stopped = |change: &dyn Fn(&mut Task)| {
            let mut task = task("STOPPED", "STOPPED", "STOPPED", None);
            change(&mut task);
            match next(&task, "web") {
                Next::Done(End::Unknown { reason }) => reason,
                next => panic!("{next:?}"),
            }
        };
        let essential = "Essential container in task exited";
        assert_eq!(stopped(&|_| {}), essential);
        assert_eq!(
            stopped(&|task| task.containers[1].reason = Some("CannotStartContainerError: x".into())),
            format!("{essential}: CannotStartContainerError: x")
        );
        assert_eq!(stopped(&|task| task.containers.clear()), essential);
        assert_eq!(
            stopped(&|task| task.stopped_reason.clear()),
            "ECS gives no reason"
        );
    }
}
