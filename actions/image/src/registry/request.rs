//! The purpose of a request to a registry.

use super::attempt::attempt;
use kit::Error;
use reqwest::{RequestBuilder, Response};

/// The purpose of a request, as its errors name it.
#[derive(Debug)]
pub(crate) struct Request {
    action: String,
    repository: String,
    /// The registry's account and region, for the log of calls.
    account_and_region: String,
}

impl Request {
    /// `action` ends where the repository's name follows.
    pub(super) fn new(action: String, repository: String, account_and_region: String) -> Self {
        Self {
            action,
            repository,
            account_and_region,
        }
    }

    /// Sends it, and logs the call.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        net::send_to_registry(request, &self.account_and_region, attempt()).await
    }

    /// The request failed (exit 1).
    pub(super) fn failed(&self) -> Error {
        Error::failed(format!("cannot {self}")).about(&self.repository)
    }

    /// The request is refused here (exit 3).
    pub(super) fn refused(&self) -> Error {
        Error::refused(format!("cannot {self}")).about(&self.repository)
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.action, self.repository)
    }
}
