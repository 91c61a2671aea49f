//! The one way to AWS and HTTP: TLS on ring, a resolver of our own, the host's roots or bundled
//! ones, proxies, temporary credentials per account and purpose, and the account guard.

mod account;
mod dns;
mod endpoint;
mod error;
mod http;
mod oidc;
mod renew;
mod roots;
mod signed;

pub use account::{Account, Purpose, Target, guard_credentials, is_role, session_name};
pub use endpoint::path_style;
pub use error::{AwsContext, cannot, code, no_answer};
pub use http::Net;
pub use oidc::id_token;
