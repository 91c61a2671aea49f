//! The attempt of a piece of work that is under way, for the log of calls.

tokio::task_local! {
    /// The attempt of [`super::Client::retry`] that is under way, counted from 1.
    pub(super) static ATTEMPT: u32;
}

/// The attempt that is under way, from 1.
pub(super) fn attempt() -> u32 {
    ATTEMPT.try_with(|attempt| *attempt).unwrap_or(1)
}
