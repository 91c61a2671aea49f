//! The record of every call, as CloudTrail would keep it: who, as which role, did what, on what, with what end.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::identity::Principal;
use crate::lock;

/// Calls kept; older ones are dropped.
const KEPT: usize = 200_000;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// Counts up from 1 for the gateway's whole life.
    pub(crate) seq: u64,
    pub(crate) time: String,
    pub(crate) world: Option<String>,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) region: String,
    pub(crate) account: Option<String>,
    /// The caller: a session's or a user's ARN.
    pub(crate) principal: Option<String>,
    /// The role behind a session.
    pub(crate) role: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) resource: Option<String>,
    /// The partitions of a DynamoDB table that the call names.
    pub(crate) leading: Vec<String>,
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
    pub(crate) duration_ms: u64,
    pub(crate) request_id: String,
    /// `api`, or `registry` for docker's own protocol.
    pub(crate) via: &'static str,
}

impl Entry {
    /// An entry without its end.
    pub(crate) fn new(
        service: &str,
        operation: &str,
        region: &str,
        request_id: &str,
        via: &'static str,
    ) -> Self {
        Self {
            seq: 0,
            time: crate::rfc3339(OffsetDateTime::now_utc()),
            world: None,
            service: service.to_owned(),
            operation: operation.to_owned(),
            region: region.to_owned(),
            account: None,
            principal: None,
            role: None,
            session: None,
            resource: None,
            leading: Vec::new(),
            status: 0,
            error: None,
            duration_ms: 0,
            request_id: request_id.to_owned(),
            via,
        }
    }

    pub(crate) fn by(&mut self, principal: &Principal) {
        self.account = Some(principal.account.clone());
        self.principal = Some(principal.arn.clone());
        self.role.clone_from(&principal.role);
        self.session.clone_from(&principal.session);
    }
}

/// What a reader of the record asks for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) since: u64,
    pub(crate) world: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) service: Option<String>,
}

/// All entries, oldest first.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<(u64, VecDeque<Entry>)>);

impl Recorder {
    pub(crate) fn add(&self, mut entry: Entry, took: Duration) {
        let mut kept = lock(&self.0);
        kept.0 += 1;
        entry.seq = kept.0;
        entry.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if kept.1.len() == KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(entry);
    }

    /// The entries after `since` that the filter names, and the newest number of all.
    pub(crate) fn read(&self, filter: &Filter) -> (u64, Vec<Entry>) {
        let kept = lock(&self.0);
        let meant = |wanted: &Option<String>, seen: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == seen
        };
        let found = kept
            .1
            .iter()
            .filter(|entry| {
                entry.seq > filter.since
                    && meant(&filter.world, entry.world.as_ref())
                    && meant(&filter.account, entry.account.as_ref())
                    && meant(&filter.service, Some(&entry.service))
            })
            .cloned()
            .collect();
        (kept.0, found)
    }
}
