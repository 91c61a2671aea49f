//! `plan`, `apply` and `drift`: a plan is kept beside the state, bound to what it was made from, and
//! applied only while all of that still holds.

pub(crate) mod args;
mod attributes;
mod changes;
pub(crate) mod envelope;
mod hidden;
mod options;
mod private;
mod pull;
mod render;
mod report;

use crate::access::{Access, access};
use crate::backend::Hold;
use crate::hash::sha256;
use crate::hold::{self, Holding, Runs, held};
use crate::lock::Lock;
use crate::object::{Objects, Standing, StateFile, kept_digest};
use crate::place::{self, Placed};
use crate::tool::{self, Tool};
use changes::Changes;
use envelope::{Basis, Envelope, hashed};
use kit::env::Env;
use kit::error::{Error, Result};
use kit::signal::unless_interrupted;
use kit::{Cx, Report};
use net::Net;
use options::Options;
use report::Kept;
use std::path::Path;

pub(crate) use private::Private;
pub(crate) use report::markdown;

/// Where plans are kept, in the state's own bucket, so that a rule of its lifecycle can name them.
pub(crate) const PREFIX: &str = kit::contract::reserved::PLANS;

fn object_of(key: &str, id: &str) -> String {
    format!("{PREFIX}{key}/{id}")
}

/// # Errors
/// The tool's, AWS's, or a state that changed although it is locked.
pub(crate) async fn plan(args: args::Plan, cx: &Cx) -> Result<Report> {
    let pull = pull::of(&cx.env);
    let number = args.pull_request.or(pull.and_then(|pull| pull.number));
    let report = if args.read_only || pull.is_some() {
        look(&args, cx).await?
    } else {
        keep(&args, cx).await?
    };
    report::comment(report, number, cx).await
}

/// Plans without the lock and with the role that can only read.
async fn look(args: &args::Plan, cx: &Cx) -> Result<report::Planned> {
    let placed = place::to_read(&args.locked.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &placed, cx).await?;
    let arguments = args.options.arguments(&tool.directory)?;
    let opened = unless_interrupted(hold::open(&placed, Hold::Native, cx)).await?;
    let account = &opened.access.account;
    let reached = match &placed.backend.role {
        Some(role) => format!(", which reaches the state by {role},"),
        None => String::new(),
    };
    cx.host.info(format!(
        "planning with {}{reached} and without the lock {}: nothing is kept, and nobody is kept waiting",
        account.arn, opened.lock.id
    ));
    init(&tool, &placed, &opened.access, cx).await?;
    let private = Private::new(cx)?;
    let changes = make(
        &tool,
        &arguments,
        &cx.env,
        &private,
        &mut Runs::Free(account),
    )
    .await?;
    Ok(report::Planned {
        changes,
        options: args.options.chosen("", &tool.directory)?.shown(),
        state: opened.lock.id.clone(),
        tool: tool.shown(),
        commit: commit(code, cx),
        kept: None,
    })
}

/// Plans under the lock and keeps the plan.
async fn keep(args: &args::Plan, cx: &Cx) -> Result<report::Planned> {
    let placed = place::of(&args.locked.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &placed, cx).await?;
    let arguments = args.options.arguments(&tool.directory)?;
    prepare(&tool, &placed, cx).await?;
    held(
        "plan",
        &placed,
        &args.locked.wait,
        cx,
        async |held: &mut Holding<'_>| {
            let objects = Objects::of(&placed, held.state_account(), cx);
            let salt = uuid::Uuid::new_v4().simple().to_string();
            let standing = || basis(&objects, &tool, &salt, &args.options, commit(code, cx));
            let before = unless_interrupted(standing()).await?;
            let private = Private::new(cx)?;
            let changes = make(&tool, &arguments, &cx.env, &private, &mut Runs::Held(held)).await?;
            let after = unless_interrupted(standing()).await?;
            if before != after {
                return Err(Error::failed(format!(
                    "{} changed while it was planned, although it is locked",
                    objects.name()
                ))
                .hint("somebody writes with -lock=false, or past Terraform: find out who"));
            }
            let plan = private.read()?;
            drop(private);
            let mut envelope =
                Envelope::new(&plan, salt.clone(), after, cx.clock.now(), args.valid_for);
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
/// A plan that no longer fits (exit 3), the tool's, or a state that is not what was written.
pub(crate) async fn apply(args: args::Apply, cx: &Cx) -> Result<Report> {
    let id = plan_id(&args.plan)?;
    if pull::of(&cx.env).is_some() {
        return Err(
            Error::refused("nothing is applied from a pull request's run")
                .hint("merge it first; the run on the branch plans and applies"),
        );
    }
    let placed = place::of(&args.locked.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &placed, cx).await?;
    args.options.arguments(&tool.directory)?;
    prepare(&tool, &placed, cx).await?;
    held(
        "apply",
        &placed,
        &args.locked.wait,
        cx,
        async |held: &mut Holding<'_>| {
            let objects = Objects::of(&placed, held.state_account(), cx);
            let key = object_of(&objects.key, id);
            let (envelope, private) =
                unless_interrupted(fetch(&objects, &key, id, &tool, &args, cx)).await?;
            cx.host.info(format!(
                "applying plan {id} by {}: {}",
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
                return Err(held.rescued(error).await);
            }
            let standing = verified(&objects, held.lock(), &envelope).await?;
            // A plan is applied once: its state has moved on. What is left of it holds secrets.
            if let Err(error) = objects.remove(&key).await {
                cx.host.warn(format!(
                    "the applied plan is still in the bucket: {}",
                    error.message
                ));
            }
            Ok(report::applied(&objects.name(), id, &envelope, &standing))
        },
    )
    .await
}

/// # Errors
/// Something differs from the state (exit 6), the tool's, or AWS's.
pub(crate) async fn drift(args: args::Drift, cx: &Cx) -> Result<Report> {
    let placed = place::to_read(&args.state, cx)?;
    let code = &args.code;
    let tool = Tool::find(code.tool, code.directory.clone(), &placed, cx).await?;
    let opened = unless_interrupted(hold::open(&placed, Hold::Native, cx)).await?;
    let account = &opened.access.account;
    let mut arguments = args.values.arguments(&tool.directory)?;
    arguments.push("-refresh-only".to_owned());
    init(&tool, &placed, &opened.access, cx).await?;
    let private = Private::new(cx)?;
    let changes = make(
        &tool,
        &arguments,
        &cx.env,
        &private,
        &mut Runs::Free(account),
    )
    .await?;
    report::drift(&opened.lock.id, &changes)
}

/// What takes long and needs no lock: credentials and `init`.
async fn prepare(tool: &Tool<'_>, placed: &Placed, cx: &Cx) -> Result<()> {
    let role = placed.backend.role.as_ref();
    let net = Net::new(cx)?;
    let access = unless_interrupted(access(&net, &placed.target, role)).await?;
    init(tool, placed, &access, cx).await
}

/// Makes the folder ready, for a workspace that is there: Terraform would make one that is not, and
/// lock it for itself while it is held here (hashicorp/terraform#36088).
async fn init(tool: &Tool<'_>, placed: &Placed, access: &Access, cx: &Cx) -> Result<()> {
    let account = &access.account;
    let Some(name) = placed.backend.other_workspace() else {
        return tool.init(account).await;
    };
    let objects = Objects::of(placed, &access.state, cx);
    if unless_interrupted(objects.read()).await?.is_none() {
        return Err(Error::refused(format!(
            "there is no workspace `{name}`: {} does not exist",
            objects.name()
        ))
        .hint(format!(
            "make it: slipway-state run … -- sh -ec 'terraform init; terraform workspace new {name}'"
        )));
    }
    tool.init(account).await?;
    if let Some(prefix) = tool.workspace_prefix()? {
        return Err(Error::refused(format!(
            "the state of workspace `{name}` is not at {}: the backend's workspace_key_prefix is `{prefix}`",
            objects.name()
        ))
        .hint("leave workspace_key_prefix out, or run the tool yourself: slipway-state run -- COMMAND"));
    }
    Ok(())
}

async fn make(
    tool: &Tool<'_>,
    further: &[String],
    env: &Env,
    private: &Private,
    runs: &mut Runs<'_, '_>,
) -> Result<Changes> {
    let path = private.plan();
    let out = format!("-out={}", path.display());
    let mut arguments: Vec<&str> = further.iter().map(String::as_str).collect();
    arguments.push(&out);
    let applyable = tool.plan(&arguments, runs).await?;
    let mut changes = Changes::of(&tool.show(&path, runs).await?, applyable);
    if changes.incomplete.is_none() && options::narrowed(&arguments, env) {
        changes.incomplete = Some("targeted".to_owned());
    }
    Ok(changes)
}

/// Everything a plan rests on, as it is now.
async fn basis(
    objects: &Objects,
    tool: &Tool<'_>,
    salt: &str,
    options: &Options,
    commit: Option<String>,
) -> Result<Basis> {
    let state = objects.read().await?;
    let variables = tool.variables()?;
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Basis {
        state: objects.name(),
        standing: state.as_ref().map(StateFile::standing),
        content: state.as_ref().map(|state| sha256(&state.bytes)),
        commit,
        tool: tool.shown(),
        providers: providers(&tool.directory)?,
        variables: hashed(salt, pairs),
        workspace: tool.workspace().map(str::to_owned),
        options: options.chosen(salt, &tool.directory)?,
    })
}

/// The hash of the lock file, which says which build of each provider is used.
fn providers(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(".terraform.lock.hcl");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(sha256(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::failed(format!("cannot read {}", path.display())).because(error)),
    }
}

fn commit(code: &args::Code, cx: &Cx) -> Option<String> {
    let host = || cx.host.commit().ok().flatten().map(String::from);
    code.commit.clone().or_else(host)
}

fn plan_id(text: &str) -> Result<&str> {
    if text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Ok(text);
    }
    Err(Error::usage(format!("`{text}` is not the ID of a plan"))
        .hint("it is the output plan-id of `plan`: 64 hexadecimal digits"))
}

/// The kept plan, if it still fits, in a file for the tool.
async fn fetch(
    objects: &Objects,
    key: &str,
    id: &str,
    tool: &Tool<'_>,
    args: &args::Apply,
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
            .cause(why)
            .hint(format!(
                "somebody wrote s3://{}/{key}: find out who, and plan again",
                objects.bucket
            ))
    })?;
    let commit = commit(&args.code, cx);
    let now = basis(objects, tool, &envelope.salt, &args.options, commit).await?;
    let moved = envelope.moved(&now, cx.clock.now());
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

/// Looks at the source after the fact: the state is of the same lineage and not older, and its
/// digest was written. Terraform only logs a digest that it could not write.
async fn verified(objects: &Objects, lock: &Lock, envelope: &Envelope) -> Result<Standing> {
    let wrong = |what: String| {
        Error::failed(format!("applied, but {what}"))
            .hint("slipway-state verify-digest says how state and digest stand")
    };
    let Some(state) = objects.read().await? else {
        return Err(wrong(format!("there is no state at {}", objects.name())));
    };
    if let Some(planned) = &envelope.basis.standing
        && (planned.lineage != state.lineage || planned.serial > state.serial)
    {
        return Err(wrong(format!(
            "the state is number {} of lineage {}, and it was number {} of {}",
            state.serial, state.lineage, planned.serial, planned.lineage
        )));
    }
    let Some(item) = lock.item() else {
        return Ok(state.standing());
    };
    match kept_digest(item).await? {
        Some(kept) if kept == state.digest() => Ok(state.standing()),
        kept => Err(wrong(format!(
            "the state's digest in {} is {}, not {}",
            item.table,
            kept.as_deref().unwrap_or("missing"),
            state.digest()
        ))
        .hint("put it right: slipway-state repair-digest")),
    }
}
