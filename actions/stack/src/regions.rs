//! The plans of several regions, of which one ID names all: it is that of the last region that changes, whose change set names the
//! plans of those before it.

use crate::identity::{Before, Protects, empty_plan_id};
use crate::locate::Found;
use crate::search::{Search, search};
use crate::seen::Stack;
use kit::aws::Region;
use kit::error::{Error, Result};
use kit::id::PlanId;

/// The plan of each region that the ID binds; `None` for one in which nothing changes.
///
/// # Errors
/// There is no such plan, or it is for a region that is not among these (exit 3).
pub(crate) async fn bound(
    all: &[Found],
    plan: &PlanId,
    protects: &Protects,
) -> Result<Vec<Option<PlanId>>> {
    if all.len() == 1 {
        return Ok(vec![Some(plan.clone())]);
    }
    let mut stacks = Vec::new();
    for found in all {
        stacks.push(found.client.stack(&found.name).await?);
    }
    let there: Option<Vec<&Stack>> = stacks.iter().map(Option::as_ref).collect();
    if there.is_some_and(|there| empty_plan_id(&there, protects) == plan.as_str()) {
        return Ok(vec![None; all.len()]);
    }
    for (index, found) in all.iter().enumerate().rev() {
        let Some(stack) = &stacks[index] else {
            continue;
        };
        let before = match search(&found.client, stack, plan, protects).await? {
            Search::Open(_, made) => made.after,
            // Where its change set is gone, it was executed after those of the regions before it.
            Search::Started(execution) => execution.made.map(|it| it.after).unwrap_or_default(),
            Search::Nothing | Search::Unknown => continue,
        };
        let regions: Vec<&Region> = all.iter().map(|it| &it.account.region).collect();
        return parts(&regions, index, plan, &before);
    }
    Err(
        Error::refused(format!("there is no plan {plan} in any of the regions"))
            .cause("its change sets were deleted, or the stacks changed since")
            .hint("plan again, and have the new plan approved"),
    )
}

/// The plans by region, with that of the last one that changes at `last`.
fn parts(
    regions: &[&Region],
    last: usize,
    plan: &PlanId,
    before: &[Before],
) -> Result<Vec<Option<PlanId>>> {
    let mut found = vec![None; regions.len()];
    for Before { region, plan } in before {
        let at = regions[..last].iter().position(|known| *known == region);
        let Some(at) = at else {
            return Err(Error::refused(format!(
                "the plan changes {region} before {}, which is not so here",
                regions[last]
            ))
            .hint("apply with the regions that the plan was made with"));
        };
        found[at] = Some(plan.clone());
    }
    found[last] = Some(plan.clone());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Exit;

    #[test]
    fn the_last_plan_names_those_of_the_regions_before_it() {
        let region = |name: &str| name.parse::<Region>().unwrap();
        let id = |digit: &str| digit.repeat(64).parse::<PlanId>().unwrap();
        let (one, two, three) = (
            region("ca-central-1"),
            region("eu-west-1"),
            region("us-east-1"),
        );
        let regions = [&one, &two, &three];
        let before = |region: &Region| Before {
            region: region.clone(),
            plan: id("1"),
        };
        let found = parts(&regions, 1, &id("2"), &[before(&one)]).unwrap();
        assert_eq!(found, [Some(id("1")), Some(id("2")), None]);
        for wrong in [&three, &region("us-west-2")] {
            let error = parts(&regions, 1, &id("2"), &[before(wrong)]).unwrap_err();
            assert_eq!(error.exit(), Exit::Refused);
        }
    }
}
