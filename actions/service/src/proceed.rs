//! `continue`: answers the pause hook at which a deployment waits, and follows the deployment to its end. Where nothing waits
//! any more, such as after a run that was killed, it only follows.

use crate::args::Continue;
use crate::decide::{Plan, Update, deployable, plan};
use crate::deploy::{Place, expected, to_the_end};
use crate::follow::paused;
use crate::interrupt::Progress;
use crate::locate::status_hint;
use crate::observe::{Observed, observe};
use crate::opening::{Opened, open};
use crate::owner;
use crate::permit::{Permit, Work};
use crate::report;
use crate::stage::Stage;
use crate::time::{self, refuse_none};
use crate::under::UsedPermit;
use crate::verdict::{Pause, Rollback};
use crate::watch::Following;
use ecs::{Client, Expected, Record, RetryPolicy};
use kit::aws::{Arn, TaskDefinitionArn};
use kit::error::{Error, Result};
use kit::{Cx, Report};
use net::Net;
use std::time::Duration;

/// Answers, and follows.
///
/// # Errors
/// Another version waits or another hook, the permit is not good, or any verdict but success.
pub(crate) async fn proceed(args: Continue, cx: &Cx) -> Result<Report> {
    let arguments = args.version.selector.arguments(cx);
    let progress = Progress::default();
    progress.run(steps(args, cx, &progress), &arguments).await
}

async fn steps(args: Continue, cx: &Cx, progress: &Progress<Stage>) -> Result<Report> {
    let version = &args.version;
    let digest = &version.digest;
    refuse_none(version.usual_time())?;
    let defaults = cx.defaults()?;
    let net = Net::new(cx)?;
    let opened = open(cx, &net, &defaults, version, digest, Work::Continue).await?;
    let Opened {
        account,
        client,
        permit,
        under,
        missing,
    } = opened;
    let observed = observe(&client, version, defaults.contract(), &account, digest).await?;
    let service = &observed.seen.service;
    deployable(service, args.allow_zero_tasks)?;
    let plan = waiting(&client, &observed)?;
    let time = time::allowed(version.timeout, &service.strategy, plan.update)?;
    let primary = service.primary().ok_or_else(|| {
        Error::failed("the service has no primary deployment").hint(status_hint(&client))
    })?;
    let (deployment, revision) = (primary.id.clone(), primary.task_definition.clone());
    let current = waits(&client, &args.hook, &revision).await?;
    let line = match &current {
        Some((_, pause)) => format!("answer hook {} at {}: go on", pause.hook, pause.stage),
        None => "nothing waits for an answer: follow the deployment".to_owned(),
    };
    if version.dry_run {
        let (title, lines) = ("would continue the deployment of", vec![line]);
        let under = under.as_ref();
        return Ok(report::would(&client, &plan, under, missing, title, lines));
    }
    cx.host.info(line);
    let mut under = under;
    let began = under.as_ref().and_then(UsedPermit::began);
    let mut left = owner::left(args.no_rollback, Update::None, service, began);
    let mut answered = None;
    if let Some((record, pause)) = current {
        let answer = Answer {
            cx,
            client: &client,
            permit: permit.as_ref(),
            record: &record,
            pause: &pause,
            time,
        };
        let taken = answer.give(&revision, progress).await?;
        under = taken.or(under);
        // From here on the deployment is this run's.
        left = args.no_rollback.then_some(Rollback::Unwanted);
        answered = Some(pause.hook);
    }
    let following = Following {
        expected: Expected {
            allow_zero_tasks: args.allow_zero_tasks,
            ..expected(deployment, revision, digest, &plan, &observed)
        },
        before: observed.seen.clone(),
        timeout: time,
        left,
        answered,
        older: None,
    };
    let place = Place {
        net: &net,
        account: &account,
        client: &client,
        arguments: &version.selector.arguments(cx),
    };
    to_the_end(cx, &place, &plan, under.as_ref(), progress, following).await
}

/// The plan of a service whose current deployment is of the digest, and changes nothing.
///
/// # Errors
/// It is of another version (exit 3).
fn waiting(client: &Client, observed: &Observed) -> Result<Plan> {
    let service = &observed.seen.service;
    // What infrastructure registered since does not matter: the deployment has its revision.
    let running = &observed.running;
    let plan = plan(
        service,
        running,
        None,
        observed.selection.clone(),
        &observed.image,
    )?;
    let same = plan.images_before.iter().all(|image| *image == plan.image);
    if same {
        return Ok(Plan {
            update: Update::None,
            ..plan
        });
    }
    Err(Error::refused(format!(
        "the current deployment is of another version than {}, so it was not continued",
        plan.image
    ))
    .with_causes(plan.images_before.iter().map(|it| format!("it runs {it}")))
    .hint(status_hint(client)))
}

/// The hook that waits, with ECS's record of the deployment; `None` if it waits no longer.
///
/// The hook is always named: a run that is repeated after its answer would otherwise answer the next hook, which nobody looked at.
///
/// # Errors
/// The deployment in progress is not that of the judged revision, or another hook waits (exit 3), or the record cannot be read.
async fn waits(
    client: &Client,
    hook: &str,
    revision: &TaskDefinitionArn,
) -> Result<Option<(Arn, Pause)>> {
    let service = client.service().await?;
    let Some(current) = client.in_progress(&service).await? else {
        return Ok(None);
    };
    if current.deploys.as_ref() != Some(revision) {
        let found = current.deploys.as_ref();
        let found = found.map_or("a revision that ECS does not show", |it| it.name());
        return Err(Error::refused(format!(
            "the deployment in progress is of {found} and not of {}, so it was not continued",
            revision.name()
        ))
        .hint(status_hint(client)));
    }
    let record = &current.record;
    match paused(record) {
        Some(pause) if pause.hook == hook => Ok(Some((current.arn, pause))),
        // A run that was killed after its answer, or is repeated: what follows is shown, and may be the next pause.
        _ if is_answered(record, hook) => Ok(None),
        Some(pause) => {
            let found = format!("hook {} waits for an answer at {}", pause.hook, pause.stage);
            Err(other(client, hook, &found))
        }
        None => Err(other(client, hook, "no hook waits for an answer")),
    }
}

/// Returns true if the hook was answered before, as by a run that was killed after its answer.
fn is_answered(record: &Record, hook: &str) -> bool {
    let mut hooks = record.hooks.iter();
    hooks.any(|it| it.id == hook && it.status == "SUCCEEDED")
}

fn other(client: &Client, hook: &str, found: &str) -> Error {
    Error::refused(format!("hook {hook} does not wait for an answer"))
        .cause(found)
        .hint(status_hint(client))
}

/// An answer that is about to be given.
struct Answer<'a> {
    cx: &'a Cx,
    client: &'a Client,
    permit: Option<&'a Permit<'a>>,
    record: &'a Arn,
    pause: &'a Pause,
    time: Duration,
}

impl Answer<'_> {
    /// Gives it: under a permit in a session of it, which is opened before the deployment is taken over on record, so that a
    /// refused session takes nothing from the run that began it.
    ///
    /// # Errors
    /// The permit does not allow it, or ECS refuses.
    async fn give(
        &self,
        revision: &TaskDefinitionArn,
        progress: &Progress<Stage>,
    ) -> Result<Option<UsedPermit>> {
        progress.at(Stage::Answering {
            hook: self.pause.hook.clone(),
            permit: self.permit.map(Permit::number),
        });
        let Some(permit) = self.permit else {
            self.tell(self.client).await?;
            return Ok(None);
        };
        let policy = RetryPolicy::within(self.time);
        let session = permit
            .client(self.cx, self.client, revision, policy)
            .await?;
        let under = permit.start(revision.as_str()).await?;
        self.cx.host.info(under.used_up());
        let told = self.tell(&session).await;
        told.map_err(|error| error.cause(under.used_up()))?;
        Ok(Some(under))
    }

    async fn tell(&self, client: &Client) -> Result<()> {
        let Err(error) = client.proceed(self.record, &self.pause.hook).await else {
            return Ok(());
        };
        // The first of two tries may have been taken, and somebody else may have answered: then there is nothing to answer.
        let now = self.client.record_at(self.record).await?;
        let waits = now.is_none_or(|(record, _)| {
            paused(&record).is_some_and(|pause| pause.hook == self.pause.hook)
        });
        if waits {
            return Err(error.into());
        }
        self.cx
            .host
            .info(format!("{}; the hook waits no longer", error.line()));
        Ok(())
    }
}
