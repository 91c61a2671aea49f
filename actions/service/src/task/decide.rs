//! Decides what one look at a one-off task means. Pure.

use ecs::Task;
use std::time::Duration;

/// How long ECS may not show a task: answers of `DescribeTasks` are eventually consistent, and a new task may be missing at first.
const UNSEEN: Duration = Duration::from_secs(60);

/// The stop code of a task that ended because one of its essential containers did (Amazon ECS API Reference, `Task`).
const EXITED: &str = "EssentialContainerExited";

/// The decision after a look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again.
    Wait,
    /// The command is over, and other containers keep the task from ending.
    Stop,
    /// The task has stopped.
    Done(End),
    /// ECS has not shown the task for too long: it may run or not.
    Lost,
}

/// How the command of a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It ran, and ended by itself with this code.
    Exited {
        code: i32,
        /// ECS's reasons, as far as it gives any.
        reason: String,
    },
    /// Something else stopped the task. The command may have been told to end, and then its code does not say that it was over.
    Stopped {
        code: i32,
        /// ECS's stop code and reasons.
        reason: String,
    },
    /// It did not run, or nobody knows how it ended.
    Unknown {
        /// ECS's reason.
        reason: String,
    },
}

/// Decides the next action after this look at the task, whose `container` runs the command. `over` says that an earlier look saw the
/// command over while the task went on.
pub(crate) fn next(task: &Task, container: &str, over: bool) -> Next {
    let found = task.containers.iter().find(|it| it.name == container);
    if task.status != "STOPPED" {
        let ended = found.is_some_and(|it| it.status == "STOPPED");
        return match ended && task.desired == "RUNNING" {
            true => Next::Stop,
            false => Next::Wait,
        };
    }
    let mut reason = task.stopped_reason.clone();
    match found.and_then(|it| it.reason.clone()) {
        Some(own) if reason.is_empty() => reason = own,
        Some(own) if !reason.contains(&own) => reason = format!("{reason}: {own}"),
        _ => {}
    }
    if reason.is_empty() {
        "ECS gives no reason".clone_into(&mut reason);
    }
    Next::Done(match found.and_then(|it| it.exit_code) {
        Some(code) if over || task.stop_code == EXITED => End::Exited { code, reason },
        Some(code) => End::Stopped {
            code,
            reason: match task.stop_code.as_str() {
                "" => reason,
                stop_code => format!("{stop_code}: {reason}"),
            },
        },
        None => End::Unknown { reason },
    })
}

/// Decides the next action after a look at which ECS did not show the task, so long after it was started or last seen.
pub(crate) fn unseen(since: Duration) -> Next {
    match since < UNSEEN {
        true => Next::Wait,
        false => Next::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::Container;

    const ESSENTIAL: &str = "Essential container in task exited";

    fn task(status: &str, desired: &str, container: &str, exit_code: Option<i32>) -> Task {
        Task {
            status: status.to_owned(),
            desired: desired.to_owned(),
            stop_code: EXITED.to_owned(),
            stopped_reason: ESSENTIAL.to_owned(),
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

    fn exited(code: i32) -> Next {
        Next::Done(End::Exited {
            code,
            reason: ESSENTIAL.to_owned(),
        })
    }

    #[test]
    fn a_task_is_over_when_it_has_stopped_and_its_code_is_that_of_the_command() {
        for (task, wanted) in [
            (task("PENDING", "RUNNING", "PENDING", None), Next::Wait),
            (task("RUNNING", "RUNNING", "RUNNING", None), Next::Wait),
            // ECS stops the task itself when an essential container has ended.
            (task("RUNNING", "STOPPED", "STOPPED", Some(0)), Next::Wait),
            (task("RUNNING", "RUNNING", "STOPPED", Some(0)), Next::Stop),
            (task("STOPPED", "STOPPED", "STOPPED", Some(0)), exited(0)),
            (task("STOPPED", "STOPPED", "STOPPED", Some(3)), exited(3)),
        ] {
            assert_eq!(next(&task, "web", false), wanted, "{task:?}");
        }
    }

    /// A command that is told to end may do so with 0, half-way.
    #[test]
    fn the_code_of_a_command_that_something_else_stopped_is_not_its_end() {
        for stop_code in ["UserInitiated", "SpotInterruption", "TerminationNotice", ""] {
            for code in [0, 143] {
                let mut task = task("STOPPED", "STOPPED", "STOPPED", Some(code));
                stop_code.clone_into(&mut task.stop_code);
                "stopped by ada".clone_into(&mut task.stopped_reason);
                let Next::Done(End::Stopped { code: own, reason }) = next(&task, "web", false)
                else {
                    panic!("{stop_code}");
                };
                assert_eq!(own, code);
                assert!(
                    reason.starts_with(stop_code) && reason.ends_with("stopped by ada"),
                    "{reason}"
                );
                // It was over before, and the step stopped what was left.
                let over = next(&task, "web", true);
                assert!(
                    matches!(over, Next::Done(End::Exited { code: own, .. }) if own == code),
                    "{over:?}"
                );
            }
        }
    }

    #[test]
    fn a_command_that_was_killed_has_ecs_reason() {
        let mut task = task("STOPPED", "STOPPED", "STOPPED", Some(137));
        task.containers[1].reason = Some("OutOfMemoryError: x".to_owned());
        let wanted = End::Exited {
            code: 137,
            reason: format!("{ESSENTIAL}: OutOfMemoryError: x"),
        };
        assert_eq!(next(&task, "web", false), Next::Done(wanted));
        // ECS may give the task the reason of its container.
        for (of_task, of_container, wanted) in [
            ("", "OutOfMemoryError: x", "OutOfMemoryError: x"),
            ("exited: killed", "killed", "exited: killed"),
        ] {
            of_task.clone_into(&mut task.stopped_reason);
            task.containers[1].reason = Some(of_container.to_owned());
            let wanted = End::Exited {
                code: 137,
                reason: wanted.to_owned(),
            };
            assert_eq!(next(&task, "web", false), Next::Done(wanted));
        }
    }

    #[test]
    fn a_command_without_a_code_did_not_succeed_and_has_ecs_reason() {
        let stopped = |change: &dyn Fn(&mut Task)| {
            let mut task = task("STOPPED", "STOPPED", "STOPPED", None);
            change(&mut task);
            match next(&task, "web", false) {
                Next::Done(End::Unknown { reason }) => reason,
                next => panic!("{next:?}"),
            }
        };
        assert_eq!(stopped(&|_| {}), ESSENTIAL);
        assert_eq!(
            stopped(&|task| task.containers[1].reason = Some("CannotStartContainerError: x".into())),
            format!("{ESSENTIAL}: CannotStartContainerError: x")
        );
        assert_eq!(stopped(&|task| task.containers.clear()), ESSENTIAL);
        assert_eq!(
            stopped(&|task| task.stopped_reason.clear()),
            "ECS gives no reason"
        );
    }

    #[test]
    fn a_task_that_ecs_does_not_show_for_a_while_is_waited_for_and_then_unknown() {
        assert_eq!(unseen(Duration::from_secs(59)), Next::Wait);
        assert_eq!(unseen(Duration::from_secs(60)), Next::Lost);
    }
}
