//! The infrastructure plan that is promoted along with a digest. Where the gate says `plan: true`, a permit names one, and
//! `slipway-state apply` and `slipway-stack apply` apply no other. Pure.

use crate::setting::Setting;
use kit::error::{Error, Result};
use kit::id::PlanId;

/// Returns true if the gate asks for a plan, and none is named. A rollback leaves the infrastructure as it is.
pub(crate) fn missing(setting: &Setting, plan: Option<&str>, rollback: bool) -> bool {
    setting.gate.plan && plan.is_none() && !rollback
}

/// How a person makes a plan.
pub(crate) fn next(environment: &str) -> String {
    format!(
        "plan the commit's infrastructure: slipway-state plan --environment {environment} --commit COMMIT (for a stack, slipway-stack plan), and name its ID: --plan ID"
    )
}

/// Refuses a plan that the gate does not ask for, to which nothing would hold `slipway-state`, and one for a rollback. An
/// action gets `rollback: false` as a value, so that clap cannot tell the two apart.
///
/// # Errors
/// As above (exit 2).
pub(crate) fn fits(setting: &Setting, plan: Option<&PlanId>, rollback: bool) -> Result<()> {
    if plan.is_none() {
        return Ok(());
    }
    if rollback {
        return Err(Error::usage("--plan does not apply to a rollback")
            .hint("omit --plan: a rollback leaves the infrastructure as it is"));
    }
    if setting.gate.plan {
        return Ok(());
    }
    let environment = &setting.environment;
    Err(Error::usage(format!(
        "--plan is given, but the gate of {environment} does not say `plan: true`"
    ))
    .hint(format!(
        "omit --plan, or write `plan: true` into the gate of {environment}"
    )))
}

/// Refuses to permit or to request anything without the plan that the gate asks for.
///
/// # Errors
/// None is named (exit 3), or as [`fits`].
pub(crate) fn needed(setting: &Setting, plan: Option<&PlanId>, rollback: bool) -> Result<()> {
    fits(setting, plan, rollback)?;
    if !missing(setting, plan.map(PlanId::as_str), rollback) {
        return Ok(());
    }
    let environment = &setting.environment;
    Err(Error::refused(format!(
        "the gate of {environment} says `plan: true`, and no plan is named"
    ))
    .hint(next(environment))
    .hint("in promote.yml: -f plan=new plans in the same run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::setting;
    use kit::Exit;

    #[test]
    fn a_plan_is_named_where_the_gate_asks_for_one_and_nowhere_else() {
        let plan = PlanId::of(b"plan");
        for (asks, plan, rollback, wanted) in [
            (true, Some(&plan), false, Ok(())),
            (true, None, false, Err(Exit::Refused)),
            (true, None, true, Ok(())),
            (true, Some(&plan), true, Err(Exit::Usage)),
            (false, None, false, Ok(())),
            (false, Some(&plan), false, Err(Exit::Usage)),
        ] {
            let mut setting = setting();
            setting.gate.plan = asks;
            let found = needed(&setting, plan, rollback).map_err(|error| {
                assert!(!error.hints.is_empty());
                error.exit()
            });
            assert_eq!(found, wanted, "{asks} {plan:?} {rollback}");
        }
    }
}
