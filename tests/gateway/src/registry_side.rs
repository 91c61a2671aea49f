//! The registry of one account and region.

use std::sync::Arc;

use crate::Gateway;

/// The registry of one account and region.
#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) host: String,
}
