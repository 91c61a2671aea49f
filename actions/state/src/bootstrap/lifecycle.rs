//! The rules that remove old versions and old plans from the bucket. Pure.

use super::bad;
use crate::plan::PREFIX;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use kit::error::Result;

/// An old version goes after so many days, but never one of the newest so many. Lock files leave
/// versions behind too.
const OLD_DAYS: i32 = 90;
const OLD_KEPT: i32 = 100;
/// A day more than a plan can be valid.
const PLAN_DAYS: i32 = 8;
const VERSIONS_RULE: &str = "slipway-old-versions";
const PLANS_RULE: &str = "slipway-plans";

/// The prefix of the objects that a rule applies to. `None`: it does not apply to every object under a prefix.
fn prefix(rule: &LifecycleRule) -> Option<&str> {
    let filter = rule.filter.as_ref();
    // A filter by tag or size does not match every object.
    if filter.is_some_and(|filter| {
        filter.tag.is_some()
            || filter.and.is_some()
            || filter.object_size_greater_than.is_some()
            || filter.object_size_less_than.is_some()
    }) {
        return None;
    }
    #[expect(deprecated, reason = "rules of buckets that are older than filters")]
    let old = rule.prefix.as_deref();
    Some(
        filter
            .and_then(|it| it.prefix.as_deref())
            .or(old)
            .unwrap_or_default(),
    )
}

/// Returns true if a rule removes old versions of everything.
pub(super) fn removes_versions(rules: &[LifecycleRule]) -> bool {
    rules.iter().any(|rule| {
        rule.status == ExpirationStatus::Enabled
            && prefix(rule) == Some("")
            && rule.noncurrent_version_expiration.is_some()
    })
}

/// Returns true if a rule removes plans that can no longer be applied.
pub(super) fn removes_plans(rules: &[LifecycleRule]) -> bool {
    rules.iter().any(|rule| {
        rule.status == ExpirationStatus::Enabled
            && prefix(rule) == Some(PREFIX)
            && rule.expiration.as_ref().is_some_and(|it| it.days.is_some())
            && rule.noncurrent_version_expiration.is_some()
    })
}

/// The rule that removes old versions.
pub(super) fn versions_rule() -> Result<LifecycleRule> {
    LifecycleRule::builder()
        .id(VERSIONS_RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .noncurrent_version_expiration(
            NoncurrentVersionExpiration::builder()
                .noncurrent_days(OLD_DAYS)
                .newer_noncurrent_versions(OLD_KEPT)
                .build(),
        )
        // A lock file that is released leaves the mark of its deletion.
        .expiration(
            LifecycleExpiration::builder()
                .expired_object_delete_marker(true)
                .build(),
        )
        .abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(7)
                .build(),
        )
        .build()
        .map_err(bad)
}

/// The rule that removes old plans.
pub(super) fn plans_rule() -> Result<LifecycleRule> {
    LifecycleRule::builder()
        .id(PLANS_RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(PREFIX).build())
        .expiration(LifecycleExpiration::builder().days(PLAN_DAYS).build())
        .noncurrent_version_expiration(
            NoncurrentVersionExpiration::builder()
                .noncurrent_days(1)
                .build(),
        )
        .build()
        .map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_rules_count_and_narrower_ones_do_not() {
        let ours = [versions_rule().unwrap(), plans_rule().unwrap()];
        assert!(removes_versions(&ours) && removes_plans(&ours));
        assert!(!removes_versions(&ours[1..]) && !removes_plans(&ours[..1]));
        let mut off = ours.clone();
        for rule in &mut off {
            rule.status = ExpirationStatus::Disabled;
        }
        assert!(!removes_versions(&off) && !removes_plans(&off));
        let mut narrow = versions_rule().unwrap();
        narrow.filter = Some(
            LifecycleRuleFilter::builder()
                .object_size_greater_than(9)
                .build(),
        );
        assert!(!removes_versions(&[narrow]));
    }
}
