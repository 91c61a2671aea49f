//! Making plans: kept ones, those that only show, and drift.

use super::args;
use super::changes::Changes;
use super::envelope::Envelope;
use super::prepare::{basis, commit, init, make, object_of, prepare};
use super::private::Private;
use super::report::{self, Kept};
use crate::backend::Hold;
use crate::dependencies::Notes;
use crate::history::{require_agreement, warn_of_missing};
use crate::hold::{self, HeldLock, Opened, Runs, held};
use crate::locate::{self, LocatedState};
use crate::object::Objects;
use crate::tool::Tool;
use kit::error::{Error, Result};
use kit::signal::unless_interrupted;
use kit::{Cx, Report};

/// # Errors
/// The tool's, AWS's, or a state that changed although it is locked.
pub(crate) async fn plan(args: args::Plan, cx: &Cx) -> Result<Report> {
    let pull = github::pull_run(&cx.env);
    let number = args.pull_request.or(pull.and_then(|pull| pull.number));
    let report = if args.read_only || pull.is_some() {
        look(&args, cx).await?
    } else {
        keep(&args, cx).await?
    };
    Ok(report::comment(report, number, cx).await)
}

/// Plans without the lock and with the role that can only read.
async fn look(args: &args::Plan, cx: &Cx) -> Result<report::Planned> {
    let located = locate::to_read(&args.locked.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &located, cx).await?;
    let arguments = args.options.arguments(&tool.directory)?;
    let opened = unless_interrupted(hold::open(&located, Hold::Native, cx)).await?;
    let reached = match &located.backend.role {
        Some(role) => format!(", which reaches the state by {role},"),
        None => String::new(),
    };
    cx.host.info(format!(
        "planning with {}{reached} and without the lock {}: the plan is shown, and cannot be applied",
        opened.access.account.arn, opened.lock.id
    ));
    let notes = Notes::of(&located, &tool.directory, args.base.as_ref(), cx)?;
    let changes = plan_without_lock(&tool, &located, &opened, &arguments, cx).await?;
    Ok(report::Planned {
        changes,
        notes,
        options: args.options.chosen("", &tool.directory)?.shown(),
        state: opened.lock.id.clone(),
        tool: tool.shown(),
        commit: commit(code, cx),
        kept: None,
    })
}

/// Makes a plan that is not kept, without the lock.
async fn plan_without_lock(
    tool: &Tool<'_>,
    located: &LocatedState,
    opened: &Opened,
    arguments: &[String],
    cx: &Cx,
) -> Result<Changes> {
    let access = &opened.access;
    init(tool, located, access, cx).await?;
    let objects = Objects::of(located, &access.state, cx);
    warn_of_missing(&objects, &opened.lock, cx).await;
    let private = Private::new(cx)?;
    let mut runs = Runs::Free(&access.account);
    make(tool, arguments, &cx.env, &private, &mut runs).await
}

/// Plans under the lock and saves the plan.
async fn keep(args: &args::Plan, cx: &Cx) -> Result<report::Planned> {
    let located = locate::of(&args.locked.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &located, cx).await?;
    let arguments = args.options.arguments(&tool.directory)?;
    let notes = Notes::of(&located, &tool.directory, args.base.as_ref(), cx)?;
    prepare(&tool, &located, cx).await?;
    held(
        "plan",
        &located,
        &args.locked.wait,
        cx,
        async |held: &mut HeldLock<'_>| {
            let objects = Objects::of(&located, held.state_account(), cx);
            let salt = uuid::Uuid::new_v4().simple().to_string();
            let look = || basis(&objects, &tool, &salt, &args.options, commit(code, cx));
            unless_interrupted(require_agreement(&objects, held.lock())).await?;
            let before = unless_interrupted(look()).await?;
            let private = Private::new(cx)?;
            let changes = make(&tool, &arguments, &cx.env, &private, &mut Runs::Held(held)).await?;
            let after = unless_interrupted(look()).await?;
            if before != after {
                return Err(Error::failed(format!(
                    "{} changed while it was planned, although it is locked",
                    objects.name()
                ))
                .hint("somebody writes with -lock=false, or past Terraform: find out who"));
            }
            let plan = private.read()?;
            drop(private);
            let now = held.account().time()?;
            let mut envelope = Envelope::new(&plan, salt.clone(), after, now, args.valid_for);
            envelope.counts = changes.headline();
            envelope.who = cx
                .host
                .actor()
                .unwrap_or_else(|| held.account().arn.to_string());
            envelope.run = cx.host.run_url();
            let (id, object) = envelope.seal(&plan);
            let key = object_of(&objects.key, &id);
            // Nothing can be there: the ID holds a salt of this very run.
            let written = objects.write(&key, object, "application/octet-stream", Some(""));
            unless_interrupted(written).await?;
            Ok(report::Planned {
                changes,
                notes,
                options: envelope.basis.options.shown(),
                state: objects.name(),
                tool: tool.shown(),
                commit: commit(code, cx),
                kept: Some(Kept {
                    id,
                    expires: envelope.expires().to_owned(),
                }),
            })
        },
    )
    .await
}

/// # Errors
/// Something differs from the state (exit 6), the tool's, or AWS's.
pub(crate) async fn drift(args: args::Drift, cx: &Cx) -> Result<Report> {
    let located = locate::to_read(&args.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &located, cx).await?;
    let opened = unless_interrupted(hold::open(&located, Hold::Native, cx)).await?;
    let mut arguments = args.values.arguments(&tool.directory)?;
    arguments.push("-refresh-only".to_owned());
    let changes = plan_without_lock(&tool, &located, &opened, &arguments, cx).await?;
    report::drift(&opened.lock.id, &changes)
}
