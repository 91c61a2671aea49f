//! The gate of an environment as the steps see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The conditions under which a digest may be promoted to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Is true if anything is checked. An environment that follows another is always gated.
    pub required: bool,
    /// The branch the commit must be on.
    pub branch: String,
    /// Approvals each pull request needs from people who did not write it.
    pub approvals: u32,
    /// Check runs that must have succeeded on the pull request's head, as `name` or `name@app-id`.
    pub checks: Vec<String>,
    /// The workflow file a promotion must come from, e.g. `.github/workflows/promote.yml`.
    pub workflow: Option<String>,
    // The settings below are not written if the gate does not declare them, so that the hash of a gate in older records stays the same.
    /// The people whose reviews of pull requests count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewers: Option<Reviewers>,
    /// The name that the branch had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formerly: Option<Formerly>,
    /// The commit from which a first promotion is examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Commits that are accepted although no pull request, or an unproven merge, brought them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_commits: Vec<String>,
    /// How long, in seconds, a digest must have been healthy in the previous environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<u64>,
    /// True if the previous environment must run the digest now, healthy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub still_running: bool,
    /// Times in which nothing is promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// SSM Change Calendars that must all be open, by name or ARN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<String>,
    /// Reviews that a rollback needs: the count of `approve`, unless the contract says otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollback_approvals: u32,
    /// The people who may promote although rules refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// The people who approve each promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// Providers and modules of the infrastructure code that need not be pinned, by their sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned: Vec<String>,
    /// True if infrastructure is applied only as a plan that the permit names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plan: bool,
}

impl Gate {
    /// A gate that asks for this many approvals of changes on `main`, and for nothing else.
    pub fn of_approvals(approvals: u32) -> Self {
        Self {
            required: true,
            branch: "main".to_owned(),
            approvals,
            checks: Vec::new(),
            workflow: None,
            reviewers: None,
            formerly: None,
            since: None,
            accepted_commits: Vec::new(),
            soak: None,
            still_running: false,
            freeze: Vec::new(),
            calendars: Vec::new(),
            rollback_approvals: 0,
            break_glass: None,
            approve: None,
            unpinned: Vec::new(),
            plan: false,
        }
    }
}

/// The people whose reviews of pull requests count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewers {
    /// Their names under `people`.
    pub people: Vec<String>,
    /// Teams on GitHub, ORGANIZATION/TEAM, whose members' reviews count too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
}

impl fmt::Display for Reviewers {
    /// Each person and team, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let teams = self.teams.iter();
        let teams = teams.map(|team| format!("the members of {team}"));
        let all: Vec<String> = self.people.iter().cloned().chain(teams).collect();
        f.write_str(&all.join(", "))
    }
}

/// The name that a gate's branch had before. GitHub keeps it in the pull requests that were merged then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formerly {
    /// That name.
    pub branch: String,
    /// The last day, in UTC, of merges under it, as `YYYY-MM-DD`.
    pub until: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Times in which nothing is promoted, in local time. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// IANA name of the time zone.
    pub time_zone: String,
    /// The weekdays; empty means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// `HH:MM` at which it begins; `None` is the beginning of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `HH:MM` at which it ends, on the next day if that is not after `from`; `None` is the end of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// First and last day, `YYYY-MM-DD`, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<(String, String)>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// The people who may promote although rules refuse, and the time for which they may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Their GitHub logins.
    pub people: Vec<String>,
    /// Seconds for which they may go on before somebody else must review.
    pub expires: u64,
}

/// The people who approve each promotion, on record, before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// How many of them must approve.
    pub count: u32,
    /// Those who may, by their names under `people`.
    pub people: Vec<String>,
    /// Teams on GitHub, ORGANIZATION/TEAM, whose members may too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Seconds for which a request can be approved and used.
    pub expires: u64,
    /// How they are notified of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// Another repository on GitHub whose runs may answer requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// How people are notified of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// By an issue of the repository on GitHub.
    Issue,
    /// By the SNS topic of this name in the build account and region.
    Topic(String),
}

impl Notify {
    /// Reads what the contract says, which the pattern of the text has checked.
    pub(in crate::contract) fn of(text: &str) -> Self {
        match text.strip_prefix("sns:") {
            Some(topic) => Self::Topic(topic.to_owned()),
            None => Self::Issue,
        }
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issue => f.write_str("issue"),
            Self::Topic(name) => write!(f, "sns:{name}"),
        }
    }
}

impl Serialize for Notify {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Notify {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let notify = Self::of(&text);
        match notify.to_string() == text {
            true => Ok(notify),
            false => Err(serde::de::Error::custom(format!(
                "`{text}` is not a way to notify people of a request"
            ))),
        }
    }
}
