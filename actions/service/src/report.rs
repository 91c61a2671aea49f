//! The outcome of a deploy: the report of a success, or the error of anything else with everything that was observed.

use crate::compare::Difference;
use crate::decide::Plan;
use crate::locate::status_hint;
use crate::progress::first_few;
use crate::under::UsedPermit;
use crate::verdict::{Pause, Rollback, Verdict, Why};
use crate::watch::Ended;
use ecs::Client;
use kit::Report;
use kit::clock::human;
use kit::error::{Error, ErrorKind, Result};
use kit::markdown;
use kit::report::{markdown_table, text_table};
use net::Account;

/// A deploy that came to a verdict, and all there is to say of it.
struct Outcome<'a> {
    client: &'a Client,
    /// The arguments that lead to the service, for hints.
    arguments: &'a str,
    account: &'a Account,
    plan: &'a Plan,
    under: Option<&'a UsedPermit>,
    ended: &'a Ended,
}

/// The report of a dry run. `missing` is the refusal that a deployment would meet.
pub(crate) fn planned(
    client: &Client,
    plan: &Plan,
    under: Option<&UsedPermit>,
    missing: Option<Error>,
) -> Report {
    would(
        client,
        plan,
        under,
        missing,
        "would deploy to",
        plan.lines(),
    )
}

/// The report of a dry run that would do this to the service.
pub(crate) fn would(
    client: &Client,
    plan: &Plan,
    under: Option<&UsedPermit>,
    missing: Option<Error>,
    what: &str,
    lines: Vec<String>,
) -> Report {
    let refused = missing.iter().flat_map(|refusal| {
        let message = format!("refused: {}", refusal.message);
        std::iter::once(message).chain(refusal.hints.iter().cloned())
    });
    let start_line = under.iter().map(|under| under.start_line());
    let lines: Vec<String> = refused.chain(start_line).chain(lines).collect();
    let title = format!(
        "{what} service {} in cluster {}",
        client.service, client.cluster
    );
    let mut json = plan.json();
    if let Some(object) = json.as_object_mut() {
        object.insert("cluster".to_owned(), client.cluster.clone().into());
        object.insert("service".to_owned(), client.service.clone().into());
        object.insert("permit".to_owned(), under.map(UsedPermit::json).into());
        object.insert(
            "refused".to_owned(),
            missing.map(|refusal| refusal.message).into(),
        );
    }
    Report {
        summary: format!("### Dry run: {title}\n\n- {}\n", lines.join("\n- ")),
        text: format!("{title}:\n  {}", lines.join("\n  ")),
        json,
        ..Report::default()
    }
}

/// The report of a success, or the error of any other end.
///
/// # Errors
/// Every verdict but success.
pub(crate) fn ended(
    (client, arguments): (&Client, &str),
    account: &Account,
    plan: &Plan,
    under: Option<&UsedPermit>,
    ended: Ended,
) -> Result<Report> {
    let outcome = Outcome {
        client,
        arguments,
        account,
        plan,
        under,
        ended: &ended,
    };
    if ended.verdict == Verdict::Succeeded {
        return Ok(outcome.success());
    }
    let evidence_lines = ended.evidence.lines();
    let mut error = outcome.error().hint(status_hint(client));
    error.details = evidence_lines.join("\n");
    let mut summary = format!(
        "### Service {}: {}\n\n{}\n\n{}{}",
        client.service,
        ended.verdict.word().replace('_', " "),
        markdown::code(&error.message),
        markdown_table(&["what", "value"], &outcome.facts()),
        outcome.changes()
    );
    if !evidence_lines.is_empty() {
        summary.push_str(&format!(
            "\n**Why**\n\n{}\n",
            markdown::block("text", &evidence_lines.join("\n"))
        ));
    }
    error.json = Some(outcome.json());
    let service = &ended.seen.service;
    let error = error
        .summary(summary)
        .output("task-definition-arn", &service.task_definition)
        .output("deployment-id", &ended.expected.deployment)
        .output("service-arn", &service.arn)
        .output("digest", &ended.expected.digest);
    let error = match &ended.verdict {
        Verdict::Paused(pause) => error.output("hook", &pause.hook),
        _ => error,
    };
    Err(match ended.verdict.recorded() {
        Some(recorded) => error.output("verdict", recorded),
        None => error,
    })
}

impl Outcome<'_> {
    fn error(&self) -> Error {
        let expected = &self.ended.expected;
        let ours = expected.task_definition.name();
        match &self.ended.verdict {
            Verdict::Succeeded => Error::failed("succeeded"),
            Verdict::RolledBack { to, reason } => Error::new(
                ErrorKind::RolledBack,
                format!(
                    "{ours} did not become healthy and was rolled back: {} runs again",
                    to.name()
                ),
            )
            .cause(reason.clone()),
            Verdict::Superseded {
                by,
                task_definition,
            } => Error::new(ErrorKind::Superseded, format!(
                "another deployment superseded this one: {by} of {}",
                task_definition.name()
            ))
            .hint(format!(
                "this revision may never have become healthy; follow the other deployment: slipway-service status {}",
                self.arguments
            )),
            Verdict::Failed { reason } => {
                Error::failed(format!("the deployment of {ours} failed")).cause(reason.clone())
            }
            Verdict::Paused(pause) => self.paused(pause),
            Verdict::GivenUp { why, rollback } => self.given_up(why, rollback),
        }
    }

    fn paused(&self, pause: &Pause) -> Error {
        let ours = self.ended.expected.task_definition.name();
        let arguments = self.arguments;
        let error = Error::new(
            ErrorKind::Paused,
            format!(
                "the deployment of {ours} is paused at {} and waits for an answer",
                pause.stage
            ),
        )
        .cause(format!("hook {}", pause.hook));
        let error = match (&pause.until, pause.then.as_str()) {
            (Some(until), "CONTINUE") => {
                error.cause(format!("without an answer it goes on at {until}"))
            }
            (Some(until), _) => {
                error.cause(format!("without an answer ECS rolls it back at {until}"))
            }
            (None, _) => error,
        };
        let permit = self
            .under
            .map_or_else(String::new, |under| format!(" --permit {}", under.permit));
        error
            .hint(format!(
                "let it go on: slipway-service continue {arguments} --digest {} --hook {}{permit}",
                self.ended.expected.digest, pause.hook
            ))
            .hint(format!("or go back: slipway-service rollback {arguments}"))
    }

    fn given_up(&self, why: &Why, rollback: &Rollback) -> Error {
        let expected = &self.ended.expected;
        let (ours, deployment) = (expected.task_definition.name(), &expected.deployment);
        let error = match why {
            Why::TimedOut { waited_for } => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "{ours} did not become healthy within {}",
                    human(self.ended.timeout)
                ),
            )
            .with_causes(first_few(waited_for, 10)),
            Why::Cancelled { signal } => {
                Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
            }
        };
        let continues = format!("deployment {deployment} of {ours} continues in ECS");
        match rollback {
            Rollback::Unwanted => error.hint(format!(
                "{continues}, because of --no-rollback; a longer --timeout follows it longer"
            )),
            Rollback::NotOurs => error.hint(format!(
                "{continues}: this run did not begin it, so it was not rolled back"
            )),
            Rollback::Refused { error: why, hints } => hints.iter().cloned().fold(
                error
                    .cause(format!("it was not rolled back: {why}"))
                    .hint(format!("{continues}; stop it: {}", self.stop_command())),
                Error::hint,
            ),
            Rollback::TooLate { waited_for } => error
                .cause("it was not rolled back, because ECS has it no longer in progress")
                .with_causes(first_few(waited_for, 3))
                .hint("the service may run it; deploy the version that should run"),
            Rollback::Completed { to } => error.cause(format!(
                "deployment {deployment} of {ours} was rolled back: {} runs again",
                to.name()
            )),
            Rollback::Failed { reason } => error
                .cause(format!("the rollback that was asked for failed: {reason}"))
                .hint("deploy the version that should run"),
            Rollback::Unfinished { waited_for } => error.cause(format!(
                "the rollback of deployment {deployment} is not over: waiting for {}",
                first_few(waited_for, 3).join("; ")
            )),
            Rollback::Unknown {
                by,
                task_definition,
            } => error
                .cause(format!(
                    "deployment {by} of {} runs, and it is unknown whether that is the rollback, because ECS's record of deployment {deployment} cannot be read",
                    task_definition.name()
                ))
                .hint("give the role ecs:ListServiceDeployments, ecs:DescribeServiceDeployments and ecs:DescribeServiceRevisions"),
        }
    }

    fn stop_command(&self) -> String {
        match &self.ended.seen.service.current {
            Some(record) => format!(
                "aws ecs stop-service-deployment --stop-type ROLLBACK --service-deployment-arn {record}"
            ),
            None => format!(
                "aws ecs list-service-deployments --cluster {} --service {}, then stop-service-deployment",
                self.client.cluster, self.client.service
            ),
        }
    }

    fn success(&self) -> Report {
        let (facts, expected) = (self.facts(), &self.ended.expected);
        let service = &self.client.service;
        let mut report = Report {
            summary: format!(
                "### Service {service}: deployed\n\n{}{}",
                markdown_table(&["what", "value"], &facts),
                self.changes()
            ),
            text: text_table(&["service", service], &facts),
            json: self.json(),
            ..Report::default()
        }
        .output("task-definition-arn", &expected.task_definition)
        .output("deployment-id", &expected.deployment)
        .output("service-arn", &self.ended.seen.service.arn)
        .output("digest", &expected.digest)
        .output("verdict", "healthy");
        if let Some(address) = &self.ended.address {
            report = report.output("address", address);
        }
        report
    }

    /// Infrastructure's changes that this deploy brought with it, for the summary page.
    fn changes(&self) -> String {
        if self.plan.changes.is_empty() {
            return String::new();
        }
        let lines: Vec<String> = self
            .plan
            .changes
            .iter()
            .map(|change| change.line())
            .collect();
        format!(
            "\n**Changed with it**, from {} to {}\n\n{}\n",
            markdown::code(self.plan.running.name()),
            markdown::code(self.plan.base.name()),
            markdown::block("text", &lines.join("\n"))
        )
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let (ended, service) = (self.ended, &self.ended.seen.service);
        let unverified = match (ended.verdict == Verdict::Succeeded, service.desired) {
            (true, 0) => ", as --allow-zero-tasks accepts: nothing runs that could be verified",
            _ => "",
        };
        let mut facts = vec![
            ("verdict", ended.verdict.word().replace('_', " ")),
            ("image", self.plan.image.clone()),
            ("containers", ended.expected.containers.join(", ")),
            (
                "task definition",
                ended.expected.task_definition.name().to_owned(),
            ),
            ("deployment", ended.expected.deployment.clone()),
            ("cluster", self.client.cluster.clone()),
            (
                "account",
                format!("{} in {}", self.account.id, self.account.region),
            ),
            (
                "tasks",
                format!(
                    "{} of {} running{unverified}",
                    service.running, service.desired
                ),
            ),
            ("took", human(ended.took)),
        ];
        if let Some(under) = self.under {
            facts.insert(1, ("permit", under.line()));
        }
        if let Some(address) = &ended.address {
            facts.push(("address", address.clone()));
        }
        facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect()
    }

    fn json(&self) -> serde_json::Value {
        let (ended, expected) = (self.ended, &self.ended.expected);
        let service = &ended.seen.service;
        let mut json = serde_json::json!({
            "verdict": ended.verdict.word(),
            "verified": ended.verdict == Verdict::Succeeded && service.desired > 0,
            "service": self.client.service,
            "service_arn": service.arn,
            "cluster": self.client.cluster,
            "account": self.account.id,
            "region": self.account.region,
            "task_definition": expected.task_definition,
            "task_definition_before": self.plan.running,
            "task_definition_base": self.plan.base,
            "changes": self.plan.changes.iter().map(Difference::json).collect::<Vec<_>>(),
            "deployment": expected.deployment,
            "image": self.plan.image,
            "containers": expected.containers,
            "digest": expected.digest.as_str(),
            "desired": service.desired,
            "running": service.running,
            "seconds": ended.took.as_secs(),
            "address": ended.address,
            "permit": self.under.map(UsedPermit::json),
        });
        let more = match &ended.verdict {
            Verdict::Succeeded => return json,
            Verdict::RolledBack { to, reason } => {
                serde_json::json!({"rolled_back_to": to, "reason": reason})
            }
            Verdict::Superseded {
                by,
                task_definition,
            } => {
                serde_json::json!({"by": by, "by_task_definition": task_definition})
            }
            Verdict::Failed { reason } => serde_json::json!({"reason": reason}),
            Verdict::Paused(pause) => serde_json::json!({
                "hook": pause.hook, "stage": pause.stage, "record": pause.record,
                "expires": pause.until, "timeout_action": pause.then,
            }),
            Verdict::GivenUp { why, rollback } => given_up_json(why, rollback),
        };
        for part in [more, serde_json::json!({"why": ended.evidence.json()})] {
            if let (Some(json), serde_json::Value::Object(part)) = (json.as_object_mut(), part) {
                json.extend(part);
            }
        }
        json
    }
}

fn given_up_json(why: &Why, rollback: &Rollback) -> serde_json::Value {
    let mut json = serde_json::json!({"rollback": rollback.word()});
    match why {
        Why::TimedOut { waited_for } => json["waited_for"] = waited_for.clone().into(),
        Why::Cancelled { signal } => json["signal"] = (*signal).into(),
    }
    match rollback {
        Rollback::Completed { to } => json["rolled_back_to"] = to.as_str().into(),
        Rollback::Failed { reason } | Rollback::Refused { error: reason, .. } => {
            json["reason"] = reason.clone().into();
        }
        Rollback::Unwanted
        | Rollback::NotOurs
        | Rollback::TooLate { .. }
        | Rollback::Unfinished { .. }
        | Rollback::Unknown { .. } => {}
    }
    json
}
