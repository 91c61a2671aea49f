//! All access to GitHub: octocrab on our own HTTP client. An answer is a fact or a typed `Unknown`
//! that names the missing permission; a list is read to its end or not at all.

mod address;
mod answer;
mod client;
mod comments;
mod deployments;
mod facts;
mod model;
mod repository;
mod unknown;

pub use address::token;
pub use client::GitHub;
pub use comments::COMMENT_LIMIT;
pub use deployments::{NewDeployment, State};
pub use model::{
    Activity, App, CheckRun, Commit, Comparison, Deployment, DeploymentStatus, GitActor, GitCommit,
    Permission, Pull, PullBase, PullHead, RepositoryName, Review, Run, User,
};
pub use repository::Repository;
pub use unknown::{Unknown, Why};
