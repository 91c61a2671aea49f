//! `plan`, `apply` and `drift`: a plan is saved beside the state, bound to what it was made from, and
//! applied only while all of that still holds.

mod apply;
pub(crate) mod args;
mod attributes;
mod changes;
pub(crate) mod envelope;
mod hidden;
mod make;
mod options;
mod prepare;
mod private;
mod render;
mod report;
mod text;

pub(crate) use apply::apply;
pub(crate) use make::{drift, plan};
pub(crate) use private::Private;
pub(crate) use report::markdown;

/// Where plans are saved, in the state's own bucket, so that a rule of its lifecycle can name them.
pub(crate) const PREFIX: &str = kit::contract::reserved::PLANS;
