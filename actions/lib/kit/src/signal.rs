//! The two signals with which runners cancel a job.

use crate::error::{Error, ErrorKind, Result};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The listener from the start of a step, so that no signal falls between two that are waited
/// for.
struct Listener {
    interrupt: Signal,
    terminate: Signal,
    received: Option<&'static str>,
}

static LISTENER: OnceLock<Mutex<Listener>> = OnceLock::new();

/// From now on a signal stays seen: nothing that can be interrupted begins after it.
pub fn remember() {
    if let (Ok(interrupt), Ok(terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        let _ = LISTENER.set(Mutex::new(Listener {
            interrupt,
            terminate,
            received: None,
        }));
    }
}

/// The signal that came since [`remember`], if one did.
pub fn seen() -> Option<&'static str> {
    let mut listener = LISTENER
        .get()?
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut context = Context::from_waker(Waker::noop());
    if listener.received.is_none() {
        if let Poll::Ready(Some(())) = listener.interrupt.poll_recv(&mut context) {
            listener.received = Some("SIGINT");
        } else if let Poll::Ready(Some(())) = listener.terminate.poll_recv(&mut context) {
            listener.received = Some("SIGTERM");
        }
    }
    listener.received
}

/// The signals that arrive from now on, one after the other.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens; `None` if neither signal can be listened for, whose default action then ends the process.
    pub fn listen() -> Option<Self> {
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }

    /// Waits for the next one and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Waits for SIGINT or SIGTERM and returns its name, at once where one was seen already. Never
/// returns if neither can be listened for: the signal's default action then ends the process.
pub async fn interrupted() -> &'static str {
    if let Some(name) = seen() {
        return name;
    }
    match Signals::listen() {
        Some(mut signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// Does `work`, and drops it where it waits when a signal comes.
///
/// # Errors
/// The work's, or that it was interrupted (exit 130).
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    unless(work, |signal| {
        Error::new(ErrorKind::Interrupted, format!("interrupted by {signal}"))
    })
    .await
}

/// The same, with the error that the caller makes of the signal's name.
///
/// # Errors
/// The work's, or `interrupted`.
pub async fn unless<T>(
    work: impl Future<Output = Result<T>>,
    interrupted_by: impl FnOnce(&'static str) -> Error,
) -> Result<T> {
    tokio::select! {
        // The signals are listened for before the work begins: until then they end the process.
        biased;
        signal = interrupted() => Err(interrupted_by(signal)),
        result = work => result,
    }
}
