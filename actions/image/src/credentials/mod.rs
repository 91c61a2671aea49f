//! How a registry token reaches Docker without touching a disk or an argument list: this binary
//! is Docker's credential helper too, and asks the step that runs Docker over a private socket.

pub(crate) mod helper;
mod login;
mod server;
mod socket;
pub(crate) mod users;

pub(crate) use login::{Login, Logins, account_and_region_of, host, is_ecr};
pub(crate) use server::Server;

/// The helper's name as `config.json` knows it; Docker runs `docker-credential-NAME`.
pub(crate) const HELPER: &str = "slipway-image";
/// The variable that leads the helper to the socket.
pub(crate) const SOCKET: &str = "SLIPWAY_CREDENTIAL_SOCKET";
