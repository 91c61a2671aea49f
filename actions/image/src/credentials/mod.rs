//! How a registry token reaches Docker without touching a disk or an argument list: this binary
//! is Docker's credential helper too, and asks the step that runs Docker over a private socket.

pub(crate) mod helper;
mod server;
mod socket;

pub(crate) use server::Server;

use kit::Secret;

/// The helper's name as `config.json` knows it; Docker runs `docker-credential-NAME`.
pub(crate) const HELPER: &str = "slipway-image";
/// The variable that leads the helper to the socket.
pub(crate) const SOCKET: &str = "SLIPWAY_CREDENTIAL_SOCKET";

/// A user name and its password.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) secret: Secret,
}

/// The host in what Docker calls a server: `https://index.docker.io/v1/`, `1.2.3.4:5000`.
pub(crate) fn host(server: &str) -> &str {
    let server = server.trim();
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host() {
        for (server, wanted) in [
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("127.70.3.1:4002\n", "127.70.3.1:4002"),
            ("http://localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(host(server), wanted);
        }
    }
}
