//! The reports of the verbs.

pub(crate) mod apply;
pub(crate) mod drift;
pub(crate) mod plan;
pub(crate) mod recover;
pub(crate) mod regions;
pub(crate) mod status;
