//! The stand-in's journal: the record of the calls it answered, the violations, and the faults still to be played.

use crate::http::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer of the stand-in that did not fit GitHub's description, or a call the stand-in does not implement.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Violation {
    /// Method and path of the call.
    pub call: String,
    /// `OWNER/NAME` where the call, or its query, named a repository.
    pub repository: Option<String>,
    /// JSON pointer into the answer, or the name of what is missing.
    pub pointer: String,
    /// The problem, in words.
    pub message: String,
}

/// One call as it was received and decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRecord {
    /// Counts from 1, in the order in which calls ended.
    pub sequence: u64,
    /// How many calls had ended when it came.
    pub began: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// HTTP method.
    pub method: String,
    /// Path as received, without the query.
    pub path: String,
    /// Query as received.
    pub query: String,
    /// The body of a GraphQL request, as received.
    pub asked: Option<String>,
    /// `OWNER/NAME` where the call named a repository.
    pub repository: Option<String>,
    /// `run RUN_ID`, `user LOGIN` or `anonymous`; never a token.
    pub caller: String,
    /// The job the call came from, found through the calling process.
    pub job: Option<String>,
    /// `allowed: …`, `refused: …`, or `not needed`.
    pub permission: String,
    /// Status of the answer.
    pub status: u16,
    /// True where a fault was played on this call.
    pub fault: bool,
}

/// A fault to play on the next matching calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Only this method.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Only paths that contain this.
    pub(crate) path: String,
    /// Only this query, as received.
    #[serde(default)]
    pub(crate) query: Option<String>,
    /// Only requests whose body contains this, for a path that all repositories share.
    #[serde(default)]
    pub(crate) holds: Option<String>,
    /// Only requests whose body contains this too, such as a field of a query.
    #[serde(default)]
    pub(crate) asks: Option<String>,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// Answer this status instead of calling the handler.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Headers of that answer, such as `retry-after`.
    #[serde(default)]
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    /// Body of that answer; GitHub's error shape without it.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// With `status`: run the handler first, so that the change happens and only its answer is lost.
    #[serde(default)]
    pub(crate) after: bool,
    /// Wait this long first.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Send only this many bytes of the answer's body, as if they were all.
    #[serde(default)]
    pub(crate) cut: Option<usize>,
    /// Remove the value at this JSON pointer from the answer before it is validated.
    #[serde(default)]
    pub(crate) remove: Option<String>,
}

fn once() -> u32 {
    1
}

/// Records, violations and pending faults.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) calls: Vec<CallRecord>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) faults: Vec<Fault>,
}

impl Journal {
    /// Takes back the faults whose path or body holds this text.
    pub(crate) fn clear_faults(&mut self, about: &str) {
        let meant = |fault: &Fault| {
            let holds = fault.holds.as_deref().unwrap_or_default();
            fault.path.contains(about) || holds.contains(about)
        };
        self.faults.retain(|fault| !meant(fault));
    }

    /// Takes one hit of the first fault that matches.
    pub(crate) fn take_fault(&mut self, request: &Request, query: &str) -> Option<Fault> {
        let Request {
            method, path, body, ..
        } = request;
        let index = self.faults.iter().position(|fault| {
            fault.times > 0
                && path.contains(&fault.path)
                && fault.query.as_deref().is_none_or(|wanted| wanted == query)
                && [&fault.holds, &fault.asks]
                    .into_iter()
                    .flatten()
                    .all(|text| String::from_utf8_lossy(body).contains(text))
                && fault
                    .method
                    .as_deref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        })?;
        let fault = self.faults.get_mut(index)?;
        fault.times -= 1;
        let hit = fault.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(hit)
    }
}
