//! Checks that a deployment may begin now. One that shifts traffic in steps, or waits for an answer, is somebody's work in
//! progress: ECS would give it up for a new one without a word.

use crate::decide::Update;
use ecs::{Client, Record, Service};
use kit::aws::TaskDefinitionArn;
use kit::error::{Error, ErrorKind, Result};

/// Refuses to deploy over a deployment that shifts traffic or is paused, as ECS has it now.
///
/// # Errors
/// There is one (exit 4), or it cannot be seen whether there is.
pub(crate) async fn require_free(client: &Client, service: &Service, update: Update) -> Result<()> {
    let Some(current) = service.current.as_ref().filter(|_| update != Update::None) else {
        return Ok(());
    };
    let found = match client.record_at(current).await {
        Ok(found) => found,
        // A rolling update is superseded by the next one; only a pause would tell otherwise, and this role sees none.
        Err(error) if !service.strategy.shifts() && !error.is_passing() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match found {
        Some((record, deploys)) if busy(service, &record) => {
            Err(refusal(client, &record, deploys.as_ref()))
        }
        _ => Ok(()),
    }
}

/// Returns true if the deployment with this record is not to be deployed over.
fn busy(service: &Service, record: &Record) -> bool {
    !ecs::is_over(&record.status) && (service.strategy.shifts() || record.pause().is_some())
}

fn refusal(client: &Client, record: &Record, deploys: Option<&TaskDefinitionArn>) -> Error {
    let (cluster, service) = (&client.cluster, &client.service);
    let of = deploys.map_or_else(String::new, |it| format!(" of {}", it.name()));
    let paused = record.pause().is_some();
    let state = match paused {
        true => format!("is paused at {}", record.stage),
        false => format!(
            "is in progress ({})",
            crate::progress::shift(record).join(", ")
        ),
    };
    let error = Error::new(
        ErrorKind::Busy,
        format!("a deployment{of} {state}, so nothing was deployed over it"),
    );
    let error = match &record.arn {
        Some(arn) => error.cause(format!("ECS's record of it: {arn}")),
        None => error,
    };
    let error = match paused {
        true => error.hint(format!(
            "let it go on: slipway-service continue --cluster {cluster} --service {service}"
        )),
        false => error.hint(format!(
            "see how it ends: slipway-service status --cluster {cluster} --service {service}"
        )),
    };
    error.hint(format!(
        "or end it first: slipway-service rollback --cluster {cluster} --service {service}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::{Hook, Strategy};

    #[test]
    fn only_what_shifts_or_waits_is_not_deployed_over() {
        let paused = Hook {
            is_pause: true,
            status: "AWAITING_ACTION".to_owned(),
            ..Hook::default()
        };
        for (kind, status, hooks, wanted) in [
            ("ROLLING", "IN_PROGRESS", vec![], false),
            ("ROLLING", "IN_PROGRESS", vec![paused.clone()], true),
            ("CANARY", "PENDING", vec![], true),
            ("CANARY", "IN_PROGRESS", vec![], true),
            ("BLUE_GREEN", "ROLLBACK_IN_PROGRESS", vec![], true),
            ("BLUE_GREEN", "ROLLBACK_FAILED", vec![], false),
            ("BLUE_GREEN", "SUCCESSFUL", vec![paused], false),
        ] {
            let mut service = samples::service();
            service.strategy = Strategy {
                kind: kind.to_owned(),
                ..Strategy::default()
            };
            let record = Record {
                status: status.to_owned(),
                hooks,
                ..Record::default()
            };
            assert_eq!(busy(&service, &record), wanted, "{kind} {status}");
        }
    }
}
