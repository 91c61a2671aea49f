//! How far a deploy has come, and what a signal does there: before the service is updated it ends the run, after that it
//! makes the run roll its deployment back.

use crate::interrupt::Interruptible;
use crate::verdict::Rollback;
use kit::aws::TaskDefinitionArn;
use kit::error::{Error, ErrorKind};

/// The changes made so far.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stage {
    #[default]
    Unchanged,
    Registered(TaskDefinitionArn),
    Beginning {
        permit: u64,
        revision: String,
        /// The command that records it as failed.
        record: String,
    },
    Updating {
        revision: TaskDefinitionArn,
        /// Why the deployment is left to ECS, if it is.
        left: Option<Rollback>,
    },
    Following {
        deployment: String,
        revision: String,
        left: Option<Rollback>,
    },
    /// ECS took the request to roll it back.
    RollingBack {
        deployment: String,
        revision: String,
    },
    /// A pause hook is being answered, under a permit if there is one.
    Answering {
        hook: String,
        permit: Option<u64>,
    },
    /// `rollback` follows a deployment that goes back.
    GoingBack {
        deployment: String,
        revision: String,
        /// Whether ECS took this run's request to stop it; `None` if there was none.
        asked: Option<bool>,
    },
}

impl Interruptible for Stage {
    /// A deployment of this run is to be rolled back before the run ends.
    fn goes_on(&self) -> bool {
        matches!(
            self,
            Stage::Updating { left: None, .. }
                | Stage::Following { left: None, .. }
                | Stage::RollingBack { .. }
        )
    }

    fn interrupted(&self, signal: &str, arguments: &str) -> Error {
        let error = Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"));
        let status = format!("see what it runs: slipway-service status {arguments}");
        match self {
            Stage::Unchanged => error.cause("nothing was changed"),
            Stage::Registered(arn) => error.cause(format!(
                "{} was registered, but nothing uses it yet; the next deployment of this digest reuses it",
                arn.name()
            )),
            Stage::Beginning {
                permit,
                revision,
                record,
            } => error
                .cause(format!(
                    "the record that permit {permit} is used for {revision} was being written; the service was not updated"
                ))
                .hint("on GitHub, run the failed jobs again: they go on under it")
                .hint(format!("anywhere else, record the failure and get a new permit: {record}")),
            Stage::Updating { revision, .. } => error
                .cause(format!(
                    "the service was being updated to {}, and ECS had not answered yet",
                    revision.name()
                ))
                .hint(status)
                .hint("or run the same deploy again: it follows the deployment if there is one"),
            Stage::Following {
                deployment,
                revision,
                left,
            } => error
                .cause(format!(
                    "deployment {deployment} of {revision} continues in ECS; it was not rolled back{}",
                    match left {
                        Some(Rollback::NotOurs) => ", because this run did not begin it",
                        Some(Rollback::Unwanted) => ", because of --no-rollback",
                        _ => "",
                    }
                ))
                .hint(format!("see how it ends: slipway-service status {arguments}"))
                .hint("or run the same deploy again: it follows the deployment that is under way"),
            Stage::RollingBack {
                deployment,
                revision,
            } => error
                .cause(format!(
                    "ECS is rolling back deployment {deployment} of {revision}, as this run asked; the end was not seen"
                ))
                .hint(format!("see how it ends: slipway-service status {arguments}")),
            Stage::Answering { hook, permit } => {
                let error = error.cause(format!(
                    "hook {hook} was being answered, and ECS had not confirmed it"
                ));
                let error = match permit {
                    Some(permit) => error.cause(format!(
                        "the record that this run goes on under permit {permit} may be written"
                    )),
                    None => error,
                };
                error.hint(status).hint(
                    "or run the same command again: it answers this hook if it still waits, and follows the deployment",
                )
            }
            Stage::GoingBack {
                deployment,
                revision,
                asked,
            } => {
                let what = match asked {
                    Some(true) => "goes back, as this run asked ECS",
                    Some(false) => "was to be stopped, and ECS had not confirmed that",
                    None => "goes on in ECS; this run only followed it",
                };
                error
                    .cause(format!(
                        "deployment {deployment} of {revision} {what}; the end was not seen"
                    ))
                    .hint(format!("see how it ends: slipway-service status {arguments}"))
                    .hint("or run the same command again: it follows what goes back already")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_continues_or_goes_back_says_how_far_it_got() {
        let back = |asked| Stage::GoingBack {
            deployment: "arn:1".to_owned(),
            revision: "web:8".to_owned(),
            asked,
        };
        let answering = |permit| Stage::Answering {
            hook: "ecs-pause-1".to_owned(),
            permit,
        };
        let beginning = || Stage::Beginning {
            permit: 7,
            revision: "web:8".to_owned(),
            record: "slipway-promote record --environment dev".to_owned(),
        };
        for (stage, words) in [
            (back(Some(true)), "goes back, as this run asked ECS"),
            (back(Some(false)), "ECS had not confirmed that"),
            (back(None), "this run only followed it"),
            (answering(None), "hook ecs-pause-1 was being answered"),
            (answering(Some(7)), "under permit 7 may be written"),
            (beginning(), "the service was not updated"),
        ] {
            assert!(!stage.goes_on(), "{stage:?}");
            let error = stage.interrupted("SIGTERM", "--environment dev");
            assert_eq!(error.exit(), kit::Exit::Interrupted);
            let text = error.to_string();
            assert!(
                text.contains(words) && !text.contains("nothing was"),
                "{text}"
            );
            let hints = error.hints.join("\n");
            let next = match stage {
                Stage::Beginning { record, .. } => record,
                _ => "slipway-service status --environment dev".to_owned(),
            };
            assert!(hints.contains(&next), "{hints}");
        }
    }
}
