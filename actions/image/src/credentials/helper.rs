//! The helper's side of Docker's credential protocol: the verb is the argument, the server comes
//! on standard input, the login goes to standard output (docker/docker-credential-helpers,
//! "Development": `get`, `list`, `store`, `erase`).

use super::{HELPER, SOCKET, socket};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Docker goes on without a login when a helper fails with exactly this text.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Acts as Docker's credential helper if Docker called this process as one.
pub fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let own = arguments.next()?;
    if Path::new(&own).file_name() != Some(OsStr::new(&format!("docker-credential-{HELPER}"))) {
        return None;
    }
    // It holds a token for a moment, and the step's frame is not around it.
    kit::step::harden();
    let verb = arguments.next().unwrap_or_default();
    let (text, code) = match verb.to_str() {
        Some("get") => match get() {
            Ok(login) if login.is_empty() => (NOT_FOUND.to_owned(), ExitCode::FAILURE),
            Ok(login) => (login, ExitCode::SUCCESS),
            Err(error) => (
                format!("slipway-image does not answer: {error}"),
                ExitCode::FAILURE,
            ),
        },
        Some("list") => ("{}".to_owned(), ExitCode::SUCCESS),
        _ => (
            "slipway-image stores no credentials".to_owned(),
            ExitCode::FAILURE,
        ),
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Some(code)
}

fn get() -> std::io::Result<String> {
    let path = std::env::var_os(SOCKET).ok_or_else(|| {
        std::io::Error::other(format!(
            "{SOCKET} is not set; it works only for its own step"
        ))
    })?;
    let mut server = String::new();
    std::io::stdin().take(4096).read_to_string(&mut server)?;
    let mut stream = socket::via_short_path(Path::new(&path), UnixStream::connect)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(server.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut login = String::new();
    stream.read_to_string(&mut login)?;
    Ok(login)
}
