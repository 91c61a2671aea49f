//! The two signals with which runners cancel a job.

use crate::error::{Error, Result};
use crate::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT or SIGTERM and returns its name. Never returns if neither can be listened
/// for: the signal's default action then ends the process.
pub async fn interrupted() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Does `work`, and drops it where it waits when a signal comes.
///
/// # Errors
/// The work's, or that it was interrupted (exit 130).
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = work => result,
        signal = interrupted() => Err(Error::new(
            Exit::Interrupted,
            format!("interrupted by {signal}"),
        )),
    }
}
