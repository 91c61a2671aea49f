//! Checks that a deployment may begin now. One that shifts traffic in steps, or waits for an answer, is somebody's work in
//! progress: ECS would give it up for a new one without a word.

use crate::progress::shift;
use ecs::{Client, InProgress, PollInterval, Service};
use kit::Cx;
use kit::aws::Arn;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The other deployments of the service, and what is done about one in progress.
pub(crate) struct OtherDeployments<'a> {
    pub(crate) client: &'a Client,
    /// The arguments that lead to the service, for hints.
    pub(crate) arguments: &'a str,
    /// The container whose image says which version another deployment is of.
    pub(crate) container: Option<&'a str>,
    /// The deployment that may be deployed over.
    pub(crate) replace: Option<&'a Arn>,
    /// What was not done because of another one, as the end of a sentence.
    pub(crate) undone: &'static str,
}

/// What another deployment means for one that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may begin.
    Free,
    /// The other one ends by itself.
    Ends,
    /// The other one waits for a person.
    Paused,
}

impl OtherDeployments<'_> {
    /// Waits while another deployment shifts traffic. Returns true if there was one, after which the service has to be observed
    /// anew.
    ///
    /// # Errors
    /// It waits for an answer, or is not over in `time` (exit 4), or cannot be seen.
    pub(crate) async fn wait(&self, cx: &Cx, service: &Service, time: Duration) -> Result<bool> {
        let until = Instant::now() + time;
        let mut interval = PollInterval::new();
        let mut service = service.clone();
        let mut shown = String::new();
        loop {
            let Some(other) = self.busy(&service).await? else {
                return Ok(!shown.is_empty());
            };
            // Somebody who names a deployment does not want to wait for another one.
            let named = self.replace.is_some();
            if named || standing(&service, &other, self.replace) == Standing::Paused {
                return Err(self.refusal(&other, None).await);
            }
            if Instant::now() >= until {
                return Err(self.refusal(&other, Some(time)).await);
            }
            let line = format!("waiting until it is over: {}", describe(&other));
            let changed = line != shown;
            if changed {
                cx.host.info(&line);
                shown = line;
            }
            sleep(interval.next(changed)).await;
            service = self.client.service().await?;
        }
    }

    /// Refuses to deploy over another deployment that shifts traffic or is paused, as ECS has it now.
    ///
    /// # Errors
    /// There is one (exit 4), or it cannot be seen whether there is.
    pub(crate) async fn refuse(&self, service: &Service) -> Result<()> {
        match self.busy(service).await? {
            Some(other) => Err(self.refusal(&other, None).await),
            None => Ok(()),
        }
    }

    /// The deployment that is not to be deployed over, if there is one.
    async fn busy(&self, service: &Service) -> Result<Option<InProgress>> {
        let shifts = service.strategy.shifts();
        // A rolling update is superseded by the next one, so that only a pause of one that ECS names would matter.
        if !shifts && service.current.is_none() {
            return Ok(None);
        }
        let found = match self.client.in_progress(service).await {
            Ok(found) => found,
            // This role sees no pause.
            Err(error) if !shifts && !error.is_passing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(found.filter(|other| standing(service, other, self.replace) != Standing::Free))
    }

    async fn refusal(&self, other: &InProgress, waited: Option<Duration>) -> Error {
        let arguments = self.arguments;
        let error = Error::new(
            ErrorKind::Busy,
            format!("{}, so {}", describe(other), self.undone),
        )
        .cause(format!("ECS's record of it: {}", other.arn));
        let error = match (waited, self.replace) {
            (Some(time), _) => error.cause(format!("it was not over within {}", human(time))),
            (None, Some(named)) => error.cause(format!("--replace names another one: {named}")),
            (None, None) => error,
        };
        let error = match other.record.pause() {
            Some(hook) => error.hint(format!(
                "let it go on: slipway-service continue {arguments} --digest {} --hook {}",
                self.digest(other).await,
                hook.id
            )),
            None => error.hint(format!(
                "see how it ends: slipway-service status {arguments}"
            )),
        };
        match other.record.status.starts_with("ROLLBACK") {
            // ECS cannot be asked again, and the version before may be the one that does not become healthy.
            true => error.hint(format!(
                "if it hangs, deploy over it: --replace {}",
                other.arn
            )),
            false => error.hint(format!(
                "or end it first: slipway-service rollback {arguments}"
            )),
        }
    }

    /// The digest that another deployment is of, as far as it can be read.
    async fn digest(&self, other: &InProgress) -> String {
        let unknown = || "DIGEST".to_owned();
        let (Some(deploys), Some(container)) = (&other.deploys, self.container) else {
            return unknown();
        };
        let definition = self.client.definition(deploys.as_str()).await;
        let image = definition.ok().and_then(|it| it.image(container));
        let image = image.unwrap_or_default();
        let digest = image.split_once('@').map(|(_, digest)| digest.to_owned());
        digest.unwrap_or_else(unknown)
    }
}

fn standing(service: &Service, other: &InProgress, replace: Option<&Arn>) -> Standing {
    let record = &other.record;
    if ecs::is_over(&record.status) || replace == Some(&other.arn) {
        return Standing::Free;
    }
    if record.pause().is_some() {
        return Standing::Paused;
    }
    // Before the first deployment of a service nothing serves, so there is no traffic to be kept from a new version and
    // nothing to go back to: without a circuit breaker a broken one would be in progress for ever.
    match service.strategy.shifts() && record.sources > 0 {
        true => Standing::Ends,
        false => Standing::Free,
    }
}

/// A deployment in progress, as the beginning of a sentence.
pub(crate) fn describe(other: &InProgress) -> String {
    let of = other.deploys.as_ref();
    let of = of.map_or_else(String::new, |it| format!(" of {}", it.name()));
    match other.record.pause() {
        Some(_) => format!("a deployment{of} is paused at {}", other.record.stage),
        None => {
            let mut parts = vec![other.record.status.to_lowercase().replace('_', " ")];
            parts.extend(shift(&other.record));
            format!("a deployment{of} is in progress ({})", parts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use ecs::{Hook, Record, Strategy};

    const RECORD: &str = "arn:aws:ecs:eu-west-1:111111111111:service-deployment/main/web/1";
    const OTHER: &str = "arn:aws:ecs:eu-west-1:111111111111:service-deployment/main/web/2";

    #[test]
    fn only_what_shifts_traffic_from_a_version_or_waits_is_not_deployed_over() {
        use Standing::{Ends, Free, Paused};
        let hook = Hook {
            is_pause: true,
            status: "AWAITING_ACTION".to_owned(),
            ..Hook::default()
        };
        for (kind, status, sources, paused, replace, wanted) in [
            ("ROLLING", "IN_PROGRESS", 1, false, None, Free),
            ("ROLLING", "IN_PROGRESS", 1, true, None, Paused),
            ("CANARY", "PENDING", 1, false, None, Ends),
            ("CANARY", "IN_PROGRESS", 1, false, None, Ends),
            ("CANARY", "IN_PROGRESS", 1, false, Some(RECORD), Free),
            ("CANARY", "IN_PROGRESS", 1, false, Some(OTHER), Ends),
            ("BLUE_GREEN", "IN_PROGRESS", 1, true, None, Paused),
            ("BLUE_GREEN", "ROLLBACK_IN_PROGRESS", 1, false, None, Ends),
            (
                "BLUE_GREEN",
                "ROLLBACK_IN_PROGRESS",
                1,
                false,
                Some(RECORD),
                Free,
            ),
            // The first deployment of a service.
            ("BLUE_GREEN", "IN_PROGRESS", 0, false, None, Free),
            ("BLUE_GREEN", "IN_PROGRESS", 0, true, None, Paused),
            ("BLUE_GREEN", "ROLLBACK_FAILED", 1, false, None, Free),
            ("BLUE_GREEN", "SUCCESSFUL", 1, true, None, Free),
        ] {
            let mut service = samples::service();
            service.strategy = Strategy {
                kind: kind.to_owned(),
                ..Strategy::default()
            };
            let other = InProgress {
                arn: RECORD.parse().unwrap(),
                record: Record {
                    status: status.to_owned(),
                    sources,
                    hooks: paused.then(|| hook.clone()).into_iter().collect(),
                    ..Record::default()
                },
                deploys: None,
            };
            let replace: Option<Arn> = replace.map(|arn| arn.parse().unwrap());
            let found = standing(&service, &other, replace.as_ref());
            assert_eq!(found, wanted, "{kind} {status} {sources} {replace:?}");
        }
    }
}
