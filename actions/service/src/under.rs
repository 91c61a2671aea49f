//! The report of the permit that a deployment runs under, as text and as JSON.

use kit::clock::rfc3339;
use ledger::Record;
use ledger::permit::begins_by;
use serde_json::{Value, json};

/// The permit that a deployment runs under, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedPermit {
    /// The number of its record.
    pub(crate) permit: u64,
    by: String,
    at: String,
    /// The command that records the deployment under it as failed, after which another permit can be granted.
    pub(crate) record_failed: String,
    expires: String,
    /// Until when the deployment can begin.
    begins_by: String,
    /// Whose reviews of the pull requests counted.
    reviewers: Vec<String>,
    /// The requests by which the promotion was approved.
    requests: Vec<u64>,
    /// True if the permit is for a rollback.
    pub(crate) rollback: bool,
    /// The reason of a break-glass, if the permit is for one.
    glass: Option<String>,
    /// The record that uses it up.
    pub(crate) started: Option<u64>,
    /// When this same run first began before, if it did.
    pub(crate) started_at: Option<String>,
    /// It began so long ago that nothing may be changed any more without another judgment, only followed.
    pub(crate) over: bool,
    /// The record with which this same run closed it: nothing may be changed any more, only verified.
    pub(crate) recorded: Option<u64>,
}

impl UsedPermit {
    pub(crate) fn of(record: &Record, started: Option<u64>) -> Self {
        let permit = record.permit.as_ref();
        let reviewers = permit.iter().flat_map(|permit| &permit.approvers);
        Self {
            permit: record.seq,
            by: record.actor.login.clone(),
            at: record.at.clone(),
            record_failed: format!(
                "slipway-promote record --environment {} --digest {} --commit {} --verdict failed",
                record.environment, record.digest, record.commit
            ),
            expires: permit.map(|it| it.expires.clone()).unwrap_or_default(),
            begins_by: begins_by(record).map(rfc3339).unwrap_or_default(),
            reviewers: reviewers.map(|actor| actor.login.clone()).collect(),
            requests: permit.map(|it| it.requests.clone()).unwrap_or_default(),
            rollback: record.rollback.is_some(),
            glass: record
                .break_glass
                .as_ref()
                .map(|glass| glass.reason.clone()),
            started,
            started_at: None,
            over: false,
            recorded: None,
        }
    }

    /// When this same run first began its deployment, unless it recorded that as healthy, which is over.
    pub(crate) fn began(&self) -> Option<&str> {
        self.started_at
            .as_deref()
            .filter(|_| self.recorded.is_none())
    }

    /// Why nothing may be changed under it any more, if so.
    pub(crate) fn closed(&self) -> Option<String> {
        if let Some(record) = self.recorded {
            return Some(format!(
                "this run recorded its deployment as healthy (record {record}), which closed its permit"
            ));
        }
        let began = self.started_at.as_deref().filter(|_| self.over)?;
        Some(format!(
            "this run began its deployment at {began}, more than an hour ago, so it has to be judged anew"
        ))
    }

    /// Number, who granted it, and who reviewed and approved what it permits.
    pub(crate) fn line(&self) -> String {
        let Self { permit, by, at, .. } = self;
        let mut line = format!("{permit}, granted by {by} at {at}");
        if self.rollback {
            line.push_str(", a rollback");
        }
        if let Some(reason) = &self.glass {
            line.push_str(&format!(", BREAK-GLASS: {reason}"));
        }
        if !self.reviewers.is_empty() {
            line.push_str(&format!(
                ", pull requests approved by {}",
                self.reviewers.join(", ")
            ));
        }
        if !self.requests.is_empty() {
            let requests: Vec<String> = self.requests.iter().map(u64::to_string).collect();
            line.push_str(&format!(", approved by request {}", requests.join(", ")));
        }
        line
    }

    /// The line about the permit that a run logs before it deploys. It names the record with which this same run began or
    /// ended the deployment earlier, if there is one.
    pub(crate) fn start_line(&self) -> String {
        let line = self.line();
        match (self.recorded, self.started) {
            (Some(recorded), _) => format!(
                "under permit {line}: this run deployed before and recorded it as healthy (record {recorded}), so nothing is changed, only verified"
            ),
            (None, Some(started)) if self.over => format!(
                "under permit {line}: this run began the deployment more than an hour ago (record {started}), so nothing is changed, only followed"
            ),
            (None, Some(started)) => {
                format!(
                    "under permit {line}: this run began the deployment before (record {started}) and goes on"
                )
            }
            (None, None) => format!(
                "under permit {line}, and it must begin before {}",
                self.begins_by
            ),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "record": self.permit,
            "granted_by": self.by,
            "granted_at": self.at,
            "expires": self.expires,
            "begins_by": self.begins_by,
            "reviewed_by": self.reviewers,
            "requests": self.requests,
            "rollback": self.rollback,
            "break_glass": self.glass,
            "started": self.started,
            "recorded": self.recorded,
        })
    }

    /// The line that tells a person that the permit is used up, for a deployment that ends before it is recorded.
    pub(crate) fn used_up(&self) -> String {
        format!(
            "permit {} is used up by record {}",
            self.permit,
            self.started.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(more: &Value) -> UsedPermit {
        let mut record = json!({
            "seq": 42, "at": "2026-11-21T18:00:00Z", "service": "storefront", "environment": "production",
            "digest": format!("sha256:{}", "a".repeat(64)), "commit": "c".repeat(40), "verdict": "permitted",
            "actor": {"login": "linus"},
            "permit": {"expires": "2026-11-21T19:00:00Z", "head": "0".repeat(64)},
        });
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        let record: Record = serde_json::from_value(record).unwrap();
        UsedPermit::of(&record, None)
    }

    #[test]
    fn a_permit_is_shown_with_its_number_and_who_granted_it() {
        let plain = under(&json!({}));
        assert_eq!(plain.line(), "42, granted by linus at 2026-11-21T18:00:00Z");
        let line = plain.start_line();
        assert!(
            line.ends_with(", and it must begin before 2026-11-21T18:10:00Z"),
            "{line}"
        );
        let back = under(&json!({"rollback": {}})).start_line();
        assert!(
            back.ends_with("must begin before 2026-11-21T19:00:00Z"),
            "{back}"
        );
        let json = plain.json();
        assert_eq!(
            (&json["record"], &json["started"]),
            (&json!(42), &Value::Null)
        );
        let resumed = UsedPermit {
            started: Some(43),
            ..plain
        };
        let recorded = UsedPermit {
            recorded: Some(44),
            ..resumed.clone()
        };
        assert!(
            recorded
                .start_line()
                .ends_with("(record 44), so nothing is changed, only verified")
        );
        assert_eq!(recorded.json()["recorded"], 44);
        assert!(resumed.start_line().contains("(record 43) and goes on"));
        assert_eq!(resumed.closed(), None);
        let over = UsedPermit {
            started_at: Some("2026-11-21T18:05:00Z".to_owned()),
            over: true,
            ..resumed.clone()
        };
        assert!(
            over.start_line()
                .ends_with("(record 43), so nothing is changed, only followed")
        );
        let why = over.closed().unwrap();
        assert!(
            why.contains("began its deployment at 2026-11-21T18:05:00Z"),
            "{why}"
        );
        assert!(recorded.closed().unwrap().contains("(record 44)"));
        assert_eq!(resumed.used_up(), "permit 42 is used up by record 43");
    }

    #[test]
    fn a_permit_for_a_rollback_or_a_break_glass_says_so() {
        let back = under(&json!({"rollback": {}}));
        assert!(back.line().ends_with(", a rollback"), "{}", back.line());
        let glass = json!({"reason": "the shop is down", "by": {"login": "eve"}, "expires": "2026-11-21T19:00:00Z"});
        let broken = under(&json!({"break_glass": glass}));
        assert!(broken.line().ends_with(", BREAK-GLASS: the shop is down"));
        assert_eq!(broken.json()["break_glass"], "the shop is down");
    }

    #[test]
    fn reviewers_of_the_change_and_approvals_of_the_promotion_are_shown_separately() {
        let mut permit = json!({"expires": "2026-11-21T19:00:00Z", "head": "0".repeat(64)});
        permit["approvers"] = json!([{"login": "grace", "id": 2}]);
        permit["requests"] = json!([5, 7]);
        let approved = under(&json!({ "permit": permit }));
        let line = approved.line();
        assert!(
            line.ends_with(", pull requests approved by grace, approved by request 5, 7"),
            "{line}"
        );
        let json = approved.json();
        assert_eq!(json["reviewed_by"], json!(["grace"]));
        assert_eq!(json["requests"], json!([5, 7]));
    }
}
