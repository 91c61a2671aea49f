//! The boundary behind which IAM's permission policies belong. Today every authenticated call is permitted
//! and recorded, so that a test can compare what was called with what a role's policies grant.

use crate::call::Call;
use crate::error::AwsError;
use crate::identity::Principal;

/// Decides whether a principal may make a call.
pub(crate) struct Permissions;

impl Permissions {
    /// Whether the call may go on. Identity policies are not evaluated; trust, repository and bucket policies are,
    /// where those resources are reached.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the boundary's shape is that of the evaluation that goes here"
    )]
    pub(crate) fn check(&self, _principal: &Principal, _call: &Call) -> Result<(), AwsError> {
        Ok(())
    }
}
