//! The gate of an environment as it is written.

use crate::contract::diagnostics::At;
use crate::contract::model::Weekday;
use crate::contract::text::{
    Approver, Branch, Calendar, CheckName, CommitHash, Day, Dependency, Login, Notify, Reason,
    Repository, Span, Text, TimeOfDay, TimeZone, WorkflowPath,
};
use schemars::JsonSchema;

/// The conditions under which a digest may be promoted to an environment.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct Gate {
    /// Approvals each pull request needs from people who did not write it; 1 when not given.
    #[schemars(extend("minimum" = 0, "maximum" = 100))]
    pub(in crate::contract) approvals: Option<At<u32>>,
    /// The people whose reviews of pull requests count, by their names under `people`, or a team on GitHub as ORGANIZATION/TEAM; everybody with write access when not given.
    #[schemars(extend("minItems" = 1))]
    pub(in crate::contract) reviewers: Option<At<Vec<At<Text<Approver>>>>>,
    /// Check runs that must have succeeded, as name or name@app-id.
    pub(in crate::contract) checks: Option<Vec<At<Text<CheckName>>>>,
    /// The branch the commit must be on; main when not given.
    pub(in crate::contract) branch: Option<At<Text<Branch>>>,
    /// The name that the branch had before; pull requests that were merged under it count until that day.
    pub(in crate::contract) formerly: Option<Formerly>,
    /// The workflow file a promotion must come from.
    pub(in crate::contract) workflow: Option<At<Text<WorkflowPath>>>,
    /// The commit from which a first promotion is examined; the branch's first one when not given.
    pub(in crate::contract) since: Option<At<Text<CommitHash>>>,
    /// Commits that are accepted although no pull request, or an unproven merge, brought them.
    pub(in crate::contract) accepted_commits: Option<Vec<At<Text<CommitHash>>>>,
    /// How long a digest must have been healthy in the environment this one follows, such as 2h; not asked when not given.
    pub(in crate::contract) soak: Option<At<Text<Span>>>,
    /// True if the environment this one follows must run the digest now, healthy; false when not given.
    pub(in crate::contract) still_running: Option<At<bool>>,
    /// Times in which nothing is promoted to this environment.
    pub(in crate::contract) freeze: Option<Vec<At<Freeze>>>,
    /// SSM Change Calendars that must all be open, by name or ARN; read with the role `read` of this environment.
    pub(in crate::contract) calendars: Option<Vec<At<Text<Calendar>>>>,
    /// The conditions of a rollback.
    pub(in crate::contract) rollback: Option<Rollback>,
    /// The people who may promote although rules refuse, for a short time and on record; nobody when not given.
    pub(in crate::contract) break_glass: Option<BreakGlass>,
    /// The people who approve each promotion, on record, before it is made; nobody when not given.
    pub(in crate::contract) approve: Option<Approve>,
    /// Providers and modules of the infrastructure code that need not be pinned, by their sources; none when not given.
    pub(in crate::contract) unpinned: Option<Vec<At<Text<Dependency>>>>,
    /// True if infrastructure is applied only as a plan that the permit names; false when not given.
    pub(in crate::contract) plan: Option<At<bool>>,
}

/// The name that a gate's branch had before.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct Formerly {
    /// That name.
    pub(in crate::contract) branch: At<Text<Branch>>,
    /// The day, in UTC, on which the branch was renamed; what was merged into a branch of that name later does not count.
    pub(in crate::contract) until: At<Text<Day>>,
}

/// Times in which nothing is promoted. All that is given must hold: the days from `first` to `last`, the weekdays, and the
/// time of day.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct Freeze {
    /// The time zone of days and times, by its IANA name, such as America/Toronto.
    pub(in crate::contract) time_zone: At<Text<TimeZone>>,
    /// The weekdays; every day when not given.
    #[schemars(extend("minItems" = 1))]
    pub(in crate::contract) weekdays: Option<Vec<At<Weekday>>>,
    /// The time of day at which it begins; 00:00 when not given.
    pub(in crate::contract) from: Option<At<Text<TimeOfDay>>>,
    /// The time of day at which it ends, on the next day if that is not after `from`; 24:00 when not given.
    pub(in crate::contract) to: Option<At<Text<TimeOfDay>>>,
    /// The first day.
    pub(in crate::contract) first: Option<At<Text<Day>>>,
    /// The last day, itself included.
    pub(in crate::contract) last: Option<At<Text<Day>>>,
    /// Why, for people who are refused.
    pub(in crate::contract) reason: Option<At<Text<Reason>>>,
}

/// The conditions of a rollback.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct Rollback {
    /// Reviews of the digest, on record, by people other than the one who rolls back; the count of the gate's `approve` when not given, and 0 without that.
    #[schemars(extend("minimum" = 0, "maximum" = 100))]
    pub(in crate::contract) approvals: Option<At<u32>>,
}

/// The people who may promote although rules refuse.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct BreakGlass {
    /// Their GitHub logins.
    #[schemars(extend("minItems" = 1))]
    pub(in crate::contract) people: At<Vec<At<Text<Login>>>>,
    /// How long they may go on before somebody else must review, at most 24h; 1h when not given.
    pub(in crate::contract) expires: Option<At<Text<Span>>>,
}

/// The people who approve each promotion, on record, before it is made.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::contract) struct Approve {
    /// How many of them must approve; 1 when not given.
    #[schemars(extend("minimum" = 1))]
    pub(in crate::contract) count: Option<At<u32>>,
    /// Those who may, by their names under `people`, or a team on GitHub as ORGANIZATION/TEAM.
    #[schemars(extend("minItems" = 1))]
    pub(in crate::contract) people: At<Vec<At<Text<Approver>>>>,
    /// How long a request can be approved and used, at most 7d; 24h when not given.
    pub(in crate::contract) expires: Option<At<Text<Span>>>,
    /// How they are notified of a request: by an issue of the repository on GitHub, or by an SNS topic of this name in the build
    /// account and region; nobody is notified when not given.
    pub(in crate::contract) notify: Option<At<Text<Notify>>>,
    /// Another repository on GitHub whose runs may answer requests, OWNER/NAME, for people without access to the code; none
    /// when not given.
    pub(in crate::contract) repository: Option<At<Text<Repository>>>,
}
