//! Applying a saved plan, if everything it was made from is still the same.

use super::args;
use super::envelope::Envelope;
use super::prepare::{basis, commit, object_of, prepare};
use super::private::Private;
use super::report;
use crate::history::require_agreement;
use crate::hold::{HeldLock, held};
use crate::locate;
use crate::lock::Lock;
use crate::object::{Objects, StateVersion, kept_digest};
use crate::tool::{self, Tool};
use kit::error::{Error, Result};
use kit::id::PlanId;
use kit::signal::unless_interrupted;
use kit::{Cx, Report};
use ledger::applied::{self, Permit};
use net::Account;

/// # Errors
/// A plan that no longer fits (exit 3), the tool's, or a state that is not what was written.
pub(crate) async fn apply(args: args::Apply, cx: &Cx) -> Result<Report> {
    let id = &args.plan;
    if github::pull_run(&cx.env).is_some() {
        return Err(
            Error::refused("nothing is applied from a pull request's run")
                .hint("merge it first; the run on the branch plans and applies"),
        );
    }
    let located = locate::of(&args.locked.state, cx)?;
    let code = &args.code;
    let permit = args.permit.as_deref();
    let contract = located.resolved.as_ref().map(|it| &it.resolved);
    let asked = applied::asked(permit, contract, id.as_str(), commit(code, cx))?;
    let permit = match asked {
        Some(asked) => Some(Permit::open(asked, id.as_str(), cx).await?),
        None => None,
    };
    // None of the code's providers runs without it.
    if let Some(permit) = &permit {
        permit.check().await?;
    }
    let tool = Tool::find(code.tool, code.directory.clone(), &located, cx).await?;
    args.options.arguments(&tool.directory)?;
    prepare(&tool, &located, cx).await?;
    held(
        "apply",
        &located,
        &args.locked.wait,
        cx,
        async |held: &mut HeldLock<'_>| {
            let objects = Objects::of(&located, held.state_account(), cx);
            let key = object_of(&objects.key, id);
            unless_interrupted(require_agreement(&objects, held.lock())).await?;
            let (envelope, private) =
                unless_interrupted(fetch(&objects, &key, id, &tool, &args, held.account(), cx))
                    .await?;
            // The wait for the lock and the preparation took their time, in which the permit may have ended.
            let under = match &permit {
                Some(permit) => Some(permit.check().await?),
                None => None,
            };
            let allowed = under.as_ref().map_or_else(String::new, |under| {
                format!(", under permit {}", under.line())
            });
            cx.host.info(format!(
                "applying plan {id} by {}: {}{allowed}",
                envelope.who, envelope.counts
            ));
            let plan = private.plan().display().to_string();
            let arguments = ["apply", "-no-color", "-input=false", "-lock=false", &plan];
            let program = tool.program(&arguments, held.account())?;
            let title = format!("{} apply", tool.shown());
            let ended = {
                let _folded = cx.host.group(&title);
                held.log(program).await
            };
            drop(private);
            if let Err(error) = ended.and_then(|status| tool::ended(&title, status)) {
                return Err(held.rescue_state(error).await);
            }
            let state_version = verified(&objects, held.lock(), &envelope).await?;
            // A plan is applied once, since its state has moved on. The kept object holds secrets.
            if let Err(error) = objects.remove(&key).await {
                cx.host.warn(format!(
                    "the applied plan is still in the bucket: {}",
                    error.message
                ));
            }
            let under = under.as_ref();
            Ok(report::applied(
                &objects.name(),
                id,
                &envelope,
                &state_version,
                under,
            ))
        },
    )
    .await
}

/// The saved plan, if it still fits, in a file for the tool.
async fn fetch(
    objects: &Objects,
    key: &str,
    id: &PlanId,
    tool: &Tool<'_>,
    args: &args::Apply,
    account: &Account,
    cx: &Cx,
) -> Result<(Envelope, Private)> {
    let Some(object) = objects.fetch(key, None).await? else {
        return Err(
            Error::refused(format!("there is no plan {id} for {}", objects.name()))
                .cause("it was applied, its time is over, or it was made for another state")
                .hint("plan again: slipway-state plan"),
        );
    };
    let (envelope, plan) = Envelope::open(id, &object.bytes).map_err(|why| {
        Error::refused(format!("plan {id} is not what was kept"))
            .because(why)
            .hint(format!(
                "somebody wrote s3://{}/{key}: find out who, and plan again",
                objects.bucket
            ))
    })?;
    let commit = commit(&args.code, cx);
    let now = basis(objects, tool, &envelope.salt, &args.options, commit).await?;
    let moved = envelope.moved(&now, account.time()?);
    if moved.is_empty() {
        let private = Private::new(cx)?;
        private.write(plan)?;
        return Ok((envelope, private));
    }
    let mut error = Error::refused(format!(
        "plan {id} no longer fits {}; nothing was applied",
        objects.name()
    ));
    error.json = Some(serde_json::json!({ "plan": id, "moved": moved }));
    Err(error
        .with_causes(moved)
        .hint("plan again, and have the new plan approved: slipway-state plan"))
}

/// Reads the state after the apply: it has the same lineage and is not older, and its digest was written. Terraform
/// only logs a digest that it could not write.
async fn verified(objects: &Objects, lock: &Lock, envelope: &Envelope) -> Result<StateVersion> {
    let failed = |problem: String| {
        Error::failed(format!("applied, but {problem}")).hint(format!(
            "compare state and digest: {}",
            objects.command("verify-digest")
        ))
    };
    let Some(state) = objects.read().await? else {
        return Err(failed(format!("there is no state at {}", objects.name())));
    };
    if let Some(planned) = &envelope.basis.state_version
        && (planned.lineage != state.lineage || planned.serial > state.serial)
    {
        return Err(failed(format!(
            "the state has serial {}, lineage {}; planned was serial {}, lineage {}",
            state.serial, state.lineage, planned.serial, planned.lineage
        )));
    }
    let Some(item) = lock.item() else {
        return Ok(state.state_version());
    };
    match kept_digest(item).await? {
        Some(kept) if kept == state.digest() => Ok(state.state_version()),
        kept => Err(failed(format!(
            "the state's digest in {} is {}, not {}",
            item.table,
            kept.as_deref().unwrap_or("missing"),
            state.digest()
        ))
        .hint(format!("correct it: {}", objects.command("repair-digest")))),
    }
}
