//! The record of every call, as CloudTrail would keep it: who, as which role, did what, on what, with what end.

use std::collections::{BTreeMap, VecDeque};
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
    /// Where its end stands among the beginnings and ends of all calls, which are counted from 1 for the gateway's whole life.
    pub(crate) seq: u64,
    /// Where its beginning stands among them: a call whose `seq` is below this ended before.
    pub(crate) began: u64,
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
    /// The task definition that an update of a service asks for.
    pub(crate) task_definition: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
    pub(crate) duration_ms: u64,
    pub(crate) request_id: String,
    /// `api`, `registry` for docker's own protocol, or `cloudformation` for the calls that it makes.
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
            began: 0,
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
            task_definition: None,
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

/// The calls that a reader of the record asks for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) since: u64,
    pub(crate) world: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) service: Option<String>,
}

/// The record so far.
#[derive(Default)]
struct Kept {
    /// How many beginnings and ends were counted.
    count: u64,
    /// The calls that ended, in the order in which they did.
    entries: VecDeque<Entry>,
    /// How many calls are being done in each world.
    open: BTreeMap<String, usize>,
}

/// All entries, in the order in which the calls ended.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Kept>);

/// A call that is being done, until this is dropped.
pub(crate) struct Open<'a> {
    recorder: &'a Recorder,
    world: Option<String>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut kept = lock(&self.recorder.0);
        let open = self.world.as_ref().and_then(|it| kept.open.get_mut(it));
        if let Some(open) = open {
            *open = open.saturating_sub(1);
        }
    }
}

impl Recorder {
    /// Notes that a call begins.
    pub(crate) fn begin(&self, entry: &mut Entry) -> Open<'_> {
        let mut kept = lock(&self.0);
        kept.count += 1;
        entry.began = kept.count;
        if let Some(world) = &entry.world {
            *kept.open.entry(world.clone()).or_default() += 1;
        }
        Open {
            recorder: self,
            world: entry.world.clone(),
        }
    }

    /// How many calls are being done in a world.
    pub(crate) fn open(&self, world: &str) -> usize {
        lock(&self.0).open.get(world).copied().unwrap_or_default()
    }

    pub(crate) fn add(&self, mut entry: Entry, took: Duration) {
        let mut kept = lock(&self.0);
        kept.count += 1;
        entry.seq = kept.count;
        if entry.began == 0 {
            entry.began = entry.seq;
        }
        entry.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry);
    }

    /// The entries after `since` that the filter names, and the newest number of all.
    pub(crate) fn read(&self, filter: &Filter) -> (u64, Vec<Entry>) {
        let kept = lock(&self.0);
        let meant = |wanted: &Option<String>, seen: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == seen
        };
        let found = kept
            .entries
            .iter()
            .filter(|entry| {
                entry.seq > filter.since
                    && meant(&filter.world, entry.world.as_ref())
                    && meant(&filter.account, entry.account.as_ref())
                    && meant(&filter.service, Some(&entry.service))
            })
            .cloned()
            .collect();
        (kept.count, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str) -> Entry {
        let mut entry = Entry::new("s3", operation, "ca-central-1", "1", "api");
        entry.world = Some("w".to_owned());
        entry
    }

    #[test]
    fn overlapping_calls_are_distinguished_from_consecutive_ones() {
        let recorder = Recorder::default();
        let (mut first, mut second, mut third) = (call("first"), call("second"), call("third"));
        let one = recorder.begin(&mut first);
        let two = recorder.begin(&mut second);
        assert_eq!((recorder.open("w"), recorder.open("v")), (2, 0));
        recorder.add(second, Duration::ZERO);
        drop(two);
        let three = recorder.begin(&mut third);
        recorder.add(first, Duration::ZERO);
        recorder.add(third, Duration::ZERO);
        drop((one, three));
        assert_eq!(recorder.open("w"), 0);
        let (_, found) = recorder.read(&Filter::default());
        let [second, first, third] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(first.began < second.began && second.seq < first.seq);
        assert!(second.seq < third.began && third.began < first.seq);
    }
}
