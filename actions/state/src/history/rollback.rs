//! Back to an earlier version of the state: its content, counted on from the state as it is, with
//! its digest, under the lock. The infrastructure is not touched.

use super::{args, difference, report, stands, write_digest};
use crate::args::Hold;
use crate::hold::{self, Holding, held};
use crate::object::{Objects, StateFile};
use crate::place;
use kit::error::{Error, Result};
use kit::report::Report;
use kit::signal::unless_interrupted;
use kit::step::Cx;

/// How far back a state is looked for where the newest version is a deletion.
const BACK: usize = 50;

/// What is to be written.
pub(super) struct Back {
    /// The state as it is now; `None` where it was deleted.
    current: Option<StateFile>,
    /// What comes in its place.
    pub(super) next: StateFile,
    /// What the two do not have in common.
    pub(super) lines: Vec<String>,
    pub(super) version: String,
}

/// # Errors
/// Another lineage or no such version (exit 3), or AWS's.
pub(crate) async fn rollback(args: args::Rollback, cx: &Cx) -> Result<Report> {
    let placed = place::find(&args.place, &args.object, cx)?;
    if args.dry_run {
        let opened = unless_interrupted(hold::open(&placed, Hold::Native, cx)).await?;
        let objects = Objects::of(&placed, &opened.account, cx);
        let back = unless_interrupted(find(&objects, &args.to_version)).await?;
        return Ok(report::rolled_back(&objects.name(), back.as_ref(), true));
    }
    held(
        "rollback",
        &placed,
        &args.wait,
        cx,
        async |held: &mut Holding<'_>| {
            let objects = Objects::of(&placed, held.account(), cx);
            let name = objects.name();
            let Some(back) = unless_interrupted(find(&objects, &args.to_version)).await? else {
                return Ok(report::rolled_back(&name, None, false));
            };
            for line in &back.lines {
                cx.host.info(line);
            }
            held.alive().await?;
            let instead_of = match &back.current {
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
            let item = held.lock().item.clone();
            if let Some(item) = &item {
                write_digest(held, item, &back.next)
                    .await
                    .map_err(|error| {
                        error.hint(
                            "the state is back, its digest is not: slipway-state repair-digest",
                        )
                    })?;
            }
            stands(&objects, item.as_ref(), &back.next).await?;
            Ok(report::rolled_back(&name, Some(&back), false))
        },
    )
    .await
}

/// What is to be done; `None` where the state is that version's already.
async fn find(objects: &Objects, version: &str) -> Result<Option<Back>> {
    let target = objects.read(Some(version)).await?.ok_or_else(|| {
        Error::refused(format!("{} has no version {version}", objects.name()))
            .hint("slipway-state versions shows them")
    })?;
    let current = objects.read(None).await?;
    let newest = match &current {
        Some(current) => current.clone(),
        None => {
            let known = objects.known(BACK).await?;
            let found = known.into_iter().find_map(|known| known.state);
            found.unwrap_or_else(|| target.clone())
        }
    };
    if newest.lineage != target.lineage {
        return Err(Error::refused(format!(
            "version {version} is of lineage {}, the state is of {}: they never had anything in common",
            target.lineage, newest.lineage
        ))
        .hint("a state that was made anew is replaced by hand: terraform state push -force"));
    }
    if let Some(current) = &current
        && target.counted(current.serial)? == current.bytes
    {
        return Ok(None);
    }
    let odd = |why| Error::failed("a version of the state is no state").cause(why);
    let next = StateFile::parse(target.counted(newest.serial + 1)?, None).map_err(odd)?;
    let before = current.as_ref().map(|it| it.bytes.as_slice());
    Ok(Some(Back {
        lines: difference::lines(before, &next.bytes),
        version: version.to_owned(),
        current,
        next,
    }))
}
