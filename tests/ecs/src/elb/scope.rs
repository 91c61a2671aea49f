//! The account and region of a call, and what names there look like.

use std::net::TcpListener;
use std::sync::Arc;

use crate::Inner;
use crate::error::ApiError;
use crate::state::Region;

/// The account and the region of a call.
pub(crate) struct Scope<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

pub(super) fn arn(region: &Region, rest: &str) -> String {
    format!(
        "arn:aws:elasticloadbalancing:{}:{}:{rest}",
        region.name, region.account
    )
}

pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty()
        || name.len() > 32
        || !name.chars().all(valid)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        return Err(ApiError::new(
            "ValidationError",
            format!(
                "The name '{name}' can only contain characters that are alphanumeric characters or hyphens(-), and is at most 32 characters long"
            ),
        ));
    }
    Ok(())
}

/// The next free port at or after the first of load balancers.
pub(super) fn bind(inner: &Inner) -> Result<TcpListener, ApiError> {
    let first = inner.config.first_lb_port;
    let taken = (first..first.saturating_add(500))
        .find_map(|port| TcpListener::bind((inner.config.ip, port)).ok());
    taken.ok_or_else(|| {
        ApiError::new(
            "InternalFailure",
            format!("no free port from {first} on for a load balancer"),
        )
    })
}
