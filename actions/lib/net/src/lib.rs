//! The one way to AWS and HTTP: TLS on ring, a resolver of our own, the host's roots or bundled
//! ones, proxies, temporary credentials per account and purpose, and the account guard.

mod account;
mod calls;
mod clock;
mod config;
mod dns;
mod endpoint;
mod error;
mod http;
mod keys;
mod mint;
mod oidc;
mod prose;
mod renew;
mod retry;
mod roots;
mod session;
mod signed;
mod target;

pub use account::Account;
pub use calls::{Call, account_and_region, request_id, send, send_to_registry, text};
pub use clock::ClockWasSet;
pub use endpoint::path_style;
pub use error::{AwsContext, cannot, code, failure, no_answer};
pub use http::Net;
pub use keys::guard_credentials;
pub use oidc::id_token;
pub use retry::{PollInterval, RetryPolicy};
pub use session::{SessionTag, session_name};
pub use signed::{RestCall, percent};
pub use target::{Purpose, Target};
