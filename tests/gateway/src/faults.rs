//! Faults on request: the next calls of a kind fail, hang or break off, and latency for benchmarks.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lock;

/// Faults that a test injects into a call.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// An AWS error instead of the call.
    Status {
        status: u16,
        code: String,
        message: Option<String>,
    },
    /// The call is done after this many milliseconds.
    Delay { millis: u64 },
    /// The call is done at once, and answered after this many milliseconds.
    LateAnswer { millis: u64 },
    /// The connection breaks; the call is not done.
    Cut,
    /// The call is done, and then the connection breaks: the caller cannot know.
    LostAnswer,
    /// The call is done, and its answer says a time that is off by so many seconds.
    Date { seconds: i64 },
    /// The call is done without its conditions, as by a server that does not know them.
    Unconditional,
}

/// A fault in waiting: for which calls, how often.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) service: String,
    pub(crate) operation: Option<String>,
    pub(crate) account: Option<String>,
    /// How many calls fail; 1 by default.
    #[serde(default = "once")]
    pub(crate) times: u32,
    pub(crate) fault: Kind,
}

fn once() -> u32 {
    1
}

/// The faults in waiting, and the added latency by service (`*` for all).
#[derive(Default)]
pub(crate) struct Faults {
    waiting: Mutex<Vec<Fault>>,
    latency: Mutex<HashMap<String, Duration>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        lock(&self.waiting).push(fault);
    }

    pub(crate) fn clear(&self, account: Option<&str>) {
        lock(&self.waiting)
            .retain(|fault| account.is_some() && fault.account.as_deref() != account);
    }

    /// Those that still wait for a call to strike.
    pub(crate) fn waiting(&self, account: Option<&str>) -> Vec<Fault> {
        let mut waiting = lock(&self.waiting).clone();
        waiting.retain(|fault| account.is_none() || fault.account.as_deref() == account);
        waiting
    }

    /// Takes the first fault that strikes this call.
    pub(crate) fn strike(
        &self,
        service: &str,
        operation: &str,
        account: Option<&str>,
    ) -> Option<Kind> {
        let mut waiting = lock(&self.waiting);
        let at = waiting.iter().position(|fault| {
            fault.service == service
                && fault
                    .operation
                    .as_deref()
                    .is_none_or(|wanted| wanted == operation)
                && fault
                    .account
                    .as_deref()
                    .is_none_or(|wanted| Some(wanted) == account)
        })?;
        waiting[at].times = waiting[at].times.saturating_sub(1);
        if waiting[at].times == 0 {
            Some(waiting.remove(at).fault)
        } else {
            Some(waiting[at].fault.clone())
        }
    }

    pub(crate) fn set_latency(&self, service: &str, latency: Duration) {
        lock(&self.latency).insert(service.to_owned(), latency);
    }

    fn latency(&self, service: &str) -> Duration {
        let latency = lock(&self.latency);
        latency
            .get(service)
            .or_else(|| latency.get("*"))
            .copied()
            .unwrap_or_default()
    }

    /// Takes the added latency's time.
    pub(crate) async fn linger(&self, service: &str) {
        let latency = self.latency(service);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_applies_to_its_calls_as_often_as_requested() {
        let faults = Faults::default();
        faults.add(Fault {
            service: "s3".into(),
            operation: Some("PutObject".into()),
            account: Some("1".into()),
            times: 2,
            fault: Kind::Cut,
        });
        assert_eq!(faults.strike("s3", "GetObject", Some("1")), None);
        assert_eq!(faults.strike("s3", "PutObject", Some("2")), None);
        assert_eq!(faults.strike("s3", "PutObject", Some("1")), Some(Kind::Cut));
        assert_eq!(faults.waiting(Some("1")).len(), 1);
        assert_eq!(faults.waiting(Some("2")).len(), 0);
        assert_eq!(faults.strike("s3", "PutObject", Some("1")), Some(Kind::Cut));
        assert_eq!(faults.strike("s3", "PutObject", Some("1")), None);
        assert_eq!(faults.waiting(None).len(), 0);
    }

    #[test]
    fn latency_is_by_service_or_for_all() {
        let faults = Faults::default();
        faults.set_latency("*", Duration::from_millis(5));
        faults.set_latency("s3", Duration::ZERO);
        assert_eq!(faults.latency("s3"), Duration::ZERO);
        assert_eq!(faults.latency("ecs"), Duration::from_millis(5));
    }
}
