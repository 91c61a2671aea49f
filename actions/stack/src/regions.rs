//! The plan of several regions, which is one thing that is reviewed: its ID is that of the last region that changes, whose change set
//! names the plans of all others, and the stacks of those in which nothing changes, as they were.

use crate::identity::{AsItIs, Made, Planned, Protects, Regional, empty_plan_id};
use crate::locate::Found;
use crate::search::{Search, search};
use kit::aws::Region;
use kit::error::{Error, Result};
use kit::id::PlanId;

/// What an ID binds in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The plan of the region.
    Plan(PlanId),
    /// No change of a resource: the ID of the stack as it was.
    Same(PlanId),
    /// The change set that would say so is gone. It was executed after those of the regions before it.
    Before,
}

/// What the ID binds in each region, before anything of it is executed.
///
/// # Errors
/// There is no such plan, it is of other regions, or one of them is not as it was when it was planned (exit 3).
pub(crate) async fn bound(all: &[Found], plan: &PlanId, protects: &Protects) -> Result<Vec<Bound>> {
    if all.len() == 1 {
        return Ok(vec![Bound::Plan(plan.clone())]);
    }
    let regions: Vec<&Region> = all.iter().map(|it| &it.account.region).collect();
    let mut there = Vec::new();
    for found in all {
        let stack = found.client.stack(&found.name).await?;
        there.push(stack);
    }
    let mut found = None;
    for (index, here) in all.iter().enumerate().rev() {
        let Some(stack) = &there[index] else {
            continue;
        };
        let made = match search(&here.client, stack, plan, protects).await? {
            Search::Open(_, made) => Some(made),
            Search::Started(execution) => execution.made,
            Search::Nothing | Search::Unknown => continue,
        };
        found = Some(match made {
            Some(made) => parts(&regions, index, plan, &made).map_err(|error| *error)?,
            None => gone(regions.len(), index, plan),
        });
        break;
    }
    if let Some(parts) = found {
        for (part, here) in parts.iter().zip(all) {
            check(here, part, plan, protects).await?;
        }
        return Ok(parts);
    }
    if let Some(same) = unchanged(all, &there, plan, protects).await? {
        return Ok(same);
    }
    Err(
        Error::refused(format!("there is no plan {plan} in any of the regions"))
            .cause(
                "its change sets were deleted, the stacks changed since, or it is of other regions",
            )
            .hint("plan again, and have the new plan approved"),
    )
}

/// The stacks of a plan that changes nothing in any region, if they are as they were.
async fn unchanged(
    all: &[Found],
    there: &[Option<crate::seen::Stack>],
    plan: &PlanId,
    protects: &Protects,
) -> Result<Option<Vec<Bound>>> {
    let mut stacks = Vec::new();
    for (found, stack) in all.iter().zip(there) {
        match stack {
            Some(stack) if stack.status != crate::standing::REVIEW => {
                stacks.push(found.client.as_it_is(stack).await?);
            }
            _ => return Ok(None),
        }
    }
    if empty_plan_id(&stacks, protects) != plan.as_str() {
        return Ok(None);
    }
    let same = |one: &AsItIs| empty_plan_id(std::slice::from_ref(one), protects);
    let ids = stacks.iter().map(|one| same(one).parse());
    let parts: std::result::Result<Vec<PlanId>, _> = ids.collect();
    Ok(parts
        .ok()
        .map(|ids| ids.into_iter().map(Bound::Same).collect()))
}

/// Checks that a region is as it was when it was planned.
///
/// # Errors
/// It is not, or its change set is gone (exit 3).
pub(crate) async fn check(
    here: &Found,
    part: &Bound,
    whole: &PlanId,
    protects: &Protects,
) -> Result<()> {
    let region = &here.account.region;
    let stack = || here.client.stack(&here.name);
    let other = |why: &str| {
        Error::refused(format!(
            "the stack {} in {region} is not as it was when plan {whole} was made",
            here.name
        ))
        .cause(why)
        .hint("plan again, and have the new plan approved")
    };
    match part {
        Bound::Before => Ok(()),
        Bound::Plan(plan) if plan == whole => Ok(()),
        Bound::Plan(plan) => {
            let Some(stack) = stack().await? else {
                return Err(other("it is gone"));
            };
            match search(&here.client, &stack, plan, protects).await? {
                Search::Open(..) | Search::Started(_) => Ok(()),
                Search::Nothing | Search::Unknown => Err(other(
                    "its change set, which is a part of the plan, is not there any more",
                )),
            }
        }
        Bound::Same(wanted) => {
            let Some(stack) = stack().await? else {
                return Err(other("it is gone"));
            };
            let as_it_is = here.client.as_it_is(&stack).await?;
            match empty_plan_id(&[as_it_is], protects) == wanted.as_str() {
                true => Ok(()),
                false => Err(other(
                    "the plan showed no changes there, and the stack, its parameters or its template changed since",
                )),
            }
        }
    }
}

/// What the last change set says of each region; its own is the one at `last`.
fn parts(
    regions: &[&Region],
    last: usize,
    plan: &PlanId,
    made: &Made,
) -> Result<Vec<Bound>, Box<Error>> {
    together(made, regions[last], regions, plan)?;
    let part = |it: &Regional| match &it.part {
        Planned::Plan(plan) => Some(Bound::Plan(plan.clone())),
        Planned::Same(id) => Some(Bound::Same(id.clone())),
        Planned::Own(()) => Some(Bound::Plan(plan.clone())),
        Planned::Later(()) => None,
    };
    let parts: Option<Vec<Bound>> = made.regions.iter().map(part).collect();
    parts.ok_or_else(|| {
        Box::new(
            Error::refused(format!(
                "plan {plan} is a part of a plan of several regions, and not the whole"
            ))
            .hint("apply the plan that `slipway-stack plan` named, or plan again"),
        )
    })
}

/// The same where its change set is gone.
fn gone(regions: usize, last: usize, plan: &PlanId) -> Vec<Bound> {
    let mut parts = vec![Bound::Before; regions];
    parts[last] = Bound::Plan(plan.clone());
    parts
}

/// Refuses a plan that is of other regions than those that it is applied to: it is reviewed, and so applied, as a whole.
///
/// # Errors
/// Exit 3, with the regions that it is of.
pub(crate) fn together(
    made: &Made,
    own: &Region,
    given: &[&Region],
    plan: &PlanId,
) -> Result<(), Box<Error>> {
    let planned: Vec<&Region> = match made.regions.as_slice() {
        [] => vec![own],
        several => several.iter().map(|it| &it.region).collect(),
    };
    if planned == given {
        return Ok(());
    }
    let list = |all: &[&Region]| {
        let names: Vec<&str> = all.iter().map(|region| region.as_str()).collect();
        names.join(", then ")
    };
    let flags: Vec<String> = planned
        .iter()
        .map(|region| format!("--region {region}"))
        .collect();
    Err(Box::new(
        Error::refused(format!(
            "plan {plan} is of {}, and not of {}",
            list(&planned),
            list(given)
        ))
        .hint(format!("apply it as it was planned: {}", flags.join(" "))),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    fn region(name: &str) -> Region {
        name.parse().unwrap()
    }

    fn id(digit: &str) -> PlanId {
        digit.repeat(64).parse().unwrap()
    }

    #[test]
    fn the_last_change_set_binds_every_region_of_the_plan() {
        let names = ["ca-central-1", "eu-west-1", "us-east-1"].map(region);
        let [one, two, three] = &names;
        let made = |all: &[(&Region, Planned)]| Made {
            regions: all
                .iter()
                .map(|(region, part)| Regional {
                    region: (*region).clone(),
                    part: part.clone(),
                })
                .collect(),
            ..Made::default()
        };
        let own = || Planned::Own(());
        let whole = made(&[
            (one, Planned::Plan(id("1"))),
            (two, own()),
            (three, Planned::Same(id("3"))),
        ]);
        let found = parts(&[one, two, three], 1, &id("2"), &whole).unwrap();
        let wanted = [
            Bound::Plan(id("1")),
            Bound::Plan(id("2")),
            Bound::Same(id("3")),
        ];
        assert_eq!(found, wanted);
        // A region that was left out, that is new, or that comes in another order.
        for given in [&[one, two][..], &[two], &[two, one, three]] {
            let at = given.iter().position(|it| *it == two).unwrap();
            let error = parts(given, at, &id("2"), &whole).unwrap_err();
            assert_eq!(error.exit(), Exit::Refused);
            let hint = "--region ca-central-1 --region eu-west-1 --region us-east-1";
            assert!(error.to_string().contains(hint), "{error}");
        }
        let part = made(&[(one, own()), (two, Planned::Later(()))]);
        let error = parts(&[one, two], 0, &id("1"), &part).unwrap_err();
        assert!(error.to_string().contains("is a part of a plan"), "{error}");
        let alone = Made::default();
        assert!(together(&alone, two, &[two], &id("2")).is_ok());
        for given in [&[one, two][..], &[one]] {
            let error = together(&alone, two, given, &id("2")).unwrap_err();
            assert!(
                error.to_string().contains("is of eu-west-1, and not of"),
                "{error}"
            );
        }
        let wanted = [Bound::Before, Bound::Plan(id("2")), Bound::Before];
        assert_eq!(gone(3, 1, &id("2")), wanted);
    }
}
