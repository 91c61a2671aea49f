//! A stateful stand-in for GitHub: the REST and GraphQL calls a promotion gate makes, and the Actions OIDC issuer.
//!
//! Written from GitHub's published documents. Every answer is validated against GitHub's own description before it leaves,
//! REST's against OpenAPI and GraphQL's against the schema; one that does not fit becomes a 500 and a [`Violation`]. The
//! control API is described in [`control`].

#![recursion_limit = "256"]

mod actions;
mod caller;
pub mod control;
mod description;
mod git;
mod graphql;
mod handle;
mod http;
mod journal;
mod oidc;
pub mod peer;
mod rest;
mod server;
mod state;
mod view;

use std::path::PathBuf;

pub use graphql::{Judge as GraphqlJudge, SchemaField, implemented as graphql_schema};
pub use journal::{CallRecord, Violation};
pub use server::{Standin, serve};

/// The stand-in's settings; everything else reaches it through the control API.
#[derive(Debug, Clone)]
pub struct Config {
    /// GitHub's OpenAPI description, `generated/api.github.com.json` of the npm package `@octokit/openapi`. It is read
    /// at the first answer that has to be checked.
    pub openapi: PathBuf,
    /// GitHub's GraphQL schema, `schema.json` of the npm package `@octokit/graphql-schema`, read likewise.
    pub graphql: PathBuf,
}

/// Why the stand-in could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `openssl` could not make the issuer's signing key.
    #[error("cannot make the OIDC signing key with openssl: {0}")]
    SigningKey(String),
    /// The listener or the accept loop failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] std::io::Error),
}
