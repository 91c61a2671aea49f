//! Runs the example repository's own files as GitHub and CodeBuild would: workflows under act, buildspecs by CodeBuild's
//! documented rules. Where the real thing is stricter, so is this.

pub mod act;
pub mod base;
pub mod chain;
pub mod export;
pub(crate) mod git;
pub mod hub;
pub mod ledger;
pub mod log;
pub mod story;
pub mod vault;
