//! Back to an earlier version of the state: its content, counted on from the state as it is, with
//! its digest, under the lock. The infrastructure is not touched.

use super::seen::StateRollback;
use super::{Change, args, change_digest, difference, report, verify_written};
use crate::backend::Hold;
use crate::hold::{self, HeldLock, held};
use crate::locate;
use crate::object::{Found, Objects, StateFile};
use kit::error::{Error, Result};
use kit::report::Report;
use kit::signal::unless_interrupted;
use kit::step::Cx;

/// How far back a state of the same lineage is looked for where the newest version is not one.
const BACK: usize = 50;

/// # Errors
/// No such version, or one that is not a state (exit 3), or AWS's.
pub(crate) async fn rollback(args: args::Rollback, cx: &Cx) -> Result<Report> {
    let located = locate::of(&args.locked.state, cx)?;
    if args.dry_run {
        let opened = unless_interrupted(hold::open(&located, Hold::Native, cx)).await?;
        let objects = Objects::of(&located, &opened.access.state, cx);
        let back = unless_interrupted(find(&objects, &args.to_version)).await?;
        return Ok(report::rolled_back(&objects, back.as_ref(), true));
    }
    held(
        "rollback",
        &located,
        &args.locked.wait,
        cx,
        async |held: &mut HeldLock<'_>| {
            let objects = Objects::of(&located, held.state_account(), cx);
            let Some(back) = unless_interrupted(find(&objects, &args.to_version)).await? else {
                return Ok(report::rolled_back(&objects, None, false));
            };
            for line in &back.lines {
                cx.host.info(line);
            }
            held.renew_lease().await?;
            let instead_of = match back.current.stored() {
                Some(current) => current.etag.clone(),
                None => Some(String::new()),
            };
            let bytes = back.next.bytes.clone();
            objects
                .write(
                    &objects.key,
                    bytes,
                    "application/json",
                    instead_of.as_deref(),
                )
                .await?;
            let item = held.lock().item().cloned();
            if let Some(item) = &item {
                change_digest(held, item, Change::Write(&back.next))
                    .await
                    .map_err(|error| {
                        error.hint(format!(
                            "the state was restored, but not its digest; repair it: {}",
                            objects.command("repair-digest")
                        ))
                    })?;
            }
            verify_written(&objects, item.as_ref(), &back.next).await?;
            Ok(report::rolled_back(&objects, Some(&back), false))
        },
    )
    .await
}

/// The rollback to make; `None` if the state equals that version already. A person named the version, so the current
/// object is replaced whatever it is: the bucket keeps it.
async fn find(objects: &Objects, version: &str) -> Result<Option<StateRollback>> {
    let target = match objects.find(Some(version)).await? {
        Found::State(state, _) => state,
        Found::Nothing => {
            return Err(
                Error::refused(format!("{} has no version {version}", objects.name()))
                    .hint(format!("list them: {}", objects.command("versions"))),
            );
        }
        Found::Other(_, why) => {
            return Err(Error::refused(format!(
                "version {version} of {} is not a state",
                objects.name()
            ))
            .cause(why)
            .hint(format!(
                "list those that are: {}",
                objects.command("versions")
            )));
        }
    };
    let current = objects.find(None).await?;
    if current
        .stored()
        .is_some_and(|stored| stored.version.is_none())
    {
        return Err(Error::refused(format!(
            "the bucket {} would not keep what is there now",
            objects.bucket
        ))
        .hint(format!(
            "turn on its versioning: {}",
            objects.command("bootstrap")
        )));
    }
    let same = current
        .state()
        .filter(|state| state.lineage == target.lineage);
    let newest = match same {
        Some(state) => state.serial,
        // Terraform counts on within a lineage, whatever stood there in between.
        None => {
            let known = objects.known(BACK).await?;
            let states = known.into_iter().filter_map(|known| known.state);
            let serials = states
                .filter(|state| state.lineage == target.lineage)
                .map(|state| state.serial);
            serials.max().unwrap_or_default().max(target.serial)
        }
    };
    if let Some(state) = same
        && target.counted(state.serial)? == state.bytes
    {
        return Ok(None);
    }
    let odd = |error: serde_json::Error| {
        Error::failed("a version of the state is not a state").because(error)
    };
    let next = StateFile::parse(target.counted(newest + 1)?).map_err(odd)?;
    let before = current.state().map(|it| it.bytes.as_slice());
    Ok(Some(StateRollback {
        lines: difference::lines(before, &next.bytes),
        version: version.to_owned(),
        current,
        next,
    }))
}
