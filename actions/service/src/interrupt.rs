//! Work that can be interrupted: its stage says what a signal does there.

use kit::error::{Error, Result};
use kit::signal::Signals;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

/// How far the work has come.
pub(crate) trait Interruptible: Default {
    /// Returns true if the work goes on after the first signal, because it has to undo what it began.
    fn goes_on(&self) -> bool;

    /// The error of a run that a signal ends here: how far it got, and what to do next. `arguments` name the service.
    fn interrupted(&self, signal: &str, arguments: &str) -> Error;
}

/// The stage of the work, and the signal that cancels it.
#[derive(Debug, Default)]
pub(crate) struct Progress<S> {
    stage: RefCell<S>,
    signal: Cell<Option<&'static str>>,
    cancelled: Notify,
}

impl<S: Interruptible> Progress<S> {
    pub(crate) fn at(&self, stage: S) {
        self.stage.replace(stage);
    }

    /// Waits for the signal that cancels the work. One that came before counts.
    pub(crate) async fn cancelled(&self) -> &'static str {
        loop {
            if let Some(signal) = self.signal.get() {
                return signal;
            }
            self.cancelled.notified().await;
        }
    }

    /// Does the work. The first signal ends it where nothing has to be undone, and else cancels it; the second one ends it
    /// anywhere. A runner that cancels sends two, 7.5 s apart, and kills 2.5 s later (actions/runner, `ProcessInvoker.cs`).
    ///
    /// # Errors
    /// Those of the work, or a signal ended it.
    pub(crate) async fn run<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        arguments: &str,
    ) -> Result<T> {
        let mut work = std::pin::pin!(work);
        let Some(mut signals) = Signals::listen() else {
            return work.await;
        };
        let mut signal = tokio::select! {
            biased;
            signal = signals.next() => signal,
            result = &mut work => return result,
        };
        if self.stage.borrow().goes_on() {
            self.signal.set(Some(signal));
            self.cancelled.notify_one();
            signal = tokio::select! {
                biased;
                signal = signals.next() => signal,
                result = &mut work => return result,
            };
        }
        Err(self.stage.borrow().interrupted(signal, arguments))
    }
}
