//! How far a one-off task has come, and what a signal does there: before the task is started it ends the run, after that it
//! makes the run stop the task.

use crate::interrupt::Interruptible;
use kit::error::{Error, ErrorKind};

/// The changes made so far.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stage {
    #[default]
    Unchanged,
    /// A revision of this name was registered.
    Registered(String),
    /// The permit of this number is being used up.
    Beginning(u64),
    /// The task is being started in this cluster.
    Starting(String),
    Running(TaskPlace),
    /// ECS took the request to stop it.
    Stopping(TaskPlace),
}

/// A task, and the cluster that it runs in.
#[derive(Debug, Clone)]
pub(crate) struct TaskPlace {
    pub(crate) arn: String,
    pub(crate) cluster: String,
}

impl TaskPlace {
    /// The hint that stops it.
    pub(crate) fn stop_hint(&self) -> String {
        let Self { arn, cluster } = self;
        format!("stop it: aws ecs stop-task --cluster {cluster} --task {arn}")
    }
}

impl Interruptible for Stage {
    fn goes_on(&self) -> bool {
        matches!(
            self,
            Stage::Starting(_) | Stage::Running(_) | Stage::Stopping(_)
        )
    }

    fn interrupted(&self, signal: &str, _arguments: &str) -> Error {
        let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
        match self {
            Stage::Unchanged => error.cause("no task was started"),
            Stage::Registered(revision) => error.cause(format!(
                "{revision} was registered, but nothing uses it yet; no task was started"
            )),
            Stage::Beginning(permit) => error
                .cause(format!(
                    "the record that permit {permit} is used was being written; no task was started"
                ))
                .hint("on GitHub, run the failed jobs again: they go on under it"),
            Stage::Starting(cluster) => error
                .cause("the task was being started, so it may run")
                .hint("run the same command again: it follows the task if there is one")
                .hint(format!(
                    "or see what runs: aws ecs list-tasks --cluster {cluster}"
                )),
            Stage::Running(task) => error
                .cause(format!(
                    "ECS had not taken the request to stop task {}, so the task may go on",
                    task.arn
                ))
                .hint(task.stop_hint())
                .output("task-arn", &task.arn),
            Stage::Stopping(task) => error
                .cause(format!(
                    "ECS was asked to stop task {}, and its end was not seen",
                    task.arn
                ))
                .hint(task.stop_hint())
                .output("task-arn", &task.arn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_interrupted_says_what_was_begun() {
        let task = TaskPlace {
            arn: "arn:task/1".to_owned(),
            cluster: "main".to_owned(),
        };
        let stop = "stop it: aws ecs stop-task --cluster main --task arn:task/1";
        for (stage, goes_on, words, hint) in [
            (Stage::Unchanged, false, "no task was started", ""),
            (
                Stage::Registered("web:8".to_owned()),
                false,
                "web:8 was registered",
                "",
            ),
            (Stage::Beginning(7), false, "permit 7", "failed jobs again"),
            (
                Stage::Starting("main".to_owned()),
                true,
                "so it may run",
                "--cluster main",
            ),
            (
                Stage::Running(task.clone()),
                true,
                "the task may go on",
                stop,
            ),
            (Stage::Stopping(task), true, "its end was not seen", stop),
        ] {
            assert_eq!(stage.goes_on(), goes_on, "{stage:?}");
            let error = stage.interrupted("SIGTERM", "");
            let text = error.to_string();
            assert_eq!(error.exit(), kit::Exit::Interrupted);
            assert!(text.contains(words), "{text}");
            assert!(error.hints.join("\n").contains(hint), "{error:?}");
        }
    }
}
