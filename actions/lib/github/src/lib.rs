//! All access to GitHub: octocrab on our own HTTP client. An answer is a fact or a typed `Unknown`
//! that names the missing permission; a list is read to its end or not at all.

mod address;
mod answer;
mod client;
mod comments;
mod deployments;
mod facts;
mod files;
mod graphql;
mod history;
mod issues;
mod kept;
mod model;
mod problem;
mod pull;
mod pull_run;
mod pulls;
mod repository;
mod unknown;

pub use address::token;
pub use client::GitHub;
pub use comments::{COMMENT_LIMIT, comment_plan};
pub use deployments::{NewDeployment, State};
pub use files::{Changes, Content, Entry};
pub use history::{Base, HISTORY_LIMIT, History, RANGE_LIMIT, Range, RangeCommit};
pub use issues::{Issue, IssueChange};
pub use kept::{Exchange, Transcript};
pub use model::{
    Activity, App, CheckRun, Comparison, Deployment, DeploymentStatus, Permission, Run, User,
};
pub use pull::{Event, Pull, PullCommit, Review, Signer};
pub use pull_run::{PullRun, pull_run};
pub use pulls::PullState;
pub use repository::Repository;
pub use unknown::{Unknown, Why};
